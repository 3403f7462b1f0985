#!/usr/bin/env python3
"""Faults: descriptors, processes and room that run out, servers and keepers that stand still or die, clients that vanish."""
import errno
import os
import resource
import signal
import subprocess
import threading

from harness import PYTHON, Mount, Skip, claim, main
from plain import (Background, SLOWNESS, Stopped, children_of, contains, errno_of, exists, exit_of, expect_errno, fork, name_of, read, same,
                   value, wait_until, write)


class Limit:
    """A resource limit of another process, put back at the end."""

    def __init__(self, pid, kind, soft):
        self.pid, self.kind, self.soft = pid, kind, soft

    def __enter__(self):
        self.before = resource.prlimit(self.pid, self.kind)
        resource.prlimit(self.pid, self.kind, (self.soft, self.before[1]))

    def __exit__(self, *_):
        resource.prlimit(self.pid, self.kind, self.before)


def fails_and_then_runs(path, code, limit):
    """start fails with that error and leaves it initial; without the limit it runs."""
    with limit:
        expect_errno(code, lambda: write(path + '/ctl', 'start'), os.strerror(code), error_file=path + '/error')
        same((value(path + '/state'), value(path + '/pid'), value(path + '/exitcode')), ('initial', '', ''))
    write(path + '/ctl', 'start\njoin')
    same(value(path + '/exitcode'), '0')


# What runs out ---------------------------------------------------------------------------------------------------

@claim
def without_descriptors_of_the_server_a_start_is_emfile_and_nothing_is_lost(mp):
    """A start that fails leaves nothing behind; it can be done again."""
    fails_and_then_runs(mp.make('p', 'true'), errno.EMFILE, Limit(mp.server, resource.RLIMIT_NOFILE, 1))
    path = mp.make('q', 'cat')
    with Limit(mp.server, resource.RLIMIT_NOFILE, 1):
        expect_errno(errno.EMFILE, lambda: write(path + '/stdin', 'x'), error_file=path + '/error')
        same(errno_of(os.close, os.open(path + '/status', os.O_RDONLY)), 0)
        read(mp('status'))
        os.mkdir(mp('r'))
    write(path + '/stdin', 'y')
    write(path + '/ctl', 'start\njoin')
    same(read(path + '/stdout'), 'y')


@claim
def what_runs_can_be_ended_and_waited_for_without_descriptors(mp):
    """An end is told, also where nothing can be opened."""
    path = mp.start('p', 'sleep', '1000')
    control = os.open(path + '/ctl', os.O_WRONLY)
    join = Background(os.write, control, b'join')
    mp.wait_until_held(join)
    read(mp('version'))  # who asked before is known now
    with Limit(mp.server, resource.RLIMIT_NOFILE, 1), Limit(mp.keeper, resource.RLIMIT_NOFILE, 1):
        os.kill(int(value(path + '/pid')), signal.SIGTERM)
        join.result()
        same((value(path + '/exitcode'), value(path + '/wait')), ('-15', '-15'))
        os.rmdir(path)
    os.close(control)


@claim
def without_descriptors_of_the_keeper_a_start_is_emfile_and_nothing_is_lost(mp):
    """A start that fails leaves nothing behind; it can be done again."""
    fails_and_then_runs(mp.make('p', 'true'), errno.EMFILE, Limit(mp.keeper, resource.RLIMIT_NOFILE, 1))


def pids_group():
    """A new control group that can limit processes: its directory."""
    for line in open('/proc/self/mountinfo'):
        fields, rest = (half.split() for half in line.split(' - '))
        if rest[0] == 'cgroup2' or (rest[0] == 'cgroup' and 'pids' in rest[2].split(',')):
            path = f'{fields[4]}/procfs-mp-test-{os.getpid()}'
            if errno_of(os.mkdir, path):
                continue
            if os.path.exists(path + '/pids.max'):
                return path
            os.rmdir(path)
    raise Skip('no control group for processes can be made here')


