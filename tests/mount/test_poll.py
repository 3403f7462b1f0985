#!/usr/bin/env python3
"""poll: `sentinel` and `wait` are readable once the process has ended, and from then on, for select, poll and epoll."""
import os
import resource
import select
import signal

from harness import DEADLINE, SLOWNESS, Mount, Skip, claim, main
from plain import Background, exit_of, fork, read, same, value, wait_until, write

FILES = ('sentinel', 'wait')
PATIENCE = DEADLINE * SLOWNESS


def is_ready(descriptor):
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


def by_select(descriptor):
    return bool(select.select([descriptor], [], [], PATIENCE)[0])


def by_poll(descriptor):
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return any(events & select.POLLIN for _, events in poller.poll(PATIENCE * 1000))


def by_epoll(descriptor, flags=0):
    with select.epoll() as poller:
        poller.register(descriptor, select.EPOLLIN | flags)
        return any(events & select.EPOLLIN for _, events in poller.poll(PATIENCE))


def by_edge(descriptor):
    return by_epoll(descriptor, select.EPOLLET)


WAYS = (by_select, by_poll, by_epoll, by_edge)


def open_all(mp, name, count=1):
    return [os.open(mp(name, file), os.O_RDONLY) for file in FILES for _ in range(count)]


def close_all(descriptors):
    for descriptor in descriptors:
        os.close(descriptor)


@claim
def neither_is_ready_before_start_and_while_it_runs(mp):
    """sentinel: readable (POLLIN) once the process has ended."""
    path = mp.make('early', 'sleep', '1000')
    descriptors = open_all(mp, 'early')
    same([is_ready(descriptor) for descriptor in descriptors], [False, False], 'before start')
    write(path + '/ctl', 'start')
    same([is_ready(descriptor) for descriptor in descriptors], [False, False], 'running')
    same([bool(select.select([descriptor], [], [], 0)[0]) for descriptor in descriptors], [False, False], 'select')
    close_all(descriptors)


@claim
def the_end_wakes_whoever_polls_in_every_way(mp):
    """sentinel is a file for poll/select/epoll; the same holds for wait."""
    for way in WAYS:
        name = way.__name__
        path = mp.start(name, 'sleep', '1000')
        descriptors = open_all(mp, name)
        waiting = [Background(way, descriptor) for descriptor in descriptors]
        same([is_ready(descriptor) for descriptor in descriptors], [False, False], name)
        write(path + '/ctl', 'kill')
        same([thread.result() for thread in waiting], [True, True], name)
        same(value(path + '/alive'), '0', f'{name}: after the wake')
        close_all(descriptors)


@claim
def both_stay_ready_after_the_end(mp):
    """Readable once the process has ended, and from then on."""
    mp.run('after', 'true')
    for _ in range(2):
        descriptors = open_all(mp, 'after')
        for way in WAYS:
            same([way(descriptor) for descriptor in descriptors] * 2, [True] * 4, way.__name__)
        close_all(descriptors)


@claim
def polling_before_start_is_woken_at_the_end(mp):
    """sentinel: readable (POLLIN) once the process has ended."""
    path = mp.make('before', 'true')
    descriptors = open_all(mp, 'before')
    waiting = [Background(way, descriptor) for way in WAYS for descriptor in descriptors]
    write(path + '/ctl', 'start')
    same([thread.result() for thread in waiting], [True] * len(waiting))
    close_all(descriptors)


@claim
def several_pollers_of_one_file_are_all_woken(mp):
    """Any number of readers."""
    path = mp.start('crowd', 'sleep', '1000')
    descriptors = open_all(mp, 'crowd', 8)
    waiting = [Background(way, descriptor) for way in WAYS for descriptor in descriptors]
    shared = [Background(by_poll, descriptors[0]) for _ in range(8)]
    write(path + '/ctl', 'kill')
    same([thread.result() for thread in waiting + shared], [True] * (len(waiting) + 8))
    close_all(descriptors)


@claim
def an_edge_is_told_once(mp):
    """sentinel for epoll, edge-triggered."""
    path = mp.start('edge', 'sleep', '1000')
    descriptors = open_all(mp, 'edge')
    with select.epoll() as poller:
        for descriptor in descriptors:
            poller.register(descriptor, select.EPOLLIN | select.EPOLLET)
        same(poller.poll(0), [])
        write(path + '/ctl', 'kill')
        seen = set()
        wait_until(lambda: seen.update(fd for fd, _ in poller.poll(0)) or seen == set(descriptors), what='two edges')
        write(path + '/ctl', 'join')
        wait_until(lambda: poller.poll(0) == [], what='no more edges')
    close_all(descriptors)


@claim
def five_hundred_descriptors_in_one_epoll_are_all_told(mp):
    """sentinel scales to many in one epoll."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 700:
        raise Skip('fewer than 700 descriptors allowed')
    names = [f'many{number}' for number in range(250)]
    for name in names:
        mp.start(name, 'sleep', '1000')
    descriptors = {descriptor: name for name in names for descriptor in open_all(mp, name)}
    with select.epoll() as poller:
        for descriptor in descriptors:
            poller.register(descriptor, select.EPOLLIN)
        same(poller.poll(0), [])
        write(mp(names[7], 'ctl'), 'kill')
        seen = set()
        wait_until(lambda: seen.update(descriptors[fd] for fd, _ in poller.poll(0, 1000)) or seen, what='the first end')
        same(seen, {names[7]})
        for name in names:
            write(mp(name, 'ctl'), 'kill')
        told = set()
        wait_until(lambda: told.update(fd for fd, _ in poller.poll(0, 1000)) or len(told) == 500, what='500 ends')
    close_all(descriptors)


@claim
def a_read_of_wait_blocks_until_the_end_and_gives_the_exit_code(mp):
    """wait: reading blocks until it has ended, then gives exitcode."""
    path = mp.start('wait', 'sleep', '1000')
    readers = [Background(read, path + '/wait') for _ in range(5)]
    mp.wait_until_held(*readers)
    same([thread.is_alive() for thread in readers], [True] * 5)
    write(path + '/ctl', 'terminate')
    same([thread.result() for thread in readers], ['-15\n'] * 5)
    same(read(path + '/wait'), '-15\n', 'once more')


@claim
def a_blocked_read_of_wait_is_freed_by_a_signal(mp):
    """A client is never held against its will."""
    path = mp.start('freed', 'sleep', '1000')
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        pid = fork(lambda: [signal.signal(signal.SIGINT, signal.SIG_DFL), read(path + '/wait')] and 0)
        mp.wait_until_held(pid)
        os.kill(pid, number)
        same(exit_of(pid), -number)
        same(value(path + '/state'), 'running')


@claim
def pollers_of_a_mount_that_ends_are_not_left_waiting():
    """The end of the mount ends its processes: whoever polls them learns it."""
    with Mount() as mp:
        mp.start('last', 'sleep', '1000', daemon='1')
        descriptors = open_all(mp, 'last')
        waiting = [Background(by_poll, descriptor) for descriptor in descriptors]
        os.kill(mp.keeper, signal.SIGTERM)
        for thread in waiting:
            thread.result()
        close_all(descriptors)
        same(mp.wait(), 0)


main()
