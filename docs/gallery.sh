#!/usr/bin/env bash
# Draws the pictures of docs/gallery.md and the README again. With --check: fails if they are stale, and writes nothing.
# SIM names the program; by default the release build. Charts depend on nothing but scenario and seed.
set -euo pipefail
cd "$(dirname "$0")/.."
sim=${SIM:-target/release/sim}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
new="$work/new"
mkdir -p "$new/gallery"

one() { # scenario, file in the run folder, name in the gallery
    "$sim" run "scenarios/$1.toml" --out "$work" >/dev/null || [ $? = 1 ]
    cp "$work/$1-1/$2" "$new/gallery/$3"
}
one partition timeline.svg partition-timeline.svg
cp "$new/gallery/partition-timeline.svg" "$new/partition.svg"
rm "$new/gallery/partition-timeline.svg"
one g-kill-container timeline.svg go-redis-timeline.svg
one g-kill-container loss.svg go-redis-loss.svg
one master-recovery latency.svg master-recovery-latency.svg

"$sim" plot tests/data/recordings/master-kill-container.00.jsonl.gz --out "$work" >/dev/null
cp "$work/master-kill-container-real-0/timeline.svg" "$new/gallery/real-timeline.svg"

# 100 seeds are enough for the shape, and take a second.
"$sim" run scenarios/g-kill-container.toml --runs 100 --out "$work" >/dev/null || [ $? = 1 ]
for chart in failover outages phases causes loss latency; do
    cp "$work/g-kill-container-1..100/$chart.svg" "$new/gallery/many-$chart.svg"
done

find "$new" -name '*.svg' -size +150k | while read -r big; do
    echo "$(basename "$big") is larger than 150 kB" >&2
    exit 1
done

if [ "${1:-}" = --check ]; then
    diff -rq "$new/gallery" docs/gallery && cmp "$new/partition.svg" docs/partition.svg || {
        echo "pictures are stale: run docs/gallery.sh" >&2
        exit 1
    }
else
    cp "$new/partition.svg" docs/partition.svg
    cp "$new"/gallery/*.svg docs/gallery/
fi
