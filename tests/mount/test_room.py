#!/usr/bin/env python3
"""Descriptors that run out: what is let in is kept through the death of a server, and what could not be is refused."""
import errno
import os
import resource
import signal

from harness import Mount, claim, main
from plain import contains, errno_name, errno_of, expect_errno, read, same, value, wait_until, write

SPEAKS = 'echo out; echo err >&2; exec sleep 1000'
NOWHERE = {'stdout_to': '/dev/null', 'stderr_to': '/dev/null'}


def with_descriptors(count):
    return Mount(prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count)))


def is_let_in(mp, name, *words, **files):
    """Made, and started; False: that was refused, and nothing of it is left."""
    path = mp.make(name, *words, **files)
    code = errno_of(write, path + '/ctl', 'start')
    if code:
        same(errno_name(code), 'EMFILE')
        contains(read(path + '/error'), os.strerror(errno.EMFILE), 'remove processes that have ended')
        same((value(path + '/state'), value(path + '/pid'), read(path + '/stdout')), ('initial', '', ''))
    return not code


def fill(mp, *words):
    """Starts as many as are let in: how many."""
    return next(number for number in range(1000) if not is_let_in(mp, f'p{number}', *words))


def input_is_echoed(path, *lines):
    write(path + '/stdin', lines[-1], os.O_WRONLY)
    wait_until(lambda: read(path + '/stdout') == ''.join(lines), what=f'the echo of {lines}')


@claim
def where_there_is_no_room_a_start_is_emfile_and_all_that_was_let_in_is_kept():
    """Nothing is lost silently: a start whose streams could not be given to another server leaves nothing behind."""
    with with_descriptors(400) as mp:
        reads = mp.start('reads', 'cat', stdin_open='1')
        input_is_echoed(reads, 'one\n')
        gives = mp.run('gives', 'sh', ['-c', 'echo 42 >$PROCFS_MP/self/result; echo out'])
        count = fill(mp, 'sh', ['-c', SPEAKS])
        assert 140 < count < 150, count
        before = len(os.listdir(f'/proc/{mp.keeper}/fd'))
        same(is_let_in(mp, 'input', 'cat', stdin_open='1'), False)
        expect_errno(errno.EMFILE, lambda: write(mp(f'p{count}', 'ctl'), 'start'))
        same(len(os.listdir(f'/proc/{mp.keeper}/fd')), before)
        wait_until(lambda: read(mp(f'p{count - 1}', 'stderr')), what='the last words')
        mp.kill_server()
        same({(read(mp(f'p{number}', 'stdout')), read(mp(f'p{number}', 'stderr'))) for number in range(count)}, {('out\n', 'err\n')})
        same({value(mp(f'p{number}', 'state')) for number in range(count)}, {'running'})
        input_is_echoed(reads, 'one\n', 'two\n')
        same((read(gives + '/result'), read(gives + '/stdout')), ('42\n', 'out\n'))
        same((value(mp('input', 'state')), is_let_in(mp, 'more', 'true')), ('initial', False))
        write(mp('p0', 'ctl'), 'kill\njoin\nclose')
        write(mp('more', 'ctl'), 'start\njoin')


@claim
def where_there_is_no_room_a_write_to_stdin_or_result_is_emfile_each_time():
    """Nothing is lost silently: what no other server could be given is not taken."""
    with with_descriptors(400) as mp:
        gate, path = mp.base + '/gate', mp('late')
        script = f'until [ -e {gate} ]; do sleep 0.01; done; (echo 43 >$PROCFS_MP/self/result) 2>{gate}1; ' \
                 f'(echo 44 >$PROCFS_MP/self/result) 2>{gate}2; exec sleep 1000'
        mp.start('late', 'sh', ['-c', script], **NOWHERE)
        kept = {}
        fill(mp, 'sleep', ['1000'])
        while True:
            last = mp.make(f'kept{len(kept)}', 'cat')
            if code := errno_of(write, last + '/stdin', f'{len(kept)}\n'):
                break
            kept[last] = f'{len(kept)}\n'
        same(errno_name(code), 'EMFILE')
        expect_errno(errno.EMFILE, lambda: write(last + '/stdin', 'x'), 'cannot keep the input', error_file=last + '/error')
        open(gate, 'w').close()
        wait_until(lambda: os.path.exists(gate + '2') and os.path.getsize(gate + '2'), what='two writes that are refused')
        contains(read(path + '/error'), 'cannot keep the result', os.strerror(errno.EMFILE))
        for _ in range(2):
            same((read(last + '/stdin'), read(path + '/result')), ('', ''))
            same({path: read(path + '/stdin') for path in kept}, kept)
            mp.kill_server()
        write(mp('p0', 'ctl'), 'kill\njoin\nclose')
        write(last + '/stdin', 'y')


@claim
def a_run_that_follows_takes_the_room_of_the_one_before():
    """A start written with its reset, and one after an end without output, find room where others do not."""
    with with_descriptors(400) as mp:
        again = mp.run('again', 'sh', ['-c', 'echo x; echo y >&2'])
        count = fill(mp, 'sleep', ['1000'])
        for _ in range(3):
            write(again + '/ctl', 'reset\nstart\njoin')
            mp.kill_server()
            same((read(again + '/stdout'), read(again + '/stderr')), ('x\n', 'y\n'))
            same(is_let_in(mp, f'none{mp.server}', 'true'), False)
        write(mp('p0', 'ctl'), 'kill\njoin')
        write(mp(f'p{count}', 'ctl'), 'start')
        same(is_let_in(mp, 'last', 'true'), False)


@claim
def room_that_those_left_behind_have_given_back_is_found():
    """Streams that nobody has written to nor can write to any more take no room, whenever the last one went who could."""
    with with_descriptors(400) as mp:
        for number in range(10):
            mp.run(f'left{number}', 'sh', ['-c', f'sleep 1000 & echo $! >{mp.base}/left{number}'])
        left = [int(read(f'{mp.base}/left{number}')) for number in range(10)]
        fill(mp, 'sleep', ['1000'])
        same(is_let_in(mp, 'more', 'true'), False)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: errno_of(write, mp('more', 'ctl'), 'start') == 0, what='room')


@claim(timeout=120)
def what_1290_processes_have_said_and_what_they_may_still_read_survives_a_kill():
    """All that was let in is as it was: with a limit of 4096 descriptors too."""
    with with_descriptors(4096) as mp:
        for _ in range(1290):
            write(mp('clone'), 'target sleep\nargs 1000\nstart\n', os.O_WRONLY)
        says = mp.run('says', 'sh', ['-c', 'echo 42 >$PROCFS_MP/self/result; echo out'])
        reads = mp.start('reads', 'cat', stdin_open='1')
        input_is_echoed(reads, 'one\n')
        mp.kill_server()
        same((read(says + '/result'), read(says + '/stdout'), value(reads + '/state')), ('42\n', 'out\n', 'running'))
        input_is_echoed(reads, 'one\n', 'two\n')


main()
