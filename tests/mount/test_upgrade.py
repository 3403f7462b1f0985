#!/usr/bin/env python3
"""A mount whose server is replaced by the program that is installed by then, while it is used."""
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile

from harness import BINARY, LIBC, MS_BIND, Mount, claim, main, program_of, system_mount
from plain import Background, Stopped, children_of, contains, errno_of, read, same, stat_of, value, wait_until, write

MNT_DETACH = 2


def install(mp, content=None):
    """As installers do: another file takes the place."""
    if content is None:
        shutil.copy(BINARY, mp.base + '/new')
    else:
        with open(mp.base + '/new', 'wb') as file:
            file.write(content)
        os.chmod(mp.base + '/new', 0o755)
    os.rename(mp.base + '/new', installed(mp))


def installed(mp):
    return f'{mp.base}/{os.path.basename(BINARY)}'


def upgrade(mp, path=None):
    done = subprocess.run([BINARY, '--upgrade', path or mp.path], capture_output=True, text=True, cwd=mp.base)
    mp.server = wait_until(mp.find_server, what='a server')
    mp.servers = [mp.server]
    return done


def pending(pid):
    """The signals that are on their way to a process, as bits."""
    return int(re.search(r'^ShdPnd:\s*(\w+)', open(f'/proc/{pid}/status').read(), re.M).group(1), 16)


def busy(mp):
    """A process, somebody who waits for it, and a descriptor that is in use."""
    path = mp.start('p', 'sh', ['-c', 'echo kept; exec sleep 1000'])
    wait_until(lambda: read(path + '/stdout') == 'kept\n')
    descriptor = os.open(path + '/pid', os.O_RDONLY)
    waits = Background(read, path + '/wait')
    mp.wait_until_held(waits)
    return path, descriptor, waits


def goes_on(mp, used):
    path, descriptor, waits = used
    same((value(path + '/alive'), read(path + '/stdout')), ('1', 'kept\n'))
    same(os.pread(descriptor, 20, 0).decode().strip(), value(path + '/pid'))
    os.close(descriptor)
    write(path + '/ctl', 'terminate')
    same(waits.result(), '-15\n')


@claim
def an_upgrade_right_after_another_is_one():
    """procfs-mp --upgrade MOUNTPOINT replaces a running server, also one that has only just taken over."""
    with Mount(copied=True) as mp:
        same([upgrade(mp).returncode for _ in range(20)], [0] * 20)


@claim
def the_installed_program_serves_on_and_nothing_is_lost():
    """procfs-mp --upgrade MOUNTPOINT replaces a running server by the installed binary; the keeper stays."""
    with Mount(copied=True) as mp:
        used, before, keeper = busy(mp), mp.server, mp.keeper
        same(program_of(before), installed(mp))
        install(mp)
        same(program_of(keeper), installed(mp) + ' (deleted)')
        done = upgrade(mp)
        same((done.returncode, done.stderr), (0, ''))
        same((mp.server != before, program_of(mp.server), mp.keeper), (True, installed(mp), keeper))
        contains(read(mp('version')), f'server {mp.server}')
        goes_on(mp, used)


@claim
def a_program_that_does_not_begin_is_not_followed():
    """When it does not become ready the program of before goes on, and the exit status is 1."""
    with Mount(copied=True) as mp:
        used = busy(mp)
        install(mp, b'#!/bin/false\n')
        done = upgrade(mp)
        same((done.returncode, done.stdout), (1, ''))
        contains(done.stderr, 'is served by the program of before', 'could not take over')
        same(program_of(mp.server), installed(mp) + ' (deleted)')
        goes_on(mp, used)


