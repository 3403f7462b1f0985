#!/usr/bin/env python3
"""Control files that are written by io_submit(2): as by write(2)."""
import ctypes
import os
import platform
import signal
import struct

from harness import LIBC, Skip, claim, main
from plain import exit_of, fork, same, stat_of, value, wait_until, write

GENERIC = {'setup': 0, 'submit': 2, 'getevents': 4}  # the kernel's include/uapi/asm-generic/unistd.h
NUMBERS = {'x86_64': {'setup': 206, 'submit': 209, 'getevents': 208}, 'aarch64': GENERIC, 'riscv64': GENERIC}
WRITE = 1  # IOCB_CMD_PWRITE
MANY = 20  # more than the kernel would leave unanswered of what is asynchronous to it


class Asynchronous:
    """A context of io_setup(2)."""

    def __init__(self):
        self.numbers = NUMBERS.get(platform.machine())
        if not self.numbers or struct.calcsize('P') != 8:
            raise Skip('the numbers of its system calls are not known here')
        self.context = ctypes.c_ulong(0)
        self.call('setup', ctypes.c_long(MANY), ctypes.byref(self.context))

    def call(self, name, *arguments):
        result = LIBC.syscall(ctypes.c_long(self.numbers[name]), *arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), name)
        return result

    def submit_write(self, descriptor, buffer, size):
        """struct iocb: data, key and flags, operation, priority, descriptor, buffer, size, offset, and nothing."""
        bytes_of = struct.pack('QQHhIQQqQQ', 0, 0, WRITE, 0, descriptor, ctypes.addressof(buffer), size, 0, 0, 0)
        block = ctypes.create_string_buffer(bytes_of, len(bytes_of))
        pointer = ctypes.c_void_p(ctypes.addressof(block))
        self.call('submit', self.context, ctypes.c_long(1), ctypes.byref(pointer))

    def result(self):
        """What the one that ended first has given: struct io_event's third number."""
        event = (ctypes.c_int64 * 4)()
        self.call('getevents', self.context, ctypes.c_long(1), ctypes.c_long(1), event, None)
        return event[2]


def join_asynchronously(path):
    held, buffer = os.open(path + '/ctl', os.O_WRONLY), ctypes.create_string_buffer(b'join')
    asynchronous = Asynchronous()
    asynchronous.submit_write(held, buffer, 4)
    return asynchronous.result() != 4


@claim
def who_joins_asynchronously_can_be_killed_and_holds_up_no_close(mp):
    """join never keeps anyone else from using a file, and returns at once when interrupted (kill -9)."""
    Asynchronous()
    mp.idle()
    path = mp.start('p', 'sleep', '1000')
    children = [fork(lambda: join_asynchronously(path)) for _ in range(MANY)]
    wait_until(lambda: mp.pending() == MANY, what='joins that wait, and no close that does')
    for _ in range(MANY):
        same(value(path + '/state'), 'running')
    wait_until(lambda: mp.pending() == MANY, what='no close that waits')
    os.kill(children[0], signal.SIGKILL)
    wait_until(lambda: stat_of(children[0])[:1] == [b'Z'], what='the end of one that was killed')
    write(path + '/ctl', 'kill')
    same([exit_of(pid) for pid in children], [-9] + [0] * (MANY - 1))


main()
