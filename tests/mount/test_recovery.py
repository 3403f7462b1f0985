#!/usr/bin/env python3
"""The server is killed while programs wait, read, write, run and end: another one takes over, and nobody notices."""
import errno
import fcntl
import os
import select
import signal
import time

from harness import DEADLINE, SLOWNESS, claim, main
from meanwhile import blocked, start_waiting, still_blocked, touch
from plain import Background, contains, errno_of, exists, expect_errno, read, same, value, wait_until, write

PATIENCE = DEADLINE * SLOWNESS


@claim
def joins_and_reads_of_wait_return_with_the_right_exit_code(mp):
    """Blocked joins and reads of wait return with the right exit code, however often the server is killed meanwhile."""
    path, go = start_waiting(mp, 'p', 42)
    threads = blocked(mp, *[(write, path + '/ctl', 'join')] * 3, *[(read, path + '/wait')] * 3)
    for _ in range(3):
        mp.kill_server()
        same((value(path + '/alive'), value(path + '/exitcode')), ('1', ''))
        still_blocked(threads)
    touch(go)
    same([thread.result() for thread in threads], [None] * 3 + ['42\n'] * 3)
    same((value(path + '/alive'), value(path + '/exitcode')), ('0', '42'))


@claim
def a_process_that_ends_while_there_is_no_server_has_its_exit_code(mp):
    """No exit is lost: the keeper keeps it for the server to come."""
    for number in range(5):
        path, go = start_waiting(mp, f'p{number}', 30 + number)
        pid = int(value(path + '/pid'))
        threads = blocked(mp, (write, path + '/ctl', 'join'), (read, path + '/wait'))
        os.kill(mp.server, signal.SIGSTOP)
        touch(go)
        wait_until(lambda: not exists(pid), what='the keeper has reaped it')
        mp.kill_server()
        same([thread.result() for thread in threads], [None, f'{30 + number}\n'])


@claim
def whoever_polls_is_woken(mp):
    """poll, select and epoll of sentinel, wait, output and events wake after the server was killed."""
    path, go = start_waiting(mp, 'p')
    events = os.open(mp('events'), os.O_RDONLY | os.O_NONBLOCK)
    os.read(events, 1 << 20)
    descriptors = [os.open(f'{path}/{file}', os.O_RDONLY) for file in ('sentinel', 'wait', 'output')] + [events]

    def poll(descriptor):
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(PATIENCE * 1000))

    def epoll(descriptor):
        with select.epoll() as poller:
            poller.register(descriptor, select.EPOLLIN | select.EPOLLET)
            while not (found := poller.poll(PATIENCE)) or not is_ready(descriptor):
                assert found, 'never woken'
            return True

    def is_ready(descriptor):
        return bool(select.select([descriptor], [], [], 0)[0])
    threads = [Background(way, descriptor) for way in (poll, epoll) for descriptor in descriptors]
    same([is_ready(descriptor) for descriptor in descriptors], [False] * 4, 'before the kill')
    mp.kill_server()
    same([is_ready(descriptor) for descriptor in descriptors], [False] * 4, 'before the end')
    still_blocked([thread for thread in threads])
    touch(go)
    same([thread.result() for thread in threads], [True] * 8)
    for descriptor in descriptors:
        os.close(descriptor)


@claim
def open_descriptors_go_on_where_they_were(mp):
    """Open descriptors work: a read goes on at its offset with the value of its moment, a write at its own."""
    path = mp.make('p', 'before')
    descriptor = os.open(path + '/target', os.O_RDONLY)
    same(os.read(descriptor, 3), b'bef')
    write(path + '/target', 'afterwards')
    mp.kill_server()
    same(os.read(descriptor, 100), b'ore\n', 'the rest of that moment')
    same(os.pread(descriptor, 100, 0), b'afterwards\n', 'a new moment')
    os.close(descriptor)
    writer = os.open(path + '/args', os.O_WRONLY | os.O_TRUNC)
    os.write(writer, b'one ')
    mp.kill_server()
    os.write(writer, b'two')
    os.close(writer)
    same(value(path + '/args'), 'one two')
    control = os.open(mp('clone'), os.O_RDWR)
    name = os.read(control, 100).decode().rstrip('\n')
    mp.kill_server()
    os.write(control, b'target true\nstart\njoin')
    os.close(control)
    same(value(mp(name, 'exitcode')), '0')
    directory = os.open(path, os.O_RDONLY)
    mp.kill_server()
    assert 'target' in os.listdir(directory)
    os.close(directory)


@claim
def a_listing_goes_on(mp):
    """Open descriptors work: a directory that is being read while the server is killed shows every name once."""
    for number in range(300):
        os.mkdir(mp(f'p{number:03}'))
    found = []
    with os.scandir(mp.path) as entries:
        for entry in entries:
            if len(found) % 50 == 0:
                mp.kill_server()
                read(mp('version'))
            found.append(entry.name)
    same(sorted(name for name in found if name.startswith('p')), [f'p{number:03}' for number in range(300)])


