#!/usr/bin/env python3
"""Nobody fills a mount for all: how many processes, locks, bytes and descriptors one user may have."""
import errno
import json
import mmap
import os
import resource
import signal
import subprocess

import harness
from harness import Mount
from plain import (Background, Stopped, append, contains, errno_of, exit_of, expect_errno, read, read_bytes, same, stat_of, value,
                   wait_until, write, write_all)
from users import ALICE, BOB, as_alice, as_bob, claim, fork_as, main_for_users

MANY = 200  # of each other thing, in a mount with small limits


def write_as_alice(path, data):
    as_alice(lambda: write_all(path, data))


@claim
def one_user_has_no_more_processes_than_max_processes(mp):
    """-o max_processes: EDQUOT with a sentence in the root's error; nobody else is touched by it."""
    with Mount('allow_other', 'max_processes=3') as mp:
        as_alice(lambda: [mp.make(f'p{number}') for number in range(3)])
        for make in (lambda: os.mkdir(mp('p3')), lambda: write(mp('clone'), 'target true\nstart')):
            expect_errno(errno.EDQUOT, lambda: as_alice(make))
            contains(as_alice(lambda: read(mp('error'))), '3 processes', 'max_processes')
        same(sorted(mp.names()), ['p0', 'p1', 'p2'])
        same(as_bob(lambda: read(mp('error'))), '')
        same(value(as_bob(lambda: mp.run('bobs', 'true')) + '/exitcode'), '0')
        as_alice(lambda: os.rmdir(mp('p0')))
        as_alice(lambda: mp.run('again', 'true'))
        same(as_alice(lambda: read(mp('error'))), '')
        write(mp('p1', 'ctl'), 'close')
        as_alice(lambda: mp.make('once more'))


@claim
def the_superuser_and_who_mounted_have_no_such_limit(mp):
    """max_processes and max_bytes hold for the other users."""
    with Mount('allow_other', 'max_processes=0', 'max_bytes=0') as mp:
        for number in range(10):
            mp.run(f'p{number}', 'true', stdin='x' * 10000)
        expect_errno(errno.EDQUOT, lambda: as_alice(lambda: os.mkdir(mp('none'))))
        same(as_alice(lambda: value(mp('p0', 'exitcode'))), '0')


@claim
def one_user_has_no_more_bytes_than_max_bytes(mp):
    """-o max_bytes: a write that would be above is EDQUOT with a sentence in error, and the value is what it was."""
    with Mount('allow_other', 'max_bytes=100K') as mp:
        path = as_alice(lambda: mp.make('p', 'true', stdin='former'))
        for file in ('run', 'env', 'stdin', 'kwargs'):
            data = 'a=' + 'x' * 110000
            expect_errno(errno.EDQUOT, lambda: write_as_alice(f'{path}/{file}', data), 'max_bytes', str(100 << 10),
                         error_file=path + '/error')
        same((read(path + '/run'), read(path + '/env')), ('', ''))
        write_as_alice(path + '/run', '#' * 40000)
        same(len(read(path + '/run')), 40000)
        expect_errno(errno.EDQUOT, lambda: write_as_alice(path + '/run', '#' * 110000))
        same(len(read(path + '/run')), 40000, 'a refused write leaves its value as it was, also when its > had emptied it')
        other = as_alice(lambda: mp.make('q'))
        expect_errno(errno.EDQUOT, lambda: write_as_alice(other + '/run', '#' * 80000))
        same(value(as_bob(lambda: mp.run('bobs', 'true', stdin='x' * 50000)) + '/exitcode'), '0')
        write_as_alice(path + '/run', '')
        write_as_alice(other + '/run', '#' * 80000)
        as_alice(lambda: os.rmdir(other))
        write_as_alice(path + '/run', '#' * 80000)


