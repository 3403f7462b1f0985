#!/usr/bin/env python3
"""The server is killed at each step of what it does: nothing is doubled, nothing comes back, nothing is made up."""
import itertools
import os
import signal

from harness import Mount, claim, main
from meanwhile import touch
from plain import Background, Stopped, append, children_of, contains, read, same, value, wait_until, write
from steps import killed_at_each_step, successors_killed_at_each_step

NUMBERS = itertools.count()


def fresh():
    return f'p{next(NUMBERS)}'


def read_now(descriptor):
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return b''


@claim
def input_that_is_appended_before_the_start_is_there_once(mp):
    """`>>` appends; nothing is done twice."""
    def write_three(path):
        write(path + '/stdin', 'one\n')
        append(path + '/stdin', 'two\n')
        append(path + '/stdin', 'three\n')
    for path in killed_at_each_step(mp, lambda: mp.make(fresh(), 'cat'), write_three):
        write(path + '/ctl', 'start\njoin')
        same(read(path + '/stdout'), 'one\ntwo\nthree\n')


@claim
def a_result_that_is_appended_to_is_there_once(mp):
    """What the process leaves for others is what it wrote."""
    def begin():
        name = fresh()
        go = f'{mp.base}/go-{name}'
        os.mkfifo(go)
        return mp.start(name, 'sh', ['-c', f'read go <{go}; for i in 1 2; do echo $i >>$PROCFS_MP/self/result; done']), go

    def let_go(subject):
        write(subject[1], 'go\n', os.O_WRONLY)
        same(value(subject[0] + '/wait'), '0')
    for path, _ in killed_at_each_step(mp, begin, let_go):
        same(read(path + '/result'), '1\n2\n')


@claim
def a_start_in_the_write_that_has_reset_begins_with_no_output(mp):
    """reset: output and result begin anew."""
    script = 'echo out; echo error >&2; [ -s $PROCFS_MP/self/result ] || echo result >$PROCFS_MP/self/result'
    for path in killed_at_each_step(mp, lambda: mp.run(fresh(), 'sh', ['-c', script]),
                                    lambda path: write(path + '/ctl', 'reset\nstart')):
        same(value(path + '/wait'), '0')
        same([read(f'{path}/{file}') for file in ('stdout', 'stderr', 'result')], ['out\n', 'error\n', 'result\n'])


@claim
def who_follows_output_that_is_cut_reads_no_holes(mp):
    """Of each stream the newest output_max bytes are kept; what is read is what was written."""
    def begin():
        name = fresh()
        go, done = f'{mp.base}/go-{name}', f'{mp.base}/done-{name}'
        script = f'head -c 300000 /dev/zero | tr "\\0" a; until [ -e {go} ]; do sleep 0.01; done; ' \
                 f'head -c 150000 /dev/zero | tr "\\0" b; touch {done}; exec sleep 1000'
        path = mp.start(name, 'sh', ['-c', script], output_max='128K')
        wait_until(lambda: os.stat(path + '/stdout').st_size == 128 << 10, what='so much output')
        return path, go, done, os.open(path + '/output', os.O_RDONLY | os.O_NONBLOCK)

    def write_and_follow(subject):
        _, go, done, descriptor = subject
        touch(go)
        wait_until(lambda: os.path.exists(done))
        while piece := read_now(descriptor):
            assert b'\0' not in piece, 'bytes that nobody wrote'
    for path, _, _, descriptor in killed_at_each_step(mp, begin, write_and_follow):
        os.close(descriptor)
        write(path + '/ctl', 'kill\njoin')
        same(read(path + '/stdout'), 'b' * (128 << 10))


def next_line(descriptor):
    line = b''
    while not line.endswith(b'\n'):
        line += os.read(descriptor, 1)
    return line.decode().split(' ', 1)[1]


@claim
def a_pause_and_its_end_are_told_once(mp):
    """events: a line for each change, none lost or doubled."""
    def begin():
        name = fresh()
        path = mp.start(name, 'sleep', '1000')
        descriptor = os.open(mp('events'), os.O_RDONLY)
        os.lseek(descriptor, 0, os.SEEK_END)
        return name, int(value(path + '/pid')), descriptor

    def pause(subject):
        name, pid, descriptor = subject
        for number, what in (signal.SIGSTOP, 'paused'), (signal.SIGCONT, 'continued'):
            os.kill(pid, number)
            same(next_line(descriptor), f'{name} {what}\n')
    for name, _, descriptor in killed_at_each_step(mp, begin, pause):
        write(mp(name, 'ctl'), 'kill\njoin')
        same(next_line(descriptor), f'{name} exited -9\n')
        os.close(descriptor)


@claim
def one_that_was_stopped_for_running_too_long_is_known_for_it(mp):
    """timeout: one that runs longer is stopped, and status has a line timed_out: 1 from then on."""
    def run(path):
        write(path + '/ctl', 'start')
        same(value(path + '/wait'), '-15')
    for path in killed_at_each_step(mp, lambda: mp.make(fresh(), 'sleep', '1000', timeout='0.02'), run):
        contains(read(path + '/status'), 'timed_out: 1')


@claim(timeout=120)
def what_ended_while_there_was_no_server_has_run_once_and_ended(mp):
    """No start runs twice and no end is forgotten, also when the server that finds it is killed before it is ready."""
    with Mount() as other:
        script = other.make('script', run=f'#!/bin/sh\necho run >>{mp.base}/$1; exit 5\n') + '/run'

        def begin():
            """One that the server has seen running, and one of which it has heard nothing yet."""
            known, unknown, go = fresh(), fresh(), f'{mp.base}/go-{fresh()}'
            paths = mp.start(known, 'sh', ['-c', f'until [ -e {go} ]; do sleep 0.01; done; exit 5']), mp.make(unknown, script, unknown)
            mp.idle()
            other.idle()
            with Stopped(other.server):
                start = Background(write, paths[1] + '/ctl', 'start')
                wait_until(lambda: len(children_of(mp.keeper)) == 3 and value(paths[1] + '/pid'), what='a launch that hangs')
                os.kill(mp.server, signal.SIGSTOP)
            touch(go)
            wait_until(lambda: len(children_of(mp.keeper)) == 1, what='that both have ended')
            return paths, f'{mp.base}/{unknown}', start
        for paths, runs, start in successors_killed_at_each_step(mp, begin):
            start.result()
            same([value(path + '/exitcode') for path in paths], ['5', '5'])
            same(open(runs).read(), 'run\n')
            for path in paths:
                os.rmdir(path)


if __name__ == '__main__':
    main()
