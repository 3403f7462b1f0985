#!/usr/bin/env python3
"""Memory, CPU and number of processes of a process with its descendants, where control groups can be made."""
import errno
import os
import signal

from cgroups import hierarchies, made_by
from groups import HIDDEN, groups_of, hidden_one, need, need_trees, tree_of
from harness import PYTHON, Mount, Skip, claim, main, program_of
from locked import end_locked, start_locked
from plain import Background, exists, expect_errno, read, same, value, wait_until, write

V1 = {'memory_max': ('memory', 'memory.limit_in_bytes'), 'cpu_max': ('cpu', 'cpu.cfs_quota_us'), 'pids_max': ('pids', 'pids.max')}
V2 = {'memory_max': 'memory.max', 'cpu_max': 'cpu.max', 'pids_max': 'pids.max'}


def group_of(pid, file):
    """The directory of the group that limits the process, and the file in it."""
    lines = [line.rstrip('\n').split(':', 2) for line in open(f'/proc/{pid}/cgroup')]
    for wanted, name in ((V1[file][0], V1[file][1]), ('', V2[file])):
        for _, controllers, path in lines:
            if wanted in controllers.split(',') and wanted in hierarchies() and 'procfs-mp-' in path:
                return hierarchies()[wanted] + path, name
    raise AssertionError(f'{pid} is in no group for {file}: {lines}')


@claim
def nobody_escapes_a_tree(mp):
    """kill tree and terminate tree, while it runs and after its end: also an orphan in a session of its own without its environment."""
    need_trees(mp)
    for verb, end in (('kill', 'exec sleep 1000'), ('terminate', 'exec sleep 1000'), ('kill', 'exit 5'), ('terminate', 'exit 5')):
        path = mp.start(f'{verb}-{end[:6]}', '/bin/sh', ['-c', f'{HIDDEN} & wait; {end}'])
        pid = hidden_one(path)
        if 'exit' in end:
            value(path + '/wait')
        assert exists(pid)
        write(path + '/ctl', f'{verb} tree\njoin')
        wait_until(lambda: not exists(pid), what=f'the end of the hidden one by {verb} tree')


@claim
def a_hidden_one_is_still_inside(mp):
    """self and result are found by the control group when parents, session and environment are gone."""
    need_trees(mp)
    script = 'readlink "$M/self"; echo 42 > "$M/self/result"; echo done'
    path = mp.start('p', '/bin/sh', ['-c', f'env -i M="$PROCFS_MP" setsid setsid -f sh -c \'{script}\' & read -r line'], stdin_open='1')
    wait_until(lambda: 'done' in read(path + '/stdout'), what='it has written')
    same((read(path + '/stdout'), read(path + '/result'), read(path + '/stderr')), ('p\ndone\n', '42\n', ''))
    write(path + '/ctl', 'eof\njoin')


@claim
def nobody_waits_for_one_that_waits_itself_to_know_who_asks(mp):
    """The server waits for no program, least of all for one that waits for the server."""
    need_trees(mp)
    start_locked(mp)
    os.close(os.open(mp.base + '/ask', os.O_WRONLY))
    wait_until(lambda: Background(os.path.isdir, mp('made')).result(), what='what it has made')
    end_locked(mp)


@claim
def no_group_is_used_again_while_somebody_is_left_in_it(mp):
    """A group is handed on when it is empty: neither does a tree lose one that it left behind, nor get another's."""
    need_trees(mp)
    path = mp.run('p', '/bin/sh', ['-c', f'{HIDDEN} & wait'])
    left = hidden_one(path)
    others = [mp.start(f'other{i}', 'sleep', '1000') for i in range(100)]
    groups = {tree_of(value(other + '/pid')) for other in others}
    same((len(groups), tree_of(left) in groups), (100, False))
    write(mp('ctl'), 'kill other1*\njoin other1*\nclose other1*')
    again = [mp.run(f'again{i}', 'true') for i in range(100)]
    same((exists(left), len(again)), (True, 100))
    write(path + '/ctl', 'kill tree')
    wait_until(lambda: not exists(left), what='the end of the hidden one')
    same({value(other + '/state') for other in others if os.path.isdir(other)}, {'running'})


@claim
def groups_are_used_again(mp):
    """A life costs no mkdir: many processes, one after the other, take few groups."""
    need_trees(mp)
    most = 0
    for i in range(300):
        os.rmdir(mp.run(f'p{i}', 'true'))
        most = max(most, len(made_by(mp)) if i % 50 == 0 else 0)
    assert most <= 250, most


