#!/usr/bin/env python3
"""Memory, descriptors and room that run out, at each call of a life that wants some in turn, and a clock that jumps.

Runs tests/faulty, the program in which they run out and the clock jumps on request.
"""
import errno
import mmap
import os
import resource
import select
import signal
import struct

from harness import Mount, Skip, claim, main
from plain import (SLOWNESS, Background, append, contains, errno_name, errno_of, exists, expect_errno, read, same, value, wait_until,
                   write)

FORMAT = '7q'  # struct faults of tests/faulty.c
MEMORY, FILES, ROOM = range(3)
LACKS = (errno.ENOMEM, errno.ENFILE)
EVERYBODY = -1


class Faults:
    """In memory of this process's, which goes away with it."""

    def __init__(self):
        descriptor = os.memfd_create('faults')
        os.truncate(descriptor, struct.calcsize(FORMAT))
        self.memory = mmap.mmap(descriptor, 0)
        self.name = f'/proc/{os.getpid()}/fd/{descriptor}'

    def arm(self, pid, before=0, count=0, clock=0, no_resend=0, lacks=MEMORY):
        self.memory[:] = struct.pack(FORMAT, pid, before, count, 0, no_resend, clock, lacks)

    def seen(self):
        return struct.unpack(FORMAT, self.memory[:])[3]


def faulty_mount(faults):
    return Mount(environment={**os.environ, 'PROCFS_MP_FAULTS': faults.name})


def persist(function, *arguments):
    """Done again as long as there is no memory or no descriptor for it: then it succeeds as if nothing had been."""
    result = []
    codes = []

    def tried():
        codes.append(errno_of(lambda: result.append(function(*arguments))))
        return codes[-1] not in LACKS
    wait_until(tried, what=f'{function.__name__}{arguments} without want')
    same(errno_name(codes[-1]), 'success', f'{function.__name__}{arguments}, after {len(codes) - 1} times in want')
    return result[0]


def configure(mp, path):
    persist(write, path + '/target', 'sh')
    persist(write, path + '/args', "-c 'cat; echo $A $0; echo e >&2; until echo r > $PROCFS_MP/self/result; do :; done 2>&-' first")
    persist(append, path + '/args', ' second')
    persist(write, path + '/kwargs', 'k=v')
    persist(write, path + '/env', 'A=b\n-C\n')
    persist(write, path + '/name', 'a name')
    persist(write, path + '/authkey', '0' * 64)
    persist(write, path + '/cwd', '/')
    persist(write, path + '/stdin', 'in\n')
    persist(write, path + '/limits', 'nofile 100:200')
    persist(write, path + '/nice', '19')
    persist(write, path + '/timeout', '1000')
    persist(write, path + '/stop_signal', 'INT')
    persist(write, path + '/restart', 'on-failure')
    persist(write, path + '/ctl', 'umask 022\ndaemon 0\n')


WAITING = ('wait', 'sentinel', 'output')


def look(mp, path, ended):
    for name in persist(os.listdir, path):
        if name not in ('children', 'parent') and (ended or name not in WAITING):
            persist(read, f'{path}/{name}')
        persist(os.stat, f'{path}/{name}') if name != 'parent' else None
    for name in ('status', 'status.json', 'active_children', 'help', 'error', 'ctl', 'clone'):
        persist(read, mp(name))
    events = persist(os.open, mp('events'), os.O_RDONLY)
    persist(os.read, events, 4096)
    os.close(events)


def live(mp, path):
    poll = select.poll()
    sentinel = persist(os.open, path + '/sentinel', os.O_RDONLY)
    poll.register(sentinel, select.POLLIN)
    poll.poll(0)
    persist(write, path + '/ctl', 'start')
    persist(write, path + '/ctl', 'join')
    assert poll.poll(20000), 'the sentinel'
    os.close(sentinel)
    same(persist(read, path + '/stdout'), 'in\nb first\n')
    same(persist(read, path + '/stderr'), 'e\n')
    same((persist(value, path + '/exitcode'), persist(value, path + '/state')), ('0', 'ended'))


def others(mp):
    persist(os.mknod, mp('locks/l'))
    persist(os.listdir, mp('locks'))
    persist(os.unlink, mp('locks/l'))
    os.close(persist(os.open, mp('session'), os.O_RDONLY))
    clone = persist(os.open, mp('clone'), os.O_RDWR)
    name = persist(os.read, clone, 100).decode().strip()
    persist(os.write, clone, b'target sleep\nargs 1000\nstdin_open 1\nstart\n')
    os.close(clone)
    persist(write, mp(name, 'stdin'), 'x')
    persist(write, mp(name, 'ctl'), 'kill tree')
    persist(write, mp('ctl'), 'join all 1000')
    same(persist(value, mp(name, 'exitcode')), '-9')
    persist(write, mp(name, 'ctl'), 'close')


