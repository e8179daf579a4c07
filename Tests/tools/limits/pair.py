"""Two processes that do something at the same moment."""
import mmap
import os
import struct
import time


class Pair:
    """This process, and a child that does `action(number)` whenever this one asks to meet.

    Both spin on shared memory before they begin: a barrier of the operating system would wake one of them many
    microseconds after the other. The child is made before this process has threads, and ends with the pair.
    """

    _IDLE, _READY, _GO = 0, 1, 2

    def __init__(self, action):
        self.action = action
        self.shared = mmap.mmap(-1, mmap.PAGESIZE)
        self.child = None

    def __enter__(self):
        orders, self.orders = os.pipe()
        self.answers, answers = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            try:
                os.close(self.orders)
                os.close(self.answers)
                self._serve(orders, answers)
            finally:
                os._exit(1)
        os.close(orders)
        os.close(answers)
        return self

    def __exit__(self, kind, error, trace):
        os.close(self.orders)
        os.close(self.answers)
        os.waitpid(self.child, 0)

    def _serve(self, orders, answers):
        while order := os.read(orders, 16):
            number, delay = struct.unpack("qd", order)
            self.shared[0] = self._READY
            while self.shared[0] != self._GO:
                pass
            _spin(delay)
            os.write(answers, b"1" if self.action(number) else b"0")
        os._exit(0)

    def meet(self, number, delay, own):
        """Does `own` here and the action in the child, which begins by so many seconds later, or earlier when negative.

        Gives what both said."""
        self.shared[0] = self._IDLE
        os.write(self.orders, struct.pack("qd", number, max(delay, 0)))
        while self.shared[0] != self._READY:
            time.sleep(0)
        self.shared[0] = self._GO
        _spin(-delay)
        mine = own()
        answer = os.read(self.answers, 1)
        if not answer:
            raise ChildProcessError("the other process has ended")
        return mine, answer == b"1"


def _spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