@claim
def after_a_kill_of_the_tree_it_can_be_reset_and_started(mp):
    """Some kernels kill whoever is born into a group that was killed before: it is not used again."""
    need_trees(mp)
    path = mp.start('p', 'sleep', '1000')
    for _ in range(5):
        write(path + '/ctl', 'kill tree\njoin\nreset\nstart')
        same(value(path + '/state'), 'running')
    write(path + '/ctl', 'kill tree\njoin')
    for i in range(20):
        same(value(mp.run(f'q{i}', 'true') + '/exitcode'), '0')


@claim
def every_run_is_in_the_same_group(mp):
    """Under restart: what an earlier run left behind belongs to the tree."""
    need_trees(mp)
    path = mp.start('p', '/bin/sh', ['-c', f'{HIDDEN} & wait; exit 1'], restart='on-failure')
    wait_until(lambda: len(read(path + '/stdout').split()) >= 3, what='three runs')
    write(path + '/ctl', 'kill tree\njoin')
    for pid in map(int, read(path + '/stdout').split()):
        wait_until(lambda: not exists(pid), what='the end of one that was left behind')


@claim
def a_mount_whose_keeper_is_killed_leaves_no_group_to_the_next():
    """The groups of a keeper that was killed go when the next mount begins."""
    mount = Mount()
    mount.__enter__()
    try:
        need_trees(mount)
        mount.start('p', 'sleep', '1000')
        assert made_by(mount)
        os.kill(mount.keeper, signal.SIGKILL)
        mount.wait()
        wait_until(lambda: not any(program_of(pid) for pid in mount.servers), what='the end of the server')
        wait_until(lambda: not any(read(directory + '/cgroup.procs') for directory in made_by(mount)), what='nobody is left')
        with Mount():
            same(made_by(mount), [])
    finally:
        mount.abandon()


@claim
def groups_of_mounts_that_live_are_left_alone():
    """A mount that begins removes what the dead have left, and nothing of the others."""
    with Mount() as one:
        need_trees(one)
        before = made_by(one)
        with Mount():
            same(made_by(one), before)
        same(made_by(one), before)


@claim
def without_a_limit_there_is_no_group_with_one(mp):
    """max is the default; nobody who asks for nothing pays for limits."""
    path = mp.start('p', 'sleep', '1000')
    same([value(f'{path}/{file}') for file in V2], ['max', 'max 100000', 'max'])
    same(groups_of(mp), [])
    maximal = mp.start('q', 'sleep', '1000', memory_max='max', cpu_max='max', pids_max='')
    same((groups_of(mp), value(maximal + '/alive')), ([], '1'))


@claim
def pids_max_bounds_the_number_of_processes(mp):
    """pids_max: a fork above it fails with EAGAIN, in the process and in its descendants."""
    need(mp, 'pids_max')
    path = mp.run('p', PYTHON, ['-c', '''
import errno, os, sys, time
for count in range(20):
    try:
        pid = os.fork()
    except OSError as error:
        print(count, errno.errorcode[error.errno])
        break
    if pid == 0:
        time.sleep(1000)
sys.stdout.flush()
os.killpg(0, 9)
'''], pids_max='5')
    same((read(path + '/stdout'), value(path + '/pids_max')), ('4 EAGAIN\n', '5'))
    wait_until(lambda: groups_of(mp) == [], what='its group is removed')


@claim
def memory_max_bounds_its_memory(mp):
    """memory_max: who needs more is killed by the kernel; bytes, or with K, M, G, T."""
    need(mp, 'memory_max')
    path = mp.run('p', PYTHON, ['-c', 'import mmap\nm = mmap.mmap(-1, 256 << 20)\nfor i in range(0, len(m), 4096): m[i] = 1\nprint("all of it")'],
                  memory_max='64M')
    swap = int(next(line for line in open('/proc/meminfo') if line.startswith('SwapTotal:')).split()[1])
    if not swap:
        same((value(path + '/exitcode'), read(path + '/stdout')), ('-9', ''))
    same(value(path + '/memory_max'), str(64 << 20))
    enough = mp.run('q', '/bin/echo', 'enough', memory_max='64m')
    same(read(enough + '/stdout'), 'enough\n')


@claim
def the_limits_are_those_of_its_group(mp):
    """Every limit that was written is the kernel's, and status says so."""
    need(mp, *V2)
    path = mp.start('p', 'sleep', '1000', memory_max='100M', cpu_max='20000 50000', pids_max='77')
    pid = int(value(path + '/pid'))
    for file, wanted in (('memory_max', '104857600'), ('cpu_max', '20000 50000'), ('pids_max', '77')):
        directory, name = group_of(pid, file)
        text = open(f'{directory}/{name}').read().strip()
        if name == 'cpu.cfs_quota_us':
            text += ' ' + open(directory + '/cpu.cfs_period_us').read().strip()
        same((text, value(f'{path}/{file}')), (wanted, wanted), file)
        assert f'{file}: {wanted}\n' in read(path + '/status'), read(path + '/status')
    same(os.path.dirname(directory), os.path.dirname(group_of(pid, 'pids_max')[0]))


