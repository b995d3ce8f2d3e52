#!/usr/bin/env python3
"""Holds metrics.om against the real programs: the names, types, helps and labels of the real exporters; promtool, which
makes blocks of it; a real Prometheus, which answers every query of the dashboard; the alert rules.

    apt-get install prometheus prometheus-redis-exporter redis-server redis-sentinel haproxy
    tests/prometheus/check.py SIM

Everything listens on the loopback only and is ended before this ends. Ends with `N passed, N failed`.
"""

import contextlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import alerts

ROOT = alerts.ROOT
RULES = ROOT / "reference/config/alerts.yml"
DASHBOARD = ROOT / "reference/config/grafana/stack.json"
PATIENCE_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return answer.read().decode()


def until(what, tell):
    end = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(OSError):
            if found := tell():
                return found
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.1)


@contextlib.contextmanager
def programs(folder):
    """Starts programs and ends every one of them."""
    running = []

    def start(*command):
        log = open(folder / f"{len(running)}-{pathlib.Path(command[0]).name}.log", "w")
        running.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder))

    try:
        yield start
    finally:
        for program in running:
            program.send_signal(signal.SIGTERM)
        for program in running:
            try:
                program.wait(10)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()


def families(text):
    """Type, help and sets of label names, by family; a counter's family is named without its `_total`."""
    found = {}
    for line in text.splitlines():
        if line.startswith(("# TYPE ", "# HELP ")):
            _, what, name, *rest = line.split(" ", 3)
            found.setdefault(name.removesuffix("_total"), {"labels": set()})[what] = rest[0] if rest else ""
        elif line and not line.startswith("#"):
            name, labels = re.match(r"([^{ ]+)(?:\{(.*)\})? ", line).groups()
            found.setdefault(name.removesuffix("_total"), {"labels": set()})["labels"] |= set(re.findall(r'(\w+)="', labels or ""))
    return found


