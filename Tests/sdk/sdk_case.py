"""What the tests of the official SDK share: a client of the sandbox, files, and the sandbox's own view."""
import json
import os
import random
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from twelvelabs import TwelveLabs

MIB = 1 << 20


def control(path: str):
    with urllib.request.urlopen(f"{os.environ['SANDBOX_CONTROL']}/{path}") as answer:
        return json.load(answer)


def stored_asset(asset_id: str) -> dict:
    return next(asset for asset in control("assets")["assets"] if asset["asset_id"] == asset_id)


class SDKCase(unittest.TestCase):
    def setUp(self):
        # The base URL is read from TWELVELABS_BASE_URL by the SDK itself.
        self.client = TwelveLabs(api_key=os.environ["TWELVELABS_API_KEY"])
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def video(self, size: int) -> Path:
        path = Path(self.folder.name) / "video.mp4"
        path.write_bytes(random.Random(size).randbytes(size))
        return path

    def assert_ready(self, asset_id: str):
        """Waits as a program has to that wants to use the asset, and returns it."""
        deadline = time.monotonic() + 60
        while (asset := self.client.assets.retrieve(asset_id)).status == "processing":
            self.assertLess(time.monotonic(), deadline, "the asset never became ready")
            time.sleep(0.02)
        self.assertEqual(asset.status, "ready")
        return asset
