#!/usr/bin/env python3
"""Locks: any name in locks/, and other files of the mount, under flock and fcntl."""
import errno
import fcntl
import os
import signal
import stat
import subprocess

from harness import PYTHON, Mount, claim, main
from plain import (append, errno_of, exit_of, expect_errno, fork, in_child, permissions, read, same, value, wait_until, write)

WORKERS, TURNS = 8, 25
COUNT_UNDER_FLOCK = f'''
cd "$PROCFS_MP/locks" || exit
i=0
while [ $i -lt {TURNS} ]; do
    flock counter sh -c 'n=$(cat "$1"); echo $((n - 1)) > "$1"' sh "$COUNTER" || exit
    i=$((i + 1))
done
'''
COUNT_UNDER_FCNTL = f'''
import fcntl, os
for turn in range({TURNS * 8}):
    with open(os.environ['PROCFS_MP'] + '/locks/counter', 'w') as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        with open(os.environ['COUNTER']) as file:
            number = int(file.read())
        with open(os.environ['COUNTER'], 'w') as file:
            file.write(str(number - 1))
'''


def made(mp, *names):
    for name in names:
        os.close(os.open(mp('locks', name), os.O_RDONLY | os.O_CREAT, 0o600))
    return mp('locks', names[0])


def emptied(mp):
    for name in os.listdir(mp('locks')):
        os.unlink(mp('locks', name))


def try_flock(path, kind=fcntl.LOCK_EX):
    fd = os.open(path, os.O_RDONLY)
    try:
        return errno_of(fcntl.flock, fd, kind | fcntl.LOCK_NB)
    finally:
        os.close(fd)


def try_fcntl(path, kind=fcntl.LOCK_EX):
    """In a process of its own: these locks are a process's."""
    def attempt():
        fd = os.open(path, os.O_RDWR)
        return errno_of(fcntl.lockf, fd, kind | fcntl.LOCK_NB)
    return in_child(attempt)


def count_down(mp, turns, target, args):
    counter = mp.base + '/counter'
    with open(counter, 'w') as file:
        file.write(str(WORKERS * turns))
    paths = [mp.make(f'w{number}', target, args, env=f'COUNTER={counter}') for number in range(WORKERS)]
    for path in paths:
        write(path + '/ctl', 'start')
    for path in paths:
        write(path + '/ctl', 'join')
        same(value(path + '/exitcode'), '0', read(path + '/stderr'))
    same(int(open(counter).read()), 0)
    emptied(mp)


@claim(timeout=200)
def eight_processes_decrement_one_counter_under_flock(mp):
    """The mutual exclusion that flock(1) gives on a name in locks/."""
    count_down(mp, TURNS, 'sh', ['-c', COUNT_UNDER_FLOCK])


@claim(timeout=200)
def eight_processes_decrement_one_counter_under_fcntl(mp):
    """The same through fcntl(2)."""
    count_down(mp, TURNS * 8, PYTHON, ['-c', COUNT_UNDER_FCNTL])


@claim
def any_name_can_be_made_and_holds_nothing(mp):
    """Any name can be created, by open, touch or `>`; it is owned by whoever made it, and empty."""
    names = ['plain', 'with blank', 'ctl', 'all', 'new\nline', '\udcff', 'n' * 255, '-x']
    for name in names:
        made(mp, name)
    subprocess.run(['touch', mp('locks/touched'), mp('locks/plain')], check=True)
    subprocess.run(['sh', '-c', ': > "$1"; : >> "$1"', 'sh', mp('locks/written')], check=True)
    same(sorted(os.listdir(mp('locks'))), sorted(names + ['touched', 'written']))
    for name in os.listdir(mp('locks')):
        found = os.stat(mp('locks', name))
        same((stat.S_ISREG(found.st_mode), found.st_uid, found.st_size, found.st_nlink), (True, os.geteuid(), 0, 1), name)
        same(read(mp('locks', name)), '')
    same(errno_of(os.open, mp('locks/plain'), os.O_CREAT | os.O_EXCL), errno.EEXIST)
    emptied(mp)
    same(os.listdir(mp('locks')), [])