def real_families(folder):
    """What the real exporters give for a master, its replica, a Sentinel and HAProxy."""
    master, replica, sentinel, exporter, stats, proxy = (free_port() for _ in range(6))
    (folder / "sentinel.conf").write_text(f"port {sentinel}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {master} 1\n")
    (folder / "haproxy.cfg").write_text(f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend redis_frontend
    bind 127.0.0.1:{proxy}
    default_backend redis_backend
frontend prometheus
    mode http
    bind 127.0.0.1:{stats}
    http-request use-service prometheus-exporter
backend redis_backend
    server redis-1 127.0.0.1:{master} check inter 1s
    server redis-2 127.0.0.1:{replica} check inter 1s backup
""")
    with programs(folder) as start:
        server = ["redis-server", "--save", "", "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", "--port"]
        start(*server, str(master))
        start(*server, str(replica), "--replicaof", "127.0.0.1", str(master))
        start("redis-sentinel", str(folder / "sentinel.conf"))
        start("haproxy", "-db", "-f", str(folder / "haproxy.cfg"))
        start("prometheus-redis-exporter", "-web.listen-address", f"127.0.0.1:{exporter}", "-redis.addr", "")
        found = {}
        for port, sign in [(master, "redis_connected_slave_lag_seconds"), (replica, "redis_master_link_up"),
                           (sentinel, "redis_sentinel_master_status")]:
            url = f"http://127.0.0.1:{exporter}/scrape?target=127.0.0.1:{port}"
            text = until(sign, lambda: (text := get(url)) and sign in text and text)
            for name, family in families(text).items():
                found.setdefault(name, {"labels": set()})["labels"] |= family["labels"]
                found[name] |= {key: value for key, value in family.items() if key != "labels"}
        found |= families(until("HAProxy's metrics", lambda: get(f"http://127.0.0.1:{stats}/metrics")))
    return found


def names_are_real(run, folder):
    """Every family of an exporter has its name, type, help and labels."""
    real, ours = real_families(folder), families((run / "metrics.om").read_text())
    compared = 0
    for name, family in ours.items():
        if not name.startswith(("redis_", "haproxy_")):
            continue
        assert name in real, f"no exporter gives {name}"
        for what in ("TYPE", "HELP"):
            assert family[what] == real[name][what], f"{name}: {what} is {family[what]!r}, not {real[name][what]!r}"
        strange = family["labels"] - real[name]["labels"] - {"job", "instance"}
        assert not strange, f"{name} has no label {strange}"
        compared += 1
    assert compared >= 18, f"only {compared} families"


def planted_names_are_found(run, folder):
    """The comparison finds a wrong name, type, help and label."""
    text = (run / "metrics.om").read_text()
    for good, bad in [("redis_master_link_up", "redis_link_up"), ("TYPE redis_up gauge", "TYPE redis_up counter"),
                      ("connected_slaves metric", "replicas"), ('master_status="', 'status="')]:
        wrong = folder / "planted"
        wrong.mkdir(exist_ok=True)
        assert good in text
        (wrong / "metrics.om").write_text(text.replace(good, bad))
        try:
            names_are_real(wrong, folder)
        except AssertionError:
            continue
        raise AssertionError(f"{bad} is not found")


def dashboard_has_data(run, folder):
    """promtool makes blocks, Prometheus serves them, and every panel has data."""
    blocks = folder / "blocks"
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", run / "metrics.om", blocks],
                   check=True, capture_output=True, text=True)
    (folder / "prometheus.yml").write_text(f"rule_files: [{RULES}]\n")
    port = free_port()
    series = alerts.samples((run / "metrics.om").read_text())
    times = sorted({at for values in series.values() for at in values})
    step = (times[1] - times[0]) / 1000
    with programs(folder) as start:
        start("prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={blocks}",
              f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y",
              f"--query.lookback-delta={int(step * 1000) - 1}ms")
        until("Prometheus is ready", lambda: get(f"http://127.0.0.1:{port}/-/ready"))
        panels = json.loads(DASHBOARD.read_text())["panels"]
        for panel in panels:
            for target in panel["targets"]:
                query = urllib.parse.urlencode({"query": target["expr"], "start": alerts.EPOCH_S + times[0] / 1000,
                                                "end": alerts.EPOCH_S + times[-1] / 1000, "step": step})
                answer = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query_range?{query}"))
                got = sum(len(result["values"]) for result in answer["data"]["result"])
                assert got, f"panel {panel['title']!r} has no data: {target['expr']}"
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    assert any(label in result["metric"] for result in answer["data"]["result"]), f"{panel['title']}: no {label}"
        # What the dashboard shows is what the run says.
        at = alerts.EPOCH_S + next(t for t in times if t >= 15_000) / 1000
        query = urllib.parse.urlencode({"query": panels[2]["targets"][0]["expr"], "time": at})
        value = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?{query}"))["data"]["result"][0]["value"][1]
        assert value == "2", f"two masters at 15 s, not {value}"


def rules_are_valid(run, folder):
    """promtool takes the rules and Prometheus's configuration."""
    subprocess.run(["promtool", "check", "rules", RULES], check=True, capture_output=True)
    subprocess.run(["promtool", "check", "config", "--syntax-only", ROOT / "reference/config/prometheus.yml"], check=True, capture_output=True)


def simulate(sim, scenario, folder, *more):
    done = subprocess.run([sim, "run", ROOT / scenario, "--out", folder, *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / f"{pathlib.Path(scenario).stem}-1"


def main(sim):
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        split = simulate(sim, "scenarios/partition.toml", top)

        def alerts_that_fire(*_):
            """Thirty seconds of two masters: seen by a scrape, too short for `for: 1m`."""
            at = alerts.fired(split, RULES)
            assert at["RedisTooManyMasters"] == [15, 30], at["RedisTooManyMasters"]
            assert not at["RedisTooManyMastersForAMinute"] and not at["RedisMissingMaster"] and not at["RedisDown"], at
            assert at["RedisReplicationBroken"] == [30, 45], at["RedisReplicationBroken"]

        def alerts_that_miss(*_):
            """Ten seconds of two masters between two scrapes: silent at 15 s, told at 1 s."""
            short = "tests/prometheus/short-split.toml"
            at = alerts.fired(simulate(sim, short, top / "15"), RULES)
            near = alerts.fired(simulate(sim, short, top / "1", "--scrape-interval", "1s"), RULES)
            assert not at["RedisTooManyMasters"] and len(near["RedisTooManyMasters"]) >= 9, (at, near)
            assert not near["RedisTooManyMastersForAMinute"], near

        def alerts_stay_silent(*_):
            """Nothing fires where nothing happens."""
            quiet = top / "quiet.toml"
            quiet.write_text('duration = "60s"\n')
            at = alerts.fired(simulate(sim, quiet, top), RULES)
            # HAProxy takes its servers to be UP until it has checked them, so boot is not quiet.
            assert not any(time >= 0 for times in at.values() for time in times), at

        for check in [rules_are_valid, names_are_real, planted_names_are_found, dashboard_has_data, alerts_that_fire,
                      alerts_that_miss, alerts_stay_silent]:
            folder = top / check.__name__
            folder.mkdir()
            begin = time.monotonic()
            try:
                check(split, folder)
            except (AssertionError, subprocess.CalledProcessError, OSError) as error:
                failed += 1
                print(f"FAILED {check.__name__.replace('_', ' ')}: {error} {getattr(error, 'stderr', '') or ''}")
            else:
                passed += 1
                print(f"ok {check.__name__.replace('_', ' ')} ({time.monotonic() - begin:.1f} s)")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(str(pathlib.Path(sys.argv[1]).resolve())))
