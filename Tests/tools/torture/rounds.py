"""The rounds: writers, a kill at a moment that nobody knows before, and another mount."""
import dataclasses
import json
import math
import os
import random
import sys
import time

from .conditions import CONDITIONS, Endings, Stops
from .faults import every_third
from .journal import JournalCopy, flip_a_bit
from .stage import Mount, Sandbox, Trouble, Watchdog, eventually
from .writers import KINDS, File, Writer, make_source

MIB = 1 << 20
CHUNK = 256 << 10
# Far beyond what a round takes on a slow machine.
LONGEST_ROUND = 240
LONGEST_DRAIN = 900


@dataclasses.dataclass
class Options:
    twelvefs: str
    sandbox: str
    workspace: str
    rounds: int
    seed: int
    kill: str
    faults: bool
    outage: float
    damage: bool
    kind: str = "plain"
    # The number of the first round: what a round draws follows from the seed and its number alone.
    first: int = 1
    writers: int = 8


@dataclasses.dataclass
class Kill:
    """What was known of the chunks when something was killed."""

    time: float
    stored: dict


class Steering:
    """Moves the moment of the kill to where about half of the closes have been answered."""

    def __init__(self, start):
        self.longest = start
        self.promised = 0
        self.cut = 0

    @property
    def share(self):
        """How many of the closes had been answered, from 0 to 1; 0.5 while there are none."""
        closes = self.promised + self.cut
        return self.promised / closes if closes else 0.5

    def draw(self, randomness):
        """A moment, in seconds from when the writers begin: any that there may be, unless one side falls behind."""
        if self.share < 0.45:
            return randomness.uniform(self.longest / 2, self.longest)
        if self.share > 0.55:
            return randomness.uniform(0, self.longest / 2)
        return randomness.uniform(0, self.longest)

    def learn(self, promised, cut):
        self.promised += promised
        self.cut += cut
        if promised + cut:
            # What came of this round, and what is wanted of the next so that the whole comes out even.
            share = promised / (promised + cut)
            self.longest *= math.exp(0.25 * (0.5 - share) + 0.5 * (0.5 - self.share))
            self.longest = min(max(self.longest, 0.05), 30)


