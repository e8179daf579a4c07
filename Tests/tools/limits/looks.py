"""Looks into .status: what they cost with many uploads, and what they leave."""
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from .place import expect, write

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
# Four times the uploads cost four times the work; sixteen times, where each looks at all.
MOST = 8


def _work(place):
    """What the server has spent of the processors, in seconds."""
    with open(f"/proc/{place.mount.server}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listed(place):
    """`ls -l` of all names by somebody else: the work grows as the uploads do."""
    place.start("--allow-other")
    total = place.count(3000)
    data = os.urandom(2000)

    def one(number):
        write(place.path(f"{number}.mp4"), data)

    def look(count):
        before = _work(place)
        outcome = subprocess.run(
            [*NOBODY, "ls", "-l", f"{place.mount.path}/.status/by-name"], stdout=subprocess.PIPE, text=True, check=True)
        lines = len(outcome.stdout.splitlines()) - 1
        expect(lines == count, f"{lines} of {count} are listed")
        return _work(place) - before

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(total // 4)))
        place.settle()
        few = look(total // 4)
        list(pool.map(one, range(total // 4, total)))
    place.settle(200)
    many = look(total)
    line = f"{total // 4} uploads {few:.2f} s of the server's time, {total} uploads {many:.2f} s"
    expect(many <= MOST * max(few, 0.05), line)
    return line


def renamed(place):
    """A file that is renamed again and again, with a look at its document each time."""
    place.start()
    write(place.path("0.mp4"), os.urandom(2000))
    place.settle()
    first, total = 2000, place.count(20000)
    before = 0
    for number in range(1, total + 1):
        os.rename(place.path(f"{number - 1}.mp4"), place.path(f"{number}.mp4"))
        os.stat(f"{place.mount.path}/.status/by-name/{number}.mp4.json")
        if number == min(first, total):
            before = place.memory()
    after = place.memory()
    line = f"{first} -> {total} renames: memory {before / 1024:.1f} -> {after / 1024:.1f} MiB"
    expect(after <= before + 2048, line)
    return line
