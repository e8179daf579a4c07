"""`cp` through a mount onto S3 and a presigner that are not ours: S3 itself completes each upload, by the ETags that
twelvefs reported, and gives the same bytes back."""
import hashlib
import os
import random
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path

import published_platform
from mounting import Mount, eventually
from published_platform import CHUNK_SIZE, Platform
from s3_store import BUCKET, Store

SPECIAL = "Der Film, 1 + 2 = $3; & more.mp4"


def write_pattern(path: Path, size: int) -> str:
    """A file in which no two chunks are the same; returns its SHA-256."""
    noise = random.Random(size).randbytes(1 << 20)
    digest, written = hashlib.sha256(), 0
    with path.open("wb") as file:
        while written < size:
            piece = (written.to_bytes(8, "big") + noise)[: min(len(noise), size - written)]
            file.write(piece)
            digest.update(piece)
            written += len(piece)
    return digest.hexdigest()


def sha256(stream) -> str:
    digest = hashlib.sha256()
    while piece := stream.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


class OnS3(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="s3-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.store = Store()
        cls.addClassCleanup(cls.store.stop)
        cls.platform = Platform(cls.store)
        cls.addClassCleanup(cls.platform.stop)
        # A spool that the largest file does not fit into: its chunks have to leave, and finished files are read from S3.
        cls.mount = Mount(os.environ["TWELVEFS"], str(cls.folder), ["--spool-limit", "96MiB"])
        cls.addClassCleanup(cls.mount.destroy)
        cls.mount.start(cls.platform.url, key=published_platform.KEY)

    def copy(self, name: str, size: int):
        """Copies a file of that size into the mount. Returns its upload, as the platform knows it, and its SHA-256."""
        source = self.folder / name
        digest = write_pattern(source, size)
        try:
            outcome = subprocess.run(["cp", str(source), self.mount.path], capture_output=True, timeout=300, check=False)
            self.assertEqual((outcome.returncode, outcome.stderr), (0, b""), self.mount.end_of_log())
        finally:
            source.unlink()
        [upload] = [each for each in self.platform.uploads.values() if each.request["filename"] == name]
        self.assertIsNotNone(upload.url, "cp has returned, and the platform has not completed the upload")
        return upload, digest

    def assert_stored(self, upload, digest: str):
        stored = self.store.client.get_object(Bucket=BUCKET, Key=upload.key)
        self.assertEqual(sha256(stored["Body"]), digest)
        # As S3 makes it: the MD5 of all parts' MD5s, and how many there were.
        parts = "".join(proof for _, proof in sorted(upload.proofs.items()))
        self.assertEqual(
            stored["ETag"].strip('"'), f"{hashlib.md5(bytes.fromhex(parts)).hexdigest()}-{upload.total_chunks}")
        with urllib.request.urlopen(upload.url) as answer:
            self.assertEqual(sha256(answer), digest)

    def assert_clean(self):
        self.assertEqual(self.platform.violations, [])
        self.assertEqual(self.store.gate.refusals, [])
        self.assertEqual([call for call in self.platform.calls if call[1] >= 300], [])

    def copy_and_check(self, name: str, size: int, chunks: int):
        upload, digest = self.copy(name, size)
        self.assertEqual((upload.total_size, upload.total_chunks), (size, chunks))
        self.assert_stored(upload, digest)
        self.assert_clean()
        return digest

    def test_one_byte(self):
        self.copy_and_check("one.mp4", 1, 1)

    def test_exactly_two_chunks(self):
        self.copy_and_check("two.mp4", 2 * CHUNK_SIZE, 2)

    def test_a_name_with_characters_that_urls_escape(self):
        self.copy_and_check(SPECIAL, CHUNK_SIZE + 1, 2)

    def test_sixty_chunks_through_a_smaller_spool(self):
        small = self.copy_and_check("before.mp4", CHUNK_SIZE + 7, 2)
        self.copy_and_check("sixty.mp4", 60 * CHUNK_SIZE - 12345, 60)
        # The first one has left the disk for the second one: it is read from its URL, which S3's presigner made.
        del self.store.gate.reads[:]
        with open(f"{self.mount.path}/before.mp4", "rb") as file:
            self.assertEqual(sha256(file), small)
        self.assertTrue(self.store.gate.reads)
        self.assertTrue(all(wanted and wanted.startswith("bytes=") for _, wanted in self.store.gate.reads))
        self.assert_clean()

    def test_an_asset_is_seen_to_be_ready(self):
        upload, _ = self.copy("ready.mp4", 1000)
        status = eventually("the asset is ready", lambda: (
            (document := self.mount.status("ready.mp4"))["asset_status"] == "ready" and document))
        self.assertEqual((status["asset_id"], status["upload_id"]), (upload.asset_id, upload.upload_id))
        self.assert_clean()

    def test_a_put_carries_what_s3_needs_and_no_key(self):
        self.copy("headers.mp4", 2 * CHUNK_SIZE)
        for put in self.store.gate.puts:
            self.assertNotIn("x-api-key", put)
            self.assertNotIn("transfer-encoding", put)
            self.assertEqual(put["content-type"], "application/octet-stream")
            self.assertGreater(int(put["content-length"]), 0)


class TheStoreItself(unittest.TestCase):
    """It would be no witness if it took everything."""

    def setUp(self):
        self.store = Store()
        self.addCleanup(self.store.stop)
        self.upload = self.store.client.create_multipart_upload(Bucket=BUCKET, Key="a b.mp4")["UploadId"]
        self.url = self.store.presigned("upload_part", Key="a b.mp4", UploadId=self.upload, PartNumber=1)

    def put(self, url: str):
        headers = {"Content-Type": "application/octet-stream"}
        try:
            return urllib.request.urlopen(urllib.request.Request(url, b"abc", headers, method="PUT")).headers["ETag"]
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def test_what_is_not_signed_so_is_refused(self):
        for changed in (
            self.url.replace("partNumber=1", "partNumber=2"), self.url.replace("a%20b", "a+b"), self.url + "&x=y",
            self.url.split("?")[0], self.url.replace("%2F", "/", 1).replace("X-Amz-Date=2", "X-Amz-Date=1"),
        ):
            with self.subTest(changed=changed):
                self.assertEqual(self.put(changed), 403)
        self.assertEqual(self.put(self.url), '"900150983cd24fb0d6963f7d28e17f72"')
        self.assertEqual(self.put(self.url), 403, "a URL works once")

    def test_a_wrong_etag_completes_nothing(self):
        self.put(self.url)
        with self.assertRaises(published_platform.ClientError):
            self.store.client.complete_multipart_upload(
                Bucket=BUCKET, Key="a b.mp4", UploadId=self.upload,
                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "0" * 32}]})


if __name__ == "__main__":
    unittest.main()
