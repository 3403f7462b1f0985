#!/usr/bin/env python3
"""Input that goes on after the start: stdin_open and the verb eof."""
import ctypes
import errno
import os
import select
import signal
import subprocess

from harness import claim, main
from plain import Background, Stopped, append, contains, errno_of, exit_of, expect_errno, fork, read, read_bytes, same, value, wait_until, write

PIPE = 65536
MANY = 300  # starts: more than the keeper launches at once, and than fit in its socket


def silent(mount, name, **files):
    """A process that reads nothing, and says that it runs."""
    return mount.start(name, '/bin/sleep', ['1000'], stdin_open='1', **files)


def write_until_it_waits(path):
    """A writer of 1 MiB in a child that exits with the errno; its pid."""
    def call():
        descriptor = os.open(path + '/stdin', os.O_WRONLY)
        done = 0
        while done < 1 << 20:
            done += os.write(descriptor, bytes(min(1 << 17, (1 << 20) - done)))
        return 0
    return fork(lambda: errno_of(call))


@claim
def what_was_written_before_comes_first_then_each_write_until_eof(mount):
    """The program reads the first bytes, later ones as they are written, and the end after `eof`."""
    path = mount.make('a', '/bin/cat', stdin_open='1')
    same(value(path + '/stdin_open'), '1')
    write(path + '/stdin', 'first\n')
    append(path + '/stdin', 'second\n')
    write(path + '/ctl', 'start')
    write(path + '/stdin', 'third\n')
    wait_until(lambda: read(path + '/stdout') == 'first\nsecond\nthird\n')
    append(path + '/stdin', 'fourth\n')
    write(path + '/ctl', 'eof')
    write(path + '/ctl', 'join')
    same(read(path + '/stdout'), 'first\nsecond\nthird\nfourth\n')
    same(value(path + '/exitcode'), '0')


@claim
def a_shell_can_talk_to_a_program(mount):
    """`>` and `>>` to stdin while it runs, and `echo eof > ctl`."""
    script = f'''cd {mount.path} && mkdir c && echo sed > c/target && echo -u s/^/got:/ > c/args && echo 1 > c/stdin_open &&
        echo start > c/ctl && echo one > c/stdin && echo two >> c/stdin && echo eof > c/ctl && echo join > c/ctl && cat c/stdout'''
    same(subprocess.run(['sh', '-c', script], stdout=subprocess.PIPE, check=True, text=True).stdout, 'got:one\ngot:two\n')


@claim
def much_input_before_and_while_it_runs_arrives_whole(mount):
    """A writer that is faster than the program waits; nothing is lost or doubled."""
    first, then = (b''.join(b'%d\n' % i for i in numbers) for numbers in (range(50000), range(50000, 300000)))
    path = mount.make('a', '/bin/cat', stdin_open='1')
    for begin in range(0, len(first), PIPE):
        append(path + '/stdin', first[begin:begin + PIPE])
    write(path + '/ctl', 'start')
    descriptor = os.open(path + '/stdin', os.O_WRONLY)
    done = 0
    while done < len(then):
        done += os.write(descriptor, then[done:done + 100000])
    os.close(descriptor)
    write(path + '/ctl', 'eof\njoin')
    same(read_bytes(path + '/stdout') == first + then, True)


@claim
def a_writer_that_waits_holds_up_nobody_and_can_be_killed(mount):
    """While one waits for room, everything else works, others wait beside it, and a SIGKILL frees it."""
    path = silent(mount, 'a')
    pids = [write_until_it_waits(path) for _ in range(2)]
    wait_until(lambda: mount.pending() >= 2, what='two writers that wait')
    same(value(path + '/state'), 'running')
    same(os.stat(path + '/stdin').st_size, 0)
    os.close(os.open(path + '/stdin', os.O_WRONLY | os.O_TRUNC))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        same(exit_of(pid), -signal.SIGKILL)
    mount.idle()


