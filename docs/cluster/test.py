#!/usr/bin/env python3
"""Shards on any engine are the whole, byte for byte: also when a worker is killed in the middle of its task.

    python docs/cluster/test.py target/release/sim

Needs what requirements.txt names. Runs a Ray cluster of three workers on this machine and kills one while its task runs;
then runs the Kubernetes and Slurm files as those engines would: once for each index, with the variables they set.
"""

import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

import yaml

HERE = pathlib.Path(__file__).resolve().parent
SCENARIO = HERE.parent.parent / "scenarios" / "master-kill-container.toml"
SHARDS = 6
FILES = ["runs.csv", "runs.parquet"]


def run(command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    # 1: a setting misses what the scenario expects.
    assert done.returncode in (0, 1), f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}"


def assert_same(whole, parts):
    for name in FILES:
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), f"{parts / name} is not {whole / name}"


def children(marker):
    """Processes whose command line holds the marker: (pid, parent)."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        if marker in line and " --shard " in line:
            yield int(folder.name), parent


def kill_a_worker(marker, sim, killed, stop):
    """Kills, with SIGKILL, the first Ray worker that is seen to run a shard, and its child, which has left its line by then."""
    while not stop.is_set():
        for child, parent in children(marker):
            try:
                title = pathlib.Path(f"/proc/{parent}/cmdline").read_bytes()
                is_sim = os.path.samefile(f"/proc/{child}/exe", sim)
            except OSError:
                continue
            if title.startswith(b"ray::") and is_sim:
                os.kill(parent, signal.SIGKILL)
                os.kill(child, signal.SIGKILL)
                killed.append(parent)
                return
        time.sleep(0.01)


def test_ray(sim, work):
    arguments = ["--vary", "sentinel.down-after-milliseconds=1000,5000", "--runs", "900"]
    run([sim, "sweep", SCENARIO, *arguments, "--out", work / "whole"])
    # Every start of a shard leaves a line: the killed one must have been started twice.
    log, wrapper = work / "starts", work / "logged-sim"
    wrapper.write_text(f'#!/bin/sh\necho "$*" >>"{log}"\nexec "{sim}" "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    killed, stop = [], threading.Event()
    killer = threading.Thread(target=kill_a_worker, args=("sim-shard-", sim, killed, stop))
    killer.start()
    try:
        driver = [sys.executable, HERE / "ray_sweep.py", "--sim", wrapper, "--shards", SHARDS, "--cpus", 3]
        run([*driver, "--out", work / "ray", "--", SCENARIO, *arguments], env={**os.environ, "RAY_ADDRESS": ""})
    finally:
        stop.set()
        killer.join()
    assert killed, "no worker was killed: the test shows nothing"
    starts = [line.split("--shard ")[1].split()[0] for line in log.read_text().splitlines() if "--shard" in line]
    twice = sorted({shard for shard in starts if starts.count(shard) > 1})
    assert twice and len(set(starts)) == SHARDS, f"the killed shard was not started again: {starts}"
    assert_same(work / "whole", work / "ray")
    print(f"ok ray: worker {killed[0]} killed in shard {', '.join(twice)}; {len(starts)} starts of {SHARDS} shards, same bytes")


def test_kubernetes(sim, work):
    job = yaml.safe_load((HERE / "indexed-job.yaml").read_text())
    spec = job["spec"]
    assert (job["apiVersion"], job["kind"], spec["completionMode"]) == ("batch/v1", "Job", "Indexed")
    [container] = spec["template"]["spec"]["containers"]
    assert container["command"] == ["sim"] and f"auto/{spec['completions']}" in container["args"]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
    here = {"/scenario/scenario.toml": str(SCENARIO), "/results": str(work / "kubernetes")}
    arguments = [here.get(word, word) for word in container["args"]]
    for index in range(spec["completions"]):
        run([sim, *arguments], env={"PATH": os.environ["PATH"], "JOB_COMPLETION_INDEX": str(index)})
    run([sim, "sweep", work / "kubernetes", "--merge"])
    place = arguments.index("--shard")
    whole = arguments[:place] + ["--out", str(work / "few")]
    run([sim, *whole])
    assert_same(work / "few", work / "kubernetes")
    print(f"ok kubernetes: {spec['completions']} indices, same bytes")


def test_slurm(sim, work):
    script = HERE / "array.sbatch"
    [array] = [line for line in script.read_text().splitlines() if line.startswith("#SBATCH --array=")]
    first, last = (int(number) for number in array.split("=")[1].split("-"))
    bin = work / "bin"
    bin.mkdir()
    (bin / "sim").symlink_to(sim)
    for task in range(last, first - 1, -1):
        env = {
            "PATH": f"{bin}:{os.environ['PATH']}",
            "SLURM_ARRAY_TASK_ID": str(task),
            "SLURM_ARRAY_TASK_MIN": str(first),
            "SLURM_ARRAY_TASK_MAX": str(last),
            "SLURM_ARRAY_TASK_STEP": "1",
            "SLURM_ARRAY_TASK_COUNT": str(last - first + 1),
        }
        run(["bash", script, SCENARIO, work / "slurm"], env=env)
    run([sim, "sweep", work / "slurm", "--merge"])
    assert_same(work / "few", work / "slurm")
    print(f"ok slurm: tasks {first} to {last}, same bytes")


def main():
    sim = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="sim-cluster-") as folder:
        for test in [test_ray, test_kubernetes, test_slurm]:
            test(sim, pathlib.Path(folder))


if __name__ == "__main__":
    main()
