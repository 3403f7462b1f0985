#!/usr/bin/env python3
"""restart: whether a process is run again; reset: an ended one made startable again."""
import errno
import json
import os
import select
import signal

from harness import Mount, claim, main
from plain import Background, contains, errno_of, expect_errno, in_child, read, same, value, wait_until, write

E = errno

# Counts its runs in a file, and ends as the line of that number says.
SCRIPT = '''
n=$(( $(cat "$1" 2>/dev/null || echo 0) + 1 ))
echo $n > "$1"
echo run $n
shift
shift $(( n - 1 < $# ? n - 1 : $# ))
eval "${1:-exec sleep 1000}"
'''


def runs(mp, name, *ends, restart='on-failure', **files):
    """A process whose nth run does what ends[n] says, and sleeps after the last."""
    return mp.start(name, 'sh', ['-c', SCRIPT, 'sh', counter(mp, name), *ends], restart=restart, **files)


def counter(mp, name):
    return f'{mp.base}/count-{name}'


def count(mp, name):
    return int(open(counter(mp, name)).read())


def status(path):
    return dict(line.split(': ', 1) for line in read(path + '/status').splitlines())


def await_run(mp, name, number):
    """Waits until that run has begun. Its pid, None when it has ended already."""
    wait_until(lambda: os.path.exists(counter(mp, name)) and open(counter(mp, name)).read() == f'{number}\n')
    pid = value(mp(name, 'pid'))
    return int(pid) if pid else None


def await_gap(path):
    """Waits until a run has ended and the next is due."""
    return wait_until(lambda: 'restart_in' in status(path) and status(path))


def facts(path):
    return [value(f'{path}/{file}') for file in ('state', 'alive', 'pid', 'exitcode')]


@claim
def no_is_the_default_and_other_words_are_refused(mp):
    """restart = no | on-failure | always."""
    path = mp.make('words', 'true')
    same(value(path + '/restart'), 'no')
    for word in ('on-failure', 'always', 'no'):
        write(path + '/restart', word)
        same(value(path + '/restart'), word)
    for word in ('yes', 'On-failure', '', 'on failure', 'x' * 70, 'always\nno'):
        expect_errno(E.EINVAL, lambda: write(path + '/restart', word or '\n'), 'valid', 'on-failure',
                     error_file=path + '/error')
    same(value(path + '/restart'), 'no')
    assert 'restart' not in status(path)


@claim
def on_failure_runs_again_until_a_run_succeeds_and_join_waits_for_that(mp):
    """join under restart waits for the last end; exit codes and signals from elsewhere count as failure."""
    path = runs(mp, 'fails', 'exit 3', 'kill -KILL $$', 'exit 0')
    write(path + '/ctl', 'join')
    same(count(mp, 'fails'), 3)
    same(facts(path)[:2] + [value(path + '/exitcode')], ['ended', '0', '0'])
    same(read(path + '/stdout'), 'run 1\nrun 2\nrun 3\n')
    said = status(path)
    same((said['restart'], said['restarts'], said['restart_reason']), ('on-failure', '2', 'SIGKILL'))
    expect_errno(E.EALREADY, lambda: write(path + '/ctl', 'start'))


@claim
def on_failure_leaves_a_success_alone_and_always_does_not(mp):
    """on-failure ends with exit 0; always runs again."""
    same(value(mp.run('good', 'true', restart='on-failure') + '/exitcode'), '0')
    path = runs(mp, 'always', 'exit 0', 'exit 0', restart='always')
    await_run(mp, 'always', 3)
    same(status(path)['restart_reason'], 'exited 0')
    write(path + '/ctl', 'kill\njoin')
    same(count(mp, 'always'), 3)


@claim
def between_two_runs_it_goes_on_for_everybody_and_has_no_pid(mp):
    """Between two runs: state running, alive 1, no pid, no exitcode; start, close and reset are refused; joiners wait."""
    path = runs(mp, 'gap', 'exit 1', 'exit 1', 'exit 1', 'exit 1')
    sentinel = os.open(path + '/sentinel', os.O_RDONLY)
    poller = select.poll()
    poller.register(sentinel, select.POLLIN)
    joined = [Background(write, path + '/ctl', 'join'), Background(read, path + '/wait'),
              Background(write, mp('ctl'), 'join gap')]
    wait_until(lambda: facts(path) == ['running', '1', '', ''])
    said = await_gap(path)
    contains(said['restart_reason'], 'exited 1')
    told = json.loads(read(path + '/status.json'))
    same((told['restart'], told['restart_reason']), ('on-failure', 'exited 1'))
    assert told['restarts'] >= int(said['restarts']), told
    same((value(path + '/ended'), value(path + '/started') != ''), ('', True))
    assert 0 <= float(said['restart_in']) <= 30, said
    contains(read(mp('active_children')), 'gap')
    await_run(mp, 'gap', 4)
    write(path + '/restart', 'always')
    wait_until(lambda: facts(path) == ['running', '1', '', ''])
    same(errno_of(write, path + '/ctl', 'start'), E.EALREADY)
    same(errno_of(os.rmdir, path), E.EBUSY)
    same(errno_of(write, path + '/ctl', 'reset'), E.EBUSY)
    same(errno_of(write, path + '/target', 'x'), E.EBUSY)
    same(poller.poll(0), [])
    assert all(one.is_alive() for one in joined)
    expect_errno(E.ESRCH, lambda: write(path + '/ctl', 'signal HUP'), 'between two runs', error_file=path + '/error')
    write(path + '/ctl', 'terminate')
    for one in joined:
        one.result()
    same(poller.poll(1000), [(sentinel, select.POLLIN | select.POLLHUP)])
    same(facts(path)[:2] + [value(path + '/exitcode')], ['ended', '0', '1'])
    same(count(mp, 'gap'), 4)
    os.rmdir(path)
    os.close(sentinel)


