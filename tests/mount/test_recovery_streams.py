#!/usr/bin/env python3
"""The server is killed while programs write and read: captured output and input that is kept open are whole."""
import errno
import os
import signal

from harness import claim, main
from locked import porter_of
from meanwhile import blocked, touch
from plain import Background, Stopped, expect_errno, read, read_bytes, same, value, wait_until, write, write_all


def lines(count):
    return ''.join(f'line {number}\n' for number in range(count))


@claim
def output_is_whole_whenever_it_was_written(mp):
    """Captured output is whole: what came before, while and after there was no server."""
    go = mp.base + '/go-output'
    script = f'echo one; echo error >&2; until [ -e {go}1 ]; do sleep 0.01; done; echo two; touch {go}2; ' \
             f'until [ -e {go}3 ]; do sleep 0.01; done; echo three'
    path = mp.start('p', 'sh', ['-c', script])
    wait_until(lambda: read(path + '/stdout') == 'one\n')
    follower = Background(read, path + '/output')
    os.kill(mp.server, signal.SIGSTOP)
    touch(go + '1')
    wait_until(lambda: os.path.exists(go + '2'))
    mp.kill_server()
    same((read(path + '/stdout'), read(path + '/stderr')), ('one\ntwo\n', 'error\n'))
    touch(go + '3')
    same(value(path + '/wait'), '0')
    same((read(path + '/stdout'), read(path + '/stderr')), ('one\ntwo\nthree\n', 'error\n'))
    same(sorted(follower.result().split()), ['error', 'one', 'three', 'two'])
    mp.kill_server()
    same((read(path + '/stdout'), read(path + '/stderr')), ('one\ntwo\nthree\n', 'error\n'), 'after the end')


