#!/usr/bin/env bash
# Draws docs/stack.svg: the demo's stack at rest, as the report's topology view shows it. Needs chromium and python3.
#
#     docs/stack.sh [path of sim]
set -euo pipefail
cd "$(dirname "$0")/.."
sim=$(realpath "${1:-target/release/sim}")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"$sim" run partition --out "$work" >/dev/null
chromium --headless --no-sandbox --disable-gpu --virtual-time-budget=4000 --window-size=1400,1000 --dump-dom \
    "file://$work/partition-1/report.html#at=-1" >"$work/dom.html" 2>/dev/null
python3 - "$work/dom.html" >docs/stack.svg <<'PY'
import re, sys
page = open(sys.argv[1], encoding="utf-8").read()
svg = re.search(r'id="moment-topology">(<svg.*?</svg>)', page, re.S).group(1)
svg = re.sub(r"<title>.*?</title>", "", svg, flags=re.S)
svg = re.sub(r"(\d+\.\d)\d+", r"\1", svg)
for name, color in ("panel", "#f5f6f7"), ("ink", "#1a1a1a"), ("paper", "#ffffff"):
    svg = svg.replace(f"var(--{name})", color)
width, height = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups()
style = """
text { font: 11px "DejaVu Sans", Verdana, sans-serif; text-anchor: middle; }
.name { font-weight: 700; font-size: 12px; } .node rect { stroke: #1a1a1a; stroke-width: 1; }
.link { stroke: #55595d; stroke-width: 1.2; } .link.belief { stroke-dasharray: 2 4; opacity: .75; }
.link.replica, .link.up { stroke-width: 2.2; } .link.down { stroke-dasharray: 7 5; opacity: .6; }
"""
svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
svg = re.sub(r'aria-label="[^"]*"', 'aria-label="The stack: clients, HAProxy, three Redis nodes, three Sentinels"', svg, count=1)
head, rest = svg.split(">", 1)
print(head + f'>\n<style>{style}</style>\n<rect width="{width}" height="{height}" fill="#fff"/>\n' + rest)
PY