@claim
def cpu_max_throttles(mp):
    """cpu_max: QUOTA of each PERIOD, for all of its group."""
    need(mp, 'cpu_max')
    path = mp.start('p', '/bin/sh', ['-c', 'while :; do :; done'], cpu_max='5000')
    directory, _ = group_of(int(value(path + '/pid')), 'cpu_max')

    def throttled():
        return int(dict(line.split() for line in open(directory + '/cpu.stat'))['nr_throttled'])
    wait_until(lambda: throttled() > 2, what='it is throttled')
    same(value(path + '/cpu_max'), '5000 100000')


@claim
def a_group_is_removed_when_nobody_is_left_in_it(mp):
    """Descendants that live on keep the group; then it goes away."""
    need(mp, 'pids_max')
    path = mp.run('p', '/bin/sh', ['-c', 'setsid sleep 1000 >/dev/null 2>&1 & echo $!'], pids_max='100')
    pid = int(value(path + '/stdout'))
    same(len(groups_of(mp)), 1)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: groups_of(mp) == [], what='its group is removed')


@claim
def a_removed_process_leaves_no_group(mp):
    """rmdir while descendants live on: the group goes away with them."""
    need(mp, 'pids_max')
    path = mp.run('p', '/bin/sh', ['-c', 'setsid sleep 1000 >/dev/null 2>&1 & echo $!'], pids_max='100')
    pid = int(value(path + '/stdout'))
    os.rmdir(path)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: groups_of(mp) == [], what='its group is removed')


@claim
def kill_tree_gets_whoever_is_in_the_group(mp):
    """With a group of its own nobody hides: neither by a session and an environment of its own."""
    need(mp, 'pids_max')
    path = mp.start('p', '/bin/sh', ['-c', 'env -i setsid setsid -f sh -c "echo \\$\\$; exec sleep 1000" & wait; exec sleep 1000'],
                    pids_max='100')
    pid = int(wait_until(lambda: read(path + '/stdout'), what='it has hidden'))
    write(path + '/ctl', 'kill tree\njoin')
    wait_until(lambda: not exists(pid), what='the end of the hidden one')
    wait_until(lambda: groups_of(mp) == [], what='its group is removed')


@claim
def a_failed_start_leaves_no_group(mp):
    """exec's errno, no group; corrected, it starts in one."""
    need(mp, 'pids_max')
    path = mp.make('p', '/no/such/program', pids_max='50')
    expect_errno(errno.ENOENT, lambda: write(path + '/ctl', 'start'))
    wait_until(lambda: groups_of(mp) == [], what='no group')
    write(path + '/ctl', 'target sleep\nargs 1000\nstart')
    same(len(groups_of(mp)), 1)


@claim
def it_enters_before_it_becomes_its_user(mp):
    """Another user's process is in its group too."""
    need(mp, 'pids_max')
    if os.geteuid():
        raise Skip('only root can become other users')
    path = mp.run('p', '/bin/sh', ['-c', 'id -u; cat /proc/self/cgroup'], user='54321', pids_max='100')
    uid, *groups = read(path + '/stdout').splitlines()
    same((uid, any('/procfs-mp-' in line for line in groups)), ('54321', True))


@claim
def values_that_mean_nothing_are_refused(mp):
    """EINVAL says what would be valid; the value stays; EBUSY after the start."""
    path = mp.make('p', 'true')
    for file, words in (('memory_max', ('x', '-1', '1.5G', '10X', '10MB', '99999999999999999999', '18446744073709551615', '17T5', '99999999T')),
                        ('cpu_max', ('x', '0', '999', '50000 0', '50000 1000001', '50000 x', '50000 max', '1 2 3', '2CPUs')),
                        ('pids_max', ('x', '-1', '1K', '4194305', '1 2'))):
        before = value(f'{path}/{file}')
        for word in words:
            expect_errno(errno.EINVAL, lambda: write(f'{path}/{file}', word), word, file, 'valid are max', error_file=path + '/error')
        same(value(f'{path}/{file}'), before)
    write(path + '/ctl', 'start\njoin')
    for file in V2:
        expect_errno(errno.EBUSY, lambda: write(f'{path}/{file}', 'max'), 'already started', error_file=path + '/error')


@claim
def the_end_of_the_mount_leaves_no_group():
    """What was still there is removed with the mount."""
    with Mount() as mount:
        need(mount, 'pids_max')
        mount.start('p', 'sleep', '1000', daemon='1', pids_max='100')
        same(len(groups_of(mount)), 1)
        mount.end()
        same(mount.wait(), 0)
        same(made_by(mount), [])


main()
