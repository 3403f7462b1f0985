"""Kills the server at each of its system calls in turn: what a kill at a random moment hits once in thousands, these all hit."""
import ctypes
import mmap
import os
import signal
import threading

from harness import LIBC, Skip
from plain import SLOWNESS, Background, errno_of, exit_of, fork, read, stat_of, wait_until

PTRACE_CONT, PTRACE_CONT_TO_CALL, PTRACE_DETACH, PTRACE_SETOPTIONS, PTRACE_SEIZE, PTRACE_INTERRUPT = 7, 24, 17, 0x4200, 0x4206, 0x4207
TRACE_SYSGOOD, TRACE_CHILDREN, TRACE_EXEC, WALL = 1, 2 | 4 | 8, 16, 0x40000000
EVENT_EXEC, EVENT_STOP, CALL = 4, 128, signal.SIGTRAP | 0x80
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


class Successor:
    """Kills the server, and the one that follows it at its `number`th step, unless that is ready before. A process of its own does
    so, which also waits for nobody else's children."""

    def __init__(self, mp, number):
        self.mp, self.left, self.new = mp, number, None
        self.shared = mmap.mmap(-1, 3)  # traced, ready, killed
        self.child = fork(self.run)
        wait_until(lambda: self.shared[0] or stat_of(self.child)[:1] == [b'Z'], what='a keeper that is traced')
        if not self.shared[0]:
            exit_of(self.child)
            raise Skip('no tracing')

    def run(self):
        trace(PTRACE_SEIZE, self.mp.keeper, TRACE_CHILDREN | TRACE_EXEC)
        os.kill(self.mp.server, signal.SIGKILL)
        self.shared[0] = 1
        while not self.shared[2]:
            pid, status = os.waitpid(-1, WALL)
            if not os.WIFSTOPPED(status):
                return 1
            number, event = os.WSTOPSIG(status), status >> 16
            passed = 0 if event or number == CALL else number
            if pid == self.new:
                if self.step(number, passed):
                    return 0
            elif event == EVENT_EXEC and self.mp.is_server(pid):
                self.new = pid
                trace(PTRACE_SETOPTIONS, pid, TRACE_SYSGOOD)
                trace(PTRACE_CONT_TO_CALL, pid)
            else:
                trace(PTRACE_DETACH if event == EVENT_EXEC else PTRACE_CONT, pid, passed)
        return 0

    def step(self, number, passed):
        """Result: whether that is all."""
        self.left -= number == CALL
        if self.shared[1] or not self.left:
            self.leave_keeper()
        if not self.left:
            os.kill(self.new, signal.SIGKILL)
            self.shared[2] = 1
        elif self.shared[1]:
            trace(PTRACE_DETACH, self.new, passed)
        else:
            trace(PTRACE_CONT_TO_CALL, self.new, passed)
        return self.shared[1] or not self.left

    def leave_keeper(self):
        trace(PTRACE_INTERRUPT, self.mp.keeper)
        while (status := os.waitpid(self.mp.keeper, WALL)[1]) >> 16 != EVENT_STOP:
            trace(PTRACE_CONT, self.mp.keeper, 0 if status >> 16 else os.WSTOPSIG(status))
        trace(PTRACE_DETACH, self.mp.keeper)

    def finish(self):
        """Once there is a server that is ready. Result: whether the one before it was killed."""
        read(self.mp('version'))
        self.shared[1] = 1
        errno_of(os.stat, self.mp('nothing'))  # a step that it sees, if it still waits for one
        assert exit_of(self.child) == 0, 'the keeper has ended'
        self.mp.server = wait_until(self.mp.find_server, what='another server')
        self.mp.servers = [self.mp.server]
        return bool(self.shared[2])


def successors_killed_at_each_step(mp, prepare):
    """For one step after the other: prepares, kills the server and the one that follows at that step of its beginning, and yields
    what prepare gave, to be checked."""
    number, killed = 1, True
    while killed:
        subject = prepare()
        killed = Successor(mp, number).finish()
        yield subject
        number += 1 if SLOWNESS == 1 else 7
    assert number > 100, f'only {number} steps'


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