@claim
def what_the_superuser_writes_into_a_users_directory_that_user_pays(mp):
    """The owner pays, whoever wrote it."""
    with Mount('allow_other', 'max_bytes=100K') as mp:
        path = as_alice(lambda: mp.make('p', 'true'))
        expect_errno(errno.EDQUOT, lambda: write(path + '/run', '#' * 110000))
        write(path + '/run', '#' * 60000)
        expect_errno(errno.EDQUOT, lambda: as_alice(lambda: append(path + '/stdin', 'x' * 60000)))


@claim
def captured_output_above_max_bytes_loses_its_oldest(mp):
    """Of output the newest is kept, and all that is kept of one user is no more than max_bytes."""
    with Mount('allow_other', 'max_bytes=1M') as mp:
        words = ['-c', 'head -c 5000000 /dev/zero; echo the end']
        for number in range(3):
            path = as_alice(lambda: mp.run(f'p{number}', 'sh', words))
            same(value(path + '/exitcode'), '0')
            wait_until(lambda: read_bytes(path + '/stdout')[-8:] in (b'the end\n', b'') or None)

        def kept():
            return sum(len(read_bytes(mp(name, 'stdout'))) for name in mp.names())
        wait_until(lambda: kept() <= 1 << 20, what='an output that is cut')
        contains(read_bytes(mp('p0', 'stdout')).decode(), 'the end')
        same(as_bob(lambda: len(read_bytes(mp.run('bobs', 'head', '-c 500000 /dev/zero') + '/stdout'))), 500000)
        as_alice(lambda: os.rmdir(mp('p0')))
        same(as_alice(lambda: len(read_bytes(mp.run('again', 'head', '-c 100000 /dev/zero') + '/stdout'))), 100000)


@claim
def what_one_process_writes_too_much_another_does_not_lose(mp):
    """Who writes more than there is room for loses its own oldest, at every moment."""
    with Mount('allow_other', 'max_bytes=1M') as mp:
        words = ['-c', 'head -c 600000 /dev/zero; while sleep 0.001 && echo; do :; done & echo $!']
        slow = as_alice(lambda: mp.run('slow', 'sh', words))
        writer = int(read_bytes(slow + '/stdout').split(b'\n')[0].strip(b'\0'))
        for number in range(20):
            path = as_alice(lambda: mp.run(f'fast{number}', 'head', ['-c', '5000000', '/dev/zero']))
            wait_until(lambda: len(read_bytes(path + '/stdout')) <= 400000, what='an output that is cut')
            same(len(read_bytes(slow + '/stdout')) > 500000, True)
            as_alice(lambda: os.rmdir(path))
        os.kill(writer, signal.SIGKILL)


# Does what it is told by a FIFO, and then says so on stderr.
TOLD = 'while read size; do [ "$size" = none ] && truncate -s 0 /dev/stdout || head -c "$size" /dev/zero; echo >&2; done < "$0"'


class Told:
    """A process of alice's that writes so many bytes, or truncates what it has written."""

    def __init__(self, mp, name):
        fifo, self.said, self.count = f'{mp.base}/{name}.fifo', f'{mp.base}/{name}.said', 0
        os.mkfifo(fifo)
        write(self.said, '', os.O_WRONLY | os.O_CREAT)
        for path in (fifo, self.said):
            os.chmod(path, 0o666)
        self.path = as_alice(lambda: mp.start(name, 'sh', ['-c', TOLD, fifo], stderr_to=self.said))
        self.fifo = open(fifo, 'wb', buffering=0)

    def do(self, what):
        self.fifo.write(f'{what}\n'.encode())
        self.count += 1
        wait_until(lambda: os.path.getsize(self.said) == self.count, what='it has done so')


@claim
def what_one_process_has_truncated_another_does_not_lose():
    """Output is cut when there is no room for it, and not for what has gone before it came."""
    with Mount('allow_other', 'max_bytes=8M') as mp:
        one, other = Told(mp, 'one'), Told(mp, 'other')
        one.do(5000000)
        other.do(1)
        # A refusal, after which what is kept is counted anew.
        same(errno_of(as_alice, lambda: append(one.path + '/stdin', 'x')), errno.EBUSY)
        with Stopped(mp.server):
            other.do(1500000)
            one.do('none')
            other.do(4000000)
        for told in (one, other):
            told.fifo.close()
            as_alice(lambda told=told: write(told.path + '/ctl', 'join'))
        same(as_alice(lambda: len(read_bytes(other.path + '/stdout'))), 5500001)


