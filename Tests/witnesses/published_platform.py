"""The platform in a few lines, by its published specification and nothing else, in front of S3.

Every request is judged by constraints.json before it is answered; what is wrong is refused with 400 and kept.
"""
import json
import secrets
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from botocore.exceptions import ClientError

from conformance import Constraints, Exchange
from s3_store import BUCKET, Store

KEY = "the-witness-key"
CHUNK_SIZE = 5 << 20  # the least that S3 takes for a part
FIRST_URLS = 3


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def _time(later: timedelta = timedelta()) -> str:
    return (datetime.now(timezone.utc) + later).strftime("%Y-%m-%dT%H:%M:%SZ")


class Upload:
    """A session, which is a multipart upload of S3, and the asset that it becomes."""

    def __init__(self, request: dict, store: Store):
        self.upload_id, self.asset_id = secrets.token_hex(12), secrets.token_hex(12)
        self.request, self.created_at = request, _time()
        self.total_size = request["total_size"]
        self.total_chunks = -(-self.total_size // CHUNK_SIZE)
        self.key = f"{self.asset_id}/{request['filename']}"
        self.s3_upload = store.client.create_multipart_upload(Bucket=BUCKET, Key=self.key)["UploadId"]
        self.proofs: dict[int, str] = {}
        self.url: str | None = None

    def size(self, chunk: int) -> int:
        return min(CHUNK_SIZE, self.total_size - (chunk - 1) * CHUNK_SIZE)


class Platform:
    """The calls. One at a time: what is shown is no race of this program's own."""

    def __init__(self, store: Store):
        self.store = store
        self.uploads: dict[str, Upload] = {}
        self.violations: list[str] = []
        self.calls: list[tuple[str, int]] = []  # name and status of each
        self.constraints = Constraints()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.platform = self
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1.3"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, exchange: Exchange) -> tuple[int, dict | None]:
        with self._lock:
            call = self.constraints.call(exchange)
            name = call["name"] if call else "?"
            try:
                status, answer = self._dispatch(exchange, call)
            except Refused as refusal:
                status, answer = refusal.status, {"code": refusal.code, "message": refusal.message}
            self.calls.append((name, status))
            return status, answer

    def _dispatch(self, exchange: Exchange, call: dict | None) -> tuple[int, dict | None]:
        if exchange.header("x-api-key") != [KEY]:
            raise Refused(403, "api_key_invalid", "The API key is invalid.")
        problems = self.constraints.violations(exchange)
        if problems:
            self.violations += [f"{exchange}: {problem}" for problem in problems]
            raise Refused(400, "parameter_invalid", problems[0])
        body = json.loads(exchange.body) if exchange.body else {}
        query = parse_qs(urlsplit(exchange.target).query)
        identifier = self.constraints.parameter(exchange, call)
        match call["name"]:
            case "create": return 201, self._create(body)
            case "list incomplete": return 200, self._page([
                self._session(upload) for upload in self.uploads.values() if upload.url is None], query, "data")
            case "status": return 200, self._status(self._of_session(identifier), query)
            case "report": return 200, self._report(self._of_session(identifier), body["completed_chunks"])
            case "more URLs": return 200, self._more(self._of_session(identifier), body["start"], body["count"])
            case "list assets":
                wanted = query.get("asset_ids")
                assets = [self._asset(upload) for upload in reversed(self.uploads.values())
                          if upload.url and (wanted is None or upload.asset_id in wanted)]
                return 200, self._page(assets, query, "data")
            case "retrieve asset": return 200, self._asset(self._of_asset(identifier))
            case "delete asset": return self._delete(self._of_asset(identifier))
        raise Refused(404, "resource_not_exist", "There is no such call here.")

    def _of_session(self, upload_id: str) -> Upload:
        if upload_id not in self.uploads:
            raise Refused(404, "resource_not_exist", "The upload does not exist.")
        return self.uploads[upload_id]

    def _of_asset(self, asset_id: str) -> Upload:
        for upload in self.uploads.values():
            if upload.asset_id == asset_id:
                return upload
        raise Refused(400, "resource_not_exist", f"Resource with id {asset_id} does not exist.")

    # MARK: Calls

    def _create(self, body: dict) -> dict:
        upload = Upload(body, self.store)
        self.uploads[upload.upload_id] = upload
        return {
            "upload_id": upload.upload_id, "asset_id": upload.asset_id,
            "upload_urls": self._urls(upload, range(1, min(upload.total_chunks, FIRST_URLS) + 1)),
            "upload_headers": self._upload_headers(), "chunk_size": CHUNK_SIZE,
            "total_chunks": upload.total_chunks, "expires_at": _time(timedelta(hours=24)),
        }

    def _upload_headers(self) -> dict:
        """As a backend has them that passes on all headers which its presigner signed, and those that it did not set."""
        host = urlsplit(self.store.presigned("head_bucket")).netloc
        return {"Content-Type": "application/octet-stream", "Host": host, "Content-Length": None, "X-Amz-Tagging": None}

    def _urls(self, upload: Upload, chunks) -> list[dict]:
        return [{
            "chunk_index": chunk, "expires_at": _time(timedelta(hours=1)),
            # The answer's time is in it: so that a URL which is asked for again is another one, each has a part of its own.
            "url": self.store.presigned(
                "upload_part", Key=upload.key, UploadId=upload.s3_upload, PartNumber=chunk),
        } for chunk in chunks]

    def _more(self, upload: Upload, start: int, count: int) -> dict:
        chunks = range(start, min(start + count - 1, upload.total_chunks) + 1)
        return {
            "upload_id": upload.upload_id, "start_index": start, "count": len(chunks),
            "upload_urls": self._urls(upload, chunks), "generated_at": _time(), "expires_at": _time(timedelta(hours=1)),
        }

    def _report(self, upload: Upload, chunks: list[dict]) -> dict:
        for chunk in chunks:
            index = chunk["chunk_index"]
            if index > upload.total_chunks or chunk["chunk_size"] != upload.size(index):
                self.violations.append(f"a report of chunk {index} with {chunk['chunk_size']} bytes")
                raise Refused(400, "parameter_invalid", f"Chunk {index} is not one of this upload.")
        fresh = {chunk["chunk_index"]: chunk["proof"] for chunk in chunks if chunk["chunk_index"] not in upload.proofs}
        upload.proofs |= fresh
        answer = {
            "asset_id": upload.asset_id, "processed_chunks": len(fresh),
            "duplicate_chunks": len(chunks) - len(fresh), "total_completed": len(upload.proofs),
        }
        if len(upload.proofs) == upload.total_chunks:
            self._complete(upload)
            answer["url"] = upload.url
        return answer

    def _complete(self, upload: Upload) -> None:
        """S3 puts the parts together, by the ETags that were reported, as they were reported."""
        if upload.url is not None:
            return
        parts = [{"PartNumber": chunk, "ETag": proof} for chunk, proof in sorted(upload.proofs.items())]
        try:
            self.store.client.complete_multipart_upload(
                Bucket=BUCKET, Key=upload.key, UploadId=upload.s3_upload, MultipartUpload={"Parts": parts})
        except ClientError as error:
            self.violations.append(f"S3 did not complete {upload.key}: {error}")
            raise Refused(400, "parameter_invalid", "The chunks could not be put together.") from error
        upload.url = self.store.presigned("get_object", Key=upload.key)

    def _session(self, upload: Upload) -> dict:
        return {
            "upload_id": upload.upload_id, "status": "completed" if upload.url else "active",
            "total_size": upload.total_size, "chunk_size": CHUNK_SIZE, "total_chunks": upload.total_chunks,
            "created_at": upload.created_at, "expires_at": _time(timedelta(hours=24)),
        }

    def _status(self, upload: Upload, query: dict) -> dict:
        chunks = [
            {"index": chunk, "status": "completed", "uploaded_at": upload.created_at, "updated_at": upload.created_at}
            if chunk in upload.proofs else {"index": chunk, "status": "pending", "uploaded_at": None}
            for chunk in range(1, upload.total_chunks + 1)]
        return {
            "upload_id": upload.upload_id, "status": "completed" if upload.url else "active",
            **self._page(chunks, query, "uploaded_chunks"), "chunks_completed": len(upload.proofs), "chunks_failed": 0,
            "chunks_pending": upload.total_chunks - len(upload.proofs), "total_size": upload.total_size,
            "uploaded_size": sum(upload.size(chunk) for chunk in upload.proofs), "created_at": upload.created_at,
        }

    def _asset(self, upload: Upload) -> dict:
        asset = {
            "_id": upload.asset_id, "method": "multipart", "status": "ready" if upload.url else "processing",
            "filename": upload.request["filename"], "file_type": "video/mp4", "created_at": upload.created_at,
            "user_metadata": upload.request.get("user_metadata"),
        }
        if upload.url:
            asset["technical_metadata"] = {"file_size_bytes": upload.total_size}
        return asset

    def _delete(self, upload: Upload) -> tuple[int, None]:
        if upload.url:
            self.store.client.delete_object(Bucket=BUCKET, Key=upload.key)
        else:
            self.store.client.abort_multipart_upload(Bucket=BUCKET, Key=upload.key, UploadId=upload.s3_upload)
        del self.uploads[upload.upload_id]
        return 204, None

    @staticmethod
    def _page(items: list, query: dict, name: str) -> dict:
        page, limit = (int(query.get(key, [default])[0]) for key, default in (("page", 1), ("page_limit", 10)))
        return {
            name: items[(page - 1) * limit : page * limit],
            "page_info": {"limit_per_page": limit, "page": page, "total_page": -(-len(items) // limit),
                          "total_results": len(items)},
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *arguments):
        pass

    def _call(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        exchange = Exchange(self.command, self.path, list(self.headers.items()), body, len(body))
        status, answer = self.server.platform.answer(exchange)
        content = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _call
