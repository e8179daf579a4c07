"""The other calls of the newest SDK against the sandbox, each by itself."""
import hashlib
import random
import unittest

import httpx
from twelvelabs import TwelveLabs
from twelvelabs.core.api_error import ApiError
from twelvelabs.types.completed_chunk import CompletedChunk

from sdk_case import MIB, SDKCase, stored_asset


class EveryCall(SDKCase):
    def put(self, url: str, body: bytes) -> str:
        answer = httpx.put(url, content=body, headers={"Content-Type": "application/octet-stream"})
        answer.raise_for_status()
        return answer.headers["ETag"].strip('"')

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
        asset = self.assert_ready(result.asset_id)
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