@claim
def results_stay(mp):
    """A result is kept and can be read again until rmdir."""
    path = mp.run('p', 'sh', ['-c', 'echo 42 > $PROCFS_MP/self/result'])
    mp.kill_server()
    same((value(path + '/result'), value(path + '/exitcode')), ('42', '0'))
    path, go = mp('q'), mp.base + '/go-result'
    mp.start('q', 'sh', ['-c', f'until [ -e {go} ]; do sleep 0.01; done; echo 43 > $PROCFS_MP/self/result'])
    mp.kill_server()
    touch(go)
    same((value(path + '/wait'), value(path + '/result')), ('0', '43'))


CONFIGURATION = {
    'target': '/bin/sh', 'args': "-c 'exit 3' 'a b'", 'kwargs': 'key=value\nother=x', 'env': 'A=1\nB=two words\n-C',
    'name': 'a name', 'daemon': '1', 'start_method': 'forkserver', 'cwd': '/', 'umask': '077', 'nice': '3',
    'limits': 'nofile 64:128', 'timeout': '100', 'stop_signal': 'USR1', 'stop_timeout': '3', 'restart': 'on-failure',
    'stdout_to': '/dev/null', 'stderr_to': 'stdout', 'output_max': '12345', 'stdin_open': '1', 'run': '#!/bin/sh\nexit 5',
    'authkey': 'ab' * 32, 'stdin': 'some input',
}


def everything_of(path):
    """Each file's text, but for those that say what time it is."""
    found = {}
    for name in os.listdir(path):
        if os.path.isfile(f'{path}/{name}') and name not in ('ctl', 'wait', 'sentinel', 'output', 'rusage'):
            found[name] = read(f'{path}/{name}')
    return found


@claim
def all_that_was_configured_reads_back_the_same(mp):
    """Configuration is as before."""
    path = mp.make('p')
    for file, text in CONFIGURATION.items():
        write(f'{path}/{file}', text)
    other = mp.run('ended', 'sh', ['-c', 'exit 9'])
    expect_errno(errno.EALREADY, lambda: write(other + '/ctl', 'start'))
    before = everything_of(path), everything_of(other)
    for _ in range(2):
        mp.kill_server()
        same((everything_of(path), everything_of(other)), before)
    same(value(path + '/args'), CONFIGURATION['args'])
    contains(read(other + '/error'), 'cannot start a process twice')
    write(path + '/restart', 'no')
    write(path + '/ctl', 'start\njoin')
    same(value(path + '/exitcode'), '3')


@claim
def what_one_write_has_reset_configured_and_started_is_what_runs_next(mp):
    """Nothing that was answered is forgotten: a later run of it is not what it was before the reset."""
    path = mp.run('p', 'sh', ['-c', 'echo old'])
    write(path + '/ctl', 'reset\nargs -c "echo new; umask"\nenv NEW=1\numask 077\nstart\njoin')
    files = ('args', 'env', 'umask', 'stdout')
    before = [read(f'{path}/{file}') for file in files]
    same(before[1:], ['NEW=1\n', '0077\n', 'new\n0077\n'])
    mp.kill_server()
    same([read(f'{path}/{file}') for file in files], before)
    write(path + '/ctl', 'reset\nstart\njoin')
    same(read(path + '/stdout'), 'new\n0077\n')


@claim
def a_value_is_kept_before_anything_else_is_written(mp):
    """Nothing that was answered is forgotten: neither what a `>` alone has emptied, nor what a write has set before its join."""
    path = mp.make('emptied', 'true', 'a b', env='A=1\n', run='exit 3\n')
    for file in ('target', 'args', 'env', 'run'):
        os.close(os.open(f'{path}/{file}', os.O_WRONLY | os.O_TRUNC))
        mp.kill_server()
        same(read(f'{path}/{file}'), '', f'{file} after > and a kill')
    path, go = start_waiting(mp, 'joined')
    join, = blocked(mp, (write, path + '/ctl', 'name Ann\nauthkey ' + 64 * 'a' + '\nstop_timeout 5\njoin'))
    wait_until(lambda: value(path + '/stop_timeout') == '5')
    mp.kill_server()
    same([value(f'{path}/{file}') for file in ('name', 'authkey', 'stop_timeout')], ['Ann', 64 * 'a', '5'])
    touch(go)
    join.result()


@claim
def numbers_go_on(mp):
    """Numbering is as before: N counts every construction and is never used again."""
    def clone():
        descriptor = os.open(mp('clone'), os.O_RDWR)
        name = os.read(descriptor, 100).decode().rstrip('\n')
        os.close(descriptor)
        return int(name.removeprefix('Process-'))
    first = clone()
    os.mkdir(mp('other'))
    os.rmdir(mp(f'Process-{first}'))
    mp.kill_server()
    same(clone(), first + 2)
    mp.kill_server()
    same(clone(), first + 3)


