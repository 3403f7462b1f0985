#!/usr/bin/env python3
"""terminate tree and kill tree: whom they reach, however it hid, and whom they leave alone."""
import errno
import os
import signal
import subprocess

from harness import PYTHON, TOP, claim, main
from plain import children_of, errno_of, expect_errno, read, same, value, wait_until, write

# What a process leaves around it: a child, one in a session of its own, an orphan, an orphan in a session of its own.
FAMILY = '''
import os, signal, sys, time
def hide(session, orphan, tag):
    pid = os.fork()
    if pid == 0:
        if orphan:
            if os.fork():
                os._exit(0)
        if session:
            os.setsid()
        if orphan and session and os.fork():
            os._exit(0)
        {prepare}
        os.write(1, b'%s %d\\n' % (tag, os.getpid()))
        while True:
            time.sleep(0.1)  # a signal that comes just before a sleep has its handler called after it
    if orphan:
        os.waitpid(pid, 0)
hide(False, False, b'child')
hide(True, False, b'session')
hide(False, True, b'orphan')
hide(True, True, b'daemon')
{end}
'''
WAIT = 'while True: time.sleep(1000)'
KINDS = ['child', 'daemon', 'orphan', 'session']


def family(mp, name, prepare='pass', end=WAIT, **files):
    """The path, and the pids of those that the program left around it."""
    path = mp.start(name, PYTHON, ['-c', FAMILY.format(prepare=prepare, end=end)], **files)
    return path, relatives(path)


def relatives(path):
    wait_until(lambda: read(path + '/stdout').count('\n') == 4, what='four relatives')
    lines = dict(line.split() for line in read(path + '/stdout').splitlines())
    same(sorted(lines), KINDS)
    return {kind: int(pid) for kind, pid in lines.items()}


def alive(pids):
    return sorted(kind for kind, pid in pids.items() if runs(pid))


def runs(pid):
    try:
        return open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def end(pids):
    for pid in pids.values():
        errno_of(os.kill, pid, signal.SIGKILL)


@claim
def kill_tree_gets_every_descendant(mp):
    """kill tree: double-forked and setsid'ed ones too."""
    path, pids = family(mp, 'p')
    same(alive(pids), KINDS)
    write(path + '/ctl', 'kill tree\njoin')
    same(value(path + '/exitcode'), '-9')
    wait_until(lambda: alive(pids) == [], what='no descendant')


@claim
def terminate_tree_sends_sigterm_to_every_descendant(mp):
    """terminate tree: SIGTERM to all, which they may take as they like."""
    path, pids = family(mp, 'p', 'signal.signal(signal.SIGTERM, lambda *_: (os.write(2, tag + b"\\n"), os._exit(0)))')
    write(path + '/ctl', 'terminate tree')
    same(value(path + '/wait'), '-15')
    wait_until(lambda: alive(pids) == [], what='no descendant')
    same(sorted(read(path + '/stderr').split()), KINDS)


@claim
def without_tree_the_descendants_go_on(mp):
    """terminate and kill do not touch the process's own children."""
    for verb in ('terminate', 'kill'):
        path, pids = family(mp, verb)
        write(path + '/ctl', f'{verb}\njoin')
        same(alive(pids), KINDS)
        end(pids)


@claim
def after_the_end_those_left_behind_are_got(mp):
    """kill tree after the end is for what the process left behind."""
    path, pids = family(mp, 'p', end='sys.exit(5)')
    same(value(path + '/wait'), '5')
    same(alive(pids), KINDS)
    write(path + '/ctl', 'kill tree')
    wait_until(lambda: alive(pids) == [], what='no descendant')
    same(value(path + '/exitcode'), '5')


@claim
def other_processes_and_their_descendants_are_left_alone(mp):
    """Neither another process nor one that was made and started from inside belongs to the tree."""
    other, others = family(mp, 'other')
    inner = mp.make('inner', PYTHON, ['-c', FAMILY.format(prepare='pass', end=WAIT)])
    os.rmdir(inner)
    script = (f"import os\np = os.environ['PROCFS_MP'] + '/inner'\nos.mkdir(p)\n"
              f"for file, data in (('target', {PYTHON!r}), ('args', b'-c\\0' + {FAMILY.format(prepare='pass', end=WAIT)!r}.encode() + b'\\0'),"
              f" ('ctl', 'start')):\n"
              f"    fd = os.open(p + '/' + file, os.O_WRONLY | os.O_TRUNC)\n"
              f"    os.write(fd, data if isinstance(data, bytes) else data.encode())\n    os.close(fd)\n")
    path, pids = family(mp, 'p', end=script + WAIT)
    wait_until(lambda: os.path.isdir(inner) and value(inner + '/alive') == '1', what='the inner one runs')
    same(os.readlink(inner + '/parent'), '../p')
    inners = relatives(inner)
    write(path + '/ctl', 'kill tree\njoin')
    wait_until(lambda: alive(pids) == [], what='no descendant')
    same((alive(others), alive(inners)), (KINDS, KINDS))
    same((value(other + '/alive'), value(inner + '/alive')), ('1', '1'))
    for name in ('other', 'inner'):
        write(mp(name, 'ctl'), 'kill tree')
    wait_until(lambda: alive(others) + alive(inners) == [], what='nobody')


