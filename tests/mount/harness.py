#!/usr/bin/env python3
"""What the tests through a real mount share: the mount itself, plain file calls, claims, TAP 13.

A test file registers its claims with @claim and ends in `harness.main(...)`. A claim that takes an argument gets the mount
of its file, swept clean of processes afterwards; one that takes none makes what it needs. Names on the command line
choose claims. PROCFS_MP_BIN names the binary; PROCFS_MP_TEST_SLOWNESS multiplies every deadline (for a sanitized build).
"""
import ctypes
import errno
import inspect
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from cgroups import made_by
from plain import (DEADLINE, SLOWNESS, as_bytes, children_of, comment, errno_of, exists, file_in_use, parent_of, read, same,
                   stat_of, vector, wait_until, write, write_all)

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get('PROCFS_MP_BIN') or os.path.join(TOP, 'build', 'procfs-mp'))
PYTHON = sys.executable
CONNECTIONS = '/sys/fs/fuse/connections'
PR_SET_CHILD_SUBREAPER = 36
PF_FORKNOEXEC = 0x40  # the kernel's include/linux/sched.h: forked, and not executed since
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """This machine truly lacks what the claim needs."""


class TimedOut(BaseException):
    """The claim's own alarm; no `except Exception` hides it."""


def system_mount(source, target, kind=None, flags=0):
    kind = kind and as_bytes(kind)
    if LIBC.mount(as_bytes(source), as_bytes(target), kind, ctypes.c_ulong(flags), None):
        raise OSError(ctypes.get_errno(), f'mount {target}')


def leave_mount_namespace():
    """From here on what this test mounts is seen by it and its children alone, and goes away with them. Root only."""
    if LIBC.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), 'no mount namespace of our own')
    system_mount('none', '/', flags=MS_REC | MS_PRIVATE)


def need_fusectl():
    """A machine without systemd has not mounted it; the claims about blocked requests read it."""
    if os.geteuid() == 0 and not any(line.split()[1] == CONNECTIONS for line in open('/proc/mounts')):
        leave_mount_namespace()
        system_mount('fusectl', CONNECTIONS, 'fusectl')


def program_of(pid):
    try:
        return os.readlink(f'/proc/{pid}/exe')
    except OSError:
        return None


# The mount -------------------------------------------------------------------------------------------------------