@claim
def many_names_are_listed_whole(mp):
    """A listing in several pieces has every name once, also while some are removed."""
    names = {f'a-rather-long-name-of-a-lock-{number}' for number in range(2000)}
    for name in names:
        os.mknod(mp('locks', name))
    same(sorted(os.listdir(mp('locks'))), sorted(names))
    with os.scandir(mp('locks')) as entries:
        for entry in entries:
            os.unlink(entry.path)
    same(os.listdir(mp('locks')), [])


@claim
def what_is_not_a_lock_is_refused(mp):
    """Files only; nothing is written, renamed or linked; names are bounded."""
    path = made(mp, 'one')
    error = mp('error')
    expect_errno(errno.EPERM, lambda: os.mkdir(mp('locks/directory')), 'files', error_file=error)
    expect_errno(errno.EPERM, lambda: os.mkfifo(mp('locks/fifo')), 'files', error_file=error)
    expect_errno(errno.EPERM, lambda: os.symlink('one', mp('locks/link')), 'links', error_file=error)
    expect_errno(errno.EPERM, lambda: os.link(path, mp('locks/link')), 'links', error_file=error)
    expect_errno(errno.EPERM, lambda: os.rename(path, mp('locks/two')), 'name', error_file=error)
    expect_errno(errno.EPERM, lambda: write(path, 'x'), 'holds nothing', error_file=error)
    expect_errno(errno.EPERM, lambda: append(path, 'x'), 'holds nothing', error_file=error)
    expect_errno(errno.EINVAL, lambda: os.truncate(path, 1))
    os.truncate(path, 0)
    expect_errno(errno.EPERM, lambda: os.chmod(path, 0o600), 'modes', error_file=error)
    expect_errno(errno.ENAMETOOLONG, lambda: made(mp, 'n' * 256), '255', error_file=error)
    expect_errno(errno.ENOENT, lambda: os.unlink(mp('locks/missing')))
    expect_errno(errno.ENOENT, lambda: os.open(mp('locks/missing'), os.O_RDONLY))
    expect_errno(errno.EPERM, lambda: os.rmdir(mp('locks')), 'part of the mount', error_file=error)
    expect_errno(errno.EEXIST, lambda: os.mkdir(mp('locks')))
    expect_errno(errno.EPERM, lambda: os.close(os.open(mp('one'), os.O_CREAT | os.O_RDWR)), 'mkdir', error_file=error)
    same(os.listdir(mp('locks')), ['one'])
    emptied(mp)
    same(read(error), '', 'a success empties error')


@claim
def a_lock_excludes_whoever_opens_the_same_name(mp):
    """One lock a name, whoever opens it and how; another name is another lock."""
    path, other = made(mp, 'held', 'other'), mp('locks/other')
    with open(path) as holder:
        fcntl.flock(holder, fcntl.LOCK_SH)
        same((try_flock(path), try_flock(path, fcntl.LOCK_SH), try_flock(other)), (errno.EWOULDBLOCK, 0, 0))
        fcntl.flock(holder, fcntl.LOCK_EX)
        same((try_flock(path, fcntl.LOCK_SH), try_flock(mp('../mp/locks/held'))), (errno.EWOULDBLOCK,) * 2)
        same(subprocess.run(['flock', '-n', path, 'true']).returncode, 1)
    same(try_flock(path), 0)
    with open(path, 'r+') as holder:
        fcntl.lockf(holder, fcntl.LOCK_EX)
        assert try_fcntl(path) in (errno.EAGAIN, errno.EACCES)
        same(try_fcntl(other), 0)
        fcntl.lockf(holder, fcntl.LOCK_UN)
        same(try_fcntl(path), 0)
    emptied(mp)