@claim
def where_no_process_can_be_made_a_start_is_eagain(mp):
    """clone(2)'s EAGAIN: nothing is left behind, it can be done again."""
    group = pids_group()
    try:
        with Mount() as other:
            path = other.make('p', 'true')
            write(group + '/cgroup.procs', str(other.keeper), os.O_WRONLY)
            write(group + '/pids.max', '0', os.O_WRONLY)
            expect_errno(errno.EAGAIN, lambda: write(path + '/ctl', 'start'), 'cannot make a process', error_file=path + '/error')
            same((value(path + '/state'), value(path + '/pid')), ('initial', ''))
            write(group + '/pids.max', 'max', os.O_WRONLY)
            write(path + '/ctl', 'start\njoin')
            same(value(path + '/exitcode'), '0')
    finally:
        wait_until(lambda: errno_of(os.rmdir, group) in (0, errno.ENOENT), what='an empty group')


@claim
def input_that_finds_no_room_is_refused_and_the_former_stays(mp):
    """A refused write leaves the value as it was."""
    path = mp.make('p', 'cat', stdin='former\n')
    with Limit(mp.server, resource.RLIMIT_FSIZE, 4096):
        expect_errno(errno.EFBIG, lambda: write(path + '/stdin', 'x' * 100000, os.O_WRONLY | os.O_APPEND), 'cannot keep the input',
                     error_file=path + '/error')
    write(path + '/ctl', 'start\njoin')
    same(read(path + '/stdout'), 'former\n')


@claim
def a_full_disk_is_the_programs_affair_and_the_mounts_no_more(mp):
    """stdout_to: what the program cannot write, the program is told; a file that cannot be made is the start's errno."""
    if os.geteuid():
        raise Skip('only root can make a small filesystem')
    place = mp.base + '/small'
    os.mkdir(place)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k,nr_inodes=2', 'tmpfs', place], check=True)
    try:
        path = mp.run('p', 'head', '-c 1000000 /dev/zero', stdout_to=place + '/file')
        assert value(path + '/exitcode') not in ('', '0', 'unknown')
        contains(read(path + '/stderr'), 'space')
        same(os.stat(place + '/file').st_size, 64 << 10)
        path = mp.make('q', 'true', stdout_to=place + '/another')
        expect_errno(errno.ENOSPC, lambda: write(path + '/ctl', 'start'), place, 'space', error_file=path + '/error')
        same(value(path + '/state'), 'initial')
        os.unlink(place + '/file')
        write(path + '/ctl', 'start\njoin')
        same(value(path + '/exitcode'), '0')
    finally:
        subprocess.run(['umount', place], check=True)


@claim
def output_above_the_memory_of_its_writer_ends_that_writer_alone(mp):
    """What is captured is the program's own memory, and memory_max bounds it."""
    path = mp.make('p', 'head', '-c 200000000 /dev/zero', output_max='1G')
    if errno_of(write, path + '/memory_max', '30M'):
        raise Skip(value(path + '/error'))
    write(path + '/ctl', 'start')
    same(value(path + '/wait'), '-9')
    assert os.stat(path + '/stdout').st_size < 30 << 20
    same(value(mp.run('beside', 'echo', 'x') + '/exitcode'), '0')


BOMB = 'import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n'


@claim
def a_fork_bomb_is_held_by_its_limit_and_ended_by_kill_tree(mp):
    """pids_max bounds the process with all its descendants; kill tree takes all."""
    path = mp.make('bomb', PYTHON, ['-c', BOMB])
    if errno_of(write, path + '/pids_max', '40'):
        raise Skip(value(path + '/error'))
    write(path + '/ctl', 'nice 19\nstart')
    group = next(line.rstrip('\n').split(':', 2)[2] for line in open(f"/proc/{value(path + '/pid')}/cgroup") if 'procfs-mp-' in line)
    same(value(mp.run('beside', 'true') + '/exitcode'), '0')

    def members():
        return [pid for pid in filter(str.isdigit, os.listdir('/proc')) if group in read_or_nothing(f'/proc/{pid}/cgroup')]
    wait_until(lambda: len(members()) == 40, what='a full group')
    write(path + '/ctl', 'kill tree\njoin')
    same(value(path + '/exitcode'), '-9')
    wait_until(lambda: members() == [], what='nothing of the bomb')


def read_or_nothing(path):
    try:
        return open(path).read()
    except OSError:
        return ''


# What stands still -----------------------------------------------------------------------------------------------

