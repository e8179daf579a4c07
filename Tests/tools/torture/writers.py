"""Who writes: one file each, by the tools that people use. What a tool's exit status says is what counts."""
import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# A writer that cannot end by itself is stuck in the mount: the watchdog has ended the server long before.
LONGEST = 600


@dataclasses.dataclass
class File:
    """One file that was to be uploaded, and what became of its close."""

    number: int
    kind: str
    folder: str
    name: str
    size: int
    sha256: str
    source: str
    round: int
    mode: str
    # Whether the close (or the rename that gave the final name) was answered with success, and when that was known.
    is_promised: bool = False
    # What the tool said when it was not.
    outcome: str = ""
    # Whether everything had been written; None where the tool does not tell.
    is_written: bool | None = None
    # Bytes that fsync was answered for.
    synced: int = 0
    # The temporary name whose close was answered with success, and which was not renamed.
    staged_as: str | None = None
    # Whether the close had its answer before the kill.
    was_cut: bool = False
    began: float = 0
    ended: float | None = None

    @property
    def path(self):
        return f"{self.folder}/{self.name}"

    @property
    def is_synced_whole(self):
        """Whether fsync was answered for all of it, should its tool have succeeded."""
        return self.kind == "dd conv=fsync"


def plain(*command):
    """A tool whose one exit status is that of the close."""
    def steps(file, mount):
        target = f"{mount}/{file.path}"
        yield [part.format(source=file.source, target=target) for part in command]
    return steps


def slow(*options):
    def steps(file, mount):
        yield [sys.executable, f"{HERE}/slow_writer.py", file.source, f"{mount}/{file.path}", *options]
    return steps


def renamed(*command):
    """Under a temporary name first, as downloads and careful scripts do."""
    def steps(file, mount):
        temporary = f"{file.path}.part"
        target = f"{mount}/{temporary}"
        yield [part.format(source=file.source, target=target) for part in command]
        file.staged_as = temporary
        yield ["mv", "--no-target-directory", target, f"{mount}/{file.path}"]
        file.staged_as = None
    return steps


KINDS = {
    "cp": plain("cp", "{source}", "{target}"),
    "cat": plain("bash", "-c", 'cat "$1" > "$2"', "bash", "{source}", "{target}"),
    # Not into the folder: when the mount is gone rsync would make it in the mount point.
    "rsync": plain("rsync", "-a", "{source}", "{target}"),
    "rsync --inplace": plain("rsync", "-a", "--inplace", "{source}", "{target}"),
    "python": slow("--sync-every", "40"),
    "python declaring": slow("--declare", "--sync-every", "100"),
    "python, head last": slow("--head-last"),
    "python, going on": slow("--go-on"),
    "dd": plain("dd", "if={source}", "of={target}", "bs=64K", "status=none"),
    "dd conv=fsync": plain("dd", "if={source}", "of={target}", "bs=256K", "conv=fsync", "status=none"),
    "mv": plain("mv", "{source}", "{target}"),
    "cp, mv": renamed("cp", "{source}", "{target}"),
    "cat, mv": renamed("bash", "-c", 'cat "$1" > "$2"', "bash", "{source}", "{target}"),
}


def make_source(folder, name, size, randomness):
    """A file of random bytes outside of the mount; returns its path and SHA-256."""
    content = randomness.randbytes(size)
    path = f"{folder}/{name}"
    with open(path, "wb") as file:
        file.write(content)
    return path, hashlib.sha256(content).hexdigest()


class Writer(threading.Thread):
    """Writes one file after a delay, and notes what it was told."""

    def __init__(self, file, mount, delay):
        super().__init__(name=file.name)
        self.file, self.mount, self.delay = file, mount, delay
        self.is_called_off = threading.Event()
        self.error = None

    def run(self):
        if self.is_called_off.wait(self.delay):
            return
        self.file.began = time.time()
        try:
            for command in KINDS[self.file.kind](self.file, self.mount):
                if not self._succeeds(command):
                    return
            self.file.is_written = True
            self.file.is_promised = True
        except Exception as error:  # told by whoever joins
            self.error = error
        finally:
            self.file.ended = time.time()

    def _succeeds(self, command):
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
            start_new_session=True)
        try:
            output = process.communicate(timeout=LONGEST)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0].decode(errors="replace") + "(it hung)"
        for line in output.splitlines():
            if line.startswith("synced "):
                self.file.synced = int(line.split()[1])
            elif line == "written":
                self.file.is_written = True
        if process.returncode != 0:
            said = " / ".join(output.strip().splitlines()[-2:])
            self.file.outcome = f"{os.path.basename(command[0])} ended with {process.returncode}: {said}"
        return process.returncode == 0

    @property
    def is_under_way(self):
        return bool(self.file.began) and self.file.ended is None
