"""What many small files cost: an account may have fifty or a hundred requests a day, or a rate limit of any kind.

Each file needs a call that opens its session and one that reports its chunk; whatever else is asked, until all assets are
ready, is asked for many at a time. Counted in the sandbox's own journal.
"""
import collections
import os
import random
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from mounting import Mount, Sandbox, eventually

FILES = 2000
MORE = 200


class ManyFiles(unittest.TestCase):
    def test_little_is_asked_besides_create_and_report(self):
        folder = tempfile.TemporaryDirectory(prefix="many-")
        self.addCleanup(folder.cleanup)
        for name in ("sandbox", "user", "takes"):
            Path(folder.name, name).mkdir()
        names = [f"take{number:04}.mp4" for number in range(FILES)]
        for name in names:
            Path(folder.name, "takes", name).write_bytes(random.Random(name).randbytes(10_000))
        # Longer than the copy of one file takes, shorter than that of all.
        sandbox = Sandbox(os.environ["SANDBOX"], f"{folder.name}/sandbox", ["--processing-time", "3s"])
        self.addCleanup(sandbox.kill)
        sandbox.start()
        mount = Mount(os.environ["TWELVEFS"], f"{folder.name}/user", [])
        self.addCleanup(mount.destroy)
        mount.start(sandbox.url)
        # As people copy who are in a hurry.
        command = 'printf "%s\\0" "$1"/*.mp4 | xargs -0 -P 4 -n 50 sh -c \'cp "$@" "$0"\' "$2"'
        began = time.monotonic()
        outcome = subprocess.run(
            ["sh", "-c", command, "sh", f"{folder.name}/takes", mount.path], stdin=subprocess.DEVNULL, capture_output=True,
            timeout=300, check=False)
        self.assertEqual((outcome.returncode, outcome.stderr), (0, b""), mount.end_of_log())

        copied = time.monotonic()
        waiting = set(names)

        def all_are_ready():
            for name in sorted(waiting):
                if mount.status(name)["asset_status"] != "ready":
                    return False
                waiting.discard(name)
            return True

        eventually("all assets are ready", all_are_ready, timeout=180)
        requests = sandbox.control("journal")["requests"]
        calls = collections.Counter(each["kind"] for each in requests if each["kind"] not in ("put", "content"))
        print(
            f"\n{FILES} files, copied in {copied - began:.0f} s and ready {time.monotonic() - copied:.0f} s later: {dict(calls)}",
            end=" ", flush=True)
        self.assertEqual((calls["create"], calls["report"]), (FILES, FILES))
        self.assertLessEqual(calls.total(), 2 * FILES + MORE, calls)


if __name__ == "__main__":
    unittest.main()