@claim
def one_that_forks_all_the_time_does_not_escape(mp):
    """kill tree stops all before it kills, so that none escapes by a fork."""
    path = mp.start('p', PYTHON, ['-c', '''
import os, time
for _ in range(4):
    if os.fork() == 0:
        break
while True:
    pid = os.fork()
    if pid:
        if os.fork():
            os._exit(0)
        os.setsid()
    time.sleep(0.001)
    if pid == 0:
        os._exit(0)
'''])
    value(path + '/wait')
    wait_until(lambda: orphans(mp), what='one between two forks')
    write(path + '/ctl', 'kill tree')
    wait_until(lambda: not orphans(mp), what='nobody forks any more')


def orphans(mp):
    """What is left of processes that have ended came to the keeper. Nothing is asked that a program could keep from being answered."""
    return [pid for pid in children_of(mp.keeper) if pid not in mp.servers and runs(pid)]


@claim
def the_trees_of_many_are_got_by_one_line_and_the_others_are_not(mp):
    """terminate tree and kill tree in the root's ctl: names and globs, each with its descendants."""
    families = {name: family(mp, name)[1] for name in ('w1', 'w2', 'other')}
    write(mp('ctl'), 'kill tree w*\njoin w1 w2')
    wait_until(lambda: alive(families['w1']) + alive(families['w2']) == [], what='no descendant')
    same((alive(families['other']), value(mp('other', 'state'))), (KINDS, 'running'))
    write(mp('ctl'), 'terminate tree other w1\njoin all 20')
    wait_until(lambda: alive(families['other']) == [], what='no descendant')
    same(value(mp('other', 'exitcode')), '-15')


@claim
def a_line_about_trees_is_refused_as_a_whole(mp):
    """All or nothing, as for the other verbs; without whom, or with nobody who matches, nothing is done."""
    mp.make('new', 'sleep', '1')
    path, pids = family(mp, 'p')
    for code, words, part in ((errno.ESRCH, 'kill tree p new', 'new: '), (errno.ENOENT, 'kill tree p nobody', 'nobody'),
                              (errno.ENOENT, 'terminate tree x*', 'x*'), (errno.EINVAL, 'kill tree', 'kill tree whom'),
                              (errno.ENOENT, 'kill p tree', 'tree'), (errno.ENOENT, 'stop tree p', 'named tree')):
        expect_errno(code, lambda: write(mp('ctl'), words), part, error_file=mp('error'))
    same((alive(pids), value(path + '/state')), (KINDS, 'running'))
    assert 'kill [tree] WHO...' in read(mp('ctl')), read(mp('ctl'))


@claim
def what_cannot_be_is_refused(mp):
    """ESRCH before the start, EINVAL for another word; nothing happens."""
    path = mp.make('p', 'sleep', '1000')
    for verb in ('terminate', 'kill'):
        expect_errno(errno.ESRCH, lambda: write(path + '/ctl', f'{verb} tree'), 'started', error_file=path + '/error')
    write(path + '/ctl', 'start')
    for words in ('kill trees', 'terminate tree now', 'kill all', 'stop tree'):
        expect_errno(errno.EINVAL, lambda: write(path + '/ctl', words), words.split(' ', 1)[1], error_file=path + '/error')
    same(value(path + '/alive'), '1')


@claim
def a_paused_tree_can_be_killed(mp):
    """kill tree: also what is stopped."""
    path, pids = family(mp, 'p')
    write(path + '/ctl', 'signal STOP')
    wait_until(lambda: value(path + '/state') == 'paused')
    os.kill(pids['daemon'], signal.SIGSTOP)
    write(path + '/ctl', 'kill tree\njoin')
    wait_until(lambda: alive(pids) == [], what='no descendant')


@claim
def the_example_leaves_nothing(mp):
    """tools/examples/leave-nothing."""
    script = 'setsid sleep 1000 >/dev/null & echo $!; setsid setsid -f sh -c "echo \\$\\$; exec sleep 1000 >/dev/null"; exit 3'
    done = subprocess.run([TOP + '/tools/examples/leave-nothing', '/bin/sh', '-c', script],
                          env=dict(os.environ, PROCFS_MP=mp.path), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    same(done.returncode, 3)
    assert done.stdout.split(), 'nobody was left behind'
    for pid in map(int, done.stdout.split()):
        wait_until(lambda: not runs(pid), what=f'the end of {pid}')
    same(mp.names(), [])


main()