def life(mp):
    path = mp('p')
    persist(os.mkdir, path)
    configure(mp, path)
    look(mp, path, False)
    live(mp, path)
    look(mp, path, True)
    persist(write, path + '/ctl', 'reset')
    same(persist(value, path + '/state'), 'initial')
    live(mp, path)
    persist(os.rmdir, path)
    others(mp)
    same(persist(mp.names), [])


def another_server_goes_on(mp):
    """Whatever was lacking before: the server is killed, and another has all that there is."""
    path = mp.start('kept', 'sleep', '1000', name='a name')
    mp.kill_server()
    same((value(path + '/alive'), value(path + '/name')), ('1', 'a name'), mp.messages()[-300:])


def count_allocations(mp, faults):
    faults.arm(mp.server)
    life(mp)
    if not faults.seen():
        raise Skip('this is not tests/faulty, whose memory can run out')
    return faults.seen()


@claim(timeout=500)
def an_allocation_that_fails_is_enomem_or_nothing_and_changes_nothing():
    """Without memory a call is ENOMEM or succeeds; done again it succeeds as if nothing had been; the server lives, and may be killed."""
    faults = Faults()
    with faulty_mount(faults) as mp:
        life(mp)
        allocations = count_allocations(mp, faults)
        for number in range(0, allocations + 20, int(SLOWNESS)):
            faults.arm(mp.server, number, 1)
            try:
                life(mp)
            except BaseException:
                print(f'# allocation {number} of {allocations}', flush=True)
                raise
            assert mp.healthy(), f'the server died of allocation {number}: {mp.messages()[-300:]}'
        faults.arm(0)
        another_server_goes_on(mp)


@claim
def a_write_that_goes_on_with_a_value_is_enomem_and_nothing_else():
    """Without memory a call is ENOMEM or succeeds, also one at the end of what was written before."""
    faults = Faults()
    pieces = b'a' * 1500, b'b' * 1500
    with faulty_mount(faults) as mp:
        path = mp.make('p')

        def write_both(number, count):
            descriptor = os.open(path + '/target', os.O_WRONLY | os.O_TRUNC)
            os.write(descriptor, pieces[0])
            faults.arm(mp.server, number, count)
            persist(os.pwrite, descriptor, pieces[1], len(pieces[0]))
            seen = faults.seen()
            faults.arm(0)
            os.close(descriptor)
            same(value(path + '/target'), (pieces[0] + pieces[1]).decode())
            return seen
        seen = write_both(0, 0)
        if not seen:
            raise Skip('this is not tests/faulty, whose memory can run out')
        for number in range(seen + 3):
            write_both(number, 1)


@claim(timeout=500)
def memory_that_is_gone_for_long_is_survived():
    """While there is no memory at all every call is ENOMEM or succeeds, and after that all is as it was, through a kill too."""
    faults = Faults()
    with faulty_mount(faults) as mp:
        allocations = count_allocations(mp, faults)
        for number in range(0, allocations, 7):
            faults.arm(mp.server, number, 12)
            life(mp)
            assert mp.healthy(), f'the server died of allocation {number}: {mp.messages()[-300:]}'
        faults.arm(0)
        another_server_goes_on(mp)


@claim
def memory_that_lacks_for_a_larger_value_than_any_before_leaves_nothing_that_ends_the_mount():
    """A lack of memory is no fault, at whatever it was: all that was answered is there after a kill."""
    faults = Faults()
    large, number, seen = '#' * 100000, 0, 1
    while number < seen:
        with faulty_mount(faults) as mp:
            path = mp.make('p')
            faults.arm(mp.server, number, 1)
            persist(write, path + '/run', large)
            seen = faults.seen()
            faults.arm(0)
            if not seen:
                raise Skip('this is not tests/faulty, whose memory can run out')
            another_server_goes_on(mp)
            same(read(path + '/run'), large, f'allocation {number} of {seen}')
        number += 1


