#!/usr/bin/env python3
"""Kills twelvefs at random moments while many write into it, and looks whether anything was lost.

Each round mounts, has several tools write a file each, and kills twelvefs (or the sandbox, or both) with SIGKILL at a
moment that is drawn; the next round mounts again with the same state directory. In the end every file whose close had
returned 0 has to be exactly one asset with the right bytes, and nothing else may be one. --kind makes something hard for
it besides, or ends the mount as people do instead of killing it.

Prints one JSON object with the figures. Exits with 1 when something does not hold, or when the run proves nothing,
since too few closes had been answered, or too few had not.
"""
import argparse
import json
import random
import signal
import sys
import time

from torture.checks import check_all
from torture.conditions import CONDITIONS
from torture.every_kind import run_every_kind
from torture.outage import run_outage
from torture.rounds import Options, Torture
from torture.stage import Trouble


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--twelvefs", required=True, help="the program")
    parser.add_argument("--sandbox", required=True, help="the program")
    parser.add_argument("--workspace", required=True, help="an empty folder; it is the caller's to remove")
    parser.add_argument(
        "--kind", choices=[*CONDITIONS, "all"], default="plain",
        help="what is made hard besides; 'all' has a run of each, or several, with a state and a seed of its own each")
    parser.add_argument(
        "--rounds", type=int, help="how many (200; of all kinds 500 of the plain one, and 100 of each other)")
    parser.add_argument("--jobs", type=int, default=4, help="with --kind all: how many runs at a time")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--first", type=int, default=1, help="the number of the first round")
    parser.add_argument("--kill", choices=["twelvefs", "sandbox", "both"], default="twelvefs")
    parser.add_argument(
        "--outage", type=float, default=0, metavar="SECONDS",
        help="no rounds: four uploads, and a sandbox that is gone for so long in the middle of them")
    parser.add_argument("--faults", action="store_true", help="have the sandbox fail every third request")
    parser.add_argument(
        "--damage", action="store_true", help="flip a bit of the journal after each kill; it may forget, but not lie")
    return parser.parse_args()


def torment(torture):
    """Returns the figures of a run."""
    began = time.monotonic()
    outage = torture.options.outage
    figures = run_outage(torture, outage) if outage else torture.run()
    torture.settle()
    figures |= check_all(torture)
    code, output = torture.mount.unmount()
    if code != 0:
        torture.violation("the last mount", f"unmount ended with {code}: {output}")
    promised, cut = torture.shares()
    return {
        "kind": torture.options.kind, "seed": torture.options.seed, "kill": torture.options.kill, "faults": torture.options.faults,
        "mounts": torture.mount.starts, "sandbox_starts": torture.sandbox.starts, "closes": len(torture.files),
        "promised": promised, "cut": cut, **figures, "violations": len(torture.violations),
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    asked = vars(arguments())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    jobs = asked.pop("jobs")
    if asked["kind"] == "all":
        return run_every_kind(__file__, asked, jobs)
    options = Options(**asked | {"rounds": asked["rounds"] or 200})
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    torture = Torture(options)
    figures = {}
    try:
        figures = torment(torture)
    except (Trouble, OSError) as trouble:
        torture.violation("the run", f"round {torture.number}: {trouble}; {torture.again(torture.number)}")
    finally:
        torture.mount.destroy()
        torture.sandbox.kill()
        for name, what, known in torture.violations:
            print(f"\nseed {options.seed}: {name}: {what}", *known, sep="\n    ", file=sys.stderr)
    if figures:
        print(json.dumps(figures))
    if torture.violations:
        return 1
    if not torture.proves_something:
        print(f"seed {options.seed}: the run proves nothing: fewer than a third were promised, or cut", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
