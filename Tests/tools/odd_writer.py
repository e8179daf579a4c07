#!/usr/bin/env python3
"""odd_writer.py SOURCE TARGET HOW [--hide]

Writes the bytes of SOURCE into TARGET in one of the ways in which writers end. With --hide it makes itself non-dumpable
first, as sftp-server and sshd do: then its own user may not look into it either.

    whole   all of it, and a close
    group   two children write a half each, of which one closes and one only exits; then the close
    killed  one half, and SIGKILL
    fork    one half and a close, while a child that was forked keeps the file open and writes the other half
"""

import ctypes
import os
import signal
import sys

PR_SET_DUMPABLE = 4


def write(descriptor, data):
    while data:
        data = data[os.write(descriptor, data):]


def child(body):
    pid = os.fork()
    if pid == 0:
        try:
            body()
            os._exit(0)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
        os._exit(1)
    return pid


def ended(pid):
    _, status = os.waitpid(pid, 0)
    if status:
        sys.exit(1)


def main():
    source, target, how = sys.argv[1:4]
    if "--hide" in sys.argv and ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        sys.exit("prctl failed")
    with open(source, "rb") as file:
        content = file.read()
    first, second = content[:len(content) // 2], content[len(content) // 2:]
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    if how == "whole":
        write(descriptor, content)
        os.close(descriptor)
    elif how == "group":
        def closing():
            write(descriptor, first)
            os.close(descriptor)
        ended(child(closing))
        ended(child(lambda: write(descriptor, second)))
        os.close(descriptor)
    elif how == "killed":
        write(descriptor, first)
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "fork":
        write(descriptor, first)
        reader, writer = os.pipe()

        def later():
            os.close(writer)
            os.read(reader, 1)
            write(descriptor, second)
            os.close(descriptor)
        pid = child(later)
        os.close(descriptor)
        os.close(writer)
        ended(pid)
    else:
        sys.exit(f"unknown: {how}")


main()
