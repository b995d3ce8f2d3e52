#!/usr/bin/env bash
# Writes what the commands of docs/alerts.md print. With --check: fails if the page says something else, and writes nothing.
# SIM names the program; by default the release build. Needs promtool (Debian's prometheus).
set -euo pipefail
cd "$(dirname "$0")/.."
sim=$(realpath "${SIM:-target/release/sim}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for folder in tests reference scenarios; do ln -s "$PWD/$folder" "$work/$folder"; done
mkdir "$work/bin"
ln -s "$sim" "$work/bin/sim"
PATH=$work/bin:$PATH NO_COLOR=1 python3 - docs/alerts.md "$work" >"$work/page" <<'PY'
import subprocess, sys
page, work = sys.argv[1:]
shown = None                       # what is left out of a page until the block ends
for line in open(page, encoding="utf-8"):
    if line.startswith("```"):
        shown = [] if line == "```console\n" else None
    elif shown is not None and line.startswith("$ "):
        print(line, end="")
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line[2:]], cwd=work, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{line}{done.stdout}{done.stderr}")
        print(done.stdout, end="")
        continue
    elif shown is not None:
        continue
    print(line, end="")
PY
if [ "${1:-}" = --check ]; then
    diff -u docs/alerts.md "$work/page" || { echo "docs/alerts.md is stale: run docs/alerts.sh" >&2; exit 1; }
else
    cp "$work/page" docs/alerts.md
fi
