#!/usr/bin/env python3
"""Does the same random things in a mount and in a plain directory, and compares after each what came of it.

Prints one JSON object: how many operations there were, and for every version that was committed its asset's id and the
SHA-256 of what the plain file held at that moment. Exits with 1, and tells the operation, at the first difference.
"""
import argparse
import errno
import hashlib
import json
import os
import random
import sys
import time

FINAL = [f"{folder}{name}.mp4" for folder in ("", "day 1/") for name in "abcdef"]
TEMPORARY = [f"{name}.part" for name in FINAL[:4]] + ["day 1/.tmp"]
LARGEST = 500_000
SESSION = 6_000_000


class Different(Exception):
    pass


class Node:
    """A file, whatever its name: what the mount is believed to know of it."""

    def __init__(self):
        self.is_dirty = False
        self.size = 0
        self.writers = 0
        self.path = None


class Handle:
    def __init__(self, node, pair, can_write):
        self.node, self.pair, self.can_write = node, pair, can_write


class World:
    def __init__(self, mount, plain, seed):
        self.roots = (mount, plain)
        self.random = random.Random(seed)
        self.nodes = {}
        self.handles = []
        self.commits = []
        self.operations = 0
        self.last = ""
        self.before = []
        for root in self.roots:
            os.mkdir(f"{root}/day 1")

    def both(self, what, call):
        """The same call in both places, which have to agree on its answer or its error."""
        answers = []
        for place in (0, 1):
            try:
                answers.append((call(place), None))
            except OSError as error:
                answers.append((None, errno.errorcode[error.errno]))
        self.last = what
        if answers[0][1] != answers[1][1]:
            raise Different(
                f"{what}: {answers[0][1]} in the mount, {answers[1][1]} in the directory, after: {self.before}")
        self.before = (self.before + [what])[-12:]
        return answers

    def path(self, place, name):
        return f"{self.roots[place]}/{name}"

    def bytes(self, count):
        return self.random.randbytes(count)

    # What follows from an operation for the versions.

    def changed(self, node, size):
        node.is_dirty = True
        node.size = size

    def is_final(self, node):
        return node.path is not None and node.path in FINAL

    def committed(self, node, waits=False):
        """What the file holds now was committed: there has to be an asset of just that."""
        node.is_dirty = False
        with open(self.path(1, node.path), "rb") as file:
            sha256 = hashlib.sha256(file.read()).hexdigest()
        deadline = time.monotonic() + 60
        while True:
            with open(f"{self.roots[0]}/.status/by-name/{node.path}.json", "rb") as file:
                status = json.load(file)
            if status["state"] == "completed" or not waits or time.monotonic() > deadline:
                break
            time.sleep(0.002)
        if status["state"] != "completed" or status["total_size"] != node.size:
            raise Different(
                f"{self.last}: {node.path} of {node.size} bytes is not committed but {json.dumps(status)[:600]}, "
                f"after {self.before}")
        self.commits.append({"asset_id": status["asset_id"], "sha256": sha256})

    # Operations.

    def open(self, name=None, flags=None):
        name = name or self.random.choice(FINAL + TEMPORARY)
        if flags is None:
            flags = self.random.choice(
                [os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_TRUNC,
                 os.O_RDWR | os.O_CREAT | os.O_APPEND])
        answers = self.both(
            f"open {name} {flags:o}", lambda place: os.open(self.path(place, name), flags | os.O_CLOEXEC, 0o644))
        if answers[0][1]:
            return None
        node = self.nodes.get(name)
        if node is None:
            node = self.nodes[name] = Node()
            node.path = name
        if flags & os.O_TRUNC and node.size > 0:
            self.changed(node, 0)
        can_write = flags & os.O_RDWR != 0
        node.writers += can_write
        handle = Handle(node, [answer[0] for answer in answers], can_write)
        handle.appends = flags & os.O_APPEND != 0
        self.handles.append(handle)
        return handle

    def close(self, handle=None):
        handle = handle or self.random.choice(self.handles)
        self.handles.remove(handle)
        answers = self.both(f"close {handle.node.path}", lambda place: os.close(handle.pair[place]))
        if answers[0][1]:
            raise Different(f"close {handle.node.path}: {answers[0][1]}")
        node = handle.node
        node.writers -= handle.can_write
        if handle.can_write and node.writers == 0 and node.is_dirty and node.size > 0 and self.is_final(node):
            self.committed(node)

    def write(self, handle=None, offset=None, data=None):
        handle = handle or self.random.choice(self.handles)
        if not handle.can_write:
            return
        if offset is None:
            offset = self.random.randrange(min(handle.node.size + 20_000, LARGEST))
        if data is None:
            data = self.bytes(self.random.choice([1, 100, 4096, 65_536, self.random.randrange(1, 200_000)]))
        if handle.appends:
            if handle.node.size > LARGEST:
                return
            answers = self.both("append", lambda place: os.write(handle.pair[place], data))
            offset = handle.node.size
        else:
            answers = self.both("write", lambda place: os.pwrite(handle.pair[place], data, offset))
        if answers[0] != answers[1] or answers[0][0] != len(data):
            raise Different(f"write of {len(data)} at {offset}: {answers}")
        self.changed(handle.node, max(handle.node.size, offset + len(data)))

    def read(self):
        handle = self.random.choice(self.handles)
        offset = self.random.randrange(handle.node.size + 10_000)
        count = self.random.randrange(1, 300_000)
        answers = self.both("read", lambda place: os.pread(handle.pair[place], count, offset))
        if answers[0] != answers[1]:
            raise Different(f"read of {count} at {offset} of {handle.node.path}: not the same bytes")

    def ftruncate(self):
        handle = self.random.choice(self.handles)
        node = handle.node
        # To extend an empty file is to declare what will be written, which is another story.
        if not handle.can_write or node.size == 0:
            return
        size = self.random.choice([0, self.random.randrange(node.size + 1), self.random.randrange(LARGEST)])
        self.both(f"ftruncate to {size}", lambda place: os.ftruncate(handle.pair[place], size))
        if size != node.size:
            self.changed(node, size)

    def truncate(self):
        name = self.random.choice(FINAL)
        node = self.nodes.get(name)
        if node is None or node.size == 0:
            return
        size = self.random.randrange(1, LARGEST)
        self.both(f"truncate {name} to {size}", lambda place: os.truncate(self.path(place, name), size))
        if size == node.size:
            return
        self.changed(node, size)
        if node.writers == 0:
            self.committed(node, waits=True)

    def unlink(self):
        name = self.random.choice(FINAL + TEMPORARY)
        answers = self.both(f"unlink {name}", lambda place: os.unlink(self.path(place, name)))
        if not answers[0][1]:
            self.nodes.pop(name).path = None

    def rename(self):
        name, new = self.random.choice(FINAL + TEMPORARY * 3), self.random.choice(FINAL * 3 + TEMPORARY)
        answers = self.both(
            f"rename {name} to {new}", lambda place: os.rename(self.path(place, name), self.path(place, new)))
        if answers[0][1] or name == new:
            return
        node = self.nodes.pop(name)
        if new in self.nodes:
            self.nodes[new].path = None
        self.nodes[new] = node
        node.path = new
        if node.is_dirty and node.writers == 0 and node.size > 0 and self.is_final(node):
            self.committed(node, waits=True)

    def write_whole(self):
        """A file that says how large it will be, large enough to be sent while it is written, and goes back in itself."""
        handle = self.open(self.random.choice(FINAL), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if handle.node.writers > 1:
            return
        size = SESSION + self.random.randrange(200_000)
        self.both("declare", lambda place: os.ftruncate(handle.pair[place], size))
        self.changed(handle.node, size)
        for start in range(0, size, 300_000):
            self.write(handle, start, self.bytes(min(300_000, size - start)))
            if self.random.random() < 0.3:
                back = self.random.randrange(start + 1)
                self.write(handle, back, self.bytes(min(self.random.randrange(1, 100_000), size - back)))
            self.operations += 1
        if self.random.random() < 0.3:
            cut = self.random.randrange(1, size)
            self.both("cut", lambda place: os.ftruncate(handle.pair[place], cut))
            self.changed(handle.node, cut)
            self.write(handle, cut, self.bytes(size - cut))
        self.close(handle)
        # Read and compared like the others, but not for long: it is large.
        self.both("cut", lambda place: os.truncate(self.path(place, handle.node.path), 300_000))
        self.changed(handle.node, 300_000)
        self.committed(handle.node, waits=True)

    def compare(self):
        for name in FINAL + TEMPORARY:
            answers = self.both(f"stat {name}", lambda place: os.stat(self.path(place, name)).st_size)
            if answers[0] != answers[1]:
                raise Different(f"size of {name}: {answers}")
            if answers[0][1]:
                continue
            contents = []
            for place in (0, 1):
                with open(self.path(place, name), "rb") as file:
                    contents.append(file.read())
            if contents[0] != contents[1]:
                raise Different(f"{name} has not the same bytes")
        for folder in ("", "day 1"):
            answers = self.both("list", lambda place: sorted(os.listdir(self.path(place, folder))))
            if answers[0] != answers[1]:
                raise Different(f"list of {folder}: {answers}")

    def run(self, operations):
        choices = [
            (self.write, 40), (self.read, 25), (self.close, 9), (self.open, 12), (self.ftruncate, 5),
            (self.truncate, 2), (self.unlink, 2), (self.rename, 5),
        ]
        functions, weights = zip(*choices)
        needs_handle = {self.write, self.read, self.close, self.ftruncate}
        while self.operations < operations:
            self.operations += 1
            if self.operations % 1000 == 500:
                self.write_whole()
            if self.operations % 500 == 0:
                self.compare()
            function = self.random.choices(functions, weights)[0]
            if function in needs_handle and not self.handles or len(self.handles) > 12:
                function = self.open if not self.handles else self.close
            function()
        while self.handles:
            self.close()
        self.compare()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mount")
    parser.add_argument("plain")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--operations", type=int, required=True)
    arguments = parser.parse_args()
    world = World(arguments.mount, arguments.plain, arguments.seed)
    try:
        world.run(arguments.operations)
    except Different as difference:
        print(f"seed {arguments.seed}, operation {world.operations}: {difference}", file=sys.stderr)
        return 1
    print(json.dumps({"operations": world.operations, "commits": world.commits}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