@claim
def a_server_that_stands_still_loses_nothing(mp):
    """Requests wait for it, ends are told when it goes on."""
    ends, lives = mp.start('ends', 'sleep', '1000'), mp.make('lives', 'echo', 'x')
    join = Background(write, ends + '/ctl', 'join')
    pid = int(value(ends + '/pid'))
    with Stopped(mp.server):
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not exists(pid), what='the keeper reaps')
        start = Background(write, lives + '/ctl', 'start\njoin')
        make = Background(os.mkdir, mp('new'))
        same((join.is_alive(), start.is_alive(), make.is_alive()), (True, True, True))
    for call in (join, start, make):
        call.result()
    same((value(ends + '/exitcode'), read(lives + '/stdout'), value(mp('new', 'state'))), ('-15', 'x\n', 'initial'))


@claim
def a_keeper_that_stands_still_loses_nothing(mp):
    """Without it nothing starts and no end is known; when it goes on, all is as if it had not stopped."""
    ends, lives = mp.start('ends', 'sleep', '1000'), mp.make('lives', 'echo', 'x')
    with Stopped(mp.keeper):
        write(ends + '/ctl', 'terminate')
        start = Background(write, lives + '/ctl', 'start\njoin')
        other = mp.make('other', 'true')
        same((value(ends + '/exitcode'), value(lives + '/exitcode'), value(other + '/state')), ('', '', 'initial'))
    start.result()
    write(ends + '/ctl', 'join')
    same((value(ends + '/exitcode'), read(lives + '/stdout'), value(lives + '/exitcode')), ('-15', 'x\n', '0'))


def find_again(mp):
    mp.server = wait_until(mp.find_server, what='a server')
    mp.servers = [mp.server]


@claim
def a_server_that_dies_while_the_keeper_stands_still_is_followed_when_that_goes_on(mp):
    """Whoever asks meanwhile is answered then; joins that wait are still the same."""
    path = mp.start('p', 'sleep', '1000')
    mp.idle()
    join = Background(write, path + '/ctl', 'join')
    mp.wait_until_held(join)
    with Stopped(mp.keeper):
        os.kill(mp.server, signal.SIGKILL)
        wait_until(lambda: not runs(mp.server), what='the end of the server')
        calls = [Background(value, path + '/alive'), Background(os.mkdir, mp('new'))]
        wait_until(lambda: mp.pending() >= 3, what='who asks')
        same([call.is_alive() for call in (join, *calls)], [True] * 3)
    same((calls[0].result(), calls[1].result(), join.is_alive()), ('1', None, True))
    find_again(mp)
    write(path + '/ctl', 'terminate')
    join.result()
    same(value(path + '/exitcode'), '-15')


def messengers(mp):
    return [pid for pid in children_of(mp.server) if name_of(pid) == 'procfs-mp-msg']


def one_that_waits(function, *arguments):
    """The call, when it has not returned after a moment that is long for an answer."""
    call = Background(function, *arguments)
    call.join(SLOWNESS)
    return call if call.is_alive() else None


@claim
def who_tells_the_kernel_of_changes_may_stand_still_or_die():
    """After a join nothing shows alive 1, so it is answered when the kernel knows: by another server, if need be."""
    with Mount() as mp:
        if not messengers(mp):
            raise Skip('this kernel is told nothing')
        for how in ('stands still', 'dies'):
            path = mp.start(how, 'sleep', '1000')
            held = {file: os.open(f'{path}/{file}', os.O_RDONLY) for file in ('alive', 'exitcode')}
            same([os.pread(fd, 10, 0) for fd in held.values()], [b'1\n', b''])
            with Stopped(messengers(mp)[0]):
                pid = int(value(path + '/pid'))
                join = Background(write, path + '/ctl', 'kill\njoin')
                wait_until(lambda: not exists(pid), what='the end')
                look = wait_until(lambda: one_that_waits(value, path + '/state'), what='the server has heard of the end')
                same(join.is_alive(), True)
                if how == 'dies':
                    os.kill(messengers(mp)[0], signal.SIGKILL)
            join.result()
            same((look.result(), value(path + '/state')), ('ended', 'ended'))
            same([os.pread(fd, 10, 0) for fd in held.values()], [b'0\n', b'-9\n'], how)
            for descriptor in held.values():
                os.close(descriptor)
            find_again(mp)