@claim
def other_files_of_the_mount_can_be_locked_too(mp):
    """flock and fcntl work on files of the mount and on a process's directory; ctl, clone and stdin are the exceptions."""
    path = mp.make('lockable', 'true')
    for file in ('target', 'name', 'stdout', 'status', 'wait', 'exitcode'):
        with open(f'{path}/{file}') as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            same(try_flock(f'{path}/{file}'), errno.EWOULDBLOCK, file)
    directory = os.open(path, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    same(try_flock(path), errno.EWOULDBLOCK)
    os.close(directory)
    for file in (path + '/name', mp('start_method')):
        with open(file, 'r+') as holder:
            fcntl.lockf(holder, fcntl.LOCK_EX)
            assert try_fcntl(file) in (errno.EAGAIN, errno.EACCES), file
        same(try_fcntl(file), 0, file)


@claim
def the_end_of_a_holder_gives_the_lock_to_who_waits(mp):
    """However it ends: killed, too."""
    path = made(mp, 'inherited')
    holder = mp.start('holder', 'flock', [path, 'sleep', '100'])
    wait_until(lambda: try_flock(path) == errno.EWOULDBLOCK)
    waiter = mp.start('waiter', 'flock', [path, 'echo', 'mine'])
    write(holder + '/ctl', 'kill\njoin')
    # flock(1) has a child that holds the descriptor as well.
    child = wait_until(lambda: subprocess.run(['pgrep', '-s', value(holder + '/pid')], capture_output=True, text=True).stdout.split())
    for pid in child:
        os.kill(int(pid), signal.SIGKILL)
    write(waiter + '/ctl', 'join')
    same((value(waiter + '/exitcode'), read(waiter + '/stdout')), ('0', 'mine\n'))
    emptied(mp)


@claim
def waiting_for_a_lock_can_be_interrupted_and_holds_nobody_up(mp):
    """A waiter can be ended, and the mount answers meanwhile."""
    path = made(mp, 'busy')
    with open(path) as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        waiters = [mp.start(f'wait{number}', 'flock', [path, 'true']) for number in range(4)]
        same(read(mp.run('meanwhile', 'echo', ['hi']) + '/stdout'), 'hi\n')
        for waiter in waiters:
            write(waiter + '/ctl', 'terminate\njoin 20')
            same(value(waiter + '/exitcode'), '-15')
    emptied(mp)


@claim
def a_name_that_is_removed_lives_on_where_it_is_open(mp):
    """As files do: the name is free, whoever has it open keeps its lock, and a new one is another."""
    path = made(mp, 'gone')
    with open(path, 'r+') as old:
        fcntl.flock(old, fcntl.LOCK_EX)
        inode = os.fstat(old.fileno()).st_ino
        os.unlink(path)
        same(os.path.exists(path), False)
        same((os.fstat(old.fileno()).st_nlink, os.fstat(old.fileno()).st_ino), (0, inode))
        made(mp, 'gone')
        same(try_flock(path), 0)
        assert os.stat(path).st_ino != inode
        same(old.read(), '')
    emptied(mp)


@claim
def first_openers_at_once_all_get_the_same_lock(mp):
    """Eight that make the same name at the same moment: nobody is refused, and one lock comes of it."""
    for turn in range(50):
        path = mp('locks', f'first{turn}')
        children = [fork(lambda: os.close(os.open(path, os.O_RDWR | os.O_CREAT)) or 7) for _ in range(8)]
        same([exit_of(child) for child in children], [7] * 8)
    same(len(os.listdir(mp('locks'))), 50)
    emptied(mp)


@claim
def unmounting_with_names_left_is_in_order():
    """Names end with the mount."""
    with Mount() as mp:
        made(mp, 'left', 'over')
        same(permissions(mp('locks')), 0o755)
        same(sorted(os.listdir(mp('locks'))), ['left', 'over'])


main()
