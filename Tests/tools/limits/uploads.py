"""Uploads that are over: what they leave behind."""
import os
from concurrent.futures import ThreadPoolExecutor

from .place import expect, write


def _measure(place):
    """Descriptors and memory, once nothing is on its way and the connections that served it are closed again: how many of
    them are kept for a while is the pools' business, and chance."""
    place.settle()
    place.await_idle_connections()
    return place.descriptors(), place.memory()


def _figures(before, after, what):
    """Raises where either of the two figures has grown by more than a tenth."""
    (descriptors, memory), (descriptors_now, memory_now) = before, after
    line = (f"{what}: descriptors {descriptors} -> {descriptors_now}, memory {memory / 1024:.1f} -> "
            f"{memory_now / 1024:.1f} MiB")
    expect(descriptors_now <= descriptors * 1.1 and memory_now <= memory * 1.1, line)
    return line


def removed(place):
    """Files that are uploaded and removed again: after thousands of them there is no more than after those that are remembered."""
    place.start()
    data = os.urandom(20_000)

    def one(number):
        write(place.path(f"{number}.mp4"), data)
        os.unlink(place.path(f"{number}.mp4"))

    first, total = 1100, place.count(6000)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(first)))
        before = _measure(place)
        list(pool.map(one, range(first, total)))
    after = _measure(place)
    summary = place.mount.summary()
    expect(summary["counts"]["completed"] == total, f"{summary['counts']} of {total}")
    documents = place.documents()
    expect(documents <= 2 * 1010, f"{documents} names of documents")
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
    before = _measure(place)
    for number in range(first, total):
        write(place.path("a.mp4"), data[number:])
    after = _measure(place)
    told = place.mount.status("a.mp4")["superseded_upload_ids"]
    expect(0 < len(told) <= 16, f"{len(told)} superseded uploads are told of")
    expect(len(os.listdir(f"{place.mount.state}/spool")) == 1, "there are spool files of earlier versions")
    return _figures(before, after, f"{first} -> {total} overwrites")
