#!/usr/bin/env python3
"""Writes a file in pieces of 4 KiB, as programs do that make their output themselves, and tells how far it came.

It prints a line for each thing that the mount has answered with success: `synced N` (bytes), `written`, `closed`.
"""
import argparse
import contextlib
import os
import sys

PIECE = 4096
# So many refusals, and it closes what it has.
ENOUGH = 3


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
    parser.add_argument(
        "--go-on", action="store_true",
        help="do not mind what is refused: go on, try it once more at the end, and close; only the close counts")
    arguments = parser.parse_args()
    with open(arguments.source, "rb") as file:
        content = file.read()

    target = os.open(arguments.target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    if arguments.declare:
        os.ftruncate(target, len(content))
    refused = []
    for number, start in enumerate(range(0, len(content), PIECE), start=1):
        piece = content[start:start + PIECE]
        if start == 0 and arguments.head_last:
            piece = bytes(len(piece))
        try:
            os.pwrite(target, piece, start)
        except OSError:
            if not arguments.go_on:
                raise
            refused.append((piece, start))
            if len(refused) == ENOUGH:
                break
        if arguments.sync_every and number % arguments.sync_every == 0:
            os.fsync(target)
            tell(f"synced {start + len(piece)}")
    if arguments.head_last:
        os.pwrite(target, content[:PIECE], 0)
    if len(refused) < ENOUGH:
        for piece, start in refused:
            with contextlib.suppress(OSError):
                os.pwrite(target, piece, start)
    tell("closing" if refused else "written")
    os.close(target)
    tell("closed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