@claim
def an_interrupted_write_gives_a_short_count_or_eintr(mount):
    """What has been taken is said, so that nothing is sent twice."""
    path = silent(mount, 'a')

    def call():
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.siginterrupt(signal.SIGALRM, True)
        signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)
        descriptor = os.open(path + '/stdin', os.O_WRONLY)
        # Python sends EINTR again by itself; the C library's write does not.
        libc = ctypes.CDLL(None, use_errno=True)
        while (count := libc.write(descriptor, bytes(100000), 100000)) < 0 and ctypes.get_errno() == errno.EINTR:
            pass
        again = libc.write(descriptor, bytes(100000), 100000)
        return 0 if count == PIPE and again == -1 and ctypes.get_errno() == errno.EINTR else 1
    same(exit_of(fork(call)), 0)


@claim
def without_waiting_what_the_program_has_read_makes_room_though_nobody_polls(mount):
    """O_NONBLOCK: who tries again is as good as who polls, also at a server that knows nothing of the pipe yet."""
    go = mount.base + '/go-read'
    os.mkfifo(go)
    path = mount.start('a', '/bin/sh', ['-c', 'read x < "$0"; exec cat', go], stdin_open='1')
    descriptor = os.open(path + '/stdin', os.O_WRONLY | os.O_NONBLOCK)
    mount.kill_server()
    left = [PIPE]

    def filled():
        try:
            left[0] -= os.write(descriptor, bytes(left[0]))
        except BlockingIOError:
            pass
        return not left[0]
    wait_until(filled, what='a full pipe')
    same(errno_of(os.write, descriptor, b'x'), errno.EAGAIN)
    write(go, '\n')
    wait_until(lambda: len(read_bytes(path + '/stdout')) == PIPE, what='that all was read')
    wait_until(lambda: errno_of(os.write, descriptor, b'x') == 0, what='room')
    os.close(descriptor)