class Mount:
    """A procfs-mp of its own in a private directory, started there; leaving it checks that nothing is left.
    `base` is the directory it was started in; mount('x', 'ctl') is a path inside."""

    active = []

    def __init__(self, *options, as_user=None, command=(), ending=signal.SIGTERM, environment=None, prepare=None, copied=False):
        self.copied = copied  # runs a copy of the program, in its base, that the claim may replace
        self.options, self.as_user, self.command = options, as_user, list(command)
        self.ending, self.environment, self.prepare = ending, environment, prepare
        self.minor = None

    def __call__(self, *parts):
        return '/'.join((self.path,) + parts)

    def __enter__(self):
        self.base = tempfile.mkdtemp(prefix='procfs-mp-test-')
        self.path, self.log = self.base + '/mp', self.base + '/stderr'
        os.chmod(self.base, 0o755)
        os.mkdir(self.path)
        program = BINARY
        if self.copied or self.as_user is not None:  # who may not be able to reach a private build directory
            program = shutil.copy(BINARY, self.base)
        words = [program] + ([] if self.command else ['-f'])
        for option in self.options:
            words += ['-o', option]
        words += [self.path] + (['--'] + self.command if self.command else [])
        who = {}
        if self.as_user is not None:
            os.chown(self.path, self.as_user, self.as_user)
            who = {'user': self.as_user, 'group': self.as_user, 'extra_groups': []}
        self.before = set(children_of(os.getpid()))
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(words, cwd=self.base, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, preexec_fn=self.prepare, **who)
        self.keeper = self.process.pid
        Mount.active.append(self)
        try:
            self._wait_mounted()
        except BaseException:
            self.abandon()
            raise
        return self

    def _wait_mounted(self):
        wait_until(lambda: self.find_minor() or self.process.poll() is not None, what='a mount')
        self.minor = self.find_minor()
        assert self.minor, f'procfs-mp ended with {self.process.returncode}: {self.messages()}'
        try:
            read(self('version'))
        except PermissionError:
            pass  # an ordinary user's mount shows root nothing
        self.servers = wait_until(self.find_servers, what='a server')
        self.server = self.servers[0]

    def find_servers(self):
        """One, of all the keeper's children: what is launched runs the keeper's own program too, until its exec."""
        return [pid for pid in children_of(self.keeper) if self.is_server(pid)]

    def find_server(self):
        """The server of now, also when it has only just been executed; None: there is none at this moment. It is likely to be
        the next number after the last one's: on a machine with many processes to look at all of them takes long."""
        pids = sorted((int(name) for name in os.listdir('/proc') if name.isdigit()), key=lambda pid: (pid <= self.server, pid))
        return next((pid for pid in pids if parent_of(pid) == self.keeper and self.is_server(pid)), None)

    @staticmethod
    def is_server(pid):
        """It was executed: what a server forks is the keeper's child too when that server is killed."""
        try:
            if open(f'/proc/{pid}/cmdline', 'rb').read().split(b'\0')[1:2] != [b'--serve']:
                return False
        except OSError:
            return False
        fields = stat_of(pid)
        return bool(fields) and not int(fields[6]) & PF_FORKNOEXEC

    def kill_server(self, number=signal.SIGKILL):
        """Kills the server, in whatever it is doing, and waits until another one is there, ready or not."""
        errno_of(os.kill, self.server, number)
        self.wait_until_followed()

    def wait_until_followed(self):
        """Until the server that was there has ended and another one is, ready or not."""
        dead = self.server
        self.server = wait_until(lambda: (pid := self.find_server()) != dead and pid, what='another server')
        self.servers = [self.server]

    def find_minor(self):
        for line in open('/proc/self/mountinfo'):
            fields = line.split()
            if fields[4] == self.path:
                return fields[2].split(':')[1]
        return None

    def messages(self):
        return open(self.log, errors='replace').read()

    def pending(self):
        """How many requests the kernel waits for."""
        if not os.path.exists(f'{CONNECTIONS}/{self.minor}/waiting'):
            raise Skip(f'no fusectl at {CONNECTIONS}')
        return int(open(f'{CONNECTIONS}/{self.minor}/waiting').read())

    def idle(self):
        """Waits until no request is pending: a close is told to the server later."""
        wait_until(lambda: self.pending() == 0, what='no pending request')

    def wait_until_held(self, *calls):
        """Until each (one in the Background, or a child's pid) waits in the kernel in a call about an open file. That as many
        requests are pending is not enough: one could be the lookup or the open before."""
        tasks = [call.native_id if isinstance(call, threading.Thread) else call for call in calls]

        def held():
            return (self.pending() >= len(tasks) and
                    all(file_in_use(task).startswith(self.path + '/') for task in tasks))
        wait_until(held, what=f'{len(tasks)} calls that wait')

    def healthy(self):
        return self.process.poll() is None and all(exists(pid) for pid in self.servers)

    def make(self, name, /, target=None, args=None, **files):
        """mkdir and its configuration; args as a list is an exact vector."""
        os.mkdir(self(name))
        if target is not None:
            files['target'] = target
        if args is not None:
            files['args'] = args if isinstance(args, (str, bytes)) else vector(*args)
        for file, data in files.items():
            write_all(self(name, file), data)
        return self(name)

    def start(self, name, /, target, args=None, **files):
        path = self.make(name, target, args, **files)
        write(path + '/ctl', 'start')
        return path

    def run(self, name, /, target, args=None, **files):
        """The whole life up to its end; the directory stays."""
        path = self.start(name, target, args, **files)
        write(path + '/ctl', 'join')
        return path

    def names(self):
        return [entry.name for entry in os.scandir(self.path) if entry.is_dir(follow_symlinks=False)
                and entry.name != 'locks']

    def _remove(self, name):
        errno_of(write, self(name, 'ctl'), 'kill')
        return errno_of(os.rmdir, self(name)) in (0, errno.ENOENT)

    def sweep(self):
        """Kills and removes every process; then the keeper must have no child but the server, and no zombie."""
        try:
            while names := self.names():
                for name in names:
                    wait_until(lambda: self._remove(name), what=f'the removal of {name}')
        except PermissionError:
            pass  # as in _wait_mounted
        wait_until(self._has_no_orphan, what='the keeper reaps every child that ended')

    def _has_no_orphan(self):
        """Kills those that were left, which may come to the keeper one after the other."""
        orphans = {pid: state for pid, state in children_of(self.keeper).items() if pid not in self.servers}
        for pid, state in orphans.items():
            if state != 'Z':
                errno_of(os.kill, pid, signal.SIGKILL)
        return not orphans

    def end(self):
        """Asks it to end, in the way chosen at construction."""
        if self.ending == 'umount':
            subprocess.run(['umount', self.path], check=True)
        else:
            os.kill(self.keeper, self.ending)

    def wait(self):
        """Waits for the end of the keeper. Its exit status."""
        try:
            return self.process.wait(DEADLINE * SLOWNESS)
        except subprocess.TimeoutExpired:
            self.dump()
            raise AssertionError('procfs-mp did not end') from None

    def finish(self):
        """Ends the mount; AssertionError when its status is not 0 or anything is left."""
        try:
            if self.process.poll() is None:
                self.sweep()
                self.end()
            same(self.wait(), 0, f'exit status ({self.messages()})')
            same(self.find_minor(), None, 'still mounted')
            # The children of a server that was killed end by themselves, and may do so a moment after the keeper.
            for pid in [pid for pid, name in self.leftovers().items() if name in ('procfs-mp-msg', 'procfs-mp-port')]:
                errno_of(os.waitpid, pid, 0)
            same(self.leftovers(), {}, 'processes left behind')
            os.rmdir(self.path)
        finally:
            self.abandon()

    def leftovers(self):
        """This process is a subreaper: whatever outlives the keeper is a child of ours then."""
        return {pid: open(f'/proc/{pid}/comm').read().strip() for pid in
                set(children_of(os.getpid())) - self.before - {mount.keeper for mount in Mount.active}}

    def abandon(self):
        """Takes everything away by force; what it knew is lost. Harmless after the end."""
        if self not in Mount.active:
            return
        strays = children_of(self.keeper) if self.process.poll() is None else {}
        for pid in strays:
            errno_of(os.kill, pid, signal.SIGKILL)
        self.cut()
        if self.find_minor():
            subprocess.run(['umount', '-l', self.path], stderr=subprocess.DEVNULL)
        self.process.wait()
        Mount.active.remove(self)
        for directory in made_by(self):
            errno_of(write, directory + '/cgroup.kill', '1', os.O_WRONLY)
        for pid in self.leftovers():
            errno_of(os.kill, pid, signal.SIGKILL)
            errno_of(os.waitpid, pid, 0)
        shutil.rmtree(self.base, ignore_errors=True)

    def cut(self):
        """Every request of its connection fails from now on; keeper and server are killed."""
        if self.find_minor():
            errno_of(write, f'{CONNECTIONS}/{self.minor}/abort', '1', os.O_WRONLY)
        if self.process.poll() is None:
            for pid in [*getattr(self, 'servers', []), self.keeper]:
                errno_of(os.kill, pid, signal.SIGKILL)

    def dump(self):
        """Where each thread of keeper and server hangs, as comments."""
        for pid in [self.keeper, *getattr(self, 'servers', [])]:
            for task in os.listdir(f'/proc/{pid}/task') if exists(pid) else ():
                for file in ('comm', 'wchan', 'stack'):
                    try:
                        text = open(f'/proc/{pid}/task/{task}/{file}').read()
                    except OSError:
                        continue
                    comment(f'{pid}/{task} {file}: {text}')
        comment(f'messages: {self.messages()}')

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.finish()
            return
        comment(self.messages())
        self.abandon()


