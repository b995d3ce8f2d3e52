#!/usr/bin/env python3
"""Runs the peers side by side and prints a table.

    pip install simpy==4.1.1            # once; without it SimPy is left out
    python3 benches/peers/run.py        # builds, runs, prints Markdown

Every program does the same work (src/lib.rs says which) as a process of its own on one core. In each round all programs
take their turn, in an order that rotates, so that whatever else the machine does hits all of them alike. A figure is the
rate of a program; a ratio is ours divided by the peer's in the same round.
"""

import argparse
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# Work, sizes, unit, and who does it with what amount: chosen so that one turn takes a fraction of a second.
FAST, SLOW = 2_000_000, 300_000
EVENTS = {"ours": FAST, "bare": FAST, "desque": FAST, "simcore": FAST, "nexosim": SLOW}
WORKS = [
    ("hold", [16, 64, 1_024, 16_384], "events", {**EVENTS, "simpy": SLOW}),
    ("phold", [16, 64, 1_024, 16_384], "events", EVENTS),
    ("mm1", [1], "customers", {**EVENTS, "nexosim": SLOW // 2}),
    ("mesh", [5, 16, 50], "messages", {"ours": 1_000_000, "madsim": 200_000, "turmoil": 30_000}),
    ("heartbeat", [5], "virtual s", {"ours": 200_000, "madsim": 20_000, "turmoil": 100}),
]
# These print the digest of their events or count messages; all others must agree.
OWN_CHECKSUM = {"mesh", "heartbeat"}
VERSIONS = {"simpy": "4.1.1"}


def versions():
    found, name = {}, None
    for line in (HERE / "Cargo.lock").read_text().splitlines():
        if line.startswith("name = "):
            name = line.split('"')[1]
        elif line.startswith('version = "'):
            found[name] = line.split('"')[1]
    return {**found, **VERSIONS}


def command(peer):
    if peer == "simpy":
        return [sys.executable, str(HERE / "simpy_hold.py")]
    return [str(HERE / "target/release" / peer)]


def turn(peer, work, size, amount, core):
    words = [*command(peer), work, str(size), str(amount)]
    done = subprocess.run(words, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: {done.stderr}")
    seconds, amount, checksum = done.stdout.split()
    return int(amount) / float(seconds), checksum


def measure(work, size, peers, rounds, core):
    rates, checksums = {peer: [] for peer in peers}, {}
    for number in range(rounds):
        order = list(peers)
        order = order[number % len(order):] + order[:number % len(order)]
        for peer in order:
            rate, checksum = turn(peer, work, size, peers[peer], core)
            rates[peer].append(rate)
            assert checksums.setdefault(peer, checksum) == checksum, f"{peer} is not deterministic"
    if work not in OWN_CHECKSUM:
        for peer in peers.keys() - {"ours", "simpy"}:
            _, ours = turn("ours", work, size, peers[peer], core)
            assert checksums[peer] == ours, f"{work} {size}: {peer} did not execute the same events"
    return rates, checksums


def spread(values, form):
    return " / ".join(form(value) for value in (min(values), statistics.median(values), max(values)))


def rate(value):
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.1f} k"


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()[1]
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, rustc {rustc}, Python {platform.python_version()}, load {load:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", action="append", help="only this work")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--no-build", action="store_true")
    options = parser.parse_args()
    if not options.no_build:
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=HERE, check=True)
    known = versions()
    simpy = subprocess.run([sys.executable, "-c", "import simpy; print(simpy.__version__)"], capture_output=True, text=True)
    if simpy.returncode != 0:
        print("SimPy is not installed: left out", file=sys.stderr)
    print(f"{machine()}; {options.rounds} rounds; min / median / max\n")
    print("| work | size | program | rate | ours ÷ it | checksum |")
    print("| --- | ---: | --- | ---: | ---: | --- |")
    for work, sizes, unit, peers in WORKS:
        if options.work and work not in options.work:
            continue
        peers = {peer: amount for peer, amount in peers.items() if peer != "simpy" or simpy.returncode == 0}
        for size in sizes:
            rates, checksums = measure(work, size, peers, options.rounds, options.core)
            for peer, values in rates.items():
                name = f"{peer} {known[peer]}" if peer in known else {"ours": "this program", "bare": "bare loop"}[peer]
                ratios = [ours / other for ours, other in zip(rates["ours"], values)]
                ratio = "1" if peer == "ours" else spread(ratios, lambda value: f"{value:.2f}")
                print(f"| {work} | {size} | {name} | {spread(values, rate)} {unit}/s | {ratio} | `{checksums[peer]}` |", flush=True)


main()
