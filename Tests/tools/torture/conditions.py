"""What is made hard for twelvefs in the rounds of a run, one table; and the ways to end a mount while many write."""
import dataclasses
import os
import signal
import threading
import time

from .stage import Trouble, eventually, is_mounted


@dataclasses.dataclass(frozen=True)
class Condition:
    """One kind of rounds."""

    # Further options of `twelvefs mount`.
    mount: tuple = ()
    # Whether a write or a close may be refused though nothing was killed.
    may_refuse: bool = False
    # Whether the mount is ended as people end it, instead of killed.
    is_ended: bool = False
    # Whether the server is stopped now and then.
    is_stopped: bool = False
    # How many descriptors the server may have beyond those that it has when it is mounted; one of these.
    descriptors: tuple = ()
    # How much the spool may take beyond half of what it holds when the server is started, in KiB; one of these.
    space: tuple = ()


CONDITIONS = {
    "plain": Condition(),
    # Half of the files are larger.
    "refused": Condition(("--max-file-size", "384KiB"), may_refuse=True),
    "drained": Condition(("--drain-timeout", "300ms"), is_ended=True),
    "stopped": Condition(is_stopped=True),
    "small-spool": Condition(("--keep-interrupted", "1s"), may_refuse=True, space=(1000, 4000, 10000)),
    "few-descriptors": Condition(may_refuse=True, descriptors=(8, 16, 40)),
}


class Stops(threading.Thread):
    """Stops the server for moments, some longer than it waits for a look at its writers."""

    def __init__(self, mount, randomness):
        super().__init__(daemon=True)
        self.mount = mount
        # Drawn before: what is drawn meanwhile by others stays the same.
        self.plan = [(randomness.uniform(0, 0.3), randomness.choice([0.01, 0.2, 1, 3])) for _ in range(4)]
        self.is_over = threading.Event()
        self.count = 0

    def run(self):
        for pause, length in self.plan:
            if self.is_over.wait(pause) or not self.mount.is_served:
                return
            server = self.mount.server
            os.kill(server, signal.SIGSTOP)
            self.count += 1
            self.is_over.wait(length)
            os.kill(server, signal.SIGCONT)

    def end(self):
        self.is_over.set()
        self.join()


class Endings:
    """Ends a mount in the ways that there are."""

    def __init__(self, mount):
        self.mount = mount
        self.counts = {}

    def end(self, randomness):
        """Plays one that is drawn; returns whether the server is still there, and still serves or is to be taken over."""
        name = randomness.choice(sorted(ENDINGS))
        self.counts[name] = self.counts.get(name, 0) + 1
        return ENDINGS[name](self.mount, randomness)


def _unmount(*options):
    def play(mount, randomness):
        timeout = f"{randomness.choice([0, 100, 1000])}ms"
        code, output = mount.unmount(*options, "--drain-timeout", timeout)
        # 0: nothing is left; 3: the next mount goes on. Only a mount that is in use may stay.
        if code == 1 and "busy: " in output and "--force" not in options:
            return True
        if code not in (0, 3):
            raise Trouble(f"unmount {' '.join(options)} ended with {code}: {output}")
        return _is_gone(mount)
    return play


def _signals(*numbers):
    def play(mount, randomness):
        for number in numbers:
            os.kill(mount.server, number)
            if number != numbers[-1]:
                time.sleep(randomness.uniform(0, 0.3))
                if not mount.is_served:
                    break
        eventually("a signal has ended the server", lambda: not mount.is_served)
        if signal.SIGKILL not in numbers:
            _expect_free(mount)
        mount.server = None
        return False
    return play


def _is_gone(mount):
    if mount.is_served:
        raise Trouble("unmount has returned, and the server is still there")
    _expect_free(mount)
    mount.server = None
    return False


def _expect_free(mount):
    if is_mounted(mount.path):
        raise Trouble("the server has ended, and its mount is still there")


def _lazily(mount, randomness):
    """The writers go on without a name in the tree; the next mount is handed what is on its way."""
    mount.take_away()
    return True


ENDINGS = {
    "unmount": _unmount(), "unmount --force": _unmount("--force"), "SIGTERM": _signals(signal.SIGTERM),
    "SIGTERM twice": _signals(signal.SIGTERM, signal.SIGTERM),
    "SIGTERM, SIGKILL": _signals(signal.SIGTERM, signal.SIGKILL), "SIGKILL": _signals(signal.SIGKILL),
    "fusermount3 -uz": _lazily,
}
