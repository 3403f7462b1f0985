#!/usr/bin/env python3
"""Stopping well: stop with its signal and its patience, time limits, pausing."""
import errno
import os
import subprocess
import time

from harness import TOP, Mount, claim, main
from plain import errno_of, expect_errno, read, same, value, wait_until, write

STUBBORN = 'trap "" TERM\necho ready\nexec sleep 1000\n'
OBEDIENT = 'trap "echo stopped; exit 7" {}\necho ready\nwhile :; do sleep 0.01; done\n'


def ready(path):
    wait_until(lambda: 'ready' in read(path + '/stdout'), what='the program is ready')
    return path


def status(path):
    return dict(line.split(': ', 1) for line in read(path + '/status').splitlines())


@claim
def stop_sends_sigterm_and_returns_at_once(mp):
    """stop: the signal now, SIGKILL when stop_timeout is over; it returns at once."""
    same((value(mp.make('fresh') + '/stop_signal'), value(mp('fresh', 'stop_timeout')), value(mp('fresh', 'timeout'))),
         ('TERM', '10', ''))
    path = ready(mp.start('p', '/bin/sh', args=['-c', OBEDIENT.format('TERM')]))
    write(path + '/ctl', 'stop')
    same((value(path + '/wait'), read(path + '/stdout')), ('7', 'ready\nstopped\n'))


@claim
def stop_kills_what_does_not_end_in_time(mp):
    """stop: SIGKILL when stop_timeout is over, and not before."""
    path = ready(mp.start('p', '/bin/sh', ['-c', STUBBORN], stop_timeout='0.3'))
    before = time.monotonic()
    write(path + '/ctl', 'stop')
    same(value(path + '/alive'), '1')
    same(value(path + '/wait'), '-9')
    assert time.monotonic() - before >= 0.3, 'killed too early'


@claim
def a_second_stop_does_not_put_off_the_end(mp):
    """stop again: the signal again, SIGKILL comes when it would have."""
    path = ready(mp.start('p', '/bin/sh', ['-c', STUBBORN], stop_timeout='0.3'))
    write(path + '/ctl', 'stop')
    while value(path + '/alive') == '1':
        errno_of(write, path + '/ctl', 'stop')
        time.sleep(0.05)
    same(value(path + '/exitcode'), '-9')


@claim
def stop_signal_is_what_stop_sends(mp):
    """stop_signal: any signal, by name or number, also while it runs."""
    path = ready(mp.start('p', '/bin/sh', ['-c', OBEDIENT.format('USR1')], stop_signal='sigusr1'))
    same(value(path + '/stop_signal'), 'USR1')
    write(path + '/ctl', 'stop')
    same(value(path + '/wait'), '7')
    other = ready(mp.start('q', '/bin/sh', ['-c', OBEDIENT.format('INT')]))
    write(other + '/ctl', 'stop_signal 2\nstop')
    same((value(other + '/wait'), value(other + '/stop_signal')), ('7', 'INT'))
    same(status(other)['stop_signal'], 'INT')
    write(other + '/stop_signal', 'RTMIN+3')
    same(value(other + '/stop_signal'), 'RTMIN+3')
    write(other + '/stop_signal', '')
    same(value(other + '/stop_signal'), 'TERM')


@claim
def stop_timeout_0_kills_at_once(mp):
    """stop_timeout 0: SIGKILL at once."""
    path = ready(mp.start('p', '/bin/sh', ['-c', OBEDIENT.format('TERM')], stop_timeout='0'))
    write(path + '/ctl', 'stop')
    same((value(path + '/wait'), read(path + '/stdout')), ('-9', 'ready\n'))


@claim
def stop_reaches_one_that_is_paused(mp):
    """stop sends CONT to a process that is stopped; STOP and CONT show in state."""
    path = ready(mp.start('p', '/bin/sh', ['-c', OBEDIENT.format('TERM')]))
    for verb, state in (('signal STOP', 'paused'), ('signal CONT', 'running'), ('signal 19', 'paused')):
        write(path + '/ctl', verb)
        wait_until(lambda: value(path + '/state') == state, what=state)
        same(value(path + '/alive'), '1')
    write(path + '/ctl', 'stop')
    same(value(path + '/wait'), '7')


@claim
def stop_before_start_is_esrch_and_after_the_end_nothing(mp):
    """stop in every state."""
    path = mp.make('p', 'true')
    expect_errno(errno.ESRCH, lambda: write(path + '/ctl', 'stop'), 'started', error_file=path + '/error')
    write(path + '/ctl', 'start\njoin\nstop')
    same((value(path + '/exitcode'), value(path + '/state')), ('0', 'ended'))
    expect_errno(errno.EINVAL, lambda: write(path + '/ctl', 'stop now'), 'no word', error_file=path + '/error')


