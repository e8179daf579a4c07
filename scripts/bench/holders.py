#!/usr/bin/env python3
"""Measures closing a file beside many processes: holders.py FOLDER PROCESSES DESCRIPTORS ROUNDS

A file is opened, so many processes are started that could have inherited it (each with so many descriptors open), a byte
is written and the file closed. Prints the median seconds of that close, and of one with no such process.
"""
import os
import statistics
import sys
import time


def open_file(folder: str, name: str) -> int:
    return os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o644)


def timed_close(descriptor: int) -> float:
    os.write(descriptor, b"x")
    started = time.monotonic()
    os.close(descriptor)
    return time.monotonic() - started


def start(descriptors: int, ready: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.closerange(3, ready)
    os.closerange(ready + 1, 65536)
    for _ in range(descriptors):
        os.open("/dev/null", os.O_RDONLY)
    os.write(ready, b".")
    while True:
        time.sleep(3600)


def main() -> None:
    folder, processes, descriptors, rounds = sys.argv[1], *(int(value) for value in sys.argv[2:5])
    alone = statistics.median(timed_close(open_file(folder, f"alone{number}.txt")) for number in range(rounds))
    files = [open_file(folder, f"beside{number}.txt") for number in range(rounds)]
    listen, ready = os.pipe()
    children = []
    try:
        children = [start(descriptors, ready) for _ in range(processes)]
        waiting = processes
        while waiting:
            waiting -= len(os.read(listen, waiting))
        beside = statistics.median(timed_close(descriptor) for descriptor in files)
    finally:
        for child in children:
            os.kill(child, 9)
            os.waitpid(child, 0)
    print(beside, alone)


if __name__ == "__main__":
    main()