@claim
def terminate_and_kill_are_wanted_ends_and_signal_is_not(mp):
    """Never after terminate or kill by a verb."""
    for verb, code in (('terminate', '-15'), ('kill', '-9')):
        for who in ('own', 'roots'):
            name = f'{verb}-{who}'
            path = runs(mp, name, restart='always')
            await_run(mp, name, 1)
            write(*((path + '/ctl', verb) if who == 'own' else (mp('ctl'), f'{verb} {name}')))
            write(path + '/ctl', 'join')
            same((value(path + '/exitcode'), count(mp, name)), (code, 1), name)
    path = runs(mp, 'signalled', restart='on-failure')
    await_run(mp, 'signalled', 1)
    write(path + '/ctl', 'signal TERM')
    os.kill(await_run(mp, 'signalled', 2), signal.SIGSEGV)
    await_run(mp, 'signalled', 3)
    same(status(path)['restart_reason'], 'SIGSEGV')


@claim
def no_written_while_a_run_is_due_gives_it_up(mp):
    """restart can be written at any time by the owner."""
    path = runs(mp, 'given-up', 'exit 7', 'exit 7', 'exit 7', restart='always')
    await_run(mp, 'given-up', 3)
    await_gap(path)
    write(path + '/restart', 'no')
    write(path + '/ctl', 'join')
    same((value(path + '/exitcode'), count(mp, 'given-up')), ('7', 3))


@claim
def the_delay_doubles(mp):
    """The delay begins with 0.1 s and doubles."""
    path = runs(mp, 'delays', *['exit 1'] * 4)
    seen = {}

    def see():
        said = status(path)
        if 'restart_in' in said:
            seen[said['restarts']] = max(float(said['restart_in']), seen.get(said['restarts'], 0))
        return said['restarts'] == '4'
    wait_until(see)
    for number, longest in (('0', 0.1), ('1', 0.2), ('2', 0.4), ('3', 0.8)):
        assert number not in seen or seen[number] <= longest, seen
    assert seen, 'no delay was seen'
    write(path + '/ctl', 'kill')


@claim
def a_run_that_cannot_be_executed_counts_as_failed_and_is_said(mp):
    """exec failing at a restart counts as a failed run."""
    program = mp.base + '/program'
    with open(program, 'w') as file:
        file.write('#!/bin/sh\nexit 1\n')
    os.chmod(program, 0o700)
    path = mp.start('lost', program, restart='on-failure')
    os.rename(program, program + '.away')
    wait_until(lambda: int(status(path)['restarts']) >= 3)
    contains(status(path)['restart_reason'], 'cannot execute', program)
    same(value(path + '/alive'), '1')
    with open(program + '.away', 'w') as file:
        file.write('#!/bin/sh\nexit 0\n')
    os.rename(program + '.away', program)
    write(path + '/ctl', 'join')
    same(value(path + '/exitcode'), '0')


@claim
def the_first_start_that_fails_is_no_run(mp):
    """start, and exec failed: nothing is left behind, it can be corrected and started again."""
    path = mp.make('never', '/nowhere', restart='always')
    same(errno_of(write, path + '/ctl', 'start'), E.ENOENT)
    same(value(path + '/state'), 'initial')
    write(path + '/target', 'sleep')
    write(path + '/args', '1000')
    write(path + '/ctl', 'start')


@claim
def when_its_main_process_has_ended_it_is_not_run_again(mp):
    """Nothing is restarted after the end of the main process."""
    script = '''cd "$PROCFS_MP"; mkdir child; echo sh > child/target
        printf '%s\\0' -c 'sleep 1000 & echo $! > "$0"; wait' "$0" > child/args
        echo always > child/restart; echo start > child/ctl; exec sleep 1000'''
    pid_file = mp.base + '/child-pid'
    main_process = mp.start('main', 'sh', ['-c', script, pid_file])
    wait_until(lambda: os.path.exists(pid_file) and open(pid_file).read().endswith('\n'))
    same(value(mp('child', 'daemon')), '0')
    write(main_process + '/ctl', 'kill\njoin')
    same(value(mp('child', 'state')), 'running')
    os.kill(int(value(mp('child', 'pid'))), signal.SIGKILL)
    write(mp('child', 'ctl'), 'join')
    same(value(mp('child', 'exitcode')), '-9')
    os.kill(int(open(pid_file).read()), signal.SIGKILL)