@claim
def children_parents_and_sessions_end_as_before(mp):
    """When a managed process or a session ends, its daemonic processes are terminated and others pass to the mount."""
    go = mp.base + '/go-parent'
    script = f'''for kind in 0 1; do p=$PROCFS_MP/kid$kind; mkdir $p; echo $kind > $p/daemon; echo sleep > $p/target
        echo 1000 > $p/args; echo start > $p/ctl; done; until [ -e {go} ]; do sleep 0.01; done'''
    parent = mp.start('parent', 'sh', ['-c', script])
    wait_until(lambda: os.path.isdir(mp('kid1')) and value(mp('kid1', 'alive')) == '1')
    session = os.open(mp('session'), os.O_RDONLY)
    daemon = mp.start('daemon', 'sleep', '1000', daemon='1')
    mp.kill_server()
    same(sorted(os.listdir(parent + '/children')), ['kid0', 'kid1'])
    assert os.path.samefile(mp('kid0', 'parent'), parent)
    touch(go)
    same((value(mp('kid1', 'wait')), value(mp('kid0', 'alive')), value(daemon + '/alive')), ('-15', '1', '1'))
    mp.kill_server()
    os.close(session)
    same(value(daemon + '/wait'), '-15')
    write(mp('kid0', 'ctl'), 'kill\njoin')


@claim
def time_limits_are_due_at_their_moment(mp):
    """timeout, stop_timeout and a join's deadline are kept by the next server; none is early, none is forgotten."""
    began = time.monotonic()
    limited = mp.start('limited', 'sleep', '1000', timeout='0.6')
    stubborn = mp.start('stubborn', 'sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.01; done'], stop_timeout='0.6')
    other = mp.start('other', 'sleep', '1000')
    wait_until(lambda: read(stubborn + '/stdout') == 'ready\n')
    write(stubborn + '/ctl', 'stop')
    join, = blocked(mp, (errno_of, write, other + '/ctl', 'join 0.7'))
    mp.kill_server()
    same(value(limited + '/wait'), '-15')
    contains(read(limited + '/status'), 'timed_out: 1')
    same(value(stubborn + '/wait'), '-9')
    same(join.result(), errno.ETIME)
    contains(read(other + '/error'), 'still running after 0.7')
    assert time.monotonic() - began >= 0.6, 'too early'


@claim
def runs_that_follow_one_another_go_on(mp):
    """restart: a run that is due is begun once, by whichever server there is."""
    count = mp.base + '/restarts'
    path = mp.start('p', 'sh', ['-c', f'echo run >> {count}; [ $(wc -l < {count}) -ge 4 ]'], restart='on-failure')
    join = Background(write, path + '/ctl', 'join')
    while join.is_alive():
        mp.kill_server()
        read(mp('version'))
    join.result()
    same((value(path + '/exitcode'), open(count).read()), ('0', 'run\n' * 4))


@claim
def verbs_for_many_go_on(mp):
    """The root's join all, join any and join of names are answered for whoever ended, before and after the kill."""
    pairs = [start_waiting(mp, f'p{number}', number) for number in range(4)]
    control = os.open(mp('ctl'), os.O_RDWR)
    threads = blocked(mp, (write, mp('ctl'), 'join p0 p1'), (write, mp('ctl'), 'join p*'), (os.write, control, b'join any p2 p3'))
    touch(pairs[0][1])
    same(value(mp('p0', 'wait')), '0')
    mp.kill_server()
    still_blocked(threads)
    touch(pairs[1][1])
    threads[0].result()
    mp.kill_server()
    touch(pairs[3][1])
    same(threads[2].result(), len('join any p2 p3'))
    mp.kill_server()
    same(os.read(control, 100), b'p3\n')
    os.close(control)
    touch(pairs[2][1])
    threads[1].result()


@claim
def a_script_goes_on_at_the_line_it_was_at(mp):
    """Lines that are done are not done again, and those after them are."""
    path, go = start_waiting(mp, 'first', 5)
    log = mp.base + '/script-log'
    other = mp.make('other', 'sh', ['-c', f'echo run >> {log}; until [ -e {go} ]; do sleep 0.01; done'])
    writer, = blocked(mp, (write, other + '/ctl', 'name before\nstart\njoin\nreset\nname after\n'))
    wait_until(lambda: value(other + '/state') == 'running')
    mp.kill_server()
    same((value(other + '/name'), value(other + '/state')), ('before', 'running'))
    touch(go)
    writer.result()
    same((value(other + '/name'), value(other + '/state'), open(log).read()), ('after', 'initial', 'run\n'))


