#!/usr/bin/env python3
"""Looks at a mount again and again, as people and file managers do: looks.py MOUNTPOINT COUNT

One look is stat and a listing of the root, and the summary read. Prints the worst and the median in seconds.
"""
import os
import statistics
import sys
import time


def main() -> None:
    root, count = sys.argv[1], int(sys.argv[2])
    times = []
    for _ in range(count):
        started = time.monotonic()
        os.stat(root)
        for entry in os.scandir(root):
            entry.stat()
        with open(f"{root}/.status/summary.json", "rb") as summary:
            summary.read()
        times.append(time.monotonic() - started)
    print(max(times), statistics.median(times))


if __name__ == "__main__":
    main()