@claim
def nothing_is_restarted_when_the_mount_ends():
    """When the mount ends, the others are joined, and nothing is restarted."""
    with Mount() as mp:
        runs(mp, 'waits', *['exit 1'] * 20)
        path = runs(mp, 'runs', restart='always')
        pid = await_run(mp, 'runs', 1)
        await_run(mp, 'waits', 3)
        await_gap(mp('waits'))
        mp.end()
        wait_until(lambda: not os.path.exists(path) or value(mp('waits', 'state')) == 'ended')
        os.kill(pid, signal.SIGTERM)
        same(mp.wait(), 0)
        same(count(mp, 'runs'), 1)


@claim
def events_say_every_run(mp):
    """events: started and exited for each run."""
    descriptor = os.open(mp('events'), os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(descriptor, 0, os.SEEK_END)
    path = runs(mp, 'told', 'exit 1', 'exit 0')
    write(path + '/ctl', 'join\nreset')
    lines = os.read(descriptor, 4096).decode().splitlines()
    same([line.split(' ', 2)[2] for line in lines],
         ['created', 'started', 'exited 1', 'started', 'exited 0', 'reset'])
    os.close(descriptor)


@claim
def reset_makes_an_ended_process_startable_with_its_configuration(mp):
    """reset: startable again, configuration kept; exitcode, pid and streams gone."""
    path = mp.run('again', 'sh', ['-c', 'echo "$A"; echo err >&2; cat; echo 42 > $PROCFS_MP/self/result; exit 4'], env='A=b\n', stdin='input', name='label')
    kept = {file: read(f'{path}/{file}') for file in ('target', 'args', 'env', 'stdin', 'name', 'cwd', 'umask', 'restart')}
    same((read(path + '/stdout'), read(path + '/result')), ('b\ninput', '42\n'))
    write(path + '/ctl', 'reset')
    same(facts(path), ['initial', '0', '', ''])
    gone = ('stdout', 'stderr', 'ppid', 'error', 'result', 'started', 'ended', 'rusage')
    same([read(f'{path}/{file}') for file in gone], [''] * len(gone))
    same({file: read(f'{path}/{file}') for file in kept}, kept)
    assert not {'started', 'ended', 'exitcode'} & set(status(path)), status(path)
    expect_errno(E.ESRCH, lambda: write(path + '/ctl', 'join'))
    write(path + '/env', 'A=c')
    write(path + '/ctl', 'start\njoin')
    same((read(path + '/stdout'), value(path + '/exitcode')), ('c\ninput', '4'))
    write(path + '/ctl', 'reset\nstart\njoin\nreset\nclose')
    assert not os.path.exists(path)


@claim
def reset_is_refused_while_it_runs_and_does_nothing_before_start(mp):
    """reset: EBUSY while it runs; a no-op in initial; for many all or none."""
    path = mp.start('runs', 'sleep', '1000')
    expect_errno(E.EBUSY, lambda: write(path + '/ctl', 'reset'), 'has not ended', error_file=path + '/error')
    new = mp.make('new', 'true')
    write(new + '/ctl', 'reset')
    same(value(new + '/state'), 'initial')
    mp.run('done1', 'true')
    mp.run('done2', 'true')
    expect_errno(E.EBUSY, lambda: write(mp('ctl'), 'reset done* runs'), 'runs: ', error_file=mp('error'))
    same(value(mp('done1', 'state')), 'ended')
    write(mp('ctl'), 'reset done*\nstart done*\njoin done*')
    same(value(mp('done2', 'exitcode')), '0')


@claim
def reset_begins_the_count_of_restarts_anew(mp):
    """reset: what came of its runs is gone; the policy stays."""
    path = runs(mp, 'counted', 'exit 1', 'exit 0')
    write(path + '/ctl', 'join')
    same(status(path)['restarts'], '1')
    write(path + '/ctl', 'reset')
    said = status(path)
    same((said['restart'], said['restarts'], 'restart_reason' in said), ('on-failure', '0', False))
    os.unlink(counter(mp, 'counted'))
    write(path + '/ctl', 'start\njoin')
    same((status(path)['restarts'], read(path + '/stdout')), ('1', 'run 1\nrun 2\n'))


@claim(timeout=120)
def another_user_may_not_change_it():
    """not the owner: EACCES; another user's process is run again as that user."""
    with Mount('allow_other') as mp:
        path = mp.start('roots', 'sleep', '1000', restart='always')

        def as_other():
            os.mkdir(mp('theirs'))
            for file, data in (('target', 'sh'), ('args', "-c 'id -u; exit 1'"), ('restart', 'on-failure')):
                write(mp('theirs', file), data)
            write(mp('theirs', 'ctl'), 'start')
            return [errno_of(write, path + '/restart', 'no'), errno_of(write, mp('ctl'), 'reset roots')]
        same(in_child(as_other, uid=65534), [E.EACCES, E.EACCES])
        wait_until(lambda: read(mp('theirs', 'stdout')).startswith('65534\n65534\n'))
        write(mp('ctl'), 'kill *\njoin *')


main()
