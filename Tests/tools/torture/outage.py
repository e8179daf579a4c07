"""A network that is gone for minutes in the middle of four uploads, and comes back by itself."""
import socket
import struct
import threading
import time

from .journal import JournalCopy
from .stage import Trouble, eventually
from .writers import File, Writer, make_source

SIZE = 24 << 20
WRITERS = ["cp", "cat", "dd", "rsync"]


class Doorbell:
    """Stands where the sandbox was, resets every connection, and counts them."""

    def __init__(self, port):
        self.rings = 0
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(100)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self.rings += 1
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


def run_outage(torture, seconds):
    """Half of the outage connections are refused, half they are reset. Returns figures."""
    torture.sandbox.start()
    torture.mount.start(torture.sandbox.url)
    writers = []
    for number, kind in enumerate(WRITERS, start=1):
        name = f"outage {number}.mp4"
        source, sha256 = make_source(f"{torture.options.workspace}/sources", name, SIZE, torture.random)
        file = File(number, kind, ".", name, SIZE, sha256, source, 0, "upload")
        torture.files.append(file)
        writers.append(Writer(file, torture.mount.path, 0))
    for writer in writers:
        writer.start()

    def stored():
        puts = [request for request in torture.sandbox.control("journal")["requests"] if request["kind"] == "put"]
        return len({put["upload_id"] for put in puts if put["status"] == 200}) == len(WRITERS) and len(puts) > 40

    eventually("all four are on their way", stored)
    torture.record_kill(JournalCopy(torture.mount.state, f"{torture.options.workspace}/journal", is_in_use=True))
    began = time.monotonic()
    torture.sandbox.kill()
    if not all(writer.is_under_way for writer in writers):
        raise Trouble("an upload was over before the outage began")
    time.sleep(seconds / 2)
    bell = Doorbell(torture.sandbox.port)
    time.sleep(seconds / 2)
    bell.close()
    still_waiting = sum(writer.is_under_way for writer in writers)
    torture.sandbox.start()
    back = time.monotonic()
    for writer in writers:
        writer.join()
    for writer in writers:
        if not writer.file.is_promised:
            torture.violation(writer.file.name, f"did not outlast the outage: {writer.error or writer.file.outcome}")
    # One probe every few seconds, whatever there is to send.
    if bell.rings > max(4, seconds / 4):
        torture.violation("the outage", f"{bell.rings} connections were tried in {seconds / 2:.0f} seconds of it")
    return {
        "outage_seconds": round(back - began, 1), "waiting_at_its_end": still_waiting, "probes_in_half": bell.rings,
        "seconds_from_back_to_done": round(time.monotonic() - back, 1),
    }
