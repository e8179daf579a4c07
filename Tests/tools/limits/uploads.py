"""Uploads that are over: what they leave behind."""
import os
from concurrent.futures import ThreadPoolExecutor

from .place import expect, write


def _figures(before, after, what):
    """Raises where either of the two figures has grown by more than a tenth."""
    (descriptors, memory), (descriptors_now, memory_now) = before, after
    line = (f"{what}: descriptors {descriptors} -> {descriptors_now}, memory {memory / 1024:.1f} -> "
            f"{memory_now / 1024:.1f} MiB")
    expect(descriptors_now <= descriptors * 1.1 and memory_now <= memory * 1.1, line)
    return line


def removed(place):
    """Files that are uploaded and removed again: after thousands of them there is no more than after a hundred."""
    place.start()
    data = os.urandom(20_000)

    def one(number):
        write(place.path(f"{number}.mp4"), data)
        os.unlink(place.path(f"{number}.mp4"))

    first, total = 100, place.count(6000)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(first)))
        place.settle()
        before = (place.descriptors(), place.memory())
        list(pool.map(one, range(first, total)))
        place.settle()
    after = (place.descriptors(), place.memory())
    summary = place.mount.summary()
    expect(summary["counts"]["completed"] == total, f"{summary['counts']} of {total}")
    documents = place.documents()
    expect(documents <= 2 * 110, f"{documents} names of documents")
    expect(not os.listdir(f"{place.mount.state}/spool"), "there are spool files left")
    expect(summary["spool_used"] == 0, f"spool_used is {summary['spool_used']}")
    return _figures(before, after, f"{first} -> {total} removed files")


def overwritten(place):
    """One name that is written again and again."""
    place.start()
    data = os.urandom(20_000)
    first, total = 50, place.count(250)
    for number in range(first):
        write(place.path("a.mp4"), data[number:])
    place.settle()
    before = (place.descriptors(), place.memory())
    for number in range(first, total):
        write(place.path("a.mp4"), data[number:])
    place.settle()
    after = (place.descriptors(), place.memory())
    told = place.mount.status("a.mp4")["superseded_upload_ids"]
    expect(0 < len(told) <= 16, f"{len(told)} superseded uploads are told of")
    expect(len(os.listdir(f"{place.mount.state}/spool")) == 1, "there are spool files of earlier versions")
    return _figures(before, after, f"{first} -> {total} overwrites")
