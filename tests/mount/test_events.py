#!/usr/bin/env python3
"""events: one line per change, from the first still kept, following like a pipe."""
import calendar
import errno
import os
import re
import select
import signal
import stat
import subprocess
import tempfile
import time

from harness import DEADLINE, SLOWNESS, Mount, claim, main
from plain import (Background, Stopped, contains, errno_of, exit_of, fork, in_child, is_kind, permissions, read, same, stat_of,
                   wait_until, write)

LINE = re.compile(rb'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (\S+) (created|started|exited -?\d+|removed|reset|paused|continued)\n')
GAP = re.compile(rb'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z gap (\d+) events lost\n')
PATIENCE = DEADLINE * SLOWNESS * 1000


def opened(mp, flags=os.O_NONBLOCK):
    return os.open(mp('events'), os.O_RDONLY | flags)


def drain(descriptor, size=4096):
    """Everything there is now, by non-blocking reads."""
    pieces = []
    try:
        while piece := os.read(descriptor, size):
            pieces.append(piece)
    except BlockingIOError:
        pass
    return b''.join(pieces)


def changes(data):
    """(name, what) of each line; every byte belongs to one."""
    lines = data.splitlines(keepends=True)
    for line in lines:
        assert LINE.fullmatch(line), line
    return [tuple(part.decode() for part in LINE.fullmatch(line).groups()) for line in lines]


def from_now(mp):
    descriptor = opened(mp)
    os.lseek(descriptor, 0, os.SEEK_END)
    return descriptor


@claim
def a_life_is_four_lines_in_order(mp):
    """One line per change: time, name, created | started | exited CODE | removed."""
    descriptor = from_now(mp)
    for name, code in (('ok', 0), ('bad', 3)):
        os.rmdir(mp.run(name, 'sh', ['-c', f'exit {code}']))
    write(mp.start('killed', 'sleep', '1000') + '/ctl', 'kill\njoin')
    same(changes(drain(descriptor)),
         [('ok', 'created'), ('ok', 'started'), ('ok', 'exited 0'), ('ok', 'removed'),
          ('bad', 'created'), ('bad', 'started'), ('bad', 'exited 3'), ('bad', 'removed'),
          ('killed', 'created'), ('killed', 'started'), ('killed', 'exited -9')])
    os.close(descriptor)


def follow(descriptor, seen, *wanted):
    """Reads on until those changes have come, and nothing else."""
    wait_until(lambda: seen.extend(changes(drain(descriptor))) or len(seen) >= len(wanted), what=wanted)
    same(seen, list(wanted))
    seen.clear()


@claim
def a_pause_and_its_end_are_told_whoever_sent_the_signal(mp):
    """paused and continued: by a verb, by kill(1), by itself; once each; not for a process that ends."""
    descriptor, seen = from_now(mp), []
    path = mp.start('p', 'sleep', '1000')
    follow(descriptor, seen, ('p', 'created'), ('p', 'started'))
    write(path + '/ctl', 'signal STOP')
    follow(descriptor, seen, ('p', 'paused'))
    write(path + '/ctl', 'signal STOP')
    write(path + '/ctl', 'signal CONT')
    follow(descriptor, seen, ('p', 'continued'))
    os.kill(int(read(path + '/pid')), signal.SIGSTOP)
    follow(descriptor, seen, ('p', 'paused'))
    write(path + '/ctl', 'stop\njoin')
    wait_until(lambda: seen.extend(changes(drain(descriptor))) or ('p', 'exited -15') in seen)
    assert seen in ([('p', 'continued'), ('p', 'exited -15')], [('p', 'exited -15')]), seen
    seen.clear()
    path = mp.start('q', 'sh', ['-c', 'kill -STOP $$; exit 3'])
    follow(descriptor, seen, ('q', 'created'), ('q', 'started'), ('q', 'paused'))
    write(path + '/ctl', 'signal CONT\njoin')
    wait_until(lambda: seen.extend(changes(drain(descriptor))) or ('q', 'exited 3') in seen)
    os.close(descriptor)


def signal_and_wait(pid, number):
    """Until the kernel has done it."""
    os.kill(pid, number)
    wait_until(lambda: (stat_of(pid)[:1] == [b'T']) == (number == signal.SIGSTOP), what='a stop, or its end')


