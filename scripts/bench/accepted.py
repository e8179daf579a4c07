#!/usr/bin/env python3
"""Tells in how many seconds a command has written a number of bytes: accepted.py BYTES COMMAND...

The bytes are counted by the kernel (wchar in /proc/PID/io). The command is then interrupted: what its close waits for is
not what is measured.
"""
import subprocess
import sys
import time


def written(pid: int) -> int:
    with open(f"/proc/{pid}/io", encoding="ascii") as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("wchar:"))


def main() -> None:
    wanted = int(sys.argv[1])
    started = time.monotonic()
    with subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        taken = None
        while taken is None and command.poll() is None:
            try:
                if written(command.pid) >= wanted:
                    taken = time.monotonic() - started
                    break
            except (OSError, StopIteration):
                pass  # it has just ended
            time.sleep(0.001)
        if taken is None:
            # It ended between two looks: then it had written everything, or failed.
            taken = time.monotonic() - started
            if command.returncode != 0:
                sys.exit(f"{sys.argv[2:]} ended with {command.returncode}")
        else:
            command.terminate()
    print(taken)


if __name__ == "__main__":
    main()
