#!/usr/bin/env python3
"""The server is killed while the mount ends, while there are users, again and again; and what happens when no other can follow."""
import errno
import os
import resource
import signal
import time

import harness
from harness import SLOWNESS, Mount, claim, main
from meanwhile import blocked, start_waiting, touch
from plain import (Background, Stopped, children_of, comment, contains, errno_of, exists, expect_errno, fork, exit_of, in_child,
                   read, same, value, wait_until, write)

GONE = (errno.ENOTCONN, errno.ECONNABORTED)
GAVE_UP = 'which happens too often: no other is started'


class Given:
    """A mount whose end is the claim's own to look at; it is taken away all the same."""

    def __init__(self, mount):
        self.mount = mount

    def __enter__(self):
        return self.mount.__enter__()

    def __exit__(self, *_):
        self.mount.abandon()


@claim
def a_kill_right_after_a_kill_is_survived(mp):
    """A server that is killed before it has answered anything is followed too, when the next one can work."""
    path = mp.start('p', 'sleep', '1000')
    join, = blocked(mp, (write, path + '/ctl', 'join'))
    for _ in range(5):
        mp.kill_server()
        mp.kill_server()
        same((value(path + '/alive'), join.is_alive()), ('1', True))
    write(path + '/ctl', 'kill')
    join.result()


@claim
def many_kills_are_no_fault_of_the_server(mp):
    """A kill says nothing against a server that worked: any number is survived."""
    path = mp.start('p', 'sleep', '1000')
    for _ in range(25):
        mp.kill_server()
        same(value(path + '/alive'), '1')


def servers_at_once(keeper):
    """As find_servers(), much sooner: also one that has not reached its exec."""
    try:
        return [int(word) for word in open(f'/proc/{keeper}/task/{keeper}/children').read().split()]
    except FileNotFoundError:
        raise harness.Skip('no /proc/PID/task/TID/children') from None


@claim
def kills_faster_than_a_server_becomes_ready_are_survived(mp):
    """A kill is no fault of a server, also of one that had no time to become ready."""
    path = mp.start('p', 'sleep', '1000')
    join, = blocked(mp, (write, path + '/ctl', 'join'))
    before, dead = mp.messages().count('taken over'), set()

    def kill_another():
        for pid in servers_at_once(mp.keeper):
            errno_of(os.kill, pid, signal.SIGKILL)
            dead.add(pid)
        return len(dead) >= 30
    wait_until(kill_another, what='30 dead servers')
    mp.server = wait_until(lambda: (pid := mp.find_server()) not in dead and pid, what='another server')
    mp.servers = [mp.server]
    same((value(path + '/alive'), join.is_alive()), ('1', True))
    comment(f'{len(dead)} were killed, {mp.messages().count("taken over") - before} had been ready')
    write(path + '/ctl', 'kill')
    join.result()


@claim
def a_stopped_server_that_is_killed_is_followed(mp):
    """What was asked of a server that hung is answered by the next."""
    path = mp.make('p', 'true')
    mp.idle()
    os.kill(mp.server, signal.SIGSTOP)
    threads = [Background(write, path + '/ctl', 'start\njoin'), Background(os.mkdir, mp('made')),
               Background(read, mp('version'))]
    wait_until(lambda: mp.pending() > 0, what='who asks')
    mp.kill_server()
    for thread in threads:
        thread.result()
    same((value(path + '/exitcode'), os.path.isdir(mp('made'))), ('0', True))


@claim
def a_launch_that_fails_after_the_kill_tells_the_same_sentence(mp):
    """exec failed: its own errno and a sentence that names the path, also when the server that sent the launch is gone."""
    with Mount() as other:
        cases = {'target': ('target', other('nothing')), 'cwd': ('cwd', other('nowhere')),
                 'stdout': ('stdout_to', other('no', 'x'))}

        def start(name):
            path = mp.make(name, 'true')
            file, text = cases[name.rstrip('0')]
            write(f'{path}/{file}', text)
            return errno_of(write, path + '/ctl', 'start')
        expected = {name: (start(name), read(mp(name, 'error'))) for name in cases}
        other.idle()
        os.kill(other.server, signal.SIGSTOP)
        try:
            starts = {name: Background(start, name + '0') for name in cases}
            wait_until(lambda: other.pending() > 0, what='a launch that hangs')
            mp.kill_server()
            read(mp('version'))
        finally:
            os.kill(other.server, signal.SIGCONT)
        same({name: (starts[name].result(), read(mp(name + '0', 'error'))) for name in cases}, expected)


