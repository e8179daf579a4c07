#!/usr/bin/env python3
"""The official Python SDK against the stand-in: what it sends must be taken, what it reads must be there.

    test_official_sdk.py BASE_URL KEY

Needs `twelvelabs` (pip install twelvelabs==1.3.6) and a stand-in that listens at BASE_URL.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from twelvelabs import CompletedChunk, TwelveLabs
from twelvelabs.core.api_error import ApiError

base_url, key = sys.argv[1], sys.argv[2]
origin = base_url.removesuffix("/v1.3")
client = TwelveLabs(base_url=base_url, api_key=key)
uploads = client.multipart_upload
passed = 0


def check(what, actual, expected=True):
    global passed
    assert actual == expected, f"{what}: {actual!r} instead of {expected!r}"
    passed += 1


def control(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{origin}/_sandbox/{path}", data=data)) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def stored_asset(asset_id):
    return next(asset for asset in control("assets")["assets"] if asset["asset_id"] == asset_id)


def put(url, data):
    request = urllib.request.Request(url, data=data, method="PUT")
    request.add_header("Content-Type", "application/octet-stream")
    with urllib.request.urlopen(request) as answer:
        return answer.headers["ETag"].strip('"')


chunk_size = control("configuration")["chunk_size"]
# More chunks than a session's first URLs, and a last one that is shorter.
content = os.urandom(chunk_size) * 11 + os.urandom(chunk_size // 3 + 1)
digest = hashlib.sha256(content).hexdigest()

with tempfile.TemporaryDirectory() as directory:
    path = Path(directory, "Der Film – 1.mp4")
    path.write_bytes(content)
    progress = []
    result = uploads.upload_file(path, progress_callback=progress.append, batch_size=5, max_retries=0)
check("upload_file's last progress", progress[-1].completed_chunks, 12)
asset = stored_asset(result.asset_id)
check("the asset is complete", asset["complete"])
check("the asset's SHA-256", asset["sha256"], digest)
check("the asset's name", asset["filename"], "Der Film – 1.mp4")
with urllib.request.urlopen(result.asset_url) as answer:
    check("the bytes at the asset's URL", hashlib.sha256(answer.read()).hexdigest(), digest)

session = uploads.create(filename="by-hand.mp4", type="video", total_size=2 * chunk_size, enable_thumbnail=True,
                         user_metadata={"take": 2, "tags": ["a", "b"]})
check("total_chunks", session.total_chunks, 2)
check("chunk_size", session.chunk_size, chunk_size)
check("the session's lifetime is told", session.expires_at is not None)
check("the session is listed", session.upload_id in [upload.upload_id for upload in uploads.list_incomplete_uploads()])
check("chunks are pending", [chunk.status for chunk in uploads.get_status(session.upload_id)], ["pending", "pending"])

parts = [os.urandom(chunk_size), os.urandom(chunk_size)]
more = uploads.get_additional_presigned_urls(session.upload_id, start=1, count=2)
check("as many URLs as asked for", [url.chunk_index for url in more.upload_urls], [1, 2])
etags = [put(url.url, part) for url, part in zip(more.upload_urls, parts)]
check("ETags are MD5", etags, [hashlib.md5(part).hexdigest() for part in parts])


def report(index):
    chunk = CompletedChunk(chunk_index=index, proof=etags[index - 1], proof_type="etag", chunk_size=chunk_size)
    return uploads.report_chunk_batch(session.upload_id, completed_chunks=[chunk])


first = report(1)
check("the first report", (first.processed_chunks, first.duplicate_chunks, first.total_completed, first.url),
      (1, 0, 1, None))
again = report(1)
check("the same report again", (again.processed_chunks, again.duplicate_chunks, again.total_completed), (0, 1, 1))
check("a page at a time", [chunk.status for chunk in uploads.get_status(session.upload_id, page=1, page_limit=1)],
      ["completed", "pending"])
last = report(2)
check("the last report", (last.processed_chunks, last.total_completed, last.url is not None), (1, 2, True))
check("the whole upload's SHA-256", stored_asset(session.asset_id)["sha256"],
      hashlib.sha256(b"".join(parts)).hexdigest())
check("the session is listed no more",
      session.upload_id not in [upload.upload_id for upload in uploads.list_incomplete_uploads()])

deadline = time.monotonic() + 60
while (detail := client.assets.retrieve(session.asset_id)).status == "processing" and time.monotonic() < deadline:
    time.sleep(0.05)
check("the asset becomes ready", detail.status, "ready")
check("the asset's fields", (detail.id, detail.method, detail.filename, detail.file_type, detail.size),
      (session.asset_id, "multipart", "by-hand.mp4", "video/mp4", 2 * chunk_size))
client.assets.delete(session.asset_id)
check("a deleted asset is told", stored_asset(session.asset_id)["deleted"])
for what, call in [("retrieve", lambda: client.assets.retrieve(session.asset_id)),
                   ("status", lambda: list(uploads.get_status("0" * 24)))]:
    try:
        call()
        raise AssertionError(f"{what} of what is not there succeeded")
    except ApiError as error:
        check(f"{what} of what is not there", error.status_code, 404)

requests = control("journal")["requests"]
check("no key reached the store", [request for request in requests
                                   if request["kind"] == "put" and request["carried_api_key"]], [])
print(f"official SDK: {passed} passed, 0 failed")
