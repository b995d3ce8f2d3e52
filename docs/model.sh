#!/usr/bin/env bash
# Draws the pictures of docs/laboratory.md and writes its score table again, from 200 simulated runs of each scenario of the demo.
# With --check: fails if they are stale, and writes nothing. SIM names the program; by default the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
sim=${SIM:-target/release/sim}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
real=reference/recordings/demo

for scenario in $(ls "$real" | sed 's/\..*//' | sort -u); do
    "$sim" run "scenarios/$scenario.toml" --runs 200 --out "$work/out" --recordings "$work/sim" >/dev/null || [ $? = 1 ]
done
"$sim" compare "$real" "$work/sim" --format markdown --charts "$work/charts" \
    --cells '+switch-master redis-1>new-master | first,longest outage,longest gap,never received,acknowledged but lost' \
    >"$work/table"

# The table stands between two comments.
awk -v table="$work/table" '
    /^<!-- score -->$/ { print; while ((getline line < table) > 0) print line; skip = 1; next }
    /^<!-- end of score -->$/ { skip = 0 }
    !skip' docs/laboratory.md >"$work/model.md"

if [ "${1:-}" = --check ]; then
    cmp "$work/model.md" docs/laboratory.md || { echo "the score table is stale: run docs/model.sh" >&2; exit 1; }
    for picture in "$work"/charts/*.svg; do
        cmp "$picture" "docs/model/$(basename "$picture")" || { echo "pictures are stale: run docs/model.sh" >&2; exit 1; }
    done
else
    mkdir -p docs/model
    cp "$work"/charts/*.svg docs/model/
    cp "$work/model.md" docs/laboratory.md
fi