# Claims and TAP --------------------------------------------------------------------------------------------------

CLAIMS = []


def claim(function=None, *, timeout=60):
    """Registers a claim: the name says it, the docstring which promise of procfs-mp(1) it holds."""
    if function is None:
        return lambda inner: claim(inner, timeout=timeout)
    function.timeout = timeout * SLOWNESS
    CLAIMS.append(function)
    return function


def on_alarm(*_):
    raise TimedOut('the claim ran out of time')


def on_stop(number, _):
    """Whoever stops a test early finds no mount and no process of it left."""
    for mount in list(Mount.active):
        mount.abandon()
    os._exit(128 + number)


class Watchdog(threading.Thread):
    """When even the alarm cannot free the main thread (a FUSE request that is never answered), the connection is cut."""

    def __init__(self):
        super().__init__(daemon=True)
        self.limit = None
        self.start()

    def run(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        while True:
            time.sleep(1)
            if self.limit and time.monotonic() > self.limit:
                self.limit = None
                for mount in list(Mount.active):
                    comment('hangs; its connection is cut')
                    mount.dump()
                    mount.cut()


class Runner:
    """One file's claims, with one mount for those that take it."""

    def __init__(self, options, keywords):
        self.options, self.keywords, self.mount, self.watchdog = options, keywords, None, Watchdog()

    def call(self, function):
        if not inspect.signature(function).parameters:
            return function()
        if self.mount is None:
            self.mount = Mount(*self.options, **self.keywords).__enter__()
        function(self.mount)
        assert self.mount.healthy(), 'the server died'
        self.mount.sweep()

    def end_of_the_mount_leaves_no_process_no_zombie_and_no_mount(self):
        """The mount ends with status 0, and nothing is left behind."""
        if self.mount:
            self.mount.finish()

    def attempt(self, function):
        """'' or how it went wrong; a mount that had a failure is not used again."""
        self.watchdog.limit = time.monotonic() + function.timeout + 10
        signal.setitimer(signal.ITIMER_REAL, function.timeout)
        try:
            self.call(function)
            return ''
        except Skip:
            raise
        except (Exception, TimedOut):
            signal.setitimer(signal.ITIMER_REAL, 0)
            text = traceback.format_exc()
            if self.mount:
                text += f'messages: {self.mount.messages()}' if os.path.exists(self.mount.log) else ''
                self.mount.abandon()
                self.mount = None
            return text
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.watchdog.limit = None

    def report(self, number, function):
        try:
            problem = self.attempt(function)
        except Skip as reason:
            print(f'ok {number} - {function.__name__} # SKIP {reason}', flush=True)
            return True
        print(f'{"not ok" if problem else "ok"} {number} - {function.__name__}', flush=True)
        if problem:
            comment(f'promise: {inspect.getdoc(function)}')
            comment(problem)
        return not problem


def main(*options, **keywords):
    """Runs the claims and exits: 0 when none failed."""
    print('TAP version 13', flush=True)
    if not os.access(BINARY, os.X_OK):
        print(f'Bail out! there is no program {BINARY}', flush=True)
        sys.exit(1)
    code = errno_of(lambda: os.close(os.open('/dev/fuse', os.O_RDWR)))
    if code:
        print(f'1..0 # SKIP /dev/fuse: {os.strerror(code)}', flush=True)
        sys.exit(0)
    errno_of(need_fusectl)
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGALRM, on_alarm)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_stop)
    chosen = [one for one in CLAIMS if not sys.argv[1:] or one.__name__ in sys.argv[1:]]
    runner = Runner(options, keywords)
    last = runner.end_of_the_mount_leaves_no_process_no_zombie_and_no_mount
    type(runner).end_of_the_mount_leaves_no_process_no_zombie_and_no_mount.timeout = 60 * SLOWNESS
    chosen.append(last)
    print(f'1..{len(chosen)}', flush=True)
    good = [runner.report(number, function) for number, function in enumerate(chosen, 1)]
    sys.stdout.flush()
    os._exit(0 if all(good) else 1)  # threads that still hang in a call must not hold the exit
