#!/usr/bin/env python3
"""Callers from another PID namespace, and a mount in the background, which speaks to syslog: in namespaces of this test's own."""
import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from harness import BINARY, LIBC, MS_BIND, PR_SET_CHILD_SUBREAPER, Skip, claim, leave_mount_namespace, main, program_of, system_mount
from plain import (DEADLINE, SLOWNESS, Background, children_of, contains, errno_of, exit_of, expect_errno, in_child,
                   read, same, value, wait_until, write)

CLONE_NEWPID = 0x20000000
NODES = ('null', 'zero', 'full', 'random', 'urandom', 'fuse', 'shm')
LINKS = {'fd': '/proc/self/fd', 'stdin': 'fd/0', 'stdout': 'fd/1', 'stderr': 'fd/2'}


def need_namespaces():
    """Also where root is less than it seems."""
    if subprocess.run(['unshare', '--pid', '--mount', '--fork', 'true'], stderr=subprocess.DEVNULL).returncode:
        raise Skip('no namespaces can be made here')


def below(function):
    """Calls it as process 1 of a PID namespace of its own."""
    need_namespaces()

    def leave():
        same(LIBC.unshare(CLONE_NEWPID), 0, 'unshare')
        return in_child(function)
    return in_child(leave)


def inside(pid, function):
    """Calls it in that process's PID namespace."""
    def enter():
        with open(f'/proc/{pid}/ns/pid') as namespace:
            same(LIBC.setns(namespace.fileno(), CLONE_NEWPID), 0, 'setns')
        return in_child(function)
    return in_child(enter)


def is_mounted(path):
    return any(line.split()[4] == path for line in open('/proc/self/mountinfo'))


@contextlib.contextmanager
def mount_of_another_namespace():
    """Its path, and the pid of its keeper, which is process 1 of a PID namespace that this test is outside of."""
    need_namespaces()
    base = tempfile.mkdtemp(prefix='procfs-mp-test-')
    path = base + '/mp'
    os.mkdir(path)
    words = ['unshare', '--pid', '--fork', '--kill-child', BINARY, '-f', path]
    process = subprocess.Popen(words, cwd=base, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_mounted(path) or process.poll() is not None, what='a mount')
        assert is_mounted(path), f'it ended with {process.returncode}'
        contains(read(path + '/version'), 'procfs-mp')
        yield path, next(iter(children_of(process.pid)))
        subprocess.run(['umount', path], check=True)
        same(process.wait(DEADLINE * SLOWNESS), 0, 'exit status')
    finally:
        process.kill()
        process.wait()
        subprocess.run(['umount', '-l', path], stderr=subprocess.DEVNULL)
        shutil.rmtree(base, ignore_errors=True)


@claim
def a_caller_from_a_pid_namespace_below_the_mounts_is_known(mp):
    """It has a pid here: it makes and starts as anybody, and what it starts runs beside the mount's other processes."""
    def live():
        path = mp.run('a', 'readlink', '/proc/self/ns/pid')
        return [value(path + '/exitcode'), value(path + '/stdout')]
    same(below(live), ['0', os.readlink('/proc/self/ns/pid')])


@claim
def a_caller_from_outside_of_the_mounts_pid_namespace_may_look():
    """What can be read is read, and what runs can be waited for."""
    with mount_of_another_namespace() as (mp, keeper):
        def start():
            os.mkdir(mp + '/a')
            for file, words in (('target', 'sh'), ('args', "-c 'echo said; exec sleep 1000'"), ('ctl', 'start')):
                write(f'{mp}/a/{file}', words)
        inside(keeper, start)
        wait_until(lambda: read(mp + '/a/stdout') == 'said\n')
        same((value(mp + '/a/alive'), value(mp + '/a/state'), os.stat(mp + '/a').st_uid), ('1', 'running', 0))
        expect_errno(errno.ENOENT, lambda: os.readlink(mp + '/self'))
        waiting = Background(value, mp + '/a/wait')
        inside(keeper, lambda: write(mp + '/a/ctl', 'kill'))
        same(waiting.result(), '-9')


