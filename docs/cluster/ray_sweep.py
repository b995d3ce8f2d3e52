#!/usr/bin/env python3
"""Runs a sweep on a Ray cluster: one task a shard, and the parts put together as if one machine had run them.

    python ray_sweep.py --shards 64 --out output/sweep -- \\
        scenarios/master-pause.toml --vary sentinel.down-after-milliseconds=1000,5000 --runs 10000

What follows `--` goes to `sim sweep`. Tasks carry the scenario's text with them and send back the bytes of their part, so
that the machines share no file system; all they need is `sim` (of the same version; `--sim` says where). A task is a
function of its arguments: Ray may run it anywhere and, when a worker or a machine dies, again. The result is the same,
byte for byte.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import ray

# A worker may die of what has nothing to do with its task; a task that kills its worker each time must end, though.
RETRIES = 8


@ray.remote(num_cpus=1, max_retries=RETRIES)
def run_shard(sim, name, scenario, arguments, index, of):
    """Runs one shard; answers the names and bytes of its files."""
    with tempfile.TemporaryDirectory(prefix="sim-shard-") as folder:
        file = pathlib.Path(folder, name)
        file.write_bytes(scenario)
        out = pathlib.Path(folder, "out")
        command = [sim, "sweep", str(file), *arguments]
        command += ["--shard", f"{index}/{of}", "--jobs", "1", "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
        return {path.name: path.read_bytes() for path in out.glob("runs-*")}


def sweep(sim, shards, out, scenario, arguments):
    """Runs all shards, writes their parts as they come, and merges them."""
    out.mkdir(parents=True, exist_ok=True)
    text = scenario.read_bytes()
    tasks = [run_shard.remote(sim, scenario.name, text, arguments, index, shards) for index in range(shards)]
    done = 0
    while tasks:
        ready, tasks = ray.wait(tasks)
        for name, content in ray.get(ready[0]).items():
            part = out / (name + ".part")
            part.write_bytes(content)
            part.rename(out / name)
        done += 1
        print(f"{done} of {shards} shards", file=sys.stderr)
    if shards > 1:
        # 1: a run missed an expectation of the scenario.
        if subprocess.run([sim, "sweep", str(out), "--merge"]).returncode not in (0, 1):
            raise RuntimeError(f"the parts in {out} cannot be merged")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, required=True, help="into how many tasks; some per core, so that none waits")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for runs.csv and runs.parquet")
    parser.add_argument("--sim", default="sim", help="the program, as every machine finds it")
    parser.add_argument("--address", help="of the Ray cluster; default: RAY_ADDRESS, or one on this machine alone")
    parser.add_argument("--cpus", type=int, help="of a cluster on this machine alone")
    parser.add_argument("scenario", type=pathlib.Path)
    own, rest = sys.argv[1:], []
    if "--" in own:
        place = own.index("--")
        own, rest = own[:place] + own[place + 1:place + 2], own[place + 2:]
    options = parser.parse_args(own)
    if options.shards < 1:
        parser.error("--shards: at least 1")
    if not options.scenario.is_file():
        parser.error(f"{options.scenario}: there is no such scenario")
    ray.init(address=options.address, num_cpus=options.cpus, include_dashboard=False, log_to_driver=False)
    try:
        sweep(options.sim, options.shards, options.out, options.scenario, rest)
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
