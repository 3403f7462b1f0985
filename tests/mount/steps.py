"""Kills the server at each of its system calls in turn: what a kill at a random moment hits once in thousands, these all hit."""
import ctypes
import os
import signal
import threading

from harness import LIBC, Skip
from plain import Background, errno_of, wait_until

PTRACE_CONT_TO_CALL, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 24, 17, 0x4206, 0x4207
TRACE_SYSGOOD, WALL = 1, 0x40000000
LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
LIBC.ptrace.restype = ctypes.c_long


def trace(request, pid, data=0):
    if LIBC.ptrace(request, pid, None, data):
        raise OSError(ctypes.get_errno(), f'ptrace {request:#x}')


class Killer:
    """A thread that kills the server at its `number`th step, the beginning or the end of a system call, unless it is stopped before."""

    def __init__(self, server, number):
        self.server, self.number = server, number
        self.ready, self.stopped = threading.Event(), False
        self.thread = Background(self.run)
        wait_until(lambda: self.ready.is_set() or not self.thread.is_alive(), what='a server that is traced')
        if self.thread.error:
            raise Skip(f'no tracing: {self.thread.error}')

    def next_stop(self):
        status = os.waitpid(self.server, WALL)[1]
        return os.WSTOPSIG(status) & 0x7f if os.WIFSTOPPED(status) else None

    def run(self):
        trace(PTRACE_SEIZE, self.server, TRACE_SYSGOOD)
        trace(PTRACE_INTERRUPT, self.server)
        self.next_stop()
        trace(PTRACE_CONT_TO_CALL, self.server)
        self.ready.set()
        left = self.number
        while (number := self.next_stop()) is not None and not self.stopped:
            left -= number == signal.SIGTRAP
            if not left:
                os.kill(self.server, signal.SIGKILL)
                return True
            trace(PTRACE_CONT_TO_CALL, self.server, 0 if number == signal.SIGTRAP else number)
        if number is not None:
            trace(PTRACE_DETACH, self.server)
        return number is None

    def stop(self, mp):
        """Result: whether it has killed."""
        self.stopped = True
        errno_of(os.stat, mp('nothing'))  # a step that it sees, if it still waits for one
        return self.thread.result()


def killed_at_each_step(mp, prepare, act):
    """For one step after the other: prepares, acts while the server is killed at that step, and yields what prepare gave, to be
    checked; until the act has no more steps, which are a few more or less from time to time."""
    number, missed = 1, 0
    while missed < 5:
        subject = prepare()
        mp.idle()
        killer = Killer(mp.server, number)
        call = Background(act, subject)
        try:
            call.result()
        finally:
            killed = killer.stop(mp)
        if killed:
            dead = mp.server
            mp.server = wait_until(lambda: (pid := mp.find_server()) != dead and pid, what='another server')
            mp.servers = [mp.server]
        yield subject
        number += 1
        missed = 0 if killed else missed + 1
    assert number > 10, f'only {number} steps'
