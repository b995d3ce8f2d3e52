#!/usr/bin/env bash
# Draws docs/size.svg, the picture of "How long … with N GB?" in docs/cookbook.md, again: 5 simulated runs of each of 20 sizes, beside the
# figures of the real programs in reference/sizes.csv. With --check: fails if it is stale, and writes nothing. SIM names the program; by
# default the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 docs/size.py "${SIM:-target/release/sim}" "$work"
if [ "${1:-}" = --check ]; then
    cmp "$work/size.svg" docs/size.svg || { echo "the picture is stale: run docs/size.sh" >&2; exit 1; }
else
    cp "$work/size.svg" docs/size.svg
fi