@claim
def what_open_files_keep_counts_too(mp):
    """A value that an open file goes on reading is kept for it."""
    with Mount('allow_other', 'max_bytes=200K') as mp:
        path = as_alice(lambda: mp.make('p', run='#' * 60000))

        def open_many():
            files, codes = [], []
            for _ in range(MANY):
                files.append(os.open(path + '/run', os.O_RDONLY))
                codes.append(errno_of(os.read, files[-1], 1))
            return codes
        codes = as_alice(open_many)
        same((codes[0], codes[-1], set(codes)), (0, errno.EDQUOT, {0, errno.EDQUOT}))
        mp.idle()
        same(as_alice(lambda: len(read(path + '/run'))), 60000)


OPENS = 65536  # SHARE_OPENS_MOST of core/share.h


@claim
def one_user_has_no_more_open_files_of_the_mount_than_65536(mp):
    """Each open file takes some bytes of the server; who has too many may have them closed, and others are not touched by it."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    each = min(most, OPENS) - 100

    def hold(go, told):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        code, count = 0, 0
        while not code and count < each:
            code = errno_of(os.open, mp('version'), os.O_RDONLY)
            count += not code
        os.write(told, b'%d %d\n' % (count, code))
        os.read(go, 1)
        return 0
    total, codes, pids = 0, [], []
    go, start = os.pipe()
    ready, told = os.pipe()
    while errno.EDQUOT not in codes and total <= OPENS:
        pids.append(fork_as(ALICE, lambda: (os.close(start), hold(go, told))[1]))
        count, code = os.read(ready, 100).split()
        total += int(count)
        codes.append(int(code))
    same((total, codes[-1]), (OPENS, errno.EDQUOT))
    mp.kill_server()
    expect_errno(errno.EDQUOT, lambda: as_alice(lambda: os.open(mp('version'), os.O_RDONLY)))
    same(as_bob(lambda: value(mp.run('bobs', 'true') + '/exitcode')), '0')
    os.close(start)
    same({exit_of(pid) for pid in pids}, {0})
    wait_until(lambda: as_alice(lambda: errno_of(lambda: os.close(os.open(mp('version'), os.O_RDONLY)))) == 0)
    for descriptor in (go, ready, told):
        os.close(descriptor)


@claim
def what_waits_to_be_read_counts_too(mp):
    """A write that waits is kept meanwhile, and counts for who wrote it."""
    with Mount('allow_other', 'max_bytes=500K') as mp:
        path = as_alice(lambda: mp.start('p', 'sleep', '1000', stdin_open='1'))

        def fill():
            calls = [Background(write, path + '/stdin', 'x' * 100000) for _ in range(20)]
            wait_until(lambda: sum(not call.is_alive() for call in calls) >= 10, what='writes that are refused')
            refused = {errno_of(call.result) for call in calls if not call.is_alive()}
            verbs = [errno_of(write, path + '/ctl', words) for words in ('join 0.01\n' + '\n' * 60000, 'kill', 'join')]
            return [list(refused), verbs]
        same(as_alice(fill), [[errno.EDQUOT], [errno.EDQUOT, 0, 0]])
        same(as_bob(lambda: errno_of(mp.run, 'bobs', 'true')), 0)
        wait_until(lambda: as_alice(lambda: errno_of(write, path + '/run', 'x' * 300000)) != errno.EDQUOT)


@claim
def one_user_has_no_more_descriptors_than_a_quarter_of_the_servers(mp):
    """Each output and input that is kept is an open file of the server; of those one user has a quarter at most."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
    with Mount('allow_other', prepare=few) as mp:
        def fill():
            for number in range(MANY):
                code = errno_of(mp.run, f'p{number}', 'sh', ['-c', 'echo x; echo x >&2'])
                if code:
                    return [number, code, read(mp(f'p{number}', 'error'))]
            return []
        number, code, sentence = as_alice(fill)
        same(code, errno.EDQUOT)
        contains(sentence, 'as many as one user may have')
        assert 40 <= number <= 50, number
        same(value(as_bob(lambda: mp.run('bobs', 'sh', ['-c', 'echo x'])) + '/exitcode'), '0')
        as_alice(lambda: os.rmdir(mp('p0')))
        as_alice(lambda: write(mp(f'p{number}', 'ctl'), 'start\njoin'))


