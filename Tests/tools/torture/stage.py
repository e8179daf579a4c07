"""The sandbox and the mount, as processes that can be killed and started again; none of them outlives the run."""
import json
import os
import resource
import signal
import subprocess
import threading
import time
import urllib.request

KEY = "sandbox-key"
# For what has to come about and is no part of any measurement: a run that holds never waits for so long.
PATIENCE = 60


class Trouble(Exception):
    """What is under test did something that it must not do, and the run cannot go on."""


def start_time(pid):
    """A process's start in clock ticks since boot, or None when there is none: with it, a pid names one process only."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def record_for_sweep(name, line):
    """Tells scripts/test.sh what is to be swept should this process itself be killed."""
    folder = os.environ.get("TWELVEFS_TEST_RUN_DIR")
    if folder:
        with open(f"{folder}/{name}", "a", encoding="utf-8") as file:
            file.write(line + "\n")


def eventually(what, condition, timeout=PATIENCE):
    """Waits until the condition gives something, and returns it."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Trouble(f"waited {timeout} seconds in vain until {what}")
        time.sleep(0.005)


def is_mounted(path):
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
        return any(line.split(" ")[1] == path for line in file)


class Sandbox:
    """The stand-in of the platform. It keeps its state, its port and its secret when it is started again."""

    def __init__(self, program, folder, options):
        self.program, self.folder, self.options = program, folder, options
        self.port = 0
        self.process = None
        self.starts = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1.3"

    def start(self):
        self.starts += 1
        command = [self.program, "--port", str(self.port), "--state-dir", f"{self.folder}/state", "--api-key", KEY]
        with open(f"{self.folder}/errors", "ab") as errors:
            self.process = subprocess.Popen(
                command + self.options, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd="/")
        record_for_sweep("processes", f"{self.process.pid} {start_time(self.process.pid)}")
        line = self.process.stdout.readline().decode()
        if not line.startswith("listening on "):
            raise Trouble(f"the sandbox did not start: {line!r}, see {self.folder}/errors")
        self.port = int(line.rsplit(":", 1)[1].split("/")[0])

    def kill(self):
        """Ends it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def control(self, path, body=None, method=None, timeout=300):
        """What it answers to tests: its journal, its assets."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_sandbox/{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            content = answer.read()
        return json.loads(content) if content else None


class Mount:
    """A mount served in the background, always with the same state directory."""

    def __init__(self, program, folder, options):
        self.program, self.folder, self.options = program, folder, options
        self.path = f"{folder}/mnt"
        self.state = f"{folder}/state"
        self.log = f"{folder}/twelvefs.log"
        self.server = None
        # How many more the next server may have than when it is mounted; None is no limit.
        self.descriptors = None
        # False once somebody has taken it away, and its server goes on without it.
        self.is_in_tree = False
        self.starts = 0
        os.makedirs(self.path)
        record_for_sweep("mounts", self.path)

    def start(self, url, options=(), key=KEY):
        """Mounts. Raises Trouble with what was said when it is refused."""
        self.starts += 1
        environment = {**os.environ, "TWELVELABS_API_KEY": key}
        outcome = subprocess.run(
            [self.program, "mount", self.path, "--api-url", url, "--state-dir", self.state, "--log-file", self.log,
             *self.options, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", env=environment,
            timeout=PATIENCE * 2)
        if outcome.returncode != 0:
            raise Trouble(f"the mount was refused: {outcome.stdout.decode(errors='replace').strip()}")
        # The lock tells who serves the state directory.
        with open(f"{self.state}/lock", encoding="utf-8") as file:
            self.server = int(json.load(file)["pid"])
        self.is_in_tree = True
        if self.descriptors:
            most = len(os.listdir(f"/proc/{self.server}/fd")) + self.descriptors
            resource.prlimit(self.server, resource.RLIMIT_NOFILE, (most, most))
        record_for_sweep("processes", f"{self.server} {start_time(self.server)}")

    @property
    def is_served(self):
        return self.server is not None and start_time(self.server) is not None

    def kill(self):
        """Ends the serving process at once, and returns when it is gone."""
        if self.server is None:
            return
        began = start_time(self.server)
        if began is not None:
            os.kill(self.server, signal.SIGKILL)
            eventually("the server is gone", lambda: start_time(self.server) != began)
        self.server = None

    def take_away(self):
        """Takes it out of the tree, whoever is in it; its server goes on until they are done."""
        subprocess.run(["fusermount3", "-uz", self.path], check=True)
        self.is_in_tree = False

    def unmount(self, *options):
        outcome = subprocess.run(
            [self.program, "unmount", self.path, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=PATIENCE * 3)
        return outcome.returncode, outcome.stdout.decode(errors="replace").strip()

    def status(self, name):
        """The newest status document of a path in the mount, or None when there is none."""
        try:
            with open(f"{self.path}/.status/by-name/{name}.json", "rb") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def summary(self):
        with open(f"{self.path}/.status/summary.json", "rb") as file:
            return json.load(file)

    def spool_size(self):
        """What the spool takes of the disk, in bytes."""
        try:
            entries = list(os.scandir(f"{self.state}/spool"))
        except FileNotFoundError:
            return 0
        return sum(entry.stat().st_blocks * 512 for entry in entries)

    def destroy(self):
        """Leaves nothing of it, whatever it is doing."""
        try:
            self.kill()
        finally:
            if is_mounted(self.path):
                subprocess.run(["fusermount3", "-uzq", self.path], check=False)


class Watchdog:
    """Ends the server when a phase takes far too long: whoever hangs in the mount is woken by that, and it is told."""

    def __init__(self, mount, what, seconds):
        self.mount, self.what, self.seconds = mount, what, seconds
        self.has_bitten = False
        self.timer = threading.Timer(seconds, self._bite)
        self.timer.daemon = True

    def _bite(self):
        self.has_bitten = True
        self.mount.kill()

    def __enter__(self):
        self.timer.start()
        return self

    def __exit__(self, kind, error, trace):
        self.timer.cancel()
        if self.has_bitten:
            raise Trouble(f"{self.what} took longer than {self.seconds} seconds")
