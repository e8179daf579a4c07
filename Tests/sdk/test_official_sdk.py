"""The official SDK against the sandbox: what it can do with the platform, it can do with the stand-in."""
import hashlib
import json
import os
import random
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

import httpx
from twelvelabs import TwelveLabs
from twelvelabs.core.api_error import ApiError
from twelvelabs.types.completed_chunk import CompletedChunk

MIB = 1 << 20


def control(path: str):
    with urllib.request.urlopen(f"{os.environ['SANDBOX_CONTROL']}/{path}") as answer:
        return json.load(answer)


def stored_asset(asset_id: str) -> dict:
    return next(asset for asset in control("assets")["assets"] if asset["asset_id"] == asset_id)


class OfficialSDK(unittest.TestCase):
    def setUp(self):
        # The base URL is read from TWELVELABS_BASE_URL by the SDK itself.
        self.client = TwelveLabs(api_key=os.environ["TWELVELABS_API_KEY"])
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def video(self, size: int) -> Path:
        path = Path(self.folder.name) / "video.mp4"
        path.write_bytes(random.Random(size).randbytes(size))
        return path

    def put(self, url: str, body: bytes) -> str:
        answer = httpx.put(url, content=body, headers={"Content-Type": "application/octet-stream"})
        answer.raise_for_status()
        return answer.headers["ETag"].strip('"')

    def test_upload_file_brings_the_same_bytes(self):
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

    def test_each_call_by_itself(self):
        uploads = self.client.multipart_upload
        size = 12 * MIB
        session = uploads.create(
            filename="by hand.mp4", type="video", total_size=size, enable_thumbnail=True, user_metadata={"take": 2}
        )
        self.assertEqual((session.chunk_size, session.total_chunks), (5 * MIB, 3))
        urls = {entry.chunk_index: entry.url for entry in session.upload_urls}
        self.assertEqual(sorted(urls), [1, 2, 3])

        body = random.Random(1).randbytes(size)
        etag = self.put(urls[1], body[: 5 * MIB])
        self.assertEqual(etag, hashlib.md5(body[: 5 * MIB]).hexdigest())
        first = CompletedChunk(chunk_index=1, proof=etag, proof_type="etag", chunk_size=5 * MIB)
        report = uploads.report_chunk_batch(session.upload_id, completed_chunks=[first])
        self.assertEqual((report.processed_chunks, report.total_completed), (1, 1))
        self.assertFalse(report.url)

        again = uploads.report_chunk_batch(session.upload_id, completed_chunks=[first])
        self.assertEqual((again.duplicate_chunks, again.total_completed), (1, 1))

        states = {chunk.index: chunk.status for chunk in uploads.get_status(session.upload_id)}
        self.assertEqual(states, {1: "completed", 2: "pending", 3: "pending"})
        self.assertIn(session.upload_id, [entry.upload_id for entry in uploads.list_incomplete_uploads()])

        more = uploads.get_additional_presigned_urls(session.upload_id, start=2, count=2)
        fresh = {entry.chunk_index: entry.url for entry in more.upload_urls}
        self.assertEqual(sorted(fresh), [2, 3])
        rest = []
        for index, part in ((2, body[5 * MIB : 10 * MIB]), (3, body[10 * MIB :])):
            proof = self.put(fresh[index], part)
            rest.append(CompletedChunk(chunk_index=index, proof=proof, proof_type="etag", chunk_size=len(part)))
        report = uploads.report_chunk_batch(session.upload_id, completed_chunks=rest)
        self.assertEqual(report.total_completed, 3)
        self.assertTrue(report.url)

        done = uploads.wait_for_upload_completion(session.upload_id, sleep_interval=0.1, max_wait_time=30)
        self.assertEqual(done.status, "completed")
        self.assertNotIn(session.upload_id, [entry.upload_id for entry in uploads.list_incomplete_uploads()])
        body_digest = hashlib.sha256(body).hexdigest()
        self.assertEqual(stored_asset(session.asset_id)["sha256"], body_digest)

    def test_an_asset_becomes_ready(self):
        result = self.client.multipart_upload.upload_file(self.video(6 * MIB))
        deadline = time.monotonic() + 60
        while (asset := self.client.assets.retrieve(result.asset_id)).status == "processing":
            self.assertLess(time.monotonic(), deadline, "the asset never became ready")
            time.sleep(0.02)
        self.assertEqual(
            (asset.id, asset.status, asset.method, asset.filename, asset.file_type, asset.size),
            (result.asset_id, "ready", "multipart", "video.mp4", "video/mp4", 6 * MIB),
        )

    def test_what_is_not_there_is_not_found(self):
        for call in (self.client.assets.retrieve, lambda name: list(self.client.multipart_upload.get_status(name))):
            with self.assertRaises(ApiError) as missing:
                call("0" * 24)
            self.assertEqual(missing.exception.status_code, 404)

    def test_pages_are_turned(self):
        uploads = self.client.multipart_upload
        opened = [uploads.create(filename=f"{n}.mp4", type="video", total_size=6 * MIB).upload_id for n in range(13)]
        listed = [entry.upload_id for entry in uploads.list_incomplete_uploads(page_limit=5)]
        self.assertTrue(set(opened) <= set(listed))
        self.assertEqual(len(listed), len(set(listed)))

    def test_a_url_works_once(self):
        session = self.client.multipart_upload.create(filename="once.mp4", type="video", total_size=3)
        [entry] = session.upload_urls
        self.put(entry.url, b"abc")
        with self.assertRaises(httpx.HTTPStatusError):
            self.put(entry.url, b"abc")

    def test_a_wrong_key_is_refused(self):
        stranger = TwelveLabs(api_key="not-the-key")
        with self.assertRaises(ApiError) as refused:
            stranger.multipart_upload.create(filename="video.mp4", type="video", total_size=3)
        self.assertIn(refused.exception.status_code, (401, 403))

    def test_a_finished_asset_can_be_deleted(self):
        result = self.client.multipart_upload.upload_file(self.video(6 * MIB))
        self.client.assets.delete(result.asset_id)
        self.assertTrue(stored_asset(result.asset_id)["deleted"])


if __name__ == "__main__":
    unittest.main()
