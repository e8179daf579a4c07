"""A rename beside another process's open that truncates, at the same moment: what is completed is whole, or was begun anew."""
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

from torture.stage import eventually

from .pair import Pair
from .place import expect, write

WHOLE, HALF = b"1" * 9000, b"2" * 100
# The most, of all tries, that may go the same way: with more, the two did not meet.
LARGEST_SHARE = 0.95


def against_truncation(place, mode):
    total, batch = place.count(5000), 200
    place.start("--close-mode", mode)
    with Pair(lambda number: _rename(place, number)) as pair:
        aim, outcomes = _Aim(place.random), {}
        with ThreadPoolExecutor(4) as pool:
            for first in range(0, total, batch):
                numbers = range(first, min(first + batch, total))
                list(pool.map(lambda number: _stage(place, number), numbers))
                confirmed = set()
                for number in numbers:
                    was_first, renamed, outcome = _one(place, pair, number, aim.next())
                    if was_first and renamed and mode == "upload":
                        confirmed.add(number)
                    aim.learn(was_first)
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
                place.settle()
                _check(place, numbers, confirmed)
                for name in os.listdir(place.mount.path):
                    os.unlink(place.path(name))
        place.settle()
        assets = place.assets()
    allowed = {hashlib.sha256(WHOLE).hexdigest(), hashlib.sha256(HALF).hexdigest()}
    for name, found in assets.items():
        for asset in found:
            expect(asset["sha256"] in allowed, f"{name}: an asset of {asset['size']} bytes that nobody wrote")
    told = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    expect(LARGEST_SHARE * total >= max(aim.counts.values()) > 0, f"nearly every try went the same way: {told}")
    return f"{total} tries in {mode} mode: {told}; {sum(map(len, assets.values()))} assets, none of them mixed"


class _Aim:
    """By how much the rename begins after the open, so that either is the first about as often: what has just been first
    begins later the next time, by less each time that the other one is, and each time a little at random."""

    LEAST, MOST, SPREAD = 5e-6, 500e-6, 50e-6

    def __init__(self, random):
        self.random = random
        self.middle, self.step = 0.0, self.MOST
        self.last = None
        self.counts = {True: 0, False: 0}

    def next(self):
        return self.middle + self.random.uniform(-self.SPREAD, self.SPREAD)

    def learn(self, rename_was_first):
        self.counts[rename_was_first] += 1
        if self.last is not None:
            self.step = self.step * 1.2 if self.last == rename_was_first else self.step / 2
            self.step = min(max(self.step, self.LEAST), self.MOST)
        self.last = rename_was_first
        self.middle += self.step if rename_was_first else -self.step


def _names(place, number):
    return place.path(f"{number}.mp4.part"), place.path(f"{number}.mp4")


def _stage(place, number):
    """Writes the file under its temporary name, and waits until all but its last chunk is reported."""
    part, _ = _names(place, number)
    write(part, WHOLE)
    name = os.path.basename(part)
    eventually(f"{name} is staged", lambda: place.mount.status(name)["state"] == "staged")


def _rename(place, number):
    try:
        os.rename(*_names(place, number))
        return True
    except OSError:
        return False


def _one(place, pair, number, delay):
    """One try; tells whether the rename was the first, whether it was done, and how it went for both, in words."""
    part, final = _names(place, number)
    closed, renamed = pair.meet(number, delay, lambda: _overwrite(part, final))
    name = os.path.basename(final if renamed else part)
    document = place.mount.status(name)
    expect(document is not None, f"{name} has no document")
    # A truncation that came after the commit began another version; one before it went on with the same.
    was_first = bool(document["superseded_upload_ids"])
    # The close has heard what was promised to it, and by now nobody has anything open.
    if closed:
        expect(os.stat(place.path(name)).st_size == len(HALF), f"{name}: the close was answered, and its bytes are not there")
    if not renamed:
        expect(not os.path.exists(final), f"{name}: the rename was refused, and done")
        # What stood in its way was the other one, which is over.
        os.rename(part, final)
    return was_first, renamed, (
        f"{'rename' if was_first else 'truncation'} first ({'done' if renamed else 'refused'}, "
        f"{'overwritten' if closed else 'overwritten in vain'})")


def _overwrite(*paths):
    """Opens the file under the name that it has now, truncates it so, and writes it anew; tells how its close was answered."""
    descriptor = eventually("the file is found", lambda: _opened(paths))
    try:
        os.write(descriptor, HALF[:50])
        os.write(descriptor, HALF[50:])
    finally:
        try:
            os.close(descriptor)
            closed = True
        except OSError:
            closed = False
    return closed


def _opened(paths):
    for path in paths:
        try:
            return os.open(path, os.O_WRONLY | os.O_TRUNC)
        except FileNotFoundError:
            pass
    return None


def _check(place, numbers, confirmed):
    """What a file holds now is what its upload's document says that the platform has, and that is there. So is what was there
    first, where the rename was answered when the platform had `confirmed` it."""
    assets = place.assets()
    for number in numbers:
        name = f"{number}.mp4"
        document = place.mount.status(name)
        expect(document is not None, f"{name} has no document")
        expect(document["state"] == "completed", f"{name} is {document['state']}: {document['error']}")
        size = os.stat(place.path(name)).st_size
        expect(size == document["total_size"] == len(HALF), f"{name}: {size} bytes, uploaded {document['total_size']}")
        if number in confirmed:
            sizes = [asset["size"] for asset in assets.get(name, [])]
            expect(len(WHOLE) in sizes, f"{name}: the rename was answered, and nothing was confirmed")
        found = [asset for asset in assets.get(name, []) if asset["asset_id"] == document["asset_id"]]
        expect(len(found) == 1 and found[0]["size"] == size, f"{name}: its asset is not there")
