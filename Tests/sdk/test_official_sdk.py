"""The official SDK against the sandbox: what it can do with the platform, it can do with the stand-in."""
import hashlib
import json
import os
import random
import tempfile
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
        path = self.video(23 * MIB + 5)
        seen = []
        result = self.client.multipart_upload.upload_file(path, batch_size=2, progress_callback=seen.append)
        self.assertEqual(seen[-1].completed_chunks, 5)
        [asset] = [a for a in control("assets")["assets"] if a["asset_id"] == result.asset_id]
        self.assertTrue(asset["complete"])
        self.assertEqual(asset["filename"], "video.mp4")
        self.assertEqual(asset["sha256"], hashlib.sha256(path.read_bytes()).hexdigest())

    def test_each_call_by_itself(self):
        uploads = self.client.multipart_upload
        size = 12 * MIB
        session = uploads.create(filename="by hand.mp4", type="video", total_size=size)
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
        self.assertEqual(self.client.assets.retrieve(session.asset_id).filename, "by hand.mp4")

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
        [asset] = [a for a in control("assets")["assets"] if a["asset_id"] == result.asset_id]
        self.assertTrue(asset["deleted"])


if __name__ == "__main__":
    unittest.main()