LAUNCHERS = 126  # SENT_MOST of core/start.c


def starts_told(mp, name):
    """How many starts of those whose names begin so are in events."""
    descriptor = os.open(mp('events'), os.O_RDONLY | os.O_NONBLOCK)
    text = os.read(descriptor, 1 << 20).decode()
    os.close(descriptor)
    return sum(words[1].startswith(name) and words[2] == 'started' for words in map(str.split, text.splitlines()))


@claim(timeout=120)
def launches_that_all_hang_are_done_once_and_others_after_them(mp):
    """When as many hang as there can be at once, the others wait; kills of the server lose and repeat none of them."""
    with Mount() as other:
        script = other.make('script', run='#!/bin/sh\nexit 5\n')
        paths = [mp.make(f'hangs{n}', other(f'nothing{n}') if n % 2 else f'{script}/run') for n in range(LAUNCHERS + 20)]

        def pids():
            return [value(path + '/pid') for path in paths]
        os.kill(other.server, signal.SIGSTOP)
        try:
            starts = [Background(write, path + '/ctl', 'start') for path in paths]
            wait_until(lambda: len(children_of(mp.keeper)) >= 1 + LAUNCHERS, what=f'{LAUNCHERS} launches that hang')
            begun = pids()
            same(sum(pid != '' for pid in begun), LAUNCHERS)
            beside = [Background(write, mp.make(f'beside{n}', 'true') + '/ctl', 'start\njoin') for n in range(3)]
            for _ in range(3):
                mp.kill_server()
                same(pids(), begun)
                same({start.is_alive() for start in starts + beside}, {True})
        finally:
            os.kill(other.server, signal.SIGCONT)
        for number, (path, start) in enumerate(zip(paths, starts)):
            if number % 2:
                expect_errno(errno.ENOENT, start.result, f'nothing{number}', error_file=path + '/error')
                same((value(path + '/state'), value(path + '/exitcode')), ('initial', ''))
            else:
                start.result()
                same(value(path + '/wait'), '5')
        for number, call in enumerate(beside):
            call.result()
            same(value(mp(f'beside{number}', 'exitcode')), '0')
        same(starts_told(mp, 'hangs') + starts_told(mp, 'beside'), len(paths) // 2 + len(beside))


@claim
def the_log_says_what_happened(mp):
    """A server that died is told of, with the signal and the time that it took."""
    mp.kill_server(signal.SIGABRT)
    read(mp('version'))
    wait_until(lambda: 'was killed by signal 6 (Aborted); another one has taken over after' in mp.messages())


@claim(timeout=150)
def a_thousand_processes_are_taken_over_quickly(mp):
    """The keeper restarts it within 50 ms at 1,000 processes: how long it took is only told, and every process runs on."""
    count = 1000 if SLOWNESS == 1 else 100
    for _ in range(count):
        write(mp('clone'), b'target sleep\nargs 1000\nstart', os.O_WRONLY)
    pids = {name: value(mp(name, 'pid')) for name in mp.names()}
    times = []
    for _ in range(5):
        began = time.monotonic()
        os.kill(mp.server, signal.SIGKILL)
        read(mp('version'))
        times.append((time.monotonic() - began) * 1000)
        mp.server = mp.find_server()
        mp.servers = [mp.server]
    comment(f'{count} processes: from the kill to the first answer ' + ', '.join(f'{time:.0f}' for time in times) + ' ms')
    same((len(pids), {name: value(mp(name, 'pid')) for name in mp.names()}), (count, pids))
    write(mp('ctl'), 'kill all\njoin all')


def no_core(mp):
    for pid in (mp.keeper, mp.server):
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def ends_with_its_server(mp, end, *sentences):
    """`end` takes the server away for good: whoever waits gets an error, and no process and no mount are left."""
    path = mp.start('p', 'sleep', '1000')
    pid = int(value(path + '/pid'))
    waiting = blocked(mp, (write, path + '/ctl', 'join'), (read, path + '/wait'))
    end()
    for call in waiting:
        expect_errno(GONE, call.result)
    same(mp.wait(), 1)
    wait_until(lambda: not exists(pid), what='its process has ended')
    contains(mp.messages(), *sentences)
    same(mp.find_minor(), None, 'still mounted')


@claim
def a_server_that_dies_of_its_own_fault_too_often_ends_the_mount():
    """The keeper gives up with a clear message and ends requests with an error; no process is left behind."""
    with Given(Mount()) as mp:
        no_core(mp)

        def end():
            for _ in range(4):
                mp.kill_server(signal.SIGABRT)
                same((value(mp('p', 'alive')), mp.pending() >= 2), ('1', True))
            os.kill(mp.server, signal.SIGABRT)
        ends_with_its_server(mp, end, 'was killed by signal 6', GAVE_UP)


@claim
def servers_that_fail_before_they_are_ready_end_the_mount():
    """The keeper gives up after three in a row, with a clear message, and ends requests with an error."""
    with Given(Mount()) as mp:
        no_core(mp)
        resource.prlimit(mp.keeper, resource.RLIMIT_CORE, (0, 0))

        def end():
            while mp.process.poll() is None:
                for server in filter(mp.is_server, servers_at_once(mp.keeper)):
                    errno_of(os.kill, server, signal.SIGABRT)
        ends_with_its_server(mp, end, 'was killed by signal 6', GAVE_UP)


@claim
def a_server_for_which_there_is_no_memory_now_follows_as_soon_as_there_is():
    """What lacks at the moment is no reason to give up: requests wait meanwhile."""
    with Mount() as mp:
        path = mp.start('p', 'sleep', '1000')
        join, = blocked(mp, (write, path + '/ctl', 'join'))
        before = resource.prlimit(mp.keeper, resource.RLIMIT_AS)
        resource.prlimit(mp.keeper, resource.RLIMIT_AS, (1 << 20, before[1]))
        os.kill(mp.server, signal.SIGKILL)
        look = Background(value, path + '/alive')
        wait_until(lambda: not exists(mp.server), what='the end of the server')
        same((mp.find_server(), look.is_alive(), join.is_alive()), (None, True, True))
        resource.prlimit(mp.keeper, resource.RLIMIT_AS, before)
        same(look.result(), '1')
        mp.server = mp.find_server()
        mp.servers = [mp.server]
        write(path + '/ctl', 'kill')
        join.result()


@claim
def unmounting_goes_on_when_the_server_is_killed_meanwhile():
    """When the mount ends its daemonic processes are terminated and the others are joined, by whichever server there is."""
    for ending in ('umount', signal.SIGTERM):
        with Mount(ending=ending) as mp:
            go = mp.base + '/go'
            waited = mp.start('waited', 'sh', ['-c', f'until [ -e {go} ]; do sleep 0.01; done; echo done > {go}'])
            daemon = mp.start('daemon', 'sleep', '1000', daemon='1')
            pids = [int(value(path + '/pid')) for path in (waited, daemon)]
            mp.end()
            wait_until(lambda: not exists(pids[1]), what='the end of the daemonic process')
            for _ in range(2):
                mp.kill_server()
            same((exists(pids[0]), mp.process.poll()), (True, None), 'the other is waited for')
            os.close(os.open(go, os.O_WRONLY | os.O_CREAT))
            same(mp.wait(), 0)
            same(open(go).read(), 'done\n')


@claim
def who_waits_for_an_end_that_is_also_the_mount_s_is_answered_by_the_next_server():
    """Nothing is lost, not a request: also when the server that follows finds that all is over."""
    with Given(Mount()) as mp:
        path, go = start_waiting(mp, 'p')
        daemon = int(value(mp.start('daemon', 'sleep', '1000', daemon='1') + '/pid'))
        pid = int(value(path + '/pid'))
        wait = os.open(path + '/wait', os.O_RDONLY)
        ctls = [os.open(path + '/ctl', os.O_WRONLY) for _ in range(100)]
        waiting = blocked(mp, (os.read, wait, 9), *[(os.write, ctl, b'join') for ctl in ctls])
        os.kill(mp.keeper, signal.SIGTERM)
        wait_until(lambda: not exists(daemon), what='the end of the daemonic process')
        with Stopped(mp.server):
            touch(go)
            wait_until(lambda: not exists(pid), what='the end of the other')
            os.kill(mp.server, signal.SIGKILL)
        same([call.result() for call in waiting], [b'7\n'] + [len('join')] * len(ctls))
        same(mp.wait(), 0)
        for descriptor in (wait, *ctls):
            errno_of(os.close, descriptor)


@claim
def a_signal_that_the_dead_server_was_told_of_is_not_lost():
    """SIGTERM to the mount ends the mount, also when the server is killed at the same moment."""
    for number in range(10):
        with Mount() as mp:
            pid = int(value(mp.start('daemon', 'sleep', '1000', daemon='1') + '/pid'))
            os.kill(mp.server, signal.SIGSTOP)
            os.kill(mp.keeper, signal.SIGTERM)
            time.sleep(0.005 * number)
            os.kill(mp.server, signal.SIGKILL)
            same(mp.wait(), 0)
            same(exists(pid), False)


@claim
def the_end_of_a_command_is_the_end_of_its_mount():
    """-- COMMAND: its exit status is the mount's, also after its server was killed; $PROCFS_MP works for it."""
    for early in (False, True):
        with Given(Mount(command=['sh', '-c', 'until [ -e go ]; do sleep 0.01; done; mkdir $PROCFS_MP/p && exit 7'])) as mp:
            if early:
                os.kill(mp.server, signal.SIGSTOP)
            mp.kill_server()
            os.mkdir(mp('before'))
            os.close(os.open(mp.base + '/go', os.O_WRONLY | os.O_CREAT))
            same(mp.wait(), 7)
            same(mp.leftovers(), {})


@claim
def a_command_that_ends_while_there_is_no_server_ends_its_mount():
    """-- COMMAND: its end is not lost."""
    with Given(Mount(command=['sh', '-c', 'until [ -e go ]; do sleep 0.01; done; exit 9'])) as mp:
        daemon = int(value(mp.start('daemon', 'sleep', '1000', daemon='1') + '/pid'))
        os.kill(mp.server, signal.SIGSTOP)
        os.close(os.open(mp.base + '/go', os.O_WRONLY | os.O_CREAT))
        os.kill(mp.server, signal.SIGKILL)
        same((mp.wait(), exists(daemon)), (9, False))


@claim
def each_user_finds_their_own_again():
    """Owners, what is secret, and as whom a process runs are as before."""
    if os.geteuid():
        raise harness.Skip('only root can become other users')
    alice, bob = 12345, 65534
    with Mount('allow_other') as mp:
        def make(name):
            os.mkdir(mp(name))
            write(mp(name, 'target'), 'id')
            write(mp(name, 'args'), '-u')
            write(mp(name, 'env'), f'NAME={name}')
        for name, user in (('alices', alice), ('bobs', bob)):
            in_child(lambda: make(name), user)
        mp.kill_server()
        same([os.stat(mp(name)).st_uid for name in ('alices', 'bobs')], [alice, bob])
        expect_errno((errno.EACCES, errno.EPERM), lambda: in_child(lambda: read(mp('alices', 'env')), bob))
        expect_errno((errno.EACCES, errno.EPERM), lambda: in_child(lambda: write(mp('alices', 'ctl'), 'start'), bob))
        for name, user in (('alices', alice), ('bobs', bob)):
            in_child(lambda: write(mp(name, 'ctl'), 'start'), user)
            mp.kill_server()
            same(in_child(lambda: (value(mp(name, 'wait')), read(mp(name, 'stdout'))), user), ['0', f'{user}\n'])
            same(in_child(lambda: value(mp(name, 'env')), user), f'NAME={name}')
            in_child(lambda: os.rmdir(mp(name)), user)


@claim
def a_shell_that_was_interrupted_goes_on_with_its_join(mp):
    """A join's deadline is kept by its open, also for a write that is sent again to another server."""
    path = mp.start('p', 'sleep', '1000')

    def call():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.siginterrupt(signal.SIGUSR1, True)
        return errno_of(write, path + '/ctl', 'join 0.5')
    began = time.monotonic()
    child = fork(call)
    mp.wait_until_held(child)
    mp.kill_server()
    os.kill(child, signal.SIGUSR1)
    mp.kill_server()
    same(exit_of(child), errno.ETIME)
    assert time.monotonic() - began >= 0.5


if __name__ == '__main__':
    main()
