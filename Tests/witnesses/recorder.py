"""A proxy on loopback that passes everything on as it is, and keeps what passed: Recorder(PORT-OF-THE-OTHER).

What it passes on names this proxy as its host, so that a platform which makes its URLs from the Host header has the
chunks come by here, too.
"""
import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from conformance import Exchange

_PIECE = 1 << 18
# Headers that are about one connection only.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Recorder:
    """Listens on a free port from the start until `stop`."""

    def __init__(self, port: int, base_path: str = "/v1.3"):
        self.upstream = port
        self.base_path = base_path
        self.exchanges: list[Exchange] = []
        self._server = _Server(("127.0.0.1", 0), self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base_path}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, recorder: Recorder):
        super().__init__(address, _Handler)
        self.recorder = recorder

    def handle_error(self, request, client_address):
        pass  # whoever was killed leaves connections behind; an exchange without an answer tells of it


class _ClientGone(Exception):
    pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self):
        super().setup()
        self.upstream = None

    def finish(self):
        if self.upstream is not None:
            self.upstream.close()
        super().finish()

    def log_message(self, *arguments):
        pass

    def _pass_on(self):
        recorder = self.server.recorder
        exchange = Exchange(self.command, self.path, list(self.headers.items()), started=time.monotonic())
        recorder.exchanges.append(exchange)
        self.keeps = self.path.startswith(recorder.base_path + "/")
        self.close_connection = self.close_connection or self.headers.get("connection", "").lower() == "close"
        try:
            answer = self._ask(exchange)
            content = answer.read()
        except (OSError, http.client.HTTPException, _ClientGone):
            # Without an answer on one side there is none on the other.
            exchange.ended = time.monotonic()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        exchange.status = answer.status
        exchange.answer_headers = {name.lower(): value for name, value in answer.getheaders()}
        if self.keeps:
            exchange.answer = content
        exchange.ended = time.monotonic()
        self._answer(answer, content)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _pass_on

    def _ask(self, exchange: Exchange) -> http.client.HTTPResponse:
        if self.upstream is None:
            self.upstream = http.client.HTTPConnection("127.0.0.1", self.server.recorder.upstream)
            self.upstream.connect()
            self.upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in exchange.headers:
            self.upstream.putheader(name, value)
        self.upstream.endheaders()
        for piece in self._body():
            exchange.length += len(piece)
            if self.keeps:
                exchange.body += piece
            self.upstream.send(piece)
        return self.upstream.getresponse()

    def _body(self):
        """The body's bytes as they come."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            raise _ClientGone  # nobody may send us one; that it was tried is recorded
        left = int(self.headers.get("content-length") or 0)
        while left:
            piece = self.rfile.read1(min(left, _PIECE))
            if not piece:
                raise _ClientGone
            left -= len(piece)
            yield piece

    def _answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if self.command == "HEAD":
            self.send_header("Content-Length", answer.getheader("content-length") or "0")
        elif answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        if answer.will_close:
            self.upstream.close()
            self.upstream = None
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
