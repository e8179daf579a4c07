"""Where a check takes place: a sandbox and a mount, and what is measured of them."""
import os
import random

from torture.stage import Mount, Sandbox, Trouble, eventually


class Place:
    """A sandbox and a mount that are gone after the check."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.random = random.Random(arguments.seed)
        self.folder = arguments.workspace
        self.sandbox = None
        self.mount = None
        # How many sockets the server has open when it has not served anything yet.
        self.idle_sockets = 0

    def count(self, usual):
        return self.arguments.count or usual

    def start(self, *options, sandbox=(), descriptors=None):
        """Starts both. `descriptors` is how many the mount may have open, at most."""
        if self.sandbox is None:
            os.makedirs(f"{self.folder}/sandbox")
            self.sandbox = Sandbox(
                self.arguments.sandbox, f"{self.folder}/sandbox", ["--processing-time", "0", *sandbox])
            self.sandbox.start()
        program = self.arguments.twelvefs
        if descriptors is not None:
            program = f"{self.folder}/limited-{descriptors}"
            with open(program, "w", encoding="utf-8") as script:
                script.write(f'#!/bin/sh\nulimit -n {descriptors} && exec "{self.arguments.twelvefs}" "$@"\n')
            os.chmod(program, 0o755)
        if self.mount is None:
            self.mount = Mount(program, self.folder, list(options))
        else:
            self.mount.program, self.mount.options = program, list(options)
        self.mount.start(self.sandbox.url)
        self.idle_sockets = self._sockets()

    def unmount(self):
        code, output = self.mount.unmount()
        expect(code == 0, f"unmount ended with {code}: {output}")

    def path(self, name):
        return f"{self.mount.path}/{name}"

    def settle(self, timeout=60):
        """Waits until nothing is on its way, and nothing more is to be learned of an asset."""
        summary = {}

        def is_settled():
            summary.update(self.mount.summary())
            return not summary["uploads"] and summary["assets"]["processing"] == 0
        try:
            eventually("nothing is on its way", is_settled, timeout)
        except Trouble as trouble:
            raise Trouble(f"{trouble}: {summary['uploads'][:3]}, {summary['assets']}") from None

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.mount.server}/fd"))

    def _sockets(self):
        folder, count = f"/proc/{self.mount.server}/fd", 0
        for number in os.listdir(folder):
            try:
                count += os.readlink(f"{folder}/{number}").startswith("socket:")
            except FileNotFoundError:
                pass
        return count

    def await_idle_connections(self):
        """Waits until the connections are closed that nobody uses any more."""
        eventually("connections that nobody uses are closed", lambda: self._sockets() <= self.idle_sockets)

    def memory(self):
        """What the server has in memory, in KiB, once it does not shrink or grow any more from one look to the next."""
        with open(f"/proc/{self.mount.server}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def spool_bytes(self):
        """What the spool's files take on the disk."""
        folder = f"{self.mount.state}/spool"
        return sum(os.stat(f"{folder}/{name}").st_blocks * 512 for name in os.listdir(folder))

    def documents(self):
        return sum(1 for name in os.listdir(f"{self.mount.path}/.status") if name not in ("by-name", "metrics"))

    def assets(self):
        """The complete assets that were not deleted, by the name of their file."""
        found = {}
        for asset in self.sandbox.control("assets")["assets"]:
            if asset["complete"] and not asset["deleted"]:
                found.setdefault(asset["filename"], []).append(asset)
        return found

    def log_lines(self, words):
        with open(self.mount.log, encoding="utf-8") as file:
            return [line for line in file if words in line]

    def destroy(self):
        if self.mount is not None:
            self.mount.destroy()
        if self.sandbox is not None:
            self.sandbox.kill()


def expect(holds, what):
    if not holds:
        raise Trouble(what)


def write(path, data):
    """Writes a file whole, in one go; raises what write or close said."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view):]
    finally:
        os.close(descriptor)


def read(path):
    with open(path, "rb") as file:
        return file.read()