class Torture:
    """One run."""

    def __init__(self, options):
        self.options = options
        self.condition = CONDITIONS[options.kind]
        self.random = random.Random(options.seed)
        self.files = []
        self.begun = 0
        self.mode = None
        # The round that is being played.
        self.number = options.first
        self.kills = []
        self.violations = []
        self.flips = 0
        self.costly_flips = 0
        self.extra_kills = 0
        self.refused = 0
        self.resumed = 0
        self.steering = {"upload": Steering(1.0), "spool": Steering(0.5)}
        sandbox_options = ["--chunk-size", str(CHUNK), "--latency", "4ms"]
        # An outage is to meet uploads that take a while.
        sandbox_options += ["--bandwidth", "8MiB/s" if options.outage else "24MiB/s"]
        os.makedirs(f"{options.workspace}/sources")
        os.makedirs(f"{options.workspace}/sandbox")
        if options.faults:
            path = f"{options.workspace}/faults.json"
            with open(path, "w", encoding="utf-8") as file:
                json.dump(every_third(), file)
            sandbox_options += ["--faults", path]
        self.sandbox = Sandbox(options.sandbox, f"{options.workspace}/sandbox", sandbox_options)
        self.mount = Mount(options.twelvefs, f"{options.workspace}/user", ["--debug", *self.condition.mount])
        self.endings = Endings(self.mount)
        self.stops = 0

    def run(self):
        """All rounds; returns figures."""
        began = time.monotonic()
        self.sandbox.start()
        count = 0
        # More, until it proves something: the moments of a short run may all have been too late, or too early.
        while count < self.options.rounds or not self.proves_something and count < 5 * self.options.rounds:
            self.round(self.options.first + count)
            count += 1
            if count % 10 == 0:
                promised, cut = self.shares()
                print(
                    f"{self.options.kind}: {count} rounds, {promised} closes promised, {cut} cut, {len(self.violations)} violations, "
                    f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        figures = {
            "rounds": count, "kills_while_mounting": self.extra_kills, "refused": self.refused,
            "resumed": self.resumed,
        }
        if self.condition.is_stopped:
            figures["stops"] = self.stops
        if self.condition.is_ended:
            figures["endings"] = self.endings.counts
        return figures

    def violation(self, name, what):
        """Notes something that must not be, with what is known of it, since later it may look different."""
        self.violations.append((name, what, self.known_about(name)))
        print(f"VIOLATION: {name}: {what}", file=sys.stderr, flush=True)

    def known_about(self, name):
        file = next((file for file in self.files if file.name == name), None)
        lines = [self.again(file.round), str(file)] if file else [self.again(None)]
        try:
            # A copy of a journal that is in use may be torn; it is better than nothing.
            lines += JournalCopy(self.mount.state, f"{self.options.workspace}/look").about(name)
        except Exception as error:
            lines.append(f"the journal cannot be read: {error}")
        try:
            document = self.mount.status(file.path) if file and self.mount.is_served else None
            lines.append(f"status: {json.dumps({k: v for k, v in (document or {}).items() if k != 'chunks'})}")
        except OSError as error:
            lines.append(f"status: {error}")
        return lines

    def again(self, number):
        """How a round, or the whole run, is played again, as far as chance allows."""
        options = self.options
        line = f"again: scripts/torture.sh --kind {options.kind} --seed {options.seed}"
        line += f" --first {number} --rounds 1" if number else f" --first {options.first} --rounds {options.rounds}"
        if options.kill != "twelvefs":
            line += f" --kill {options.kill}"
        line += "".join(f" --{name}" for name in ("faults", "damage") if getattr(options, name))
        return line + (f" --outage {options.outage:.0f}" if options.outage else "")

    @property
    def proves_something(self):
        """Whether at least a third of the closes had been answered when the kill came, and at least a third had not.

        A few rounds that are played again are there for something else.
        """
        return self.options.rounds < 5 or min(self.shares()) * 3 >= sum(self.shares())

    def shares(self):
        promised = sum(steering.promised for steering in self.steering.values())
        return promised, sum(steering.cut for steering in self.steering.values())

    # Mounting.

    def start_mount(self, mode):
        """Mounts, sometimes after having been killed at it."""
        options = ["--close-mode", mode]
        if self.condition.space:
            limit = self.mount.spool_size() // 2048 + self.random.choice(self.condition.space)
            options += ["--spool-limit", f"{limit}KiB"]
        self.mount.descriptors = self.random.choice(self.condition.descriptors or (None,))
        self.mount.start(self.sandbox.url, options)
        while self.options.kill != "sandbox" and self.random.random() < 0.2:
            time.sleep(self.random.uniform(0, 0.3))
            self.mount.kill()
            self.extra_kills += 1
            self.record_kill(JournalCopy(self.mount.state, f"{self.options.workspace}/journal"))
            self.mount.start(self.sandbox.url, options)

    def record_kill(self, journal):
        self.kills.append(Kill(time.time(), journal.stored_chunks()))
        return journal

    # A round.

    def round(self, number):
        self.number = number
        self.random.seed(f"{self.options.seed}, {number}")
        mode = self.random.choice(["upload", "spool"])
        if self.mount.is_served and self.mount.is_in_tree:
            mode = self.mode
        else:
            self.start_mount(mode)
        self.mode = mode
        with Watchdog(self.mount, f"round {number}", LONGEST_ROUND):
            self.look_at_tree([file for file in self.files if file.round >= number - 2])
            self.finish_staged()
            folder = f"round-{number:03d}"
            os.mkdir(f"{self.mount.path}/{folder}")
            steering = self.steering[mode]
            moment = steering.draw(self.random)
            writers = [self.make_writer(number, folder, mode, moment) for _ in range(self.options.writers)]
            stops = Stops(self.mount, self.random)
            for writer in writers:
                writer.start()
            if self.condition.is_stopped:
                stops.start()
            self.let_them_write(writers, moment)
            if self.condition.is_stopped:
                stops.end()
                self.stops += stops.count
            killed_at, under_way = self.kill(writers)
            for writer in writers:
                writer.join()
        self.judge(writers, steering, killed_at, under_way)
        if self.options.kill == "sandbox":
            self.drain(number)

    def make_writer(self, number, folder, mode, moment):
        self.begun += 1
        size = self.random.choice([
            0, 1, CHUNK - 1, CHUNK, CHUNK + 1, self.random.randrange(1, CHUNK), self.random.randrange(1, 4 * CHUNK),
            self.random.randrange(1, 4 * CHUNK), self.random.randrange(1, 8 * CHUNK),
            # Large enough to be sent while it is written.
            5 * MIB + self.random.randrange(2 * MIB),
        ])
        name = f"take {self.begun}.mp4"
        source, sha256 = make_source(f"{self.options.workspace}/sources", name, size, self.random)
        file = File(self.begun, self.random.choice(list(KINDS)), folder, name, size, sha256, source, number, mode)
        self.files.append(file)
        # Where the mount is ended, some come while it ends.
        latest = moment * 1.3 if self.condition.is_ended else moment
        return Writer(file, self.mount.path, self.random.uniform(0, latest))

    def let_them_write(self, writers, moment):
        end = time.monotonic() + moment
        for writer in writers:
            writer.join(max(0, end - time.monotonic()))

    def kill(self, writers):
        """Kills what is to be killed, and has it back; returns when that was, and who was still writing."""
        if self.condition.is_ended:
            return self.end_mount(writers)
        for writer in writers:
            writer.is_called_off.set()
        under_way = {writer for writer in writers if writer.is_under_way}
        killed_at = time.time()
        pause = self.random.choice([0, self.random.uniform(0, 1)])
        match self.options.kill:
            case "twelvefs":
                self.kill_twelvefs()
            case "sandbox":
                self.record_kill(JournalCopy(self.mount.state, f"{self.options.workspace}/journal", is_in_use=True))
                self.sandbox.kill()
                time.sleep(pause)
                self.sandbox.start()
            case "both":
                first, second = self.random.sample([self.kill_twelvefs, self.sandbox.kill], 2)
                first()
                time.sleep(self.random.uniform(0, 0.05))
                second()
                time.sleep(pause)
                self.sandbox.start()
        return killed_at, under_way

    def end_mount(self, writers):
        """Ends the mount as people do, while some write and others may be about to."""
        under_way = {writer for writer in writers if writer.file.ended is None}
        ended_at = time.time()
        is_still_there = self.endings.end(self.random)
        for writer in writers:
            writer.is_called_off.set()
        if not is_still_there:
            self.record_kill(JournalCopy(self.mount.state, f"{self.options.workspace}/journal"))
        return ended_at, under_way

    def kill_twelvefs(self):
        self.mount.kill()
        journal = self.record_kill(JournalCopy(self.mount.state, f"{self.options.workspace}/journal"))
        self.resumed += sum(states[-1] == "finishing" for states in journal.uploads().values())
        if self.options.damage:
            self.flips += 1
            self.costly_flips += flip_a_bit(self.mount.state, f"{self.options.workspace}/look", self.random)

    def judge(self, writers, steering, killed_at, under_way):
        promised = cut = 0
        for writer in writers:
            file = writer.file
            if writer.error:
                raise Trouble(f"the writer of {file.name} failed: {writer.error!r}")
            if os.path.exists(file.source):
                os.unlink(file.source)
            if not file.began:
                self.files.remove(file)
                continue
            file.was_cut = writer in under_way
            if self.options.kill == "sandbox":
                # Nobody is cut for good: an outage is waited out.
                (promised, cut) = (promised, cut + 1) if file.was_cut else (promised + 1, cut)
                if not file.is_promised:
                    self.fail_of_itself(file)
            elif file.is_promised:
                promised += 1
            elif file.ended is not None and file.ended < killed_at:
                self.fail_of_itself(file)
            else:
                cut += 1
        steering.learn(promised, cut)

    def fail_of_itself(self, file):
        """A close that failed though twelvefs was there all the time."""
        self.refused += 1
        if not self.options.faults and not self.condition.may_refuse:
            self.violation(file.name, f"failed without a kill: {file.outcome}")

    def drain(self, number):
        """A clean end: everything is uploaded, and nothing is left."""
        with Watchdog(self.mount, f"the end of round {number}", LONGEST_ROUND):
            code, output = self.mount.unmount()
        if code != 0:
            self.violation(f"round {number}", f"unmount ended with {code}: {output}")
        self.mount.server = None

    # What the tree shows.

    def look_at_tree(self, files):
        for file in files if not self.options.damage else []:
            if file.is_promised:
                self.expect_listed(file, file.path)
            elif file.staged_as is not None:
                # The rename may have been made, and only its answer been cut off.
                self.expect_listed(file, file.staged_as, file.path)

    def expect_listed(self, file, *paths):
        sizes = [self.size_in_tree(path) for path in paths]
        # Where nothing was written a close promises nothing; what fsync was answered for is on disk.
        if file.size == 0 and sizes == [None] and not file.is_synced_whole:
            return
        if file.size not in sizes:
            self.violation(
                file.name, f"{paths} have the sizes {sizes} in the tree, not {file.size}; {file.mode} mode")

    def size_in_tree(self, path):
        try:
            return os.stat(f"{self.mount.path}/{path}").st_size
        except FileNotFoundError:
            return None

    def finish_staged(self):
        """What was closed under a temporary name is given its name now, as its writer would."""
        for file in self.files:
            if file.staged_as is None or file.is_promised or file.size == 0:
                continue
            staged, file.staged_as = file.staged_as, None
            if self.size_in_tree(staged) is None:
                continue
            try:
                os.rename(f"{self.mount.path}/{staged}", f"{self.mount.path}/{file.path}")
                file.is_promised = True
            except OSError as error:
                if not self.options.faults and not self.options.damage and not self.condition.may_refuse:
                    self.violation(file.name, f"the rename of what was staged failed: {error}")

    # The end.

    def settle(self):
        """Mounts for the last time and waits until nothing is under way any more."""
        self.mount.descriptors = None
        if not self.mount.is_served or not self.mount.is_in_tree:
            self.mount.start(self.sandbox.url)
        with Watchdog(self.mount, "the uploads that were left", LONGEST_DRAIN):
            self.finish_staged()
            eventually(
                "nothing is under way", lambda: self.mount.summary()["counts"]["finishing"] == 0, LONGEST_DRAIN)
            self.look_at_tree(self.files)
