#!/usr/bin/env python3
"""Writes into a file one step at a time, as it is told through a pipe, and tells how each step went.

Steps are lines: "write COUNT", "fsync", "close". For each, one line is printed: "ok" or the error's name. It ends when
the pipe does, or with a signal.
"""
import errno
import os
import sys


def perform(step: list[str], source, target: int) -> None:
    if step[0] == "write":
        block = source.read(int(step[1]))
        while block:
            block = block[os.write(target, block):]
    elif step[0] == "fsync":
        os.fsync(target)
    elif step[0] == "close":
        os.close(target)
    else:
        raise ValueError(step[0])


def main() -> None:
    pipe, source, target = sys.argv[1:]
    with open(source, "rb") as source, open(pipe, encoding="ascii") as steps:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for line in steps:
            try:
                perform(line.split(), source, descriptor)
                print("ok", flush=True)
            except OSError as error:
                print(errno.errorcode.get(error.errno, str(error.errno)), flush=True)


if __name__ == "__main__":
    main()
