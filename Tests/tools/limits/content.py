"""Content under a small limit of the spool: what is evicted, and what a truncation by path does then."""
import errno
import os
import threading

from .place import expect, read, write

MIB = 1 << 20


def truncated(place):
    """A finished file is truncated by its path while another writer needs space."""
    place.start("--spool-limit", "24MiB", sandbox=["--chunk-size", "1MiB"])
    whole = os.urandom(6 * MIB)
    tries, done, refused = place.count(100), 0, 0
    stop, failures = threading.Event(), []

    def crowd():
        other, number = os.urandom(7 * MIB), 0
        while not stop.is_set():
            number += 1
            try:
                write(place.path(f"other{number % 4}.mp4"), other)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    failures.append(error)

    crowding = threading.Thread(target=crowd)
    crowding.start()
    sizes = set()
    try:
        for number in range(tries):
            name = f"a{number % 3}.mp4"
            write(place.path(name), whole)
            size = place.random.choice([1, 4096, MIB, MIB + 1, 5 * MIB, 6 * MIB - 1])
            try:
                os.truncate(place.path(name), size)
                done += 1
                sizes.add(size)
            except OSError as error:
                # The content has left the spool, or there is no space for a copy.
                expect(error.errno in (errno.EIO, errno.ENOSPC), f"truncate: {error}")
                refused += 1
                size = len(whole)
            found = read(place.path(name))
            expect(found == whole[:size], f"try {number}: {len(found)} bytes, which are not the first {size}")
    finally:
        stop.set()
        crowding.join()
    expect(not failures, f"another writer: {failures[:3]}")
    place.settle()
    allowed = sizes | {len(whole)}
    for number in range(3):
        for asset in place.assets().get(f"a{number}.mp4", []):
            expect(asset["size"] in allowed, f"an asset of {asset['size']} bytes")
    expect(done > 0, "no truncation was done at all")
    return f"{tries} truncations by path beside a writer: {done} done, {refused} refused, every file whole"


def edges(place):
    """Files that end a byte after a block: eviction gives all of it back, and the ledger agrees with the disk."""
    limit, count = 16 * MIB, place.count(60)
    place.start("--spool-limit", str(limit), sandbox=["--chunk-size", "1MiB"])
    data = os.urandom(MIB + 1)
    for number in range(count):
        write(place.path(f"{number}.mp4"), data)
        used, taken = place.mount.summary()["spool_used"], place.spool_bytes()
        expect(taken <= used <= limit, f"after {number + 1} files: {taken} bytes on the disk, {used} by the ledger")
    # A file as large as the spool: all others have to go.
    write(place.path("large.mp4"), os.urandom(limit))
    place.settle()
    os.unlink(place.path("large.mp4"))
    used, taken = place.mount.summary()["spool_used"], place.spool_bytes()
    expect((used, taken) == (0, 0), f"all is evicted: {taken} bytes on the disk, {used} by the ledger")
    for number in range(count):
        expect(read(place.path(f"{number}.mp4")) == data, f"file {number} is not what was written")
    place.unmount()
    place.start("--spool-limit", str(limit))
    used = place.mount.summary()["spool_used"]
    expect(used == 0, f"{used} bytes by the ledger of the next mount")
    return f"{count} files of 1 MiB and a byte through {limit // MIB} MiB: 0 bytes left on the disk and in the ledger"
