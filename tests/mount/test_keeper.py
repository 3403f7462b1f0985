#!/usr/bin/env python3
"""Keeper and server: what lies inside the mount can be executed, a hanging exec holds up only itself, nothing leaks."""
import errno
import os
import resource
import signal
import stat
import subprocess

from harness import BINARY, Mount, claim, main, program_of
from plain import (Background, children_of, errno_of, exit_of, expect_errno, fork, in_child, read, same, value, wait_until,
                   write)


@claim
def a_target_inside_the_mount_itself_runs(mp):
    """A target inside the mount itself works."""
    script = mp.make('script', run='#!/bin/sh\necho inside "$@"\n')
    path = mp.run('executes', script + '/run', 'and out')
    same((value(path + '/exitcode'), read(path + '/stdout')), ('0', 'inside and out\n'), read(path + '/stderr'))
    path = mp.run('reads', 'sh', script + '/run it')
    same(read(path + '/stdout'), 'inside it\n', read(path + '/stderr'))


@claim
def a_missing_target_inside_the_mount_itself_is_an_error(mp):
    """A target inside the mount itself works, and so does its failure."""
    for target, code in ((mp('nobody'), errno.ENOENT), (mp('version'), errno.EACCES), (mp.path, errno.EACCES),
                         (mp('version', 'x'), errno.ENOTDIR)):
        path = mp.make(f'fails{len(mp.names())}', target)
        expect_errno(code, lambda: write(path + '/ctl', 'start'), target, error_file=path + '/error')


@claim
def a_cwd_inside_the_mount_itself_works(mp):
    """A cwd inside the mount itself works."""
    place = mp.make('place', name='whose name')
    path = mp.run('inside', 'sh', ['-c', 'pwd -P; cat name; cat ../place/state'], cwd=place)
    same(read(path + '/stdout'), f'{place}\nwhose name\ninitial\n', read(path + '/stderr'))
    path = mp.run('itself', 'sh', ['-c', 'cat itself/alive'], cwd=mp.path)
    same(read(path + '/stdout'), '1\n', read(path + '/stderr'))


@claim
def files_of_the_mount_serve_as_its_processes_streams(mp):
    """A stdin inside the mount itself works."""
    source = mp.run('source', 'echo', 'through the mount')
    path = mp.run('sink', 'sh', ['-c', f'cat < {source}/stdout; echo changed > {source}/name'])
    same((read(path + '/stdout'), value(source + '/name')), ('through the mount\n', 'changed'))
    path = mp.make('own', run='cat "$0" | wc -l; cat $PROCFS_MP/self/name\n')
    write(path + '/ctl', 'start\njoin')
    same(read(path + '/stdout').split(), ['1', 'own'], read(path + '/stderr'))


@claim
def a_managed_process_can_drive_its_own_mount(mp):
    """The server never waits for a child."""
    script = 'p=$PROCFS_MP/inner; mkdir $p; echo echo > $p/target; echo from inside > $p/args; echo start > $p/ctl; ' \
             'echo join > $p/ctl; cat $p/stdout; rmdir $p'
    same(read(mp.run('outer', 'sh', ['-c', script]) + '/stdout'), 'from inside\n')


@claim
def an_exec_that_hangs_holds_up_its_own_start_only(mp):
    """An exec that hangs holds up its own start only."""
    with Mount() as other:
        other.idle()
        os.kill(other.server, signal.SIGSTOP)  # from now on every lookup in `other` hangs
        try:
            paths = [mp.make(f'hangs{number}', f'{other.path}/nothing{number}') for number in range(8)]
            starts = [Background(write, path + '/ctl', 'start') for path in paths]
            wait_until(lambda: other.pending() > 0, what='an exec that hangs')
            mp.wait_until_held(*starts)
            for number in range(20):
                same(value(mp.run(f'quick{number}', 'true') + '/exitcode'), '0')
            same([start.is_alive() for start in starts], [True] * 8)
            for path in paths:
                read(path + '/status')
                expect_errno((errno.EALREADY, errno.EBUSY), lambda: write(path + '/ctl', 'start'))
        finally:
            os.kill(other.server, signal.SIGCONT)
        for path, start in zip(paths, starts):
            expect_errno(errno.ENOENT, start.result, 'nothing', error_file=path + '/error')
            same(value(path + '/state'), 'initial')


