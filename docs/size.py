"""How long a failover, a restart and a full synchronisation take with so much data: the picture of docs/cookbook.md.

size.py SIM FOLDER writes FOLDER/size.svg: lines are runs of reference/scenarios/large-dataset.toml and large-dataset-from-disk.toml
with other sizes, simulated by the program SIM; dots are the real programs, from reference/sizes.csv.
size.py figures FOLDER... prints rows of that file, one a recording.
"""

import gzip
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEEDS = 5
# Sizes of the lines, in gigabytes as Redis counts them.
GB = 1 << 30
SIZES = [0.1, 0.2, 0.5, 1, 1.5, 2, 5, 10, 20, 50]
# What is drawn: name, figure, scenario, colour.
CURVES = [
    ("full synchronisation, from a file", "synchronisation_s", "large-dataset-from-disk", "#d94801"),
    ("full synchronisation, from the child", "synchronisation_s", "large-dataset", "#08519c"),
    ("restart: until it serves", "restart_s", "large-dataset", "#238b45"),
    ("failover: until +switch-master", "failover_s", "large-dataset", "#6a51a3"),
]
FIGURES = ["failover_s", "restart_s", "synchronisation_s"]


def figures(path):
    """What a recording says, in seconds; what did not happen is not there."""
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else open(path)
    with opened as lines:
        head, *rows = map(json.loads, lines)
    at = {fault[1]: fault[0] for fault in head["faults"]}
    moments = {}
    for row in rows:
        event, node = row.get("event", ""), row.get("node", "")
        if row["t"] < 0:
            continue
        if event.startswith("+switch-master"):
            moments.setdefault("switched", row["t"])
        elif node == "redis-1":
            for key, line in [("serves", "Ready to"), ("told", "REPLICAOF "), ("synchronised", "MASTER <-> REPLICA sync: Finished")]:
                if event.startswith(line):
                    moments[key] = row["t"]
    spans = {
        "failover_s": (at.get("kill"), moments.get("switched")),
        "restart_s": (at.get("start"), moments.get("serves")),
        "synchronisation_s": (moments.get("told"), moments.get("synchronised")),
    }
    return head["scenario"], {name: end - begin for name, (begin, end) in spans.items() if None not in (begin, end)}


def table(folders):
    """Rows of the file of the real programs' figures."""
    print("scenario,gb," + ",".join(FIGURES))
    for folder in folders:
        for path in sorted(pathlib.Path(folder).iterdir()):
            scenario, found = figures(path)
            size = re.search(r"-([0-9.]+)gb$", scenario)
            name = scenario[: size.start()] if size else scenario
            values = [f"{found[figure]:.3f}" if figure in found else "" for figure in FIGURES]
            print(",".join([name, size[1] if size else "1.5", *values]))


def simulated(sim, work):
    """Medians by scenario and size."""
    medians = {}
    for scenario in ["large-dataset", "large-dataset-from-disk"]:
        text = (ROOT / f"reference/scenarios/{scenario}.toml").read_text()
        for size in SIZES:
            changed = text
            for old, new in [
                (r'"1\.5gb"', str(int(size * GB))),
                (r'duration = "\d+s"', f'duration = "{60 + int(25 * size)}s"'),
                # A process of 50 GB takes eight seconds to die.
                (r'at = "5s"', 'at = "15s"'),
            ]:
                changed, count = re.subn(old, new, changed)
                assert count == 1, (scenario, old)
            place = work / f"{scenario}-{size}"
            place.mkdir()
            (place / "run.toml").write_text(changed)
            command = [sim, "run", place / "run.toml", "--runs", str(SEEDS), "--out", place / "out", "--recordings", place / "recordings"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            runs = [figures(path)[1] for path in sorted((place / "recordings").iterdir())]
            for figure in FIGURES:
                seen = [run[figure] for run in runs if figure in run]
                assert len(seen) == SEEDS, (scenario, size, figure, seen)
                medians[scenario, size, figure] = statistics.median(seen)
    return medians


def real():
    """Scenario, size and figures of the real programs."""
    lines = [line for line in (ROOT / "reference/sizes.csv").read_text().splitlines() if not line.startswith("#")]
    names, *rows = [line.split(",") for line in lines]
    return [dict(zip(names, row)) for row in rows]


LEFT, WIDE, TOP, HIGH = 60, 560, 40, 380
ACROSS, UP = (0.1, 50), (0.1, 2000)


def share(value, ends):
    return math.log(value / ends[0]) / math.log(ends[1] / ends[0])


def x(size):
    return round(LEFT + share(size, ACROSS) * WIDE, 1)


def y(seconds):
    return round(TOP + HIGH - share(seconds, UP) * HIGH, 1)


def svg(medians, points):
    bottom, right = TOP + HIGH, LEFT + WIDE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 270} {bottom + 62}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14" font-weight="bold">What takes how long with so much data</text>',
    ]
    for size in SIZES:
        label = f"{size} GB" if size == SIZES[-1] else size
        out.append(
            f'<path d="M{x(size)} {TOP}V{bottom}" stroke="#ddd"/><text x="{x(size)}" y="{bottom + 16}" text-anchor="middle" '
            f'fill="#555" font-size="11">{label}</text>'
        )
    for seconds, label in [(0.1, "0.1 s"), (1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min")]:
        out.append(
            f'<path d="M{LEFT} {y(seconds)}H{right}" stroke="#ddd"/><text x="{LEFT - 6}" y="{y(seconds) + 4}" text-anchor="end" '
            f'fill="#555" font-size="11">{label}</text>'
        )
    for place, (name, figure, scenario, colour) in enumerate(CURVES):
        line = "L".join(f"{x(size)} {y(medians[scenario, size, figure])}" for size in SIZES)
        out.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for point in points:
            if point["scenario"] == scenario and point[figure]:
                out.append(
                    f'<circle cx="{x(float(point["gb"]))}" cy="{y(float(point[figure]))}" r="3.5" fill="{colour}" '
                    'fill-opacity="0.6" stroke="white"/>'
                )
        at = TOP + 20 + 24 * place
        out.append(
            f'<path d="M{right + 20} {at}h18" stroke="{colour}" stroke-width="2"/><text x="{right + 44}" y="{at + 4}">{name}</text>'
        )
    out += [
        f'<text x="{LEFT}" y="{bottom + 38}" fill="#444">Lines: medians of {SEEDS} simulated runs a size, values of 10 kB, speeds of the '
        "recorded machine. Dots: the real programs, on two machines.</text>",
        f'<text x="{LEFT}" y="{bottom + 54}" fill="#444">From the child: five seconds of repl-diskless-sync-delay are in it. Other '
        "settings are the demo's (down-after 5 s).</text>",
        "</svg>",
    ]
    return "\n".join(out) + "\n"


def main():
    if sys.argv[1:2] == ["figures"]:
        table(sys.argv[2:])
    elif len(sys.argv) == 3:
        with tempfile.TemporaryDirectory() as work:
            picture = svg(simulated(sys.argv[1], pathlib.Path(work)), real())
        (pathlib.Path(sys.argv[2]) / "size.svg").write_text(picture)
    else:
        sys.exit(__doc__)


main()
