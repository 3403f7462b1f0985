#!/usr/bin/env python3
"""The verbs: what each means in every state, its errno, its sentence, and that a refusal changes nothing."""
import errno
import os
import signal

from harness import Mount, claim, main
from plain import (children_of, contains, errno_name, errno_of, expect_errno, read, same, value, wait_until, write)

E = errno
FACTS = ('target', 'args', 'kwargs', 'name', 'daemon', 'env', 'cwd', 'umask', 'state', 'pid', 'exitcode', 'alive')


def facts(path):
    return {file: read(f'{path}/{file}') for file in FACTS}


def bring(mp, name, state):
    """A process directory in that state."""
    if state == 'initial':
        return mp.make(name, 'sleep', '1000')
    if state == 'ended':
        return mp.run(name, 'true')
    path = mp.start(name, 'sleep', '1000')
    if state == 'paused':
        write(path + '/ctl', 'signal STOP')
        wait_until(lambda: value(path + '/state') == 'paused')
    same(value(path + '/state'), state)
    return path


# verb: errno in each state, sentence of the refusals
STATES = ('initial', 'running', 'paused', 'ended')
TABLE = {
    'start': ((0, E.EALREADY, E.EALREADY, E.EALREADY), 'cannot start a process twice'),
    'join 0': ((E.ESRCH, E.ETIME, E.ETIME, 0), ''),
    'terminate': ((E.ESRCH, 0, 0, 0), 'can only join a started process'),
    'kill': ((E.ESRCH, 0, 0, 0), 'can only join a started process'),
    'signal CONT': ((E.ESRCH, 0, 0, None), ''),
    'close': ((0, E.EBUSY, E.EBUSY, 0),
              'Cannot close a process while it is still running. You should first call join() or terminate().'),
}


def one_cell(mp, verb, state):
    name = f'{verb.split()[0]}-{state}'
    path = bring(mp, name, state)
    expected = TABLE[verb][0][STATES.index(state)]
    before = facts(path)
    got = errno_of(write, path + '/ctl', verb)
    if expected is not None:
        same(errno_name(got), errno_name(expected), f'{verb}, {state}')
    if got:
        same(facts(path), before, f'{verb}, {state}: after the refusal')
        assert read(path + '/error').strip(), f'{verb}, {state}: no sentence'
        if verb == 'terminate' or verb == 'kill':
            assert 'started' in read(path + '/error'), read(path + '/error')
        elif TABLE[verb][1]:
            contains(read(path + '/error'), TABLE[verb][1])
    elif verb == 'close':
        assert not os.path.exists(path), 'close left the directory'


@claim(timeout=120)
def every_verb_in_every_state_does_what_the_table_says(mp):
    """What each verb means: errno, sentence, and a refused write changed nothing."""
    for verb in TABLE:
        for state in STATES:
            one_cell(mp, verb, state)


@claim
def rmdir_is_close_in_every_state(mp):
    """rmdir or close while it runs: EBUSY and Python's sentence."""
    for state, expected in (('initial', 0), ('running', E.EBUSY), ('paused', E.EBUSY), ('ended', 0)):
        path = bring(mp, f'rmdir-{state}', state)
        same(errno_name(errno_of(os.rmdir, path)), errno_name(expected), state)
        same(os.path.exists(path), bool(expected), state)
        if expected:
            contains(read(path + '/error'), 'Cannot close a process while it is still running',
                     'You should first call join() or terminate()')


@claim
def a_process_goes_through_the_four_states(mp):
    """state is initial, running, paused or ended."""
    path = bring(mp, 'states', 'initial')
    same((value(path + '/state'), value(path + '/alive')), ('initial', '0'))
    write(path + '/ctl', 'start')
    same((value(path + '/state'), value(path + '/alive')), ('running', '1'))
    write(path + '/ctl', 'signal STOP')
    wait_until(lambda: value(path + '/state') == 'paused')
    same(value(path + '/alive'), '1', 'a paused process')
    write(path + '/ctl', 'signal CONT')
    wait_until(lambda: value(path + '/state') == 'running')
    write(path + '/ctl', 'kill')
    write(path + '/ctl', 'join')
    same((value(path + '/state'), value(path + '/alive')), ('ended', '0'))