@claim
def without_waiting_a_full_pipe_gives_eagain_and_poll_says_when_there_is_room(mount):
    """O_NONBLOCK: a short count, then EAGAIN; POLLOUT once the program has read."""
    go = mount.base + '/go'
    os.mkfifo(go)
    path = mount.start('a', '/bin/sh', ['-c', 'read x < "$0"; exec cat', go], stdin_open='1')
    descriptor = os.open(path + '/stdin', os.O_WRONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    same(poll.poll(0), [(descriptor, select.POLLOUT)])
    same(os.write(descriptor, bytes(100000)), PIPE)
    same(errno_of(os.write, descriptor, b'x'), errno.EAGAIN)
    same(poll.poll(0), [])
    waiting = Background(poll.poll, 20000)
    write(go, '\n', os.O_WRONLY)
    same(waiting.result(), [(descriptor, select.POLLOUT)])
    os.close(descriptor)
    write(path + '/ctl', 'eof\njoin')
    same(os.stat(path + '/stdout').st_size, PIPE)


@claim
def many_small_writes_need_not_wait_for_a_program_that_does_not_read_yet(mount):
    """A line at a time takes no more room than all at once."""
    go = mount.base + '/go-small'
    os.mkfifo(go)
    path = mount.start('a', '/bin/sh', ['-c', 'read x < "$0"; exec cat', go], stdin_open='1')
    lines = [b'%d\n' % number for number in range(1000)]
    descriptor = os.open(path + '/stdin', os.O_WRONLY | os.O_NONBLOCK)
    same([os.write(descriptor, line) for line in lines], [len(line) for line in lines])
    os.close(descriptor)
    write(path + '/ctl', 'eof')
    write(go, '\n', os.O_WRONLY)
    write(path + '/ctl', 'join')
    same(read_bytes(path + '/stdout') == b''.join(lines), True)


@claim
def a_program_that_does_not_read_any_more_gives_epipe(mount):
    """EPIPE with a sentence: it has closed its input, it has ended, eof came before."""
    path = mount.start('a', '/bin/sh', ['-c', 'exec < /dev/null; echo closed; exec sleep 1000'], stdin_open='1')
    wait_until(lambda: read(path + '/stdout') == 'closed\n')
    expect_errno(errno.EPIPE, lambda: write(path + '/stdin', 'x'), 'closed its input', error_file=path + '/error')
    write(path + '/ctl', 'kill\njoin')
    expect_errno(errno.EPIPE, lambda: write(path + '/stdin', 'x'), 'has ended', error_file=path + '/error')
    path = silent(mount, 'b')
    write(path + '/ctl', 'eof')
    expect_errno(errno.EPIPE, lambda: write(path + '/stdin', 'x'), 'eof', error_file=path + '/error')
    write(path + '/ctl', 'eof')


@claim
def who_waits_is_told_when_the_program_ends_or_closes_its_input(mount):
    """A short count for what was taken, EPIPE for the next write; the eof of another waits for who came before."""
    path = silent(mount, 'a')
    pid = write_until_it_waits(path)
    wait_until(lambda: mount.pending() > 0, what='a writer that waits')
    write(path + '/ctl', 'kill\njoin')
    same(exit_of(pid), errno.EPIPE)
    go = mount.base + '/go2'
    os.mkfifo(go)
    path = mount.start('b', '/bin/sh', ['-c', 'read x < "$0"; exec cat', go], stdin_open='1')
    descriptor = os.open(path + '/stdin', os.O_WRONLY)
    mount.idle()
    waiting = Background(os.write, descriptor, bytes(100000))
    wait_until(lambda: mount.pending() > 0, what='a writer that waits')
    write(path + '/ctl', 'eof')
    write(go, '\n', os.O_WRONLY)
    same(waiting.result(), 100000)
    os.close(descriptor)
    write(path + '/ctl', 'join')
    same(os.stat(path + '/stdout').st_size, 100000)


@claim
def without_stdin_open_the_input_is_settled_before_start(mount):
    """A write after start is EBUSY, eof EINVAL; before the start eof is ESRCH, after the end nothing."""
    path = mount.make('a', '/bin/sleep', ['1000'])
    same(value(path + '/stdin_open'), '0')
    expect_errno(errno.ESRCH, lambda: write(path + '/ctl', 'eof'), 'started', error_file=path + '/error')
    for words in ('2', 'yes', '01', '-1'):
        expect_errno(errno.EINVAL, lambda words=words: write(path + '/stdin_open', words), 'valid', error_file=path + '/error')
    write(path + '/ctl', 'start')
    expect_errno(errno.EBUSY, lambda: write(path + '/stdin', 'x'), 'already started', error_file=path + '/error')
    expect_errno(errno.EBUSY, lambda: write(path + '/stdin_open', '1'), 'already started', error_file=path + '/error')
    expect_errno(errno.EINVAL, lambda: write(path + '/ctl', 'eof'), 'stdin_open', error_file=path + '/error')
    expect_errno(errno.EINVAL, lambda: write(path + '/ctl', 'eof now'), 'no word', error_file=path + '/error')
    write(path + '/ctl', 'kill\njoin\neof')


@claim
def a_start_that_fails_keeps_the_input_for_the_next(mount):
    """Nothing of it is lost."""
    path = mount.make('a', '/nowhere', stdin_open='1')
    write(path + '/stdin', 'kept\n')
    expect_errno(errno.ENOENT, lambda: write(path + '/ctl', 'start'))
    append(path + '/stdin', 'more\n')
    write(path + '/target', '/bin/cat')
    write(path + '/ctl', 'start\neof\njoin')
    same(read(path + '/stdout'), 'kept\nmore\n')
    contains(read(path + '/ctl'), 'eof')


@claim
def starts_that_come_together_are_not_refused_for_what_each_waits_for_itself(mount):
    """A child that enters a directory of the mount waits for an answer of the server, which does not wait for it."""
    os.mkdir(mount('directory'))
    paths = [mount.make(f'p{i}', 'true', stdin_open='1', cwd=mount('directory')) for i in range(MANY)]
    held = [os.open(path + '/ctl', os.O_WRONLY) for path in paths]
    mount.idle()
    with Stopped(mount.server):
        writers = [Background(os.write, descriptor, b'start') for descriptor in held]
        wait_until(lambda: mount.pending() == MANY, what='starts that wait')
    for writer, descriptor in zip(writers, held):
        same(writer.result(), len('start'))
        os.close(descriptor)


main()