@claim
def who_writes_all_the_time_is_followed_without_gap_and_double(mp):
    """Captured output is whole, and a reader of it goes on where it was."""
    path = mp.start('p', 'sh', ['-c', 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); done'])
    follower = Background(read, path + '/output')
    while value(path + '/alive') == '1':
        mp.kill_server()
        read(mp('version'))
    same(follower.result(), lines(20000))
    same(read(path + '/stdout'), lines(20000))


@claim
def output_beyond_output_max_keeps_its_newest_bytes(mp):
    """Of each stream the newest output_max bytes are kept, also by a server that found it so."""
    path, go = mp('p'), mp.base + '/go-max'
    script = f'head -c 3000000 /dev/zero; touch {go}1; until [ -e {go} ]; do sleep 0.01; done; head -c 3000000 /dev/zero | tr "\\0" x'
    mp.start('p', 'sh', ['-c', script], output_max='1M')
    wait_until(lambda: os.path.exists(go + '1'), what='all its zeros')
    same(read_bytes(path + '/stdout'), bytes(1 << 20))
    mp.kill_server()
    same(read_bytes(path + '/stdout'), bytes(1 << 20))
    touch(go)
    same(value(path + '/wait'), '0')
    same(read_bytes(path + '/stdout'), b'x' * (1 << 20))
    mp.kill_server()
    same(read_bytes(path + '/stdout'), b'x' * (1 << 20))


@claim
def memory_of_output_that_a_dead_server_dropped_is_given_back(mp):
    """Of each stream the newest output_max bytes are kept, and no memory for others, whoever was to give it back."""
    go = mp.base + '/go-dropped'
    script = f'echo first; until [ -e {go}1 ]; do sleep 0.01; done; head -c 8000000 /dev/zero; touch {go}2; exec sleep 1000'
    path = mp.start('p', 'sh', ['-c', script], output_max='64K')
    before = os.open(path + '/stdout', os.O_RDONLY)
    wait_until(lambda: os.pread(before, 5, 0) == b'first', what='its first words')
    with Stopped(porter_of(mp)):
        with Stopped(mp.server):
            touch(go + '1')
            wait_until(lambda: os.path.exists(go + '2'), what='all its words')
        wait_until(lambda: os.pread(before, 5, 0) == bytes(5), what='that the first are dropped')
        mp.kill_server()
    os.close(before)
    output = f"/proc/{value(path + '/pid')}/fd/1"
    wait_until(lambda: os.stat(output).st_blocks * 512 <= 1 << 20, what='memory that is given back')
    same(read_bytes(path + '/stdout'), bytes(1 << 16))


@claim
def the_streams_of_a_run_that_followed_a_reset_in_one_write_go_on(mp):
    """reset begins anew: what is let go of is the last run's, also when the next was started by the same write."""
    path = mp.make('p', 'cat', stdin_open='1')
    write(path + '/stdin', 'first\n')
    write(path + '/ctl', 'start\neof\njoin')
    for word in ('second', 'third'):
        write(path + '/ctl', 'reset\nstart')
        mp.kill_server()
        write(path + '/stdin', f'{word}\n')
        wait_until(lambda: read(path + '/stdout') == f'first\n{word}\n', what='what was written after the kill')
        mp.kill_server()
        write(path + '/ctl', 'eof\njoin')
        same((value(path + '/exitcode'), read(path + '/stdout')), ('0', f'first\n{word}\n'))


@claim
def who_followed_before_a_reset_follows_no_later_run(mp):
    """reset: output begins anew; for an open from before it is the end, also after the kill."""
    path = mp.run('p', 'echo', 'hello')
    before = os.open(path + '/output', os.O_RDONLY)
    write(path + '/ctl', 'reset')
    after = os.open(path + '/output', os.O_RDONLY)
    mp.kill_server()
    write(path + '/ctl', 'start\njoin')
    same([os.read(descriptor, 100) for descriptor in (before, after)], [b'', b'hello\n'])
    for descriptor in (before, after):
        os.close(descriptor)


@claim
def input_goes_on(mp):
    """stdin_open: what was written before the start, before and after the kill arrives in order, and then the end."""
    path = mp.make('p', 'cat', stdin_open='1')
    write(path + '/stdin', 'first\n')
    mp.kill_server()
    write(path + '/ctl', 'start')
    held = os.open(path + '/stdin', os.O_WRONLY)
    os.write(held, b'second\n')
    mp.kill_server()
    os.write(held, b'third\n')
    os.close(held)
    wait_until(lambda: read(path + '/stdout') == 'first\nsecond\nthird\n')
    mp.kill_server()
    write(path + '/ctl', 'eof')
    same(value(path + '/wait'), '0')
    same(read(path + '/stdout'), 'first\nsecond\nthird\n')
    expect_errno(errno.EPIPE, lambda: write(path + '/stdin', 'late'), 'ended', error_file=path + '/error')


@claim
def a_writer_that_waits_for_the_program_goes_on_waiting(mp):
    """A writer that is faster than the program waits, through a kill too; nothing is lost or doubled."""
    go = mp.base + '/go-input'
    path = mp.start('p', 'sh', ['-c', f'until [ -e {go} ]; do sleep 0.01; done; cat'], stdin_open='1')
    data = lines(40000).encode()
    writer, = blocked(mp, (write_all, path + '/stdin', data, len(data)))
    for _ in range(2):
        mp.kill_server()
        same((value(path + '/alive'), writer.is_alive()), ('1', True))
    touch(go)
    writer.result()
    write(path + '/ctl', 'eof\njoin')
    assert read_bytes(path + '/stdout') == data, len(read_bytes(path + '/stdout'))


@claim
def a_write_that_is_being_taken_is_taken_by_the_next_server(mp):
    """A server killed while it takes a large request fails none: the next one gets it."""
    data = bytes(1 << 20)
    for number in range(20):
        path = mp.start(f'p{number}', 'sleep', ['1000'], stdin_open='1')
        stdin = os.open(path + '/stdin', os.O_WRONLY)
        mp.idle()
        writer = Background(os.write, stdin, data)
        wait_until(mp.pending, what='the write')
        mp.kill_server()
        same((value(path + '/alive'), writer.is_alive(), writer.error), ('1', True, None))
        write(path + '/ctl', 'kill\njoin')
        os.close(stdin)


@claim
def small_writes_that_the_program_has_not_read_stay(mp):
    """More of them than a pipe has places for, and the eof after them, through two kills."""
    go = mp.base + '/go-small'
    path = mp.start('p', 'sh', ['-c', f'until [ -e {go} ]; do sleep 0.01; done; cat'], stdin_open='1')
    held = os.open(path + '/stdin', os.O_WRONLY)
    for number in range(100):
        os.write(held, b'%d\n' % number)
        if number == 50:
            mp.kill_server()
    os.close(held)
    write(path + '/ctl', 'eof')
    mp.kill_server()
    touch(go)
    write(path + '/ctl', 'join')
    same(read(path + '/stdout'), ''.join(f'{number}\n' for number in range(100)))


if __name__ == '__main__':
    main()
