"""`upload_file` of the official SDK against the sandbox, in every version that is tested: what it can do with the
platform, it can do with the stand-in."""
import hashlib
import urllib.request
from importlib.metadata import version
import os
import unittest
from pathlib import Path

from sdk_case import MIB, SDKCase, control, stored_asset


class UploadFile(SDKCase):
    def test_this_is_the_version_that_is_to_be_tested(self):
        self.assertEqual(version("twelvelabs"), os.environ["SDK_VERSION"])

    def test_it_brings_the_same_bytes(self):
        # More chunks than a session's first URLs, and a last one that is shorter.
        path = self.video(57 * MIB + 5).rename(Path(self.folder.name) / "Der Film – 1.mp4")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        seen = []
        result = self.client.multipart_upload.upload_file(path, batch_size=5, progress_callback=seen.append, max_retries=0)
        self.assertEqual(seen[-1].completed_chunks, 12)
        asset = stored_asset(result.asset_id)
        self.assertTrue(asset["complete"])
        self.assertEqual(asset["filename"], "Der Film – 1.mp4")
        self.assertEqual(asset["sha256"], digest)
        with urllib.request.urlopen(result.asset_url) as answer:
            self.assertEqual(hashlib.sha256(answer.read()).hexdigest(), digest)
        puts = [request for request in control("journal")["requests"] if request["kind"] == "put"]
        self.assertFalse(any(request["carried_api_key"] for request in puts))

    def test_the_asset_becomes_ready(self):
        result = self.client.multipart_upload.upload_file(self.video(1))
        asset = self.assert_ready(result.asset_id)
        self.assertEqual((asset.id, asset.method, asset.filename), (result.asset_id, "multipart", "video.mp4"))

    def test_no_session_is_left_open(self):
        before = [session.upload_id for session in self.client.multipart_upload.list_incomplete_uploads()]
        self.client.multipart_upload.upload_file(self.video(6 * MIB))
        after = [session.upload_id for session in self.client.multipart_upload.list_incomplete_uploads()]
        self.assertEqual(before, after)


if __name__ == "__main__":
    unittest.main()
