#!/usr/bin/env python3
"""A mount whose server is replaced by the program that is installed by then, while it is used."""
import os
import shutil
import signal
import struct
import subprocess

from harness import BINARY, Mount, claim, main, program_of
from plain import Background, contains, read, same, value, wait_until, write


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


def upgrade(mp):
    done = subprocess.run([BINARY, '--upgrade', mp.path], capture_output=True, text=True)
    mp.server = wait_until(mp.find_server, what='a server')
    mp.servers = [mp.server]
    return done


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