@claim
def a_cwd_that_hangs_holds_up_its_own_start_only(mp):
    """An exec that hangs holds up its own start only."""
    with Mount() as other:
        os.mkdir(other('x'))
        other.idle()
        os.kill(other.server, signal.SIGSTOP)
        try:
            path = mp.make('hangs', 'true', cwd=other('nowhere'))
            start = Background(write, path + '/ctl', 'start')
            wait_until(lambda: other.pending() > 0, what='a chdir that hangs')
            same(value(mp.run('quick', 'true') + '/exitcode'), '0')
        finally:
            os.kill(other.server, signal.SIGCONT)
        expect_errno(errno.ENOENT, start.result)


@claim
def orphans_come_to_the_keeper_and_are_reaped(mp):
    """Orphaned grandchildren are reaped."""
    for number in range(20):
        mp.run(f'orphans{number}', 'sh', ['-c', '(sh -c "exit 3" &); (sleep 0.01 & sleep 0.02 &); :'])
    wait_until(lambda: set(children_of(mp.keeper)) == set(mp.servers), what='every orphan is reaped')


@claim
def join_does_not_wait_for_orphans_that_hold_the_output(mp):
    """join waits for the process; what it left behind may go on writing."""
    path = mp.run('leaves', 'sh', ['-c', 'sleep 1000 & echo $!'])
    same(value(path + '/exitcode'), '0')
    orphan = int(value(path + '/stdout'))
    assert orphan in children_of(mp.keeper)
    os.rmdir(path)
    os.kill(orphan, signal.SIGKILL)
    wait_until(lambda: orphan not in children_of(mp.keeper))


def stop_and_go_on(pids):
    while True:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)


@claim
def ends_are_told_while_older_ones_are_stopped_and_go_on_all_the_time(mp):
    """An end is not hidden by what others do."""
    pids = [int(value(mp.start(f'older{number}', 'sleep', '1000') + '/pid')) for number in range(30)]
    busy = [fork(lambda: stop_and_go_on(pids)) for _ in range(2)]
    try:
        for number in range(20):
            same(value(mp.run(f'younger{number}', 'true') + '/exitcode'), '0')
    finally:
        for pid in busy:
            os.kill(pid, signal.SIGKILL)
    same([exit_of(pid) for pid in busy], [-9, -9])


def descriptors(mp):
    return {pid: len(os.listdir(f'/proc/{pid}/fd')) for pid in (mp.keeper, *mp.servers)}


def cycle(mp):
    path = mp.run('cycle', 'sh', ['-c', 'cat; echo err >&2'], stdin='input')
    same((value(path + '/exitcode'), read(path + '/stdout'), read(path + '/stderr')), ('0', 'input', 'err\n'))
    os.rmdir(path)
    path = mp.make('cycle', '/no/such/program', stdin='input')
    expect_errno(errno.ENOENT, lambda: write(path + '/ctl', 'start'))
    os.rmdir(path)
    path = mp.start('cycle', 'sleep', '1000')
    write(path + '/ctl', 'kill\njoin')
    os.rmdir(path)


@claim(timeout=120)
def two_hundred_lives_leak_no_descriptor_and_no_zombie(mp):
    """After any run there is no zombie and no leaked descriptor."""
    for _ in range(10):
        cycle(mp)
    before = descriptors(mp)
    for _ in range(200):
        cycle(mp)
    wait_until(lambda: descriptors(mp) == before, what=f'the descriptors of before, {before}')
    same(set(children_of(mp.keeper)), set(mp.servers))


def files_of(pid):
    found = set()
    for number in os.listdir(f'/proc/{pid}/fd'):
        try:
            status = os.stat(f'/proc/{pid}/fd/{number}')
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.add((status.st_dev, status.st_ino))
    return found


@claim
def what_is_captured_is_held_by_the_keeper_until_its_directory_goes():
    """What must outlive a server the keeper holds, and no longer than it is wanted."""
    with Mount() as mp:
        before = files_of(mp.keeper)
        path = mp.run('kept', 'echo', 'x')
        kept = files_of(mp.keeper) - before
        same(len(kept), 2, 'stdout and stderr')
        assert kept <= files_of(mp.server), 'the server has the same'
        os.rmdir(path)

        def swept():
            os.rmdir(mp.run('next', 'true'))
            return not files_of(mp.keeper) & kept
        wait_until(swept, what='nothing that is held')