@claim
def who_tells_the_kernel_of_changes_and_stands_still_ends_with_its_server():
    """The next server's has its turn: nobody waits for the one before."""
    with Mount() as mp:
        if not messengers(mp):
            raise Skip('this kernel is told nothing')
        path = mp.start('p', 'sleep', '1000')
        with Stopped(messengers(mp)[0]):
            mp.kill_server()
            same(value(path + '/alive'), '1')
            write(path + '/ctl', 'kill\njoin')
            same(value(path + '/alive'), '0')
        same('does not let go' in mp.messages(), False, mp.messages())


@claim
def who_tells_the_kernel_of_changes_may_be_killed_as_often_as_a_server():
    """A kill is no fault: it ends no mount."""
    with Mount() as mp:
        if not messengers(mp):
            raise Skip('this kernel is told nothing')
        paths = [mp.start(f'p{number}', 'sleep', '1000') for number in range(8)]
        same([value(path + '/alive') for path in paths], ['1'] * 8)
        for path in paths:
            os.kill(messengers(mp)[0], signal.SIGKILL)
            write(path + '/ctl', 'kill\njoin')
            same((value(path + '/alive'), value(path + '/exitcode')), ('0', '-9'))
            find_again(mp)


@claim
def a_keeper_that_dies_leaves_nothing_that_lies(mp):
    """No end is reported that was not seen: never 0; nothing is started again; what ran is ended."""
    with Mount() as other:
        count = other.base + '/count'
        again = other.start('again', 'sh', ['-c', f'echo x >> {count}; exec sleep 1000'], restart='always')
        plain = other.start('plain', 'sleep', '1000')
        pids = [int(value(path + '/pid')) for path in (again, plain)]
        wait_until(lambda: os.path.exists(count))
        waits = [Background(lambda path=path: value(path + '/wait')) for path in (again, plain)]
        joins = [Background(write, path + '/ctl', 'join') for path in (again, plain)]
        descriptor = os.open(plain + '/exitcode', os.O_RDONLY)
        other.wait_until_held(*waits, *joins)
        server = other.server
        os.kill(other.keeper, signal.SIGKILL)
        for call in waits:
            code = errno_of(lambda call=call: same(call.result() in ('unknown', '-9'), True))
            same(code in (0, errno.ENOTCONN, errno.ENODEV, errno.ECONNABORTED, errno.EIO), True, f'errno {code}')
        for call in joins:
            errno_of(call.result)
        wait_until(lambda: not any(runs(pid) for pid in pids), what='no process of that mount')
        text = []
        errno_of(lambda: text.append(os.pread(descriptor, 10, 0)))
        same(text in ([], [b'unknown\n'], [b'-9\n']), True, f'{text}')
        os.close(descriptor)
        same(open(count).read(), 'x\n')
        errno_of(os.waitpid, server, 0)
        other.abandon()
        other.finish = lambda: None


@claim
def keeper_and_server_that_die_at_once_leave_nothing_that_runs():
    """Nobody is left who could say how a process ends: none goes on, nor begins again, and whoever waits gets an error."""
    users = [{}] if os.geteuid() else [{}, {'user': '65534'}]
    with Mount() as other:
        log = other.base + '/log'
        paths = [other.start(f'p{number}', 'sleep', '1000', **files) for number, files in enumerate(users)]
        paths.append(other.start('stubborn', 'sh', ['-c', f'trap "" TERM HUP; echo x >> {log}; while :; do sleep 1; done'],
                                 restart='always'))
        pids = [int(value(path + '/pid')) for path in paths]
        wait_until(lambda: os.path.exists(log))
        joins = [Background(write, path + '/ctl', 'join') for path in paths]
        waits = [Background(read, path + '/wait') for path in paths]
        other.wait_until_held(*joins, *waits)
        for pid in (other.keeper, other.server):  # so that neither sees the other's end
            os.kill(pid, signal.SIGSTOP)
        for pid in (other.server, other.keeper):
            os.kill(pid, signal.SIGKILL)
        for call in joins + waits:
            expect_errno((errno.ENOTCONN, errno.ECONNABORTED), call.result)
        wait_until(lambda: not any(runs(pid) for pid in pids), what='no process of that mount')
        same(open(log).read(), 'x\n')
        other.abandon()
        other.finish = lambda: None


def runs(pid):
    return read_or_nothing(f'/proc/{pid}/stat').rpartition(')')[2].split()[:1] not in ([], ['Z'], ['X'])


# Who vanishes, and who does not read -----------------------------------------------------------------------------