@claim
def start_returns_once_the_program_runs(mp):
    """start: returns once exec succeeded."""
    path = mp.start('runs', 'sleep', '1000')
    pid = int(value(path + '/pid'))
    same(os.readlink(f'/proc/{pid}/exe').rpartition('/')[2], os.path.realpath('/bin/sleep').rpartition('/')[2])
    # The kernel lets the keeper go on a moment before it has written down the new program's arguments.
    wait_until(lambda: open(f'/proc/{pid}/cmdline', 'rb').read() == b'sleep\x001000\x00', what='the new program')


@claim
def start_with_neither_target_nor_run_says_what_to_write_where(mp):
    """start with neither target nor run: EINVAL, says what to write where."""
    path = mp.make('bare')
    expect_errno(E.EINVAL, lambda: write(path + '/ctl', 'start'), 'target', 'run', error_file=path + '/error')
    same(value(path + '/state'), 'initial')


@claim
def exit_codes_are_those_of_python(mp):
    """exitcode is Python's: the exit status 0..255, or -N after signal N."""
    for code in (0, 1, 2, 42, 126, 127, 128, 254, 255):
        same(value(mp.run(f'exit{code}', 'sh', ['-c', f'exit {code}']) + '/exitcode'), str(code))
    for number in (1, 2, 3, 6, 9, 10, 11, 13, 14, 15, int(signal.SIGRTMAX)):
        path = mp.run(f'signal{number}', 'sh', ['-c', f'ulimit -c 0; kill -{number} $$'])
        same(value(path + '/exitcode'), str(-number))


@claim
def terminate_is_sigterm_and_kill_is_sigkill(mp):
    """terminate (SIGTERM), kill (SIGKILL)."""
    for verb, code in (('terminate', '-15'), ('kill', '-9')):
        path = mp.start(verb, 'sleep', '1000')
        write(path + '/ctl', verb)
        write(path + '/ctl', 'join')
        same(value(path + '/exitcode'), code)
        for again in ('terminate', 'kill', 'terminate'):
            write(path + '/ctl', again)
        same(value(path + '/exitcode'), code, 'after verbs after the end')


@claim
def signal_sends_any_named_signal(mp):
    """signal NAME."""
    for number, name in enumerate(('HUP', 'INT', 'USR1', 'ALRM', 'SIGUSR2', 'SIGTERM')):
        path = mp.start(f'named{number}', 'sleep', '1000')
        write(path + '/ctl', f'signal {name}')
        write(path + '/ctl', 'join')
        same(value(path + '/exitcode'), str(-signal.Signals['SIG' + name.removeprefix('SIG')]), name)


@claim
def an_unknown_verb_or_signal_is_quoted_and_the_valid_ones_listed(mp):
    """An unknown verb, signal or value: EINVAL; quotes the words, lists what would be valid."""
    path = mp.start('words', 'sleep', '1000')
    rows = (('frobnicate', ('frobnicate', 'start', 'join', 'terminate')), ('signal BOGUS', ('BOGUS', 'TERM')),
            ('signal', ()), ('signal TERM KILL', ()), ('join soon', ('soon',)), ('join 1 2', ()), ('join -x', ()),
            ('terminate now', ('now',)), ('kill bob', ('bob',)), ('start fast', ('fast',)), ('close it', ('it',)))
    before = facts(path)
    for line, sentence in rows:
        expect_errno(E.EINVAL, lambda: write(path + '/ctl', line), *sentence, error_file=path + '/error')
        assert read(path + '/error').strip(), f'{line}: no sentence'
        same(facts(path), before, line)


@claim
def join_keeps_its_deadline_and_says_that_it_ran_out(mp):
    """join whose SECONDS ran out; the process goes on: ETIME, still running after SECONDS."""
    path = mp.start('late', 'sleep', '1000')
    for seconds in ('0', '0.05', '1'):
        expect_errno(E.ETIME, lambda: write(path + '/ctl', f'join {seconds}'), 'still running after', seconds,
                     error_file=path + '/error')
        same(value(path + '/state'), 'running', f'after join {seconds}')
    write(path + '/ctl', 'kill')
    write(path + '/ctl', 'join 1000')
    write(path + '/ctl', 'join 0')


@claim
def join_before_start_is_refused_with_pythons_words(mp):
    """join before start: ESRCH, can only join a started process."""
    path = mp.make('unstarted', 'true')
    for verb in ('join', 'join 1'):
        expect_errno(E.ESRCH, lambda: write(path + '/ctl', verb), 'can only join a started process',
                     error_file=path + '/error')