@claim
def many_at_once_all_end_and_are_reaped(mp):
    """Reap all, then tell."""
    paths = [mp.start(f'storm{number}', 'sh', ['-c', f'exit {number % 7}']) for number in range(200)]
    for number, path in enumerate(paths):
        write(path + '/ctl', 'join')
        same(value(path + '/exitcode'), str(number % 7))
    same(set(children_of(mp.keeper)), set(mp.servers))


@claim
def a_child_gets_three_descriptors_and_none_of_ours(mp):
    """A child gets no descriptor of ours; /dev/null or its stdin."""
    for number, files in enumerate(({}, {'stdin': 'x'})):
        path = mp.run(f'descriptors{number}', 'ls', '/proc/self/fd', **files)
        same(read(path + '/stdout').split(), ['0', '1', '2', '3'])  # 3: ls reads the directory
    path = mp.run('null', 'readlink', '/proc/self/fd/0')
    same(value(path + '/stdout'), '/dev/null')


@claim
def a_child_has_its_own_session_and_clean_signals(mp):
    """A child gets default signal dispositions and an empty mask, its own session."""
    check_signals(mp)


def check_signals(mp):
    path = mp.run('signals', 'cat', '/proc/self/status /proc/self/stat')
    lines = read(path + '/stdout').splitlines()
    status = dict(line.split(':\t', 1) for line in lines[:-1] if ':\t' in line)
    same({key: int(status[key], 16) for key in ('SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn', 'SigCgt')},
         {key: 0 for key in ('SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn', 'SigCgt')})
    fields = lines[-1].rpartition(')')[2].split()
    pid = value(path + '/pid')
    same((status['Pid'].strip(), fields[2], fields[3]), (pid, pid, pid), 'pid, process group, session')
    same(status['PPid'].strip(), value(path + '/ppid'))


def spoil_signals():
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM})


@claim
def what_the_mounts_own_starter_ignored_or_blocked_reaches_no_child():
    """Default signal dispositions and an empty mask, however the mount was started (nohup, a careless shell)."""
    with Mount(prepare=spoil_signals) as mp:
        check_signals(mp)


@claim
def a_child_has_the_limits_and_the_badness_of_whoever_mounted(mp):
    """The child restores oom_score_adj, rlimits and nice."""
    for file in ('limits', 'oom_score_adj'):
        path = mp.run(file, 'cat', f'/proc/self/{file}')
        same(read(path + '/stdout'), subprocess.run(['cat', f'/proc/self/{file}'], capture_output=True, text=True).stdout)


def soft_limit():
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@claim
def the_keeper_has_as_many_descriptors_as_it_may_and_its_children_what_they_had():
    """The child restores oom_score_adj, rlimits and nice."""
    with Mount(prepare=soft_limit) as mp:
        most = resource.prlimit(mp.keeper, resource.RLIMIT_NOFILE)[1]
        wait_until(lambda: resource.prlimit(mp.keeper, resource.RLIMIT_NOFILE)[0] == most, what='the keeper has them')
        same(read(mp.run('limit', 'sh', ['-c', 'ulimit -Sn; ulimit -Hn']) + '/stdout').split()[0], '256')


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@claim
def a_soft_limit_of_file_sizes_is_for_the_programs_and_not_for_the_mount():
    """What keeper and server share is larger than many files may be; a process has the limit of whoever mounted."""
    with Mount(prepare=small_files) as mp:
        path = mp.run('writes', 'sh', ['-c', 'ulimit -f; trap "" XFSZ; head -c 100000 /dev/zero'])
        same((len(read(path + '/stdout')), read(path + '/stdout')[:4], value(path + '/exitcode')), (1 << 16, '128\n', '1'))
        mp.kill_server()
        same(value(mp.run('after', 'true') + '/exitcode'), '0')


def badness(pid='self'):
    return int(open(f'/proc/{pid}/oom_score_adj').read())


def make_badness(number):
    with open('/proc/self/oom_score_adj', 'w') as file:
        file.write(str(number))


def lowest_badness(number):
    """Of who has this one: -1000 needs a capability, 0 nothing."""
    make_badness(number)
    for lowest in (-1000, 0):
        if not errno_of(make_badness, lowest):
            break
    return badness()


