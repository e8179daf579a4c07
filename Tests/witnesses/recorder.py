"""A reverse proxy that passes everything on as it is, and keeps what passed: Recorder(PORT-OF-THE-PLATFORM).

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
    """Listens from the start until `stop`.

    Arguments:
        port: of the platform that everything is passed on to, on loopback.
        listen: addresses and ports; 0 takes a free one.
        tls: the context of a TLS server, when it is one.
        origins: what URLs in the answers of calls begin with, and what they shall begin with instead.
    """

    def __init__(self, port: int, base_path: str = "/v1.3", listen=(("127.0.0.1", 0),), tls=None, origins=None):
        self.upstream = port
        self.base_path = base_path
        self.tls = tls
        self.origins: dict[bytes, bytes] = dict(origins or {})
        self.exchanges: list[Exchange] = []
        self._servers = [_Server(address, self) for address in listen]
        self.port = self._servers[0].server_address[1]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base_path}"

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, recorder: Recorder):
        super().__init__(address, _Handler)
        self.recorder = recorder

    def get_request(self):
        connection, address = super().get_request()
        if self.recorder.tls is not None:
            # The handshake is part of the first read, which is the connection's own thread's.
            connection = self.recorder.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

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
        exchange = Exchange(
            self.command, self.path, list(self.headers.items()), started=time.monotonic(), sender=self.client_address[0])
        recorder.exchanges.append(exchange)
        self.keeps = self.path.startswith(recorder.base_path + "/")
        self.close_connection = self.close_connection or self.headers.get("connection", "").lower() == "close"
        try:
            answer = self._ask(exchange)
            content = answer.read()
            if self.keeps:
                for origin, other in recorder.origins.items():
                    content = content.replace(origin, other)
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