@claim
def a_pause_is_told_once_whenever_the_server_is_killed(mp):
    """paused and continued: a line for each change, none lost or doubled by a kill of the server."""
    descriptor, seen = from_now(mp), []
    path = mp.start('p', 'sleep', '1000')
    pid = int(read(path + '/pid'))
    follow(descriptor, seen, ('p', 'created'), ('p', 'started'))
    for number, what in ((signal.SIGSTOP, 'paused'), (signal.SIGCONT, 'continued')) * 2:
        signal_and_wait(pid, number)
        follow(descriptor, seen, ('p', what))
        mp.kill_server()
    with Stopped(mp.server):  # it hears of nothing
        signal_and_wait(pid, signal.SIGSTOP)
        mp.kill_server()
    follow(descriptor, seen, ('p', 'paused'))
    mp.kill_server()
    signal_and_wait(pid, signal.SIGCONT)
    follow(descriptor, seen, ('p', 'continued'))
    write(path + '/ctl', 'kill\njoin')
    follow(descriptor, seen, ('p', 'exited -9'))
    os.close(descriptor)


@claim
def pauses_of_more_than_the_keeper_can_tell_at_once_are_all_told():
    """paused and continued: a line for each change, also when the server had no time for them."""
    with Mount() as mp:
        names = {f'p{number}' for number in range(600)}
        for name in names:
            mp.start(name, 'sleep', '1000')
        pids = [int(read(mp(name, 'pid'))) for name in names]
        descriptor, seen = from_now(mp), []
        for number, what in ((signal.SIGSTOP, 'paused'), (signal.SIGCONT, 'continued')):
            with Stopped(mp.server):
                for pid in pids:
                    signal_and_wait(pid, number)
            wait_until(lambda: seen.extend(changes(drain(descriptor))) or len(seen) >= len(names), what=what)
            same((len(seen), set(seen)), (len(names), {(name, what) for name in names}))
            seen.clear()
        os.close(descriptor)


@claim
def times_are_those_of_the_changes_and_grow(mp):
    """Times are ISO 8601 UTC."""
    descriptor = from_now(mp)
    before = time.time()
    mp.run('timed', 'true')
    stamps = [line.split()[0].decode() for line in drain(descriptor).splitlines()]
    same(stamps, sorted(stamps))
    first = time.strptime(stamps[0][:19], '%Y-%m-%dT%H:%M:%S')
    assert abs(calendar.timegm(first) - before) < 3600, stamps
    os.close(descriptor)


@claim
def a_name_is_one_word(mp):
    """Where names are listed, a newline in one is \\012; here a blank is \\040 too."""
    descriptor = from_now(mp)
    os.mkdir(mp('two words\nand a line'))
    same(changes(drain(descriptor)), [('two\\040words\\012and\\040a\\040line', 'created')])
    os.close(descriptor)


@claim
def an_open_reads_from_the_first_event_still_kept(mp):
    """Each open begins at the first event still kept, however much others have read."""
    mp.run('first', 'true')
    one, other = opened(mp), opened(mp)
    same(drain(one, 7), drain(other))
    same(drain(one), b'')
    contains(str(changes(os.pread(one, 1 << 16, 0))), "('first', 'created')")
    os.close(one)
    os.close(other)


@claim
def a_read_at_the_end_waits_for_the_next_event(mp):
    """It follows like a pipe; O_NONBLOCK gives EAGAIN."""
    descriptor = os.open(mp('events'), os.O_RDONLY)
    os.lseek(descriptor, 0, os.SEEK_END)
    waiting = Background(os.read, descriptor, 4096)
    mp.wait_until_held(waiting)
    assert waiting.is_alive()
    os.mkdir(mp('next'))
    same(changes(waiting.result()), [('next', 'created')])
    os.close(descriptor)
    descriptor = from_now(mp)
    same(errno_of(os.read, descriptor, 1), errno.EAGAIN)
    os.close(descriptor)


@claim
def a_read_that_waits_is_interrupted_at_once(mp):
    """Blocking reads return at once when interrupted, also by SIGKILL."""
    def follow():
        descriptor = os.open(mp('events'), os.O_RDONLY)
        os.lseek(descriptor, 0, os.SEEK_END)
        os.read(descriptor, 4096)
    pid = fork(follow)
    mp.wait_until_held(pid)
    os.kill(pid, signal.SIGKILL)
    same(exit_of(pid), -9)
    mp.idle()
    os.mkdir(mp('after'))


