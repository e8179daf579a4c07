"""Whole sessions of twelvefs, recorded between it and the sandbox: each request has to hold to what the platform has
published. What the sandbox thinks of them plays no part."""
import collections
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from conformance import Constraints, violations
from mounting import TOOLS, Mount, Sandbox, eventually
from recorder import Recorder
from torture.faults import every_third
from torture.stage import KEY

KIB, MIB = 1 << 10, 1 << 20
PROGRAM, PLATFORM = os.environ["TWELVEFS"], os.environ["SANDBOX"]


class Recorded(unittest.TestCase):
    def begin(self, *options: str, sandbox: tuple[str, ...] = (), chunk_size: str = "64KiB"):
        """A sandbox, a recorder in front of it, and a mount whose only platform that is."""
        folder = tempfile.TemporaryDirectory(prefix="requests-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("sandbox", "user", "files"):
            (self.folder / name).mkdir()
        self.sandbox = Sandbox(
            PLATFORM, str(self.folder / "sandbox"), ["--chunk-size", chunk_size, "--processing-time", "200ms", *sandbox])
        self.addCleanup(self.sandbox.kill)
        self.sandbox.start()
        self.recorder = Recorder(self.sandbox.port)
        self.addCleanup(self.recorder.stop)
        self.mount = Mount(PROGRAM, str(self.folder / "user"), list(options))
        self.addCleanup(self.mount.destroy)
        self.mount.start(self.recorder.url)

    def file(self, name: str, size: int) -> str:
        path = self.folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(size).randbytes(size))
        return str(path)

    def run_tool(self, *command: str, returns: int = 0) -> str:
        outcome = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240, check=False,
            env={**os.environ, "TWELVELABS_API_KEY": KEY}, cwd="/")
        output = outcome.stdout.decode(errors="replace")
        self.assertEqual(outcome.returncode, returns, f"{command}: {output}{self.mount.end_of_log()}")
        return output

    def in_mount(self, name: str = "") -> str:
        return f"{self.mount.path}/{name}"

    def paced(self, name: str, size: int, rate: int) -> subprocess.Popen:
        """A writer that takes its time, whose source can be seen; ended with the test."""
        writer = subprocess.Popen(
            [sys.executable, str(TOOLS / "paced_copy.py"), self.file(name, size), self.in_mount(name),
             "--rate", str(rate), "--block", str(64 * KIB)], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

        def end():
            writer.kill()
            writer.wait()

        self.addCleanup(end)
        return writer

    def stored(self) -> int:
        return sum(exchange.method == "PUT" and exchange.succeeded for exchange in list(self.recorder.exchanges))

    def until_ready(self, *names: str):
        for name in names:
            self.run_tool(PROGRAM, "wait", "--ready", "--timeout", "60s", self.in_mount(name))

    def counts(self) -> collections.Counter:
        """How often each call was made."""
        constraints = Constraints()
        calls = (constraints.call(exchange) for exchange in self.recorder.exchanges if constraints.is_call(exchange))
        counts = collections.Counter(call["name"] if call else "?" for call in calls)
        counts["put"] = sum(exchange.method == "PUT" for exchange in self.recorder.exchanges)
        return counts

    def judge(self, *calls: str) -> collections.Counter:
        """Ends the mount, and expects that these calls are among those recorded, and that nothing is wrong with any."""
        self.mount.unmount()
        counts = self.counts()
        self.assertEqual([call for call in calls if not counts[call]], [], f"were not recorded: {counts}")
        found = violations(self.recorder.exchanges, key=KEY)
        self.assertEqual(found, [], f"{len(found)} violations among {counts}")
        return counts

    def complete_assets(self) -> list[str]:
        assets = self.sandbox.control("assets")["assets"]
        return sorted(asset["filename"] for asset in assets if asset["complete"] and not asset["deleted"])


class Sessions(Recorded):
    def test_copies_of_many_sizes(self):
        self.begin("--run-ahead", "unlimited")
        sizes = {"one byte": 1, "a chunk": 64 * KIB, "fifty": 50 * 64 * KIB, "fifty-one": 50 * 64 * KIB + 1,
                 "many": 819 * 64 * KIB + 77}
        for name, size in sizes.items():
            self.run_tool("cp", self.file(f"{name}.mp4", size), self.in_mount())
        self.until_ready(*(f"{name}.mp4" for name in sizes))
        counts = self.judge("create", "put", "report", "more URLs")
        self.assertEqual((counts["create"], counts["put"]), (5, 1 + 1 + 50 + 51 + 820))
        self.assertGreaterEqual(counts["report"], 1 + 1 + 1 + 2 + 17)

    def test_rsync_and_its_second_run(self):
        self.begin()
        names = ["a/ün ï cödé 日本.mkv", "a/100% & more + = ;,$.mp4", "it's \"quoted\".mov", "n" * 251 + ".mp4",
                 "b/c/\N{VIDEO CAMERA}\\back.mp4"]
        for number, name in enumerate(names):
            self.file(f"shoot/{name}", 100 * KIB * (number + 1))
        source = f"{self.folder}/files/shoot/"
        self.run_tool("rsync", "-a", source, self.in_mount("shoot/"))
        once = self.counts()
        self.run_tool("rsync", "-a", "-c", source, self.in_mount("shoot/"))
        counts = self.judge("create", "put", "report")
        self.assertEqual((once["create"], counts["create"], counts["put"]), (5, 5, once["put"]))
        self.assertEqual(self.complete_assets(), sorted(name.rsplit("/", 1)[-1] for name in names))

    def test_a_mount_that_goes_on_after_a_kill(self):
        self.begin("--close-mode", "spool", "--upload-concurrency", "2", sandbox=("--bandwidth", "2MB/s"))
        self.run_tool("cp", self.file("killed.mp4", 6 * MIB), self.in_mount())
        eventually("a third is stored", lambda: self.stored() >= 32)
        self.mount.kill()
        before = self.counts()
        self.sandbox.control("configuration", {"bandwidth": "unlimited"})
        self.mount.start(self.recorder.url)
        self.until_ready("killed.mp4")
        counts = self.judge("create", "put", "report", "status", "more URLs")
        self.assertEqual(counts["create"], 1, "it is the same session")
        # What was stored in the last moments may not have been written down yet.
        self.assertLess(counts["put"], before["put"] + 96 - 16, "what was stored is not sent again")

    def test_writers_that_are_killed_cancelled_or_removed(self):
        self.begin(sandbox=("--bandwidth", "4MB/s"))
        writers = {name: self.paced(f"{name}.mp4", 8 * MIB, 2_000_000) for name in ("killed", "cancelled", "removed")}
        eventually("all have chunks stored", lambda: self.stored() >= 10 and all(
            (status := self.mount.status(f"{name}.mp4")) and status["chunks_uploaded"] for name in writers))
        writers["killed"].kill()
        self.run_tool(PROGRAM, "cancel", self.in_mount("cancelled.mp4"))
        os.unlink(self.in_mount("removed.mp4"))
        for writer in writers.values():
            writer.wait()
        eventually("all assets are deleted", lambda: self.counts()["delete asset"] >= 3)
        self.judge("create", "put", "delete asset")
        self.assertEqual(self.complete_assets(), [])

    def test_sizes_that_turn_out_to_be_others(self):
        self.begin()
        source = self.file("guessed.mp4", 3 * MIB)
        self.run_tool("sh", "-c", 'cat "$1" > "$2"; cat "$1" >> "$2"', "sh", source, self.in_mount("twice.mp4"))
        self.run_tool("sh", "-c", 'cat "$1" | cat > "$2"', "sh", source, self.in_mount("piped.mp4"))
        self.run_tool("sh", "-c", 'head -c 1000000 < "$1" > "$2"', "sh", source, self.in_mount("head.mp4"))
        self.run_tool("touch", self.in_mount("declared.mp4"))
        os.setxattr(self.in_mount("declared.mp4"), "user.twelvelabs.total_size", b"3145728")
        self.run_tool("sh", "-c", 'cat "$1" | cat > "$2"', "sh", source, self.in_mount("declared.mp4"))
        self.run_tool("sh", "-c", 'cat "$1" > "$2.part" && mv "$2.part" "$2"', "sh", source, self.in_mount("named.mp4"))
        self.judge("create", "put", "report")
        for name in ("piped.mp4", "head.mp4", "declared.mp4", "named.mp4", "twice.mp4"):
            self.assertIn(name, self.complete_assets())

    def test_metadata_audio_and_options(self):
        self.begin(
            "--asset-type", "auto", "--metadata", "take=2", "--metadata", "who=Zoë \"Z\" = \\", "--enable-hls",
            "--enable-thumbnail", sandbox=("--upload-header", "X-Amz-Tagging=a=b", "--upload-header", "Content-Type=video/x"))
        for name in ("film.mp4", "song.mp3", "voice.wav"):
            self.run_tool("cp", self.file(name, 200 * KIB), self.in_mount())
        self.judge("create", "put", "report")
        bodies = [exchange.body for exchange in self.recorder.exchanges if b'"filename"' in exchange.body]
        self.assertEqual(len(bodies), 3)
        self.assertTrue(any(b'"audio"' in body for body in bodies) and any(b'"video"' in body for body in bodies))
        self.assertTrue(all(b'"user_metadata"' in body and b'"enable_hls"' in body for body in bodies))

    def test_reading_back_and_lists(self):
        self.begin("--spool-limit", "16MiB", "--run-ahead", "2MiB")
        source = self.file("first.mp4", MIB)
        self.run_tool("cp", source, self.in_mount())
        self.run_tool("cp", self.file("second.mp4", 24 * MIB), self.in_mount())
        self.run_tool("cmp", source, self.in_mount("first.mp4"))
        self.run_tool(PROGRAM, "uploads", "--api-url", self.recorder.url)
        self.judge("list incomplete", "create", "put", "report")
        reads = [each for each in self.recorder.exchanges if each.method == "GET" and each.path.startswith("/_store/")]
        self.assertTrue(reads, "nothing was read back")

    def test_a_platform_that_fails_each_third_request(self):
        self.begin(sandbox=("--initial-urls", "4"))
        self.sandbox.control("faults", every_third())
        names = [f"{number}.mp4" for number in range(6)]
        for name in names:
            self.file(name, 600 * KIB)
        # All at once: most of the time is spent waiting before the next attempt.
        self.run_tool(
            "sh", "-c", 'for name; do cp "$name" "$0" & all="$all $!"; done; for one in $all; do wait $one || exit; done',
            self.in_mount(), *(f"{self.folder}/files/{name}" for name in names))
        self.sandbox.control("faults", method="DELETE")
        counts = self.judge("create", "put", "report", "more URLs")
        self.assertGreater(counts["put"], 60, "some were sent again")
        self.assertEqual(self.complete_assets(), names)


class TheRecorder(Recorded):
    """It would prove nothing if it changed what it records, or had the chunks go elsewhere."""

    def test_it_passes_everything_on(self):
        self.begin()
        self.run_tool("cp", self.file("a b.mp4", 200 * KIB), self.in_mount())
        self.mount.unmount()
        recorded = collections.Counter((each.method, each.path, each.status) for each in self.recorder.exchanges)
        journal = collections.Counter(
            (each["method"], each["path"], each["status"]) for each in self.sandbox.control("journal")["requests"])
        self.assertEqual(recorded, journal)
        self.assertEqual(self.counts()["put"], 4)


if __name__ == "__main__":
    unittest.main()
