#!/usr/bin/env python3
"""Copies a file with `rsync --progress` and tells what it shows: rsync_pace.py SOURCE TARGET-FOLDER

Prints the mean pace in bytes a second, from the start to the moment at which it shows 100 %, and the seconds from there
to its end: what is left at close.
"""
import os
import re
import subprocess
import sys
import time


def main() -> None:
    source, target = sys.argv[1], sys.argv[2]
    started = time.monotonic()
    command = ["rsync", "--progress", "--outbuf=N", source, target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as rsync:
        shown, text = None, b""
        while piece := os.read(rsync.stdout.fileno(), 4096):
            text = (text + piece)[-4096:]
            if shown is None and re.search(rb"\s100%", text):
                shown = time.monotonic()
    ended = time.monotonic()
    if rsync.returncode != 0 or shown is None:
        sys.exit(f"rsync ended with {rsync.returncode}")
    print(os.path.getsize(source) / (shown - started), ended - shown)


if __name__ == "__main__":
    main()
