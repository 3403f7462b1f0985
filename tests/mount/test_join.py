#!/usr/bin/env python3
"""join: blocks its own writer and nobody else, is freed by any signal, costs no thread, and tells the truth after it."""
import ctypes
import errno
import os
import resource
import select
import shutil
import signal
import subprocess
import threading

from harness import LIBC, PYTHON, Skip, claim, main
from plain import (Background, Stopped, children_of, errno_of, exit_of, expect_errno, fork, read, same, value, wait_until,
                   write)

LIMIT = 60


def put(descriptor, text):
    return os.write(descriptor, text.encode())


def open_style(flags):
    return lambda path: os.open(path + '/ctl', flags)


def open_relative(path):
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return os.open('ctl', os.O_WRONLY | os.O_TRUNC, dir_fd=directory)
    finally:
        os.close(directory)


# Every way to open ctl that is promised to work.
STYLES = {
    'write': open_style(os.O_WRONLY), 'truncate': open_style(os.O_WRONLY | os.O_TRUNC),
    'create': open_style(os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 'append': open_style(os.O_WRONLY | os.O_APPEND),
    'read-write': open_style(os.O_RDWR), 'relative': open_relative,
}

# A program's way to write a word; {} is the path of ctl.
PROGRAMS = {
    'sh': ['sh', '-c', 'echo "$1" > "$2"', 'sh'], 'sh-append': ['sh', '-c', 'echo "$1" >> "$2"', 'sh'],
    'dash': ['dash', '-c', 'echo "$1" > "$2"', 'dash'], 'bash': ['bash', '-c', 'echo "$1" > "$2"', 'bash'],
    'bash-append': ['bash', '-c', 'echo "$1" >> "$2"', 'bash'],
    'tee': ['sh', '-c', 'echo "$1" | tee "$2" > /dev/null', 'sh'],
    'tee-append': ['sh', '-c', 'echo "$1" | tee -a "$2" > /dev/null', 'sh'],
    'dd': ['sh', '-c', 'echo "$1" | dd of="$2" status=none', 'sh'],
    'dd-notrunc': ['sh', '-c', 'echo "$1" | dd of="$2" conv=notrunc status=none', 'sh'],
    'cp': ['sh', '-c', 'echo "$1" | cp /dev/stdin "$2"', 'sh'],
    'python': [PYTHON, '-c', 'import sys; open(sys.argv[2], "w").write(sys.argv[1] + "\\n")'],
    'python-raw': [PYTHON, '-c', 'import sys; open(sys.argv[2], "wb", 0).write(sys.argv[1].encode())'],
}


def program(kind, word, path, **keywords):
    if not shutil.which(PROGRAMS[kind][0]):
        raise Skip(f'no {PROGRAMS[kind][0]}')
    return subprocess.Popen(PROGRAMS[kind] + [word, path + '/ctl'], **keywords)


def pending_join(mp, call, *arguments):
    """A join in a thread, known to block in the kernel."""
    thread = Background(call, *arguments)
    mp.wait_until_held(thread)
    return thread


@claim(timeout=LIMIT)
def a_pending_join_blocks_no_other_verb_whichever_way_either_opened_ctl(mp):
    """While one joins, another's kill works, however either opened ctl."""
    for first in STYLES:
        for second in STYLES:
            name = f'{first}-{second}'
            path = mp.start(name, 'sleep', '1000')
            joiner = STYLES[first](path)
            thread = pending_join(mp, put, joiner, 'join')
            killer = STYLES[second](path)
            same(Background(put, killer, 'kill').result(), 4, f'{name}: kill')
            same(thread.result(), 4, f'{name}: join')
            same(value(path + '/exitcode'), '-9', name)
            os.close(joiner)
            os.close(killer)


@claim(timeout=LIMIT)
def one_descriptor_in_two_hands_serves_join_and_kill(mp):
    """While one shell joins, another's kill works (one descriptor shared with O_APPEND excepted)."""
    for style in ('write', 'truncate', 'relative', 'read-write'):
        for duplicate in (False, True):
            path = mp.start(f'{style}-{duplicate}', 'sleep', '1000')
            descriptor = STYLES[style](path)
            other = os.dup(descriptor) if duplicate else descriptor
            thread = pending_join(mp, put, descriptor, 'join')
            same(Background(put, other, 'kill').result(), 4, f'{style}, dup {duplicate}')
            same(thread.result(), 4)
            for number in {descriptor, other}:
                os.close(number)


@claim(timeout=LIMIT)
def joins_of_one_descriptor_have_each_a_time_of_their_own(mp):
    """join's timeout is a deadline kept by that write: another's on the same descriptor changes nothing."""
    path = mp.start('timed', 'sleep', '1000')
    descriptor = STYLES['write'](path)
    thread = pending_join(mp, put, descriptor, 'join 5000')
    same(Background(errno_of, put, descriptor, 'join 0.05').result(), errno.ETIME)
    assert thread.is_alive()
    put(descriptor, 'kill')
    same(thread.result(), 9)
    os.close(descriptor)


@claim(timeout=120)
def a_pending_join_blocks_no_verb_of_any_program(mp):
    """sh, bash, dash, tee, dd, cp, Python: however either opened it."""
    kinds = [kind for kind in PROGRAMS if shutil.which(PROGRAMS[kind][0])]
    for first, second in [(kind, 'sh') for kind in kinds] + [('sh', kind) for kind in kinds] + [(kind, kind) for kind in kinds]:
        name = f'{first}-{second}-{len(mp.names())}'
        path = mp.start(name, 'sleep', '1000')
        mp.idle()
        joiner = program(first, 'join', path)
        wait_until(lambda: mp.pending() > 0, what=f'{first}: a join that blocks')
        killer = program(second, 'kill', path)
        same(killer.wait(LIMIT), 0, f'{second} kills while {first} joins')
        same(joiner.wait(LIMIT), 0, f'{first} joins')


@claim
def a_pending_join_lets_everything_else_be_read_and_written(mp):
    """A join never keeps anyone else from using the same file."""
    path = mp.start('busy', 'sh', ['-c', 'echo out; exec sleep 1000'])
    thread = pending_join(mp, write, path + '/ctl', 'join')
    wait_until(lambda: read(path + '/stdout') == 'out\n')
    same((value(path + '/state'), bool(read(path + '/ctl'))), ('running', True))
    expect_errno(errno.EINVAL, lambda: write(path + '/ctl', 'frobnicate'))
    expect_errno(errno.ETIME, lambda: write(path + '/ctl', 'join 0'))
    expect_errno(errno.EBUSY, lambda: os.rmdir(path))
    mp.run('meanwhile', 'true')
    assert thread.is_alive()
    write(path + '/ctl', 'kill')
    thread.result()


@claim
def ctrl_c_timeout_and_kill_9_free_a_joiner_while_the_process_runs(mp):
    """join returns at once when interrupted (Ctrl-C, timeout(1), kill -9)."""
    path = mp.start('goes-on', 'sleep', '1000')
    for kind in ('sh', 'dash', 'bash', 'python-raw'):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            mp.idle()
            joiner = program(kind, 'join', path, stderr=subprocess.DEVNULL, start_new_session=True)
            wait_until(lambda: mp.pending() > 0, what=f'{kind}: a join that blocks')
            os.killpg(joiner.pid, number)
            wait_until(lambda: joiner.poll() is not None, what=f'{kind} freed by {number.name}')
            assert joiner.returncode != 0, f'{kind}: join succeeded'
            same(value(path + '/state'), 'running')
    same(subprocess.run(['timeout', '0.1', 'sh', '-c', f'echo join > {path}/ctl'], timeout=LIMIT).returncode, 124)
    same(value(path + '/state'), 'running')
    wait_until(lambda: mp.pending() == 0, what='no request left')


@claim
def a_handled_signal_gives_eintr_and_join_can_be_sent_again(mp):
    """Any handled signal interrupts a blocked write; join is idempotent."""
    path = mp.start('again', 'sleep', '1000')

    class Interrupted(Exception):
        pass

    def interrupt(*_):
        raise Interrupted

    def join_twice():
        descriptor = os.open(path + '/ctl', os.O_WRONLY)
        signal.signal(signal.SIGUSR1, interrupt)
        os.write(told, b'r')
        try:
            os.write(descriptor, b'join')
            return 1
        except Interrupted:
            os.write(told, b'x')
        os.write(descriptor, b'join')
        return 0 if read(path + '/exitcode') == '-9\n' else 2
    heard, told = os.pipe()
    pid = fork(join_twice)
    same(os.read(heard, 1), b'r')
    mp.wait_until_held(pid)
    os.kill(pid, signal.SIGUSR1)
    same(os.read(heard, 1), b'x')
    mp.wait_until_held(pid)
    write(path + '/ctl', 'kill')
    same(exit_of(pid), 0)
    os.close(heard)
    os.close(told)


@claim
def a_deadline_is_kept_over_interruptions(mp):
    """join's timeout is a deadline kept by that open: a write sent again does not start the time anew."""
    path = mp.start('deadline', 'sleep', '1000')
    ticks = []

    def join_with_ticks():
        # Python sends an interrupted write again (PEP 475). Started anew by each, two seconds would never pass.
        signal.signal(signal.SIGALRM, lambda *_: ticks.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        code = errno_of(write, path + '/ctl', 'join 2')
        return 0 if code == errno.ETIME and len(ticks) > 5 else 1
    same(exit_of(fork(join_with_ticks)), 0)


@claim
def who_waits_can_be_stopped_and_asks_again_when_it_goes_on(mp):
    """Ctrl-Z: it stops at once; then a join has failed with EINTR and can be sent again, and cat p/wait goes on by itself."""
    path = mp.start('stopped', 'sleep', '1000')

    def join_again():
        descriptor = os.open(path + '/ctl', os.O_WRONLY)
        interrupted = LIBC.write(descriptor, b'join', 4) == -1 and ctypes.get_errno() == errno.EINTR
        return 7 if interrupted and os.write(descriptor, b'join') == 4 else 1
    cat = subprocess.Popen(['cat', path + '/wait'], stdout=subprocess.PIPE, text=True)
    waiting = [fork(join_again), cat.pid]
    mp.wait_until_held(*waiting)
    for pid in waiting:
        with Stopped(pid):
            same(value(path + '/state'), 'running')
    mp.wait_until_held(*waiting)
    write(path + '/ctl', 'kill')
    same((exit_of(waiting[0]), cat.communicate()[0]), (7, '-9\n'))


@claim
def a_line_done_before_an_interruption_is_a_short_count(mp):
    """A write interrupted after lines were done gives a short count."""
    path = mp.make('short', 'sleep', '1000')
    read_fd, write_fd = os.pipe()
    mp.idle()

    def start_and_join():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        descriptor = os.open(path + '/ctl', os.O_WRONLY)
        os.write(write_fd, b'%d' % os.write(descriptor, b'start\njoin\n'))
    pid = fork(start_and_join)
    wait_until(lambda: value(path + '/state') == 'running' and mp.pending() > 0)

    def answers():
        # While the write waits for the start still, Python sends it again: the signal is repeated until it met the join.
        os.kill(pid, signal.SIGUSR1)
        return select.select([read_fd], [], [], 0.05)[0]
    wait_until(answers, what='a short count')
    same(os.read(read_fd, 10), b'6')
    same(exit_of(pid), 0)
    os.close(read_fd)
    os.close(write_fd)


@claim
def after_a_join_nothing_says_alive(mp):
    """After a join has returned, no read anywhere still shows alive 1."""
    path = mp.start('truth', 'sleep', '1000')
    held = os.open(path + '/alive', os.O_RDONLY)
    same(os.pread(held, 10, 0), b'1\n')

    def join_and_look():
        write(path + '/ctl', 'join')
        return (value(path + '/alive'), os.pread(held, 10, 0), value(path + '/state'), value(path + '/exitcode'),
                os.stat(path + '/exitcode').st_size, 'truth' in read(mp('active_children')))
    threads = [Background(join_and_look) for _ in range(100)]
    mp.wait_until_held(*threads)
    write(path + '/ctl', 'kill')
    same({thread.result() for thread in threads}, {('0', b'0\n', 'ended', '-9', 3, False)})
    os.close(held)


def join_many(path, count):
    """That many joins at once, a thread each. 0 when all gave the whole count, 77 when there is no room for the threads."""
    threading.stack_size(65536)
    results = []
    descriptors = [os.open(path + '/ctl', os.O_WRONLY) for _ in range(count)]

    def join(descriptor):
        try:
            results.append(os.write(descriptor, b'join'))
        except OSError as error:
            results.append(-error.errno)
    threads = [threading.Thread(target=join, args=[descriptor], daemon=True) for descriptor in descriptors]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:
        return 77
    for thread in threads:
        thread.join()
    return 0 if results == [4] * count and read(path + '/alive') == '0\n' else 1


def all_pending(mp, children):
    if set(children_of(os.getpid()).get(pid, 'Z') for pid in children) & {'Z'}:
        raise Skip('no room for 10,000 threads')
    return mp.pending() >= 10000


@claim(timeout=240)
def ten_thousand_joins_pend_without_a_thread_of_the_server_and_all_return(mp):
    """10,000 joins may be pending; each costs no thread."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1100:
        raise Skip('fewer than 1100 descriptors allowed')
    path = mp.start('ten-thousand', 'sleep', '1000')
    pids = [mp.keeper, *mp.servers]
    before = [len(os.listdir(f'/proc/{pid}/task')) for pid in pids]
    children = []
    try:
        for _ in range(10):
            children.append(fork(lambda: join_many(path, 1000)))
        wait_until(lambda: all_pending(mp, children), deadline=100, what='10,000 pending joins')
        same([len(os.listdir(f'/proc/{pid}/task')) for pid in pids], before, 'threads of keeper and server')
        same(value(path + '/state'), 'running')
        write(path + '/ctl', 'kill')
        same([exit_of(pid) for pid in children], [0] * 10)
    except BaseException:
        for pid in children:
            errno_of(os.kill, pid, signal.SIGKILL)
            errno_of(os.waitpid, pid, 0)
        raise


main()
