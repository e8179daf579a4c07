#!/usr/bin/env python3
"""Copies a file at a steady pace, with its source open, and tells when it wrote what.

Prints one JSON object: the times (seconds since 1970) of the first and the last write and of the
return of close, and the name of the error that ended it, if one did.
"""
import argparse
import errno
import json
import os
import signal
import sys
import time


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a file, or - for standard input, which has no size")
    parser.add_argument("target")
    parser.add_argument("--rate", type=float, default=0, help="bytes a second; 0 is as fast as possible")
    parser.add_argument("--block", type=int, default=1 << 20, help="bytes a write")
    parser.add_argument("--notice-window-changes", action="store_true", help="handle SIGWINCH, as editors do")
    arguments = parser.parse_args()
    if arguments.notice_window_changes:
        signal.signal(signal.SIGWINCH, lambda number, frame: print("window changed", file=sys.stderr, flush=True))

    report = {"written": 0, "first_write": None, "last_write": None, "closed": None, "error": None, "error_in": None}
    source = sys.stdin.fileno() if arguments.source == "-" else os.open(arguments.source, os.O_RDONLY)
    target = os.open(arguments.target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    step = "write"
    try:
        started = time.monotonic()
        while block := os.read(source, arguments.block):
            if arguments.rate:
                due = started + report["written"] / arguments.rate
                time.sleep(max(0.0, due - time.monotonic()))
            while block:
                count = os.write(target, block)
                report["written"] += count
                report["last_write"] = time.time()
                report["first_write"] = report["first_write"] or report["last_write"]
                block = block[count:]
        step = "close"
        os.close(target)
    except OSError as error:
        report["error"] = errno.errorcode.get(error.errno, str(error.errno))
        report["error_in"] = step
        if step == "write":
            try:
                os.close(target)
            except OSError:
                pass  # the first error is the one to tell
    except KeyboardInterrupt:
        report["error"] = "KeyboardInterrupt"
        report["error_in"] = step
    report["closed"] = time.time()
    print(json.dumps(report), flush=True)
    return 1 if report["error"] else 0


if __name__ == "__main__":
    sys.exit(main())