@claim
def ended_processes_that_were_silent_do_not_use_up_a_users_descriptors(mp):
    """A stream that is empty after the end keeps no descriptor where its owner has many."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
    with Mount('allow_other', prepare=few) as mp:
        as_alice(lambda: [mp.run(f'p{number}', 'true') and None for number in range(MANY)])


@claim
def programs_that_hold_session_count_too(mp):
    """session: the server holds a descriptor for each program that has it open."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    with Mount('allow_other', prepare=few) as mp:
        def hold():
            first, second = os.pipe()
            codes = []
            for _ in range(40):
                answer, answers = os.pipe()
                if not os.fork():
                    os.close(second)
                    os.write(answers, bytes([errno_of(os.open, mp('session'), os.O_RDONLY)]))
                    os.read(first, 1)
                    os._exit(0)
                codes.append(os.read(answer, 1)[0])
            os.close(second)
            for _ in codes:
                os.wait()
            return codes
        codes = as_alice(hold)
        same((codes[:20], codes[30:]), ([0] * 20, [errno.EDQUOT] * 10))
        as_bob(lambda: os.close(os.open(mp('session'), os.O_RDONLY)))
        wait_until(lambda: as_alice(lambda: errno_of(lambda: os.close(os.open(mp('session'), os.O_RDONLY)))) == 0)


@claim
def one_user_has_no_more_locks_than_a_quarter_of_all(mp):
    """locks/ cannot be filled by one user."""
    def fill():
        number = 0
        while not (code := errno_of(os.mknod, mp('locks', f'alice{number}'))):
            number += 1
        return [number, code, read(mp('error'))]
    number, code, sentence = as_alice(fill)
    same((number, code), (16384, errno.EDQUOT))
    contains(sentence, 'locks')
    as_bob(lambda: os.mknod(mp('locks/bobs')))
    os.unlink(mp('locks/bobs'))
    as_alice(lambda: [os.unlink(mp('locks', f'alice{number}')) for number in range(16384)] and None)
    as_alice(lambda: os.mknod(mp('locks/alice')))
    os.unlink(mp('locks/alice'))


@claim
def limits_that_are_none_are_refused_at_the_mount(mp):
    """max_processes=N and max_bytes=SIZE take numbers; the sentence quotes what was given."""
    for option in ('max_processes=many', 'max_bytes=1X', 'max_bytes=', 'max_processes=-1', 'max_bytes=99999999999999999999'):
        ended = subprocess.run([harness.BINARY, '-o', option, mp.base], capture_output=True, text=True)
        same(ended.returncode, 2)
        contains(ended.stderr, option)


@claim
def one_user_who_hammers_does_not_starve_another(mp):
    """Requests are answered in turn: whoever asks much waits for its own answers."""
    path = as_alice(lambda: mp.make('hammered', 'true'))

    def hammer():
        while True:
            os.listdir(mp.path)
            read(path + '/status')
            read(mp('status.json'))
            errno_of(write, path + '/ctl', 'start')
            errno_of(write, path + '/ctl', 'reset')
    hammers = [fork_as(ALICE, hammer) for _ in range(8)]
    try:
        for number in range(20):
            same(as_bob(lambda: value(mp.run(f'bobs{number}', 'true') + '/exitcode')), '0')
    finally:
        for pid in hammers:
            os.kill(pid, signal.SIGKILL)
        same({exit_of(pid) for pid in hammers}, {-9})


