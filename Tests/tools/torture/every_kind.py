"""Runs of every kind, several at a time, each with a state and a seed of its own."""
import concurrent.futures
import json
import math
import os
import random
import signal
import subprocess
import sys

from .conditions import CONDITIONS

# The rounds of a run: what it has written is compared in its end, so that many short runs take less than a long one.
LONGEST_RUN = 50
SUMMED = ("rounds", "closes", "promised", "cut", "refused", "resumed", "stops", "assets", "chunks", "violations")


def run_every_kind(program, asked, jobs):
    """Prints the figures of each kind; returns the exit status."""
    runs = list(_plan(asked["rounds"], random.Random(asked["seed"])))
    figures = {kind: {"runs": 0, "failed_runs": 0, **dict.fromkeys(SUMMED, 0)} for kind in CONDITIONS}
    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    processes = set()

    def play(run):
        kind, number, rounds, seed = run
        workspace = f"{asked['workspace']}/{kind}-{number}"
        os.mkdir(workspace)
        command = [sys.executable, program, "--twelvefs", asked["twelvefs"], "--sandbox", asked["sandbox"]]
        command += ["--workspace", workspace, "--kind", kind, "--rounds", str(rounds), "--seed", str(seed)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        processes.add(process)
        output = process.communicate()[0]
        return kind, process.returncode, json.loads(output) if output.strip() else {}

    try:
        for kind, code, found in pool.map(play, runs):
            _add(figures[kind], code, found)
    finally:
        # Whatever ends this: each of them takes away what it has mounted.
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()
    print(json.dumps({"seed": asked["seed"], **figures}))
    return 1 if any(found["failed_runs"] for found in figures.values()) else 0


def _plan(rounds, randomness):
    """(kind, number, rounds, seed) of each run, the kinds by turns."""
    left = {kind: rounds or (500 if kind == "plain" else 100) for kind in CONDITIONS}
    number = 0
    while left:
        number += 1
        for kind in list(left):
            part = min(left[kind], math.ceil(left[kind] / math.ceil(left[kind] / LONGEST_RUN)))
            yield kind, number, part, randomness.randrange(1 << 32)
            left[kind] -= part
            if not left[kind]:
                del left[kind]


def _add(sums, code, found):
    sums["runs"] += 1
    sums["failed_runs"] += code != 0
    for name in SUMMED:
        sums[name] += found.get(name, 0)
    for name, count in found.get("endings", {}).items():
        endings = sums.setdefault("endings", {})
        endings[name] = endings.get(name, 0) + count
