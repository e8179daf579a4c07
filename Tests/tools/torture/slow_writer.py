#!/usr/bin/env python3
"""Writes a file in pieces of 4 KiB, as programs do that make their output themselves, and tells how far it came.

It prints a line for each thing that the mount has answered with success: `synced N` (bytes), `written`, `closed`.
"""
import argparse
import os
import sys

PIECE = 4096


def tell(text):
    # One write of a line: what was told has happened, whatever happens next.
    os.write(sys.stdout.fileno(), (text + "\n").encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a file; it is read whole before anything is written, and then closed")
    parser.add_argument("target")
    parser.add_argument("--sync-every", type=int, default=0, help="an fsync after so many pieces; 0 is never")
    parser.add_argument("--declare", action="store_true", help="say by ftruncate first how large it will be")
    parser.add_argument("--head-last", action="store_true", help="write the first piece again at the end, as muxers do")
    arguments = parser.parse_args()
    with open(arguments.source, "rb") as file:
        content = file.read()

    target = os.open(arguments.target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    if arguments.declare:
        os.ftruncate(target, len(content))
    for number, start in enumerate(range(0, len(content), PIECE), start=1):
        piece = content[start:start + PIECE]
        if start == 0 and arguments.head_last:
            piece = bytes(len(piece))
        os.pwrite(target, piece, start)
        if arguments.sync_every and number % arguments.sync_every == 0:
            os.fsync(target)
            tell(f"synced {start + len(piece)}")
    if arguments.head_last:
        os.pwrite(target, content[:PIECE], 0)
    tell("written")
    os.close(target)
    tell("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