@claim
def a_server_that_stands_still_is_replaced():
    """A server that answers nobody is replaced as well, by whatever name the mount is called."""
    with Mount(copied=True) as mp:
        os.symlink('mp', mp.base + '/link')
        for path in (mp.path, 'mp', 'mp/', './link'):
            used, before = busy(mp), mp.server
            install(mp)
            os.kill(before, signal.SIGSTOP)
            asks = Background(read, mp('p', 'alive'))
            done = upgrade(mp, path)
            same((done.returncode, done.stderr), (0, ''))
            same((mp.server != before, program_of(mp.server), asks.result()), (True, installed(mp), '1\n'))
            goes_on(mp, used)
            os.rmdir(mp('p'))


@claim
def a_server_that_stands_still_is_asked_for_by_its_own_user_alone():
    """Only the mount's own user and the superuser may do it, and nothing else is taken for a mount."""
    with Mount('allow_other', copied=True) as mp:
        mp.idle()
        with Stopped(mp.server):
            done = subprocess.run([BINARY, '--upgrade', mp.path], capture_output=True, text=True, user=65534, group=65534,
                                  extra_groups=[])
            same((done.returncode, done.stdout), (1, ''))
            contains(done.stderr, "is another user's mount")
            same(mp.find_server(), mp.server)


@claim
def a_keeper_that_cannot_be_found_is_said_not_to_be():
    """When nobody can be asked the exit status is 1, and a sentence says why."""
    with Mount() as mp:
        mp.idle()
        with Stopped(mp.server):
            other = tempfile.mkdtemp(prefix='procfs-mp-test-')
            system_mount(mp.path, other, flags=MS_BIND)
            try:
                done = subprocess.run([BINARY, '--upgrade', other], capture_output=True, text=True)
            finally:
                same(LIBC.umount2(os.fsencode(other), MNT_DETACH), 0)  # umount(8) would ask the server
                os.rmdir(other)
            same((done.returncode, done.stdout), (1, ''))
            contains(done.stderr, 'does not answer', 'its keeper was not found')


@claim
def nobody_looks_on_for_one_who_was_killed():
    """Who asks for an upgrade and is killed leaves nothing behind."""
    with Mount(copied=True) as mp:
        with Stopped(mp.keeper):
            client = subprocess.Popen([BINARY, '--upgrade', mp.path], stdout=subprocess.DEVNULL)
            # the second one: that the signal waits for the keeper is how far it is
            wait_until(lambda: pending(mp.keeper) >> signal.SIGUSR2 - 1 & 1, what='the signal')
            looks = wait_until(lambda: list(children_of(client.pid)), what='who looks for another server')
            client.kill()
            client.wait()
            wait_until(lambda: not any(stat_of(pid)[:1] not in ([], [b'Z']) for pid in looks), what='the end of who looks')
            for pid in looks:
                errno_of(os.waitpid, pid, 0)
        mp.wait_until_followed()


def of_another_layout():
    """This program, but for the number of the version of what it shares (core/layout)."""
    content, magic = open(BINARY, 'rb').read(), b'procfs-mp-serve\0'
    same(content.count(magic), 1, 'core/layout in the program')
    at = content.index(magic) + len(magic)
    version, = struct.unpack_from('I', content, at)
    return content[:at] + struct.pack('I', version + 1) + content[at + 4:], version


@claim
def a_program_that_shares_something_else_is_refused():
    """A program of another layout touches nothing: it says why, and the program of before goes on with all it had."""
    with Mount(copied=True) as mp:
        used = busy(mp)
        content, version = of_another_layout()
        for _ in range(2):
            install(mp, content)
            done = upgrade(mp)
            same((done.returncode, done.stdout), (1, ''))
            contains(done.stderr, 'is served by the program of before', 'could not take over')
            contains(mp.messages(), f'has layout {version}, this program knows layout {version + 1}', 'no upgrade')
        install(mp)
        same(upgrade(mp).returncode, 0)
        goes_on(mp, used)


@claim
def a_signal_does_the_same():
    """Sending SIGUSR2 to the keeper does the same."""
    with Mount() as mp:
        used = busy(mp)
        os.kill(mp.keeper, signal.SIGUSR2)
        mp.wait_until_followed()
        goes_on(mp, used)


main()
