"""S3 as moto has it, on loopback, which takes presigned requests only with a good signature, unexpired, and PUTs once.

moto stores and completes; botocore's own signer computes what the signature of the request has to be that arrived. So a
URL that is not sent on exactly as it was handed out is refused, as S3 refuses it.
"""
import logging
import threading
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

import boto3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REGION = "us-east-1"
BUCKET = "platform-uploads"
_CREDENTIALS = Credentials("AKIDWITNESS", "the-secret-of-the-witness")


class SignedOnly:
    """WSGI: lets presigned requests through, each PUT's URL once, and those of the platform itself (by their header)."""

    def __init__(self, application):
        self.application = application
        self.used: set[str] = set()
        self.puts: list[dict[str, str]] = []  # the headers of each
        self.reads: list[tuple[str, str | None]] = []  # the path of each, and its Range
        self.refusals: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        problem = self._problem(environ)
        if problem is None:
            return self.application(environ, start_response)
        with self._lock:
            self.refusals.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {problem}")
        body = f"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>{problem}</Message></Error>".encode()
        start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    def _problem(self, environ) -> str | None:
        if environ.get("HTTP_AUTHORIZATION", "").startswith(f"AWS4-HMAC-SHA256 Credential={_CREDENTIALS.access_key}/"):
            return None
        target, method = environ["RAW_URI"], environ["REQUEST_METHOD"]
        query = dict(parse_qsl(urlsplit(target).query))
        if "X-Amz-Signature" not in query:
            return "The request is not signed"
        if not _is_signed(method, environ["HTTP_HOST"], target, query):
            return "The request signature we calculated does not match the signature you provided"
        began = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        if datetime.now(timezone.utc) > began + timedelta(seconds=int(query["X-Amz-Expires"])):
            return "Request has expired"
        with self._lock:
            if method == "GET":
                self.reads.append((environ["PATH_INFO"], environ.get("HTTP_RANGE")))
            if method == "PUT":
                if target in self.used:
                    return "The URL has been used already"
                self.used.add(target)
                self.puts.append({
                    name.removeprefix("HTTP_").replace("_", "-").lower(): value for name, value in environ.items()
                    if name.startswith("HTTP_") or name in ("CONTENT_LENGTH", "CONTENT_TYPE")})
        return None


def _is_signed(method: str, host: str, target: str, query: dict[str, str]) -> bool:
    parts = urlsplit(target)
    unsigned = "&".join(pair for pair in parts.query.split("&") if not pair.startswith("X-Amz-Signature="))
    signer = S3SigV4QueryAuth(_CREDENTIALS, "s3", REGION)
    request = AWSRequest(method, url=f"http://{host}{parts.path}?{unsigned}")
    request.context["timestamp"] = query.get("X-Amz-Date", "")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return signer.signature(text, request) == query["X-Amz-Signature"]


class Store:
    """A bucket, served from the start until `stop`."""

    def __init__(self):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.gate = SignedOnly(DomainDispatcherApplication(create_backend_app))
        self._server = make_server("127.0.0.1", 0, self.gate, threaded=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{self._server.server_port}", region_name=REGION,
            aws_access_key_id=_CREDENTIALS.access_key, aws_secret_access_key=_CREDENTIALS.secret_key,
            # The environment of whoever runs this says nothing here, and there is no other attempt that hides a failure.
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 0}, proxies={}))
        self.client.create_bucket(Bucket=BUCKET)

    def presigned(self, operation: str, **parameters) -> str:
        return self.client.generate_presigned_url(operation, Params={"Bucket": BUCKET, **parameters}, ExpiresIn=3600)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