@claim
def locks_stay_locked(mp):
    """A lock that is held is held through a kill, and is given on when it is let go."""
    name = mp('locks', 'mutex')
    held, other = (os.open(name, os.O_RDWR | os.O_CREAT) for _ in range(2))
    fcntl.flock(held, fcntl.LOCK_EX)
    waiting = Background(fcntl.flock, other, fcntl.LOCK_EX)
    mp.kill_server()
    same(os.listdir(mp('locks')), ['mutex'])
    expect_errno(errno.EWOULDBLOCK, lambda: fcntl.flock(os.open(name, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB))
    same(waiting.is_alive(), True)
    fcntl.flock(held, fcntl.LOCK_UN)
    waiting.result()
    os.close(held)
    os.close(other)
    os.unlink(name)
    mp.kill_server()
    same(os.listdir(mp('locks')), [])


@claim
def events_have_neither_gap_nor_double(mp):
    """events: each change once, for readers of before and of after."""
    reader = os.open(mp('events'), os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(reader, 0, os.SEEK_END)
    expected = []
    for number in range(5):
        os.rmdir(mp.run(f'e{number}', 'sh', ['-c', f'exit {number}']))
        mp.kill_server()
        expected += [f'e{number} {what}' for what in ('created', 'started', f'exited {number}', 'removed')]
    same([line.split(' ', 1)[1] for line in os.read(reader, 1 << 16).decode().splitlines()], expected)
    os.close(reader)
    whole = os.open(mp('events'), os.O_RDONLY | os.O_NONBLOCK)
    same([line.split(' ', 1)[1] for line in os.read(whole, 1 << 20).decode().splitlines()][-20:], expected)
    os.close(whole)


@claim
def a_failed_start_tells_the_same_sentence(mp):
    """exec failed: its own errno and a sentence that names the path, whichever server was asked."""
    cases = {'target': ('/no/such/program', errno.ENOENT), 'cwd': ('/no/such/place', errno.ENOENT)}
    said = {}
    for stopped in (False, True):
        for file, (text, code) in cases.items():
            path = mp.make(f'{file}{stopped}', 'true', **{file: text} if file != 'target' else {})
            write(f'{path}/{file}', text)
            start = None
            if stopped:
                os.kill(mp.server, signal.SIGSTOP)
                start = Background(errno_of, write, path + '/ctl', 'start')
                mp.kill_server()
            same(start.result() if start else errno_of(write, path + '/ctl', 'start'), code)
            said.setdefault(file, set()).add(read(path + '/error'))
    same({file: len(sentences) for file, sentences in said.items()}, {'target': 1, 'cwd': 1}, str(said))


@claim
def the_default_start_method_and_refusals_stay(mp):
    """start_method of new processes, and the last refusal, are as before."""
    write(mp('start_method'), 'forkserver')
    expect_errno(errno.EINVAL, lambda: write(mp('start_method'), 'dance'))
    before = read(mp('error'))
    mp.kill_server()
    same((value(mp('start_method')), read(mp('error'))), ('forkserver', before))
    same(value(mp.make('p') + '/start_method'), 'forkserver')
    write(mp('start_method'), 'spawn')


@claim
def a_stopped_and_paused_process_stays_as_it_is(mp):
    """Every process runs on, and one that is paused stays paused."""
    path = mp.start('p', 'sleep', '1000')
    pid = value(path + '/pid')
    write(path + '/ctl', 'signal STOP')
    wait_until(lambda: value(path + '/state') == 'paused')
    mp.kill_server()
    same((value(path + '/state'), value(path + '/pid')), ('paused', pid))
    write(path + '/ctl', 'signal CONT\nterminate\njoin')
    same(value(path + '/exitcode'), '-15')


@claim
def self_is_still_who_one_runs_inside(mp):
    """self: the process that the reader runs inside."""
    go = mp.base + '/go-self'
    path = mp.start('p', 'sh', ['-c', f'until [ -e {go} ]; do sleep 0.01; done; cat $PROCFS_MP/self/name'])
    mp.kill_server()
    touch(go)
    same((value(path + '/wait'), read(path + '/stdout')), ('0', 'p\n'))


@claim(timeout=120)
def a_join_holds_up_no_other_write_however_many_servers_there_were(mp):
    """join never keeps anyone else from using the same file: not when the numbers of control files come again."""
    path = mp.start('p', 'sleep', ['1000'])
    joiners = blocked(mp, *[(write, path + '/ctl', 'join')] * 4)
    for _ in range(64):
        mp.kill_server()
        read(mp('version'))
    for _ in range(12):
        Background(write, path + '/ctl', 'signal CONT').result()
    still_blocked(joiners)
    write(path + '/ctl', 'kill')
    for joiner in joiners:
        joiner.result()


if __name__ == '__main__':
    main()
