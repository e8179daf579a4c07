#!/usr/bin/env python3
"""older_kernel.py COMMAND...

Runs a command for which pidfd_open(2) fails with ENOSYS, as on kernels that do not have it: a seccomp filter sees to it.
Needs root, so that programs which are set-user-id keep being so.
"""

import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PIDFD_OPEN, ENOSYS = 434, 38


def instruction(code, jump_true, jump_false, value):
    return struct.pack("HBBI", code, jump_true, jump_false, value)


# Load the system call's number; where it is pidfd_open's, fail with ENOSYS; else allow.
FILTER = b"".join([
    instruction(0x20, 0, 0, 0),
    instruction(0x15, 0, 1, PIDFD_OPEN),
    instruction(0x06, 0, 0, 0x00050000 | ENOSYS),
    instruction(0x06, 0, 0, 0x7FFF0000),
])


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def main():
    program = Program(len(FILTER) // 8, FILTER)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[1], sys.argv[1:])


main()