def join_in_threads(path, count):
    """That many joins at once, a thread each, until it is killed."""
    threading.stack_size(65536)
    descriptors = [os.open(path + '/ctl', os.O_WRONLY) for _ in range(count)]
    threads = [threading.Thread(target=os.write, args=[descriptor, b'join'], daemon=True) for descriptor in descriptors]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:
        return 77
    signal.pause()


@claim(timeout=240)
def ten_thousand_joins_that_are_interrupted_at_once_leave_nothing(mp):
    """A join returns at once when interrupted; nothing of it stays."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1100:
        raise Skip('fewer than 1100 descriptors allowed')
    path = mp.start('p', 'sleep', '1000')
    mp.idle()
    children = [fork(lambda: join_in_threads(path, 1000)) for _ in range(10)]

    def all_wait():
        if any(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) for pid in children):
            raise Skip('no room for 10,000 threads')
        return mp.pending() >= 10000
    try:
        wait_until(all_wait, deadline=100, what='10,000 pending joins')
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
    same({exit_of(pid) for pid in children} <= {-9, 77}, True)
    mp.idle()
    same(value(path + '/state'), 'running')
    write(path + '/ctl', 'kill\njoin')
    same(value(path + '/exitcode'), '-9')


def resident(pid):
    return next(int(line.split()[1]) for line in open(f'/proc/{pid}/status') if line.startswith('VmRSS')) << 10


@claim
def readers_that_never_read_cost_the_server_nothing_that_grows(mp):
    """Nobody who follows and does not read makes the server keep more, or wait."""
    path = mp.start('p', 'sh', ['-c', 'while read x; do head -c 1000000 /dev/zero; done'], stdin_open='1', output_max='64K')
    followers = [os.open(name, os.O_RDONLY | os.O_NONBLOCK) for name in (mp('events'), path + '/output') for _ in range(50)]

    def burst():
        for _ in range(300):
            os.mkdir(mp('x'))
            os.rmdir(mp('x'))
        size = os.stat(path + '/stdout').st_size
        write(path + '/stdin', 'x\n')
        wait_until(lambda: 'dropped' in read(path + '/status') and os.stat(path + '/stdout').st_size >= size)
    burst()
    before = resident(mp.server)
    for _ in range(10):
        burst()
    if SLOWNESS == 1:  # a sanitizer keeps what was freed
        assert resident(mp.server) - before < 4 << 20, f'{before} has become {resident(mp.server)}'
    for descriptor in followers:
        os.close(descriptor)


def busy(mp):
    """A process and calls that wait for it in every way: its path, the calls, their descriptors."""
    path = mp.start('busy', 'sleep', '1000')
    calls = [Background(write, path + '/ctl', 'join'), Background(read, path + '/wait'), Background(read, path + '/output'),
             Background(write, mp('ctl'), 'join all')]
    mp.wait_until_held(*calls)
    return path, calls


@claim
def a_lazily_unmounted_mount_serves_who_is_in_it_until_the_last_has_left(mp):
    """umount -l: whoever waits goes on waiting and gets the answer; then the mount ends."""
    with Mount() as other:
        path, calls = busy(other)
        root = os.open(other.path, os.O_RDONLY)
        pid = int(value(path + '/pid'))
        subprocess.run(['umount', '-l', other.path], check=True)
        same([call.is_alive() for call in calls], [True] * len(calls))
        os.kill(pid, signal.SIGTERM)
        for call in calls:
            call.result()
        os.close(root)
        same(other.wait(), 0, other.messages())


@claim
def the_end_of_a_busy_mount_answers_everybody(mp):
    """A second signal kills what is left; nobody is left waiting, and nothing remains."""
    with Mount() as other:
        _, calls = busy(other)
        other.make('new')
        os.chdir(other.path)
        subprocess.run(['umount', '-l', other.path], check=True)
        os.kill(other.keeper, signal.SIGTERM)
        wait_until(lambda: errno_of(write, 'new/ctl', 'target /no/such\nstart') == errno.ESHUTDOWN, what='a mount that ends')
        same([call.is_alive() for call in calls], [True] * len(calls), 'the process is joined')
        os.kill(other.keeper, signal.SIGTERM)
        os.chdir('/')
        for call in calls:
            errno_of(call.result)
        same(other.wait(), 0, other.messages())


main()
