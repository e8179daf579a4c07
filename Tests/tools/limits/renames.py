"""A rename beside an open that truncates, at the same moment: what is completed is whole, or was begun anew."""
import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from .place import expect, write

WHOLE, HALF = b"1" * 9000, b"2" * 100


def against_truncation(place, mode):
    place.start("--close-mode", mode)
    total, batch = place.count(5000), 200
    outcomes = {}
    with ThreadPoolExecutor(4) as pool:
        for first in range(0, total, batch):
            numbers = range(first, min(first + batch, total))
            delays = [place.random.uniform(-0.001, 0.001) for _ in numbers]
            for outcome, _ in zip(pool.map(lambda pair: _one(place, *pair), zip(numbers, delays)), numbers):
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
            place.settle()
            _check(place, numbers)
            for name in os.listdir(place.mount.path):
                os.unlink(place.path(name))
    place.settle()
    assets = place.assets()
    allowed = {hashlib.sha256(WHOLE).hexdigest(), hashlib.sha256(HALF).hexdigest()}
    for name, found in assets.items():
        for asset in found:
            expect(asset["sha256"] in allowed, f"{name}: an asset of {asset['size']} bytes that nobody wrote")
    expect(len(outcomes) > 1, f"every try went the same way: {outcomes}")
    told = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    return f"{total} tries in {mode} mode: {told}; {sum(map(len, assets.values()))} assets, none of them mixed"


def _one(place, number, delay):
    """One try; tells how it went."""
    part, final = place.path(f"{number}.mp4.part"), place.path(f"{number}.mp4")
    write(part, WHOLE)
    barrier = threading.Barrier(2)
    renamed = []

    def rename():
        barrier.wait()
        if delay > 0:
            time.sleep(delay)
        try:
            os.rename(part, final)
            renamed.append(True)
        except OSError:
            renamed.append(False)

    thread = threading.Thread(target=rename)
    thread.start()
    barrier.wait()
    if delay < 0:
        time.sleep(-delay)
    opened = _overwrite(part) or _overwrite(final)
    thread.join()
    return f"{'renamed' if renamed[0] else 'not renamed'} and {opened or 'not overwritten'}"


def _overwrite(path):
    """Opens the file that is there, truncates it so, and writes it anew; None when there is none."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    except FileNotFoundError:
        return None
    try:
        os.write(descriptor, HALF[:50])
        os.write(descriptor, HALF[50:])
    finally:
        try:
            os.close(descriptor)
            closed = "overwritten"
        except OSError:
            closed = "overwritten in vain"
    return closed


def _check(place, numbers):
    """What a file holds now, and what its upload's document says, belong together."""
    for number in numbers:
        name = f"{number}.mp4"
        try:
            size = os.stat(place.path(name)).st_size
        except FileNotFoundError:
            continue
        expect(size in (len(WHOLE), len(HALF)), f"{name} has {size} bytes")
        document = place.mount.status(name)
        expect(document is not None, f"{name} has no document")
        if document["state"] == "completed":
            expect(document["total_size"] == size, f"{name}: {size} bytes, uploaded {document['total_size']}")
        else:
            expect(document["state"] in ("failed", "cancelled", "interrupted"), f"{name} is {document['state']}")
