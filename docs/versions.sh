#!/usr/bin/env bash
# Writes the score table of docs/versions.md again: 200 simulated runs of each scenario that was recorded with a release,
# against its recordings. With --check: fails if it is stale, and writes nothing. SIM names the program; by default the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
sim=${SIM:-target/release/sim}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
real=reference/recordings/versions

{
    echo "| program | scenario | cells that agree | real runs | simulated |"
    echo "| --- | --- | --- | --- | --- |"
    for folder in $(ls "$real" | sort -V); do
        minor=$(sed -E 's/^[a-z]+-([0-9]+\.[0-9]+).*/\1/' <<<"$folder")
        case $folder in
            haproxy-*) keys=(--set "haproxy.release=$minor") ;;
            valkey-*) keys=(--set "redis.release=valkey-$minor" --set "sentinel.release=valkey-$minor") ;;
            *) keys=(--set "redis.release=$minor" --set "sentinel.release=$minor") ;;
        esac
        for scenario in $(ls "$real/$folder" | sed 's/\..*//' | sort -u); do
            file=scenarios/$scenario.toml
            [ -e "$file" ] || file=reference/$file
            "$sim" run "$file" "${keys[@]}" --runs 200 --out "$work/out/$folder" --recordings "$work/sim/$folder" >/dev/null || [ $? = 1 ]
        done
        "$sim" compare "$real/$folder" "$work/sim/$folder" --format json |
            python3 -c '
import json, sys
score = json.load(sys.stdin)
good = total = 0
for s in score["scenarios"]:
    agree, cells = sum(v["agrees"] for v in s["verdicts"]), len(s["verdicts"])
    good, total = good + agree, total + cells
    name, real, sim = s["scenario"], s["real_runs"], s["sim_runs"]
    print(f"| {sys.argv[1]} | {name} | {agree} of {cells} | {real} | {sim} |")
print(f"| **{sys.argv[1]}** | all | **{good} of {total} = {100 * good / total:.1f} %** | | |")' "$folder"
    done
} >"$work/table"

# The table stands between two comments.
awk -v table="$work/table" '
    /^<!-- score -->$/ { print; while ((getline line < table) > 0) print line; skip = 1; next }
    /^<!-- end of score -->$/ { skip = 0 }
    !skip' docs/versions.md >"$work/versions.md"

if [ "${1:-}" = --check ]; then
    cmp "$work/versions.md" docs/versions.md || { echo "the score table is stale: run docs/versions.sh" >&2; exit 1; }
else
    cp "$work/versions.md" docs/versions.md
fi