def put_much(path):
    """A value that is as large as half the memory which there is; refused or not."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        code = 0
        for _ in range(64):
            code = code or errno_of(os.write, descriptor, b'#' * (1 << 17))
    finally:
        code = code or errno_of(os.close, descriptor)
    same(code in (0, errno.ENOMEM), True, f'{errno_name(code)} {read(os.path.dirname(path) + "/error")}')


@claim(timeout=120)
def a_large_value_that_finds_little_memory_is_enomem_or_kept():
    """A lack of memory is no fault: whatever was refused, all that was answered is there after a kill."""
    if SLOWNESS > 1:
        raise Skip('a sanitizer takes the memory itself')
    with Mount() as mp:
        kept, path = mp.start('kept', 'sleep', '1000'), mp.make('p')
        for extra in range(0, 60 << 20, 3 << 18):
            size = int(open(f'/proc/{mp.server}/statm').read().split()[0]) * resource.getpagesize()
            before = resource.prlimit(mp.server, resource.RLIMIT_AS)
            resource.prlimit(mp.server, resource.RLIMIT_AS, (size + extra, before[1]))
            put_much(path + '/run')
            resource.prlimit(mp.server, resource.RLIMIT_AS, before)
            write(path + '/run', 'exit 3')
            mp.kill_server()
            same((value(kept + '/alive'), read(path + '/run')), ('1', 'exit 3'), f'{extra} bytes')
        write(path + '/ctl', 'start\njoin')
        same(value(path + '/exitcode'), '3')


@claim(timeout=300)
def what_found_no_room_in_the_journal_is_kept_as_soon_as_there_is():
    """Until there is, what was kept before is what a new server knows, and nothing is launched that it would not know."""
    faults = Faults()
    with faulty_mount(faults) as mp:
        faults.arm(mp.server, lacks=ROOM)
        life(mp)
        puts = faults.seen()
        if not puts:
            raise Skip('this is not tests/faulty, whose room can run out')
        for number in range(0, puts, int(SLOWNESS)):
            faults.arm(mp.server, number, 1, lacks=ROOM)
            life(mp)
            if number % 16 == 0:
                mp.kill_server()
        same('finds no room' in mp.messages(), False, 'all could be put with all the rest')
        before = mp.start('before', 'sleep', '1000')
        for is_killed in (True, False):
            faults.arm(mp.server, 0, 1 << 40, lacks=ROOM)
            path = mp.make('during', 'sleep', '1000')
            start = Background(write, path + '/ctl', 'start')
            mp.wait_until_held(start)
            contains(mp.messages(), 'finds no room')
            if is_killed:
                mp.kill_server()
                expect_errno((errno.EBADF, errno.ENOENT, errno.ESTALE), start.result)
                same((mp.names(), value(before + '/alive')), (['before'], '1'))
            else:
                same((value(path + '/pid'), value(before + '/alive')), ('', '1'))
                faults.arm(0)
                os.mkdir(mp('after'))
                start.result()
        contains(mp.messages(), 'all is kept again')
        mp.kill_server()
        same([value(one + '/state') for one in (before, path, mp('after'))], ['running', 'running', 'initial'])


@claim(timeout=300)
def a_keeper_without_memory_fails_a_start_and_nothing_else():
    """start is ENOMEM, and succeeds when it is done again."""
    faults = Faults()

    def start(name):
        path = persist(mp.make, name, 'echo', 'x')
        persist(write, path + '/ctl', 'start\njoin')
        same(read(path + '/stdout'), 'x\n')
        os.rmdir(path)
    with faulty_mount(faults) as mp:
        start('before')
        faults.arm(mp.keeper)
        start('counted')
        if not faults.seen():
            raise Skip('this is not tests/faulty, whose memory can run out')
        for number in range(faults.seen() + 3):
            faults.arm(mp.keeper, number, 1)
            start(f'p{number}')
        faults.arm(0)


@claim(timeout=500)
def a_descriptor_that_cannot_be_had_is_enfile_or_nothing_and_changes_nothing():
    """Where the machine has no more open files a call is ENFILE or succeeds; done again it succeeds as if nothing had been."""
    faults = Faults()
    with faulty_mount(faults) as mp:
        life(mp)
        for pid in (mp.server, mp.keeper):
            faults.arm(pid, lacks=FILES)
            life(mp)
            opened = faults.seen()
            if not opened:
                raise Skip('this is not tests/faulty, whose descriptors can run out')
            # The more processes there are on the machine, the more of it is one search among them.
            for number in range(0, opened + 3, int(SLOWNESS) + opened // 250):
                for count in (1, 5):
                    faults.arm(pid, number, count, lacks=FILES)
                    life(mp)
                    assert mp.healthy(), f'a death of descriptor {number}: {mp.messages()[-300:]}'
        faults.arm(0)


def a_tree(mp):
    """A process and one that it has started in a session of its own: the directory, and their pids."""
    path = mp.start('family', 'sh', ['-c', 'setsid sleep 1000 <&- >&- 2>&- & echo $!; exec sleep 1000'])
    wait_until(lambda: read(path + '/stdout').endswith('\n'), what='its child')
    return path, [int(value(path + '/stdout')), int(value(path + '/pid'))]


@claim(timeout=300)
def a_tree_is_signalled_whole_or_the_write_fails():
    """terminate tree takes all; where /proc cannot be read for lack of descriptors it says so."""
    faults = Faults()
    with faulty_mount(faults) as mp:
        for count in (1, 3, 10, 30):
            number, seen = 0, 1
            while number < seen:
                path, pids = a_tree(mp)
                faults.arm(mp.server, number, count, lacks=FILES)
                persist(write, path + '/ctl', 'terminate tree')
                seen = faults.seen()
                faults.arm(0)
                if not seen:
                    raise Skip('this is not tests/faulty, whose descriptors can run out')
                wait_until(lambda: not any(map(exists, pids)), what=f'the end of the tree, {count} from {number} of {seen}')
                write(path + '/ctl', 'join\nclose')
                number += int(SLOWNESS) + seen // 200


@claim(timeout=300)
def a_server_that_lacks_something_when_it_begins_is_followed():
    """A lack is no fault: another server is tried, and nothing is lost."""
    faults = Faults()
    for lacks in (MEMORY, FILES):
        with faulty_mount(faults) as mp:
            path = mp.start('p', 'sleep', '1000', timeout='1000')
            reader = mp.start('reader', 'cat', stdin_open='1')
            session = os.open(mp('session'), os.O_RDONLY)
            daemon = mp.start('daemon', 'sleep', '1000', daemon='1')
            join = Background(write, path + '/ctl', 'join')

            def follow(number, count):
                faults.arm(EVERYBODY, number, count, lacks=lacks)
                os.kill(mp.server, signal.SIGKILL)
                same([persist(value, one + '/alive') for one in (path, daemon)], ['1', '1'], f'call {number} of {lacks}')
                seen = faults.seen()
                faults.arm(0)
                mp.server = wait_until(mp.find_server, what='a server')
                mp.servers = [mp.server]
                return seen
            seen = follow(1 << 20, 0)
            if not seen:
                raise Skip('this is not tests/faulty, which can lack something')
            for number in range(0, seen, int(SLOWNESS)):
                follow(number, 1)
            for before_last in range(0, min(seen, 100), int(SLOWNESS)):  # the journal grows, and with it what comes before
                follow(follow(1 << 20, 0) - before_last, 1)
            for number in range(0, seen, 16):
                follow(number, 4)  # the keeper tries each a while later
            same((join.is_alive(), value(path + '/state'), value(reader + '/state')), (True, 'running', 'running'))
            append(reader + '/stdin', 'hello')
            write(reader + '/ctl', 'eof\njoin')
            same(read(reader + '/stdout'), 'hello')
            os.close(session)
            same(value(daemon + '/wait'), '-15')
            write(path + '/ctl', 'kill')
            join.result()


DAY = 86400


@claim
def no_deadline_follows_the_time_of_day():
    """A clock that is set brings no timeout nearer and puts none off."""
    faults = Faults()
    with faulty_mount(faults) as mp:
        long = mp.start('long', 'sleep', '1000', timeout='1000', stop_timeout='1000')
        for number, jump in enumerate((DAY, -DAY)):
            path = mp.make(f'short{number}', 'sh', ['-c', 'trap "" TERM; while :; do sleep 1; done'], timeout='1.5', stop_timeout='0.5')
            write(path + '/ctl', 'start')
            faults.arm(0, clock=jump)
            same(errno_of(write, path + '/ctl', 'join 0.5'), errno.ETIME)
            write(path + '/ctl', 'join')
            same(value(path + '/exitcode'), '-9')
            contains(read(path + '/status'), 'timed_out: 1')
            same(value(long + '/state'), 'running')
            again = mp.run(f'again{number}', 'false', restart='no')
            same((value(again + '/exitcode'), value(again + '/started')[:4] > '2000'), ('1', True))
        faults.arm(0)
        write(long + '/ctl', 'kill\njoin')


@claim
def where_the_kernel_cannot_ask_again_whoever_waits_is_interrupted():
    """A kernel without FUSE_NOTIFY_RESEND gets the best that is possible: nobody hangs, and asking again goes on."""
    faults = Faults()
    faults.arm(0, no_resend=1)
    with faulty_mount(faults) as mp:
        path = mp.start('p', 'sleep', '1000')
        waits = [Background(os.write, os.open(file, os.O_WRONLY), line) for file, line in
                 ((path + '/ctl', b'join'), (mp('ctl'), b'join p'))]
        waits += [Background(os.read, os.open(path + file, os.O_RDONLY), 100) for file in ('/wait', '/output')]
        mp.wait_until_held(*waits)
        mp.kill_server()
        # Python itself asks again after EINTR.
        write(path + '/ctl', 'terminate')
        same([one.result() for one in waits], [4, 6, b'-15\n', b''])
        same(value(path + '/exitcode'), '-15')
        contains(mp.messages(), 'whoever waits for an answer is interrupted')


main()