@claim
def poll_says_when_there_is_something_to_read_for_that_open(mp):
    """changes of `events` can be polled: readable when there is something to read."""
    read_all, new = from_now(mp), opened(mp)
    poller = select.poll()
    poller.register(read_all, select.POLLIN)
    os.mkdir(mp('a'))
    same([fd for fd, _ in poller.poll(PATIENCE)], [read_all])
    drain(read_all)
    same(poller.poll(0), [])
    waiting = Background(poller.poll, PATIENCE)
    os.mkdir(mp('b'))
    same(waiting.result(), [(read_all, select.POLLIN)])
    both = select.poll()
    both.register(new, select.POLLIN)
    same(both.poll(0), [(new, select.POLLIN)])
    os.close(read_all)
    os.close(new)


@claim
def shells_read_a_line_at_a_time(mp):
    """A shell's read takes a line and leaves the next ones."""
    for shell in ('sh', 'bash'):
        for name in ('one', 'two'):
            os.mkdir(mp(f'{shell}-{name}'))
        script = f'while read -r time name what; do [ "$name" = {shell}-two ] && break; done; read -r rest; echo "$name $rest"'
        reader = subprocess.Popen([shell, '-c', script], stdin=open(mp('events')), stdout=subprocess.PIPE, text=True)
        mp.wait_until_held(reader.pid)
        os.mkdir(mp(f'{shell}-three'))
        contains(reader.communicate()[0], f'{shell}-two', f'{shell}-three created')


def said(out, words):
    return words.encode() in open(out.name, 'rb').read()


def change(path):
    os.mkdir(path)
    os.rmdir(path)


@claim
def tail_follows_from_now_and_cat_from_the_beginning(mp):
    """tail -f and cat work; `tail -n 0 -f` is from now."""
    mp.run('before', 'true')
    followers = ((['tail', '-n', '0', '-f'], False), (['tail', '-n', '1000', '-f'], True), (['cat'], True))
    for number, (words, old) in enumerate(followers):
        name = f'during-{number}'
        with tempfile.NamedTemporaryFile() as out:
            follower = subprocess.Popen([*words, mp('events')], stdout=out, stderr=subprocess.STDOUT)
            try:
                # from now is from when tail has begun: until then there is another change to see, and another
                wait_until(lambda: said(out, f'{name} created') or change(mp(name)), what=words)
                wait_until(lambda: said(out, f'{name} removed'), what=words)
                same(said(out, 'before created'), old, words)
                changes(open(out.name, 'rb').read().rpartition(b'\n')[0] + b'\n')
            finally:
                follower.kill()
                follower.wait()


@claim
def a_reader_that_fell_behind_is_told_how_many_it_has_lost():
    """Bounded: the newest is kept, and a gap is said and not hidden."""
    with Mount() as mp:
        descriptor = opened(mp)
        name = 'n' * 255
        os.mkdir(mp(name))
        same(len(changes(os.read(descriptor, 1 << 16))), 1)
        os.rmdir(mp(name))
        rounds = 2200
        for _ in range(rounds):
            os.mkdir(mp(name))
            os.rmdir(mp(name))
        data = drain(descriptor)
        gap, rest = data.split(b'\n', 1)
        lost = int(GAP.fullmatch(gap + b'\n').group(1))
        kept = changes(rest)
        same(lost + len(kept), 1 + 2 * rounds)
        assert lost and len(rest) <= 1 << 20 and len(rest) > (1 << 20) - 600, (lost, len(rest))
        fresh = opened(mp)
        same(changes(drain(fresh)), kept, 'a new open has lost nothing')
        os.close(fresh)
        os.close(descriptor)


@claim
def anyone_who_sees_the_mount_may_follow_and_nobody_writes():
    """Names and states are public as in a listing."""
    with Mount('allow_other') as mp:
        os.mkdir(mp('roots'))

        def follow():
            descriptor = os.open(mp('events'), os.O_RDONLY)
            return [os.read(descriptor, 4096).decode(), errno_of(os.open, mp('events'), os.O_WRONLY)]
        text, code = in_child(follow, uid=65534)
        contains(text, 'roots created')
        same(code, errno.EACCES)
        same(permissions(mp('events')), 0o444)
        assert is_kind(mp('events'), stat.S_ISREG)


@claim
def a_reader_that_waits_does_not_hold_up_the_end_of_the_mount():
    """When the mount ends nobody is left waiting."""
    with Mount() as mp:
        descriptor = os.open(mp('events'), os.O_RDONLY)
        waiting = Background(os.read, descriptor, 4096)
        mp.wait_until_held(waiting)
        mp.end()
        assert errno_of(waiting.result) in (errno.ENODEV, errno.ENOTCONN, errno.ECONNABORTED)
        os.close(descriptor)
        mp.wait()


main()