@claim
def a_caller_from_outside_of_the_mounts_pid_namespace_neither_makes_nor_starts():
    """EPERM for mkdir, clone, start and session, with a sentence; nothing is made and nothing runs."""
    with mount_of_another_namespace() as (mp, keeper):
        def make():
            os.mkdir(mp + '/a')
            write(mp + '/a/target', 'true')
        inside(keeper, make)
        for forbidden in (lambda: os.mkdir(mp + '/b'), lambda: os.mkdir(mp + '/locks/b'),
                          lambda: os.open(mp + '/clone', os.O_WRONLY), lambda: os.open(mp + '/session', os.O_RDONLY),
                          lambda: write(mp + '/ctl', 'start a'), lambda: write(mp + '/a/ctl', 'start')):
            expect_errno(errno.EPERM, forbidden)
        contains(read(mp + '/a/error'), 'cannot be identified', 'may look, not start')
        same({entry.name for entry in os.scandir(mp) if entry.is_dir(follow_symlinks=False)}, {'a', 'locks'})
        same((os.listdir(mp + '/locks'), value(mp + '/a/state')), ([], 'initial'))
        inside(keeper, lambda: write(mp + '/a/ctl', 'start\njoin'))
        same(value(mp + '/a/exitcode'), '0')


# The background --------------------------------------------------------------------------------------------------

def lay_private_devices():
    """A /dev that this test alone sees: with the device that mounts need, and room for a /dev/log."""
    leave_mount_namespace()
    place = tempfile.mkdtemp(prefix='procfs-mp-test-')
    system_mount('none', place, 'tmpfs')
    for name in NODES:
        if os.path.isdir('/dev/' + name):
            os.mkdir(f'{place}/{name}')
        elif os.path.exists('/dev/' + name):
            os.close(os.open(f'{place}/{name}', os.O_WRONLY | os.O_CREAT))
        else:
            continue
        system_mount('/dev/' + name, f'{place}/{name}', flags=MS_BIND)
    for name, target in LINKS.items():
        os.symlink(target, f'{place}/{name}')
    system_mount(place, '/dev', flags=MS_BIND | 0x4000)  # MS_REC: with what is bound there
    return place


def keeper_of(path):
    """The process of the background that was started on that mountpoint and is nobody's server."""
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            is_ours = program_of(name) == os.path.realpath(BINARY)
            words = open(f'/proc/{name}/cmdline', 'rb').read().split(b'\0') if is_ours else []
        except OSError:
            continue
        if os.fsencode(path) in words and any(program_of(child) == program_of(name) for child in children_of(int(name))):
            return int(name)
    return None


def warn_in_the_background(base):
    """Mounts without -f, lays another mount over it and ends it: what it says comes as datagrams. The first that came."""
    path = base + '/mp'
    os.mkdir(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind('/dev/log')
        log.settimeout(DEADLINE * SLOWNESS)
        done = subprocess.run([BINARY, path], stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE * SLOWNESS)
        same((done.returncode, done.stdout, done.stderr), (0, b'', b''), 'in the background')
        keeper = wait_until(lambda: keeper_of(path), what='a keeper')
        contains(read(path + '/version'), 'procfs-mp')
        system_mount('none', path, 'tmpfs')
        os.kill(keeper, signal.SIGTERM)
        try:
            words = log.recv(4096).decode()
        except BaseException:
            errno_of(os.kill, keeper, signal.SIGKILL)
            raise
        exit_of(keeper)
    return [words, keeper]


@claim
def a_mount_in_the_background_speaks_to_syslog():
    """Messages go to syslog(3) with the facility daemon, the program's name and its pid, and not to who has started it."""
    need_namespaces()
    base = tempfile.mkdtemp(prefix='procfs-mp-test-')

    def apart():
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        place = lay_private_devices()
        try:
            return warn_in_the_background(base)
        finally:
            for mounted in ('/dev', place):
                subprocess.run(['umount', '-l', mounted], check=True)
            os.rmdir(place)
    try:
        words, keeper = in_child(apart)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    found = re.match(r'<(\d+)>.* procfs-mp\[(\d+)\]: (.*)', words)
    assert found, words
    same((int(found[1]) >> 3, int(found[2])), (3, keeper), words)
    contains(found[3], base + '/mp', 'another mount over it')


main()