def close_sessions(mp, descriptors, closes):
    """Holds a session and so many other descriptors, and closes it so often, but for once; a daemonic process is still the session's."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    session, nothing = os.open(mp('session'), os.O_RDONLY), os.open('/dev/null', os.O_RDONLY)
    for _ in range(descriptors):
        os.dup(nothing)
    last = os.dup(session)
    os.close(session)
    for _ in range(closes):
        os.close(os.dup(last))
    mp.start('of-session', 'sleep', '1000', daemon='1')
    return 0


def ticks(path):
    """Of CPU, in user and kernel mode (proc(5))."""
    return sum(map(int, stat_of(path)[11:13]))


@claim
def whether_a_session_was_closed_is_found_out_in_nobody_elses_time(mp):
    """A program may have as many descriptors as it likes: the loop that answers all does not look through them."""
    descriptors = min(8000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200)
    before = ticks(f'{mp.server}/task/{mp.server}'), ticks(mp.server)
    same(exit_of(fork_as(ALICE, lambda: close_sessions(mp, descriptors, 100))), 0)
    loop, all_threads = (after - once for after, once in zip((ticks(f'{mp.server}/task/{mp.server}'), ticks(mp.server)), before))
    assert loop < all_threads / 2, f'{loop} of {all_threads} ticks in the loop'
    write(mp('of-session', 'ctl'), 'join')
    same(value(mp('of-session', 'exitcode')), '-15')


class Hammers:
    """Programs of alice's that each read the first byte of a table of all processes, again and again, and count."""

    def __init__(self, mp, file, number=12):
        self.counts = memoryview(mmap.mmap(-1, 8 * number)).cast('Q')
        self.pids = [fork_as(ALICE, lambda slot=slot: self.hammer(mp(file), slot)) for slot in range(number)]

    def hammer(self, path, slot):
        descriptor = os.open(path, os.O_RDONLY)
        while len(os.pread(descriptor, 1, 0)) == 1:
            self.counts[slot] += 1

    def __enter__(self):
        self.wait_until_all_were_served()
        return self

    def wait_until_all_were_served(self):
        before = list(self.counts)
        wait_until(lambda: all(now > then for now, then in zip(self.counts, before)), what='an answer for each')

    def meanwhile(self, call, rounds=8):
        """How many of their reads were answered while bob made that call, at least: from time to time somebody else has the CPU."""
        def count():
            counts = []
            for _ in range(rounds):
                before = sum(self.counts)
                call()
                counts.append(sum(self.counts) - before)
            return counts
        return min(as_bob(count))

    def __exit__(self, *_):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        same({exit_of(pid) for pid in self.pids}, {-signal.SIGKILL})


def make_a_long_table(mp):
    def make():
        for number in range(200):
            mp.make(f'p{number}', b'\1' * 4096)
    as_alice(make)


@claim
def who_reads_what_takes_long_to_make_holds_up_nobody_for_longer_than_that(mp):
    """The tables of all: one after the other, another user's before the same user's again, and others are answered in between."""
    make_a_long_table(mp)
    for file in ('status.json', 'status'):
        with Hammers(mp, file) as hammers:
            for call in (lambda: value(mp('p7', 'state')), lambda: os.stat(mp('status.json')), lambda: read(mp('status'))[:1],
                         lambda: errno_of(write, mp('ctl'), 'join p7*')):
                count = hammers.meanwhile(call)
                assert count <= 4, f'{count} others were answered before'


@claim
def who_waits_for_a_turn_can_be_interrupted_and_is_answered_by_another_server(mp):
    """A read that waits ends with its reader, and does not know that its server was killed."""
    make_a_long_table(mp)
    with Hammers(mp, 'status.json') as hammers:
        def read_for_ever():
            while read(mp('status.json')):
                pass
        for pid in [fork_as(BOB, read_for_ever) for _ in range(20)]:
            os.kill(pid, signal.SIGKILL)
            same(exit_of(pid), -signal.SIGKILL)
        for _ in range(3):
            mp.kill_server()
            hammers.wait_until_all_were_served()
        same(len(json.loads(as_bob(lambda: read(mp('status.json'))))), 200)


main_for_users('allow_other')