@claim
def a_run_that_is_too_long_is_stopped_and_status_says_so(mp):
    """timeout: stopped in the way of stop, and status says it was."""
    path = mp.start('p', '/bin/sh', ['-c', 'trap "exit 3" TERM; while :; do sleep 0.01; done'], timeout='0.2')
    assert 'timed_out' not in status(path)
    same(value(path + '/wait'), '3')
    same((status(path)['timed_out'], status(path)['timeout']), ('1', '0.2'))
    stubborn = mp.start('q', '/bin/sh', ['-c', STUBBORN], timeout='0.2', stop_timeout='0.2')
    same((value(stubborn + '/wait'), status(stubborn)['timed_out']), ('-9', '1'))
    at_once = mp.start('r', 'sleep', '1000', timeout='.1', stop_timeout='0')
    same((value(at_once + '/wait'), status(at_once)['timed_out']), ('-9', '1'))


@claim
def a_run_that_is_in_time_is_left_alone(mp):
    """timeout: nothing happens to one that ends in time; nothing is left to fire later."""
    path = mp.run('p', 'true', timeout='1000')
    same((value(path + '/exitcode'), 'timed_out' in status(path)), ('0', False))
    killed = mp.start('q', 'sleep', '1000', timeout='1000')
    write(killed + '/ctl', 'kill')
    same((value(killed + '/wait'), 'timed_out' in status(killed)), ('-9', False))
    removed = mp.run('r', 'true', timeout='0.05')
    os.rmdir(removed)
    none = mp.start('s', 'sleep', '0.1', timeout='0')
    same((value(none + '/timeout'), value(none + '/wait')), ('', '0'))


@claim
def no_run_follows_a_stop_and_one_follows_a_run_that_was_too_long(mp):
    """stop is meant, also for a process that is run again; a time limit is one run's."""
    path = ready(mp.start('p', '/bin/sh', ['-c', OBEDIENT.format('TERM')], restart='always'))
    write(path + '/ctl', 'stop')
    same((value(path + '/wait'), value(path + '/state')), ('7', 'ended'))
    again = mp.start('q', '/bin/sh', ['-c', 'echo run; exec sleep 1000'], restart='on-failure', timeout='0.1', stop_timeout='0.1')
    wait_until(lambda: read(again + '/stdout').count('run') >= 3, what='it is run again')
    write(again + '/ctl', 'kill tree\njoin')
    same(value(again + '/state'), 'ended')
    write(mp.start('r', 'sleep', '1000') + '/ctl', 'stop_timeout 0')
    write(mp('ctl'), 'stop r')
    same(value(mp('r', 'wait')), '-9')


@claim
def values_that_mean_nothing_are_refused(mp):
    """EINVAL quotes the word and says what would be valid; the value stays."""
    path = mp.make('p', 'true', stop_signal='HUP', stop_timeout='1.5', timeout='60')
    for file, words in (('stop_signal', ('NOSUCH', '0', '-1', '65', 'TERM KILL')),
                        ('stop_timeout', ('-1', 'x', '1s', 'nan', 'inf', '1e30')),
                        ('timeout', ('-1', '1 2', '0x10', 'never'))):
        for word in words:
            expect_errno(errno.EINVAL, lambda: write(f'{path}/{file}', word), word, 'valid', error_file=path + '/error')
        expect_errno(errno.E2BIG, lambda: write(f'{path}/{file}', 'x' * 1000))
    same([value(f'{path}/{file}') for file in ('stop_signal', 'stop_timeout', 'timeout')], ['HUP', '1.5', '60'])
    write(path + '/ctl', 'start\njoin')
    expect_errno(errno.EBUSY, lambda: write(path + '/timeout', '1'), 'already started', error_file=path + '/error')


@claim
def a_start_that_fails_leaves_no_time_limit(mp):
    """What could not be started can be corrected; its time begins with its start."""
    path = mp.make('p', '/nowhere', timeout='0.05')
    expect_errno(errno.ENOENT, lambda: write(path + '/ctl', 'start'))
    write(path + '/ctl', 'timeout 1000\ntarget true\nstart\njoin')
    same(value(path + '/exitcode'), '0')


@claim
def the_end_of_the_mount_finds_time_limits_running():
    """A daemonic process with a time limit ends with its mount, in order."""
    with Mount() as mount:
        mount.start('p', 'sleep', '1000', timeout='1000', daemon='1')
        write(ready(mount.start('q', '/bin/sh', ['-c', STUBBORN], stop_timeout='0.2')) + '/ctl', 'stop')
        mount.end()
        same(mount.wait(), 0)


@claim
def the_example_limits_the_time_of_a_program(mp):
    """tools/examples/time-limit."""
    example = [TOP + '/tools/examples/time-limit']
    environment = dict(os.environ, PROCFS_MP=mp.path)
    for words, code, output in ((['60', 'echo', 'two  words', 'x'], 0, b'two  words x\n'), (['0.1', 'sleep', '1000'], 124, b''),
                                (['60', 'false'], 1, b''), (['60', '/bin/sh', '-c', 'kill -9 $$'], 137, b'')):
        done = subprocess.run(example + words, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        same((done.returncode, done.stdout), (code, output), ' '.join(words))
    same(mp.names(), [])


main()