@claim
def the_keeper_is_the_last_to_be_ended_for_lack_of_memory_and_nobody_inherits_that():
    """The keeper's oom_score_adj is as low as it may be; the server and every process have what the mount was started with."""
    expected = in_child(lambda: lowest_badness(300))
    with Mount(prepare=lambda: make_badness(300)) as mp:
        wait_until(lambda: badness(mp.keeper) == expected, what='the keeper is lowered')
        same(badness(mp.server), 300)
        for number in range(3):
            same(read(mp.run(f'p{number}', 'cat', '/proc/self/oom_score_adj') + '/stdout'), '300\n')
        path = mp.run('low', 'sh', ['-c', 'echo 0 > /proc/self/oom_score_adj'])
        same(value(path + '/exitcode') == '0', in_child(lambda: lowest_badness(300)) <= 0)
        if os.geteuid() == 0:
            path = mp.run('other', 'cat', '/proc/self/oom_score_adj', user='65534')
            same(read(path + '/stdout'), '300\n')
        same((badness(mp.keeper), badness(mp.server)), (expected, 300))
    ended = subprocess.run([BINARY, '--', 'cat', '/proc/self/oom_score_adj'], capture_output=True, text=True,
                           preexec_fn=lambda: make_badness(300))
    same((ended.returncode, ended.stdout), (0, '300\n'), ended.stderr)


@claim
def the_mount_answers_while_its_processes_write_without_end(mp):
    """The server never blocks."""
    flood = mp.start('flood', 'sh', ['-c', 'head -c 30000000 /dev/zero; exec sleep 1000'],
                     output_max='64M')
    for number in range(20):
        same(in_child(lambda: value(mp.run(f'beside{number}', 'true') + '/exitcode')), '0')
    wait_until(lambda: os.stat(flood + '/stdout').st_size == 30000000)


@claim
def when_the_keeper_dies_its_processes_end_and_the_mount_goes_away():
    """Without the keeper nobody could say how a process ended: none is left, and the mountpoint is free again."""
    mp = Mount().__enter__()
    try:
        pid = int(value(mp.start('runs', 'sleep', '1000') + '/pid'))
        os.kill(mp.keeper, signal.SIGKILL)
        wait_until(lambda: mp.find_minor() is None, what='the mountpoint to be free')
        wait_until(lambda: program_of(pid) is None and program_of(mp.server) is None, what='nothing that runs')
        same(os.listdir(mp.path), [])
    finally:
        mp.abandon()


@claim
def what_the_mount_says_to_itself_is_refused_from_others():
    """--serve is no option for people."""
    with open('/etc/passwd') as file:
        for number in (file.fileno(), 0, 99, 'x'):
            done = subprocess.run([BINARY, '--serve', str(number), '/mnt'], pass_fds=[file.fileno()], capture_output=True, text=True)
            same((done.returncode, done.stdout), (1, ''))
            assert done.stderr.startswith('procfs-mp: --serve is what procfs-mp says to itself'), done.stderr


@claim
def what_is_no_mount_is_not_upgraded_and_nobody_is_signalled(mp):
    """--upgrade asks the keeper of a mount, and nobody else."""
    def refused(place):
        done = subprocess.run([BINARY, '--upgrade', place], capture_output=True, text=True)
        same((done.returncode, done.stdout), (1, ''))
        assert done.stderr.startswith(f"procfs-mp: '{place}' is no mount of procfs-mp"), done.stderr
    refused(mp.base)
    refused(mp.base + '/missing')
    sleeper = subprocess.Popen(['sleep', '1000'])
    try:
        os.mkdir(mp.base + '/fake')
        with open(mp.base + '/fake/version', 'w') as file:
            file.write(f'procfs-mp 9\nkeeper {sleeper.pid}\nserver {sleeper.pid}\n')
        refused(mp.base + '/fake')
        same(sleeper.poll(), None, 'who was no keeper lives')
    finally:
        sleeper.kill()
        sleeper.wait()


@claim
def version_tells_the_two_processes_of_the_mount(mp):
    """version: the pids of keeper and server, a line each."""
    same(read(mp('version')).splitlines()[1:], [f'keeper {mp.keeper}', f'server {mp.server}'])


main()