@claim
def parameters_are_frozen_by_start(mp):
    """target, args, daemon... written after start: EBUSY, process has already started."""
    values = {'target': 'true', 'args': 'x', 'kwargs': 'a=b', 'daemon': '1', 'env': 'A=b', 'cwd': '/', 'umask': '077',
              'run': '#!/bin/sh\n'}
    for state in ('running', 'paused', 'ended'):
        path = bring(mp, f'frozen-{state}', state)
        before = {file: read(f'{path}/{file}') for file in values}
        for file, text in values.items():
            expect_errno(E.EBUSY, lambda: write(f'{path}/{file}', text), 'process has already started',
                         error_file=path + '/error')
            expect_errno(E.EBUSY, lambda: write(path + '/ctl', f'{file} {text.strip()}'))
        same({file: read(f'{path}/{file}') for file in values}, before, state)


@claim
def several_lines_of_one_write_are_done_in_order(mp):
    """ctl takes several lines in one write, and FILE VALUE lines among them."""
    path = mp.make('lines')
    write(path + '/ctl', 'target sh\nargs -c "exit 3"\nname liner\ndaemon 1\nenv A=b\nstart\njoin\n')
    same((value(path + '/exitcode'), value(path + '/name'), value(path + '/daemon')), ('3', 'liner', '1'))
    same(read(path + '/env'), 'A=b\n')
    path = mp.make('nofinalnewline')
    write(path + '/ctl', 'target true\nstart\njoin 1000')
    same(value(path + '/exitcode'), '0')


@claim
def a_bad_word_in_the_last_line_means_that_nothing_is_done(mp):
    """Every line's words are checked before the first is done."""
    path = mp.make('allornone', 'true')
    before = facts(path)
    for last in ('frobnicate', 'signal BOGUS', 'join soon', 'kill 1 2', 'daemon maybe', 'args "open'):
        expect_errno(E.EINVAL, lambda: write(path + '/ctl', f'name changed\ntarget sleep\nstart\n{last}\n'))
        same(facts(path), before, last)


@claim
def a_failing_line_says_which_lines_before_it_were_done(mp):
    """Lines done stay done; the first that fails ends the write, and when lines before it were done `error` says which."""
    path = mp.make('middle')
    expect_errno(E.ENOENT, lambda: write(path + '/ctl', 'name kept\ntarget /no/such/program\nstart\nname lost\n'),
                 '/no/such/program', 'line 3', error_file=path + '/error')
    same((value(path + '/name'), value(path + '/target'), value(path + '/state')),
         ('kept', '/no/such/program', 'initial'))


@claim
def more_than_64_kib_is_too_much_for_ctl(mp):
    """At most 64 KiB, else E2BIG."""
    path = mp.make('big', 'sleep', '1000')
    before = facts(path)
    expect_errno(E.E2BIG, lambda: write(path + '/ctl', 'start\n' + '\n' * 65536))
    expect_errno(E.E2BIG, lambda: write(path + '/ctl', 'name ' + 'x' * 65536))
    same(facts(path), before)
    write(path + '/ctl', 'start\n' + '\n' * (65536 - 6))
    same(value(path + '/state'), 'running', 'after exactly 64 KiB')


def broken_programs(mp):
    """(kind, target, args, errno, parts of the sentence) for each way in which exec fails."""
    made = {'denied': ('#!/bin/sh\n', 0o644), 'garbage': ('\x01\x02\x03garbage', 0o755),
            'lost': ('#!/no/such/interpreter\n', 0o755)}
    for name, (text, mode) in made.items():
        with open(f'{mp.base}/{name}', 'w') as file:
            file.write(text)
        os.chmod(f'{mp.base}/{name}', mode)
    return (
        ('missing', '/no/such/program', None, E.ENOENT, 'No such file'),
        ('unknown', 'no-such-program-anywhere', None, E.ENOENT, 'No such file'),
        ('interpreter', mp.base + '/lost', None, E.ENOENT, 'No such file'),
        ('denied', mp.base + '/denied', None, E.EACCES, 'denied'),
        ('directory', mp.base, None, E.EACCES, 'denied'),
        ('garbage', mp.base + '/garbage', None, E.ENOEXEC, 'format'),
        ('under-a-file', '/etc/passwd/x', None, E.ENOTDIR, 'Not a directory'),
        ('long-argument', '/bin/true', ['x' * 200000], E.E2BIG, 'too long'))


