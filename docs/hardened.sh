#!/usr/bin/env bash
# Writes the tables of docs/hardened.md again: the demo's own files, imported as they are and with what is recommended, in four
# situations. With --check: fails if they are stale, and writes nothing. SIM names the program; by default the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
sim=${SIM:-target/release/sim}
runs=${RUNS:-200}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What each change is called, and the keys that make it.
replicas="--set redis.min-replicas-to-write=1"
fence="--set haproxy.on-marked-down=shutdown-sessions"
aof="--set redis.appendonly=true"
file="--set redis.config-file=true"
variants=(
    "as it is|"
    "\`min-replicas-to-write 1\`|$replicas"
    "\`on-marked-down shutdown-sessions\`|$fence"
    "\`appendonly yes\`|$aof"
    "a file that Redis may write|$file"
    "all four|$replicas $fence $aof $file"
)
declare -A what=(
    [master-dies]="The machine of the master vanishes"
    [cut-off]="The master, HAProxy and the clients are cut off from all others for 25 s"
    [restarts]="The master is killed and started again one second later"
    [returns]="The master is killed and started again when another one is master"
)

{
    for situation in master-dies cut-off restarts returns; do
        echo "### ${what[$situation]} (\`--situation $situation\`)"
        echo
        echo "| | longest time without a SET, s: mean, p99 | acknowledged SETs lost: mean, worst | SETs refused with -READONLY: mean |"
        echo "| --- | --- | --- | --- |"
        for variant in "${variants[@]}"; do
            # shellcheck disable=SC2086 # The keys are words.
            "$sim" import reference --situation "$situation" ${variant#*|} 2>"$work/told" >"$work/stack.toml" || { cat "$work/told" >&2; exit 1; }
            "$sim" run "$work/stack.toml" --runs "$runs" --format json --out "$work/out" >"$work/figures.json"
            python3 -c '
import json, sys
metrics = json.load(open(sys.argv[1]))["metrics"]
number = lambda name, what: metrics.get(name, {}).get(what, 0.0)
outage, lost, refused = "set-outage", "lost-acked-sets", "readonly-sets"
row = (sys.argv[2], number(outage, "mean"), number(outage, "p99"), number(lost, "mean"), number(lost, "max"), number(refused, "mean"))
print("| %s | %.1f, %.1f | %.1f, %.0f | %.1f |" % row)' "$work/figures.json" "${variant%%|*}"
        done
        echo
    done
} >"$work/tables"

awk -v tables="$work/tables" '
    /^<!-- figures -->$/ { print; while ((getline line < tables) > 0) print line; skip = 1; next }
    /^<!-- end of figures -->$/ { skip = 0 }
    !skip' docs/hardened.md >"$work/hardened.md"

if [ "${1:-}" = --check ]; then
    cmp "$work/hardened.md" docs/hardened.md || { echo "the tables are stale: run docs/hardened.sh" >&2; exit 1; }
else
    cp "$work/hardened.md" docs/hardened.md
fi
