#!/usr/bin/env python3
"""Would your alert have fired? Evaluates alert rules on the metrics of a run, with promtool.

    tests/prometheus/alerts.py RUN-FOLDER [RULES] [--every SECONDS]

RULES is reference/config/alerts.yml unless another file is named; `--every` is Prometheus's evaluation_interval (the
scrape interval unless given). Prints each alert with the times at which it fires, in seconds after the first fault.

promtool tests rules on series that a file spells out. The metrics become such a file, in which a series that is not
scraped any more is stale at once, as it is for a Prometheus that scrapes (blocks made from OpenMetrics have no such marks).
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

EPOCH_S = 1_767_225_600
ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = re.compile(r"^(\w+\{.*\}) (\S+) (\S+)$")
FOUND = re.compile(r"alertname: ([^,]+), time: ([^,]+),")
UNITS_S = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}


def samples(text):
    """Values by series and time in milliseconds after the first fault."""
    series = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value, at = SAMPLE.match(line).groups()
            series.setdefault(name, {})[round((float(at) - EPOCH_S) * 1000)] = value
    return series


def notation(values, times):
    """A series as promtool writes it: from its first sample on, stale where it was not scraped."""
    out, seen = [], False
    for at in times:
        if at in values:
            out.append(values[at])
        else:
            out.append("stale" if seen else "_")
        seen = at in values
    return " ".join(out)


def span_s(text):
    return sum(float(number) * UNITS_S[unit] for number, unit in re.findall(r"([\d.]+)(ms|h|m|s)", text))


def names(rules):
    return re.findall(r"^\s*- alert: (\w+)", pathlib.Path(rules).read_text(), re.M)


def fired(folder, rules, every_s=None):
    """The times in seconds at which each alert fires, by its name."""
    series = samples((pathlib.Path(folder) / "metrics.om").read_text())
    times = sorted({at for values in series.values() for at in values})
    scrape_ms = int(next(iter(series['sim_scrape_interval_milliseconds{job="sim"}'].values())))
    every_ms = round(every_s * 1000) if every_s else scrape_ms
    asked = range(0, times[-1] - times[0] + 1, every_ms)
    test = {
        "rule_files": [str(pathlib.Path(rules).resolve())],
        "evaluation_interval": f"{every_ms}ms",
        "tests": [{
            "interval": f"{scrape_ms}ms",
            "input_series": [{"series": name, "values": notation(values, times)} for name, values in series.items()],
            # Nothing is expected, so promtool tells whatever fires.
            "alert_rule_test": [{"eval_time": f"{at}ms", "alertname": name, "exp_alerts": []} for name in names(rules) for at in asked],
        }],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump(test, file)
        file.flush()
        done = subprocess.run(["promtool", "test", "rules", file.name], capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode not in (0, 1) or ("FAILED" not in said and "SUCCESS" not in said):
        raise SystemExit(f"promtool: {said}")
    result = {name: [] for name in names(rules)}
    found = FOUND.findall(said)
    if "FAILED" in said and not found:
        raise SystemExit(f"promtool: {said}")
    for name, at in found:
        result[name].append(span_s(at) + times[0] / 1000)
    return {name: sorted(set(at)) for name, at in result.items()}


def told(at, every_s):
    """Times as the spans between which there is none without it."""
    spans = []
    for time in at:
        if spans and time - spans[-1][1] <= every_s * 1.001:
            spans[-1][1] = time
        else:
            spans.append([time, time])
    return ", ".join(f"{a:g} s" if a == b else f"{a:g} to {b:g} s" for a, b in spans)


def main():
    parser = argparse.ArgumentParser(description="Evaluates alert rules on the metrics of a run, with promtool.")
    parser.add_argument("folder", help="a run folder")
    parser.add_argument("rules", nargs="?", default=ROOT / "reference/config/alerts.yml")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="evaluation interval; default: the scrape interval")
    arguments = parser.parse_args()
    text = (pathlib.Path(arguments.folder) / "metrics.om").read_text()
    scrape_s = int(re.search(r"^sim_scrape_interval_milliseconds\{.*\} (\d+)", text, re.M)[1]) / 1000
    every_s = arguments.every or scrape_s
    print(f"scraped every {scrape_s:g} s, evaluated every {every_s:g} s; seconds after the first fault")
    for name, at in fired(arguments.folder, arguments.rules, arguments.every).items():
        print(f"{name:30} {'fires at ' + told(at, every_s) if at else 'silent'}")


if __name__ == "__main__":
    sys.exit(main())