@claim
def execs_own_error_reaches_the_writer_of_start_and_leaves_no_child(mp):
    """start, and exec failed: exec's own errno; nothing is left behind; error names the path and the reason."""
    for kind, target, args, code, reason in broken_programs(mp):
        path = mp.make(kind, target, args)
        before = facts(path)
        expect_errno(code, lambda: write(path + '/ctl', 'start'), target, reason, error_file=path + '/error')
        same(facts(path), before, kind)
        same(set(children_of(mp.keeper)), set(mp.servers), f'{kind}: children of the keeper')
        same(read(mp('active_children')), '', kind)


@claim
def what_failed_to_start_can_be_corrected_and_started(mp):
    """Nothing is left behind, it can be corrected and started again; error is empty after the next success."""
    for kind, target, args, code, _ in broken_programs(mp):
        path = mp.make('mended-' + kind, target, args)
        for _ in range(2):
            expect_errno(code, lambda: write(path + '/ctl', 'start'))
        write(path + '/target', 'echo')
        same(read(path + '/error'), '', 'after a success')
        write(path + '/args', 'mended')
        write(path + '/ctl', 'start\njoin')
        same((value(path + '/exitcode'), read(path + '/stdout'), read(path + '/error')), ('0', 'mended\n', ''), kind)


@claim
def a_cwd_that_cannot_be_entered_fails_the_start(mp):
    """start, and exec failed: names the path and the reason."""
    path = mp.make('nocwd', 'true', cwd='/no/such/directory')
    expect_errno(E.ENOENT, lambda: write(path + '/ctl', 'start'), '/no/such/directory', error_file=path + '/error')
    write(path + '/cwd', '/')
    write(path + '/ctl', 'start\njoin')
    same(value(path + '/exitcode'), '0')


@claim
def error_is_the_last_refusal_and_empty_after_a_success(mp):
    """error: the last refusal, as a sentence; empty after the next success."""
    path = mp.make('sentence', 'true')
    same(read(path + '/error'), '', 'at first')
    expect_errno(E.EINVAL, lambda: write(path + '/ctl', 'first'), 'first', error_file=path + '/error')
    expect_errno(E.EINVAL, lambda: write(path + '/daemon', 'second'), 'second', error_file=path + '/error')
    text = read(path + '/error')
    assert 'first' not in text and text.count('\n') == 1, text
    same(read(path + '/error'), text, 'read again')
    write(path + '/ctl', 'start')
    same(read(path + '/error'), '', 'after a success')


@claim
def what_is_made_by_an_open_is_a_success_too(mp):
    """error: empty after the next success, which clone and session have in open(2)."""
    for name in ('clone', 'session'):
        expect_errno(E.EINVAL, lambda: os.mkdir(mp('all')), 'all', error_file=mp('error'))
        for reading in ('clone', 'help'):
            read(mp(reading))
            contains(read(mp('error')), 'all')
        os.close(os.open(mp(name), os.O_RDWR if name == 'clone' else os.O_RDONLY))
        same(read(mp('error')), '', f'after an open of {name}')


@claim
def a_result_is_kept_and_can_be_read_again(mp):
    """A result is kept and can be read again, by any number of readers, until rmdir."""
    path = mp.run('kept', 'sh', ['-c', 'echo out; exit 5'])
    for _ in range(3):
        same([read(f'{path}/{file}') for file in ('exitcode', 'wait', 'stdout', 'alive')], ['5\n', '5\n', 'out\n', '0\n'])
        write(path + '/ctl', 'join')


@claim
def refusals_are_harmless_when_repeated(mp):
    """Some languages send a failed write twice."""
    path = mp.start('twice', 'sleep', '1000')
    pid = value(path + '/pid')
    for _ in range(3):
        expect_errno(E.EALREADY, lambda: write(path + '/ctl', 'start'), 'twice', error_file=path + '/error')
    same(value(path + '/pid'), pid)


@claim
def terminate_leaves_the_processes_own_children_alone(mp):
    """terminate does not touch the process's own children: they become orphans and are reaped here."""
    path = mp.start('family', 'sh', ['-c', 'sleep 1000 & echo $!; wait'])
    orphan = int(wait_until(lambda: read(path + '/stdout')))
    write(path + '/ctl', 'kill\njoin')
    wait_until(lambda: orphan in children_of(mp.keeper))
    os.kill(orphan, signal.SIGKILL)
    wait_until(lambda: orphan not in children_of(mp.keeper))


@claim
def a_failed_start_in_a_fresh_mount_leaves_nothing():
    """Nothing is left behind."""
    with Mount() as mp:
        path = mp.make('only', '/no/such/program')
        expect_errno(E.ENOENT, lambda: write(path + '/ctl', 'start'))


main()
