#!/usr/bin/env python3
"""Brings twelvefs to one of its limits, and looks whether it holds there.

Prints one line with the figures. Exits with 1, and says why, when it does not hold.
"""
import argparse
import random
import signal
import sys

from limits import content, listing, looks, renames, uploads
from limits.place import Place
from torture.stage import Trouble

CHECKS = {
    "listed": listing.many_listed,
    "descriptors": listing.few_descriptors,
    "removed": uploads.removed,
    "overwrites": uploads.overwritten,
    "looks": looks.listed,
    "renames-looked": looks.renamed,
    "truncated": content.truncated,
    "edges": content.edges,
    "renames-spool": lambda place: renames.against_truncation(place, "spool"),
    "renames-upload": lambda place: renames.against_truncation(place, "upload"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--twelvefs", required=True, help="the program")
    parser.add_argument("--sandbox", required=True, help="the program")
    parser.add_argument("--workspace", required=True, help="an empty folder; it is the caller's to remove")
    parser.add_argument("--count", type=int, help="how many files, or tries; each check has its own default")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    place = Place(arguments)
    try:
        print(CHECKS[arguments.check](place))
    except Trouble as trouble:
        print(f"seed {arguments.seed}: {trouble}", file=sys.stderr)
        return 1
    finally:
        place.destroy()
    return 0


if __name__ == "__main__":
    sys.exit(main())
