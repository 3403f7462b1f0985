#!/usr/bin/env python3
"""The root's ctl: verbs for many processes at once, by `all`, names and globs."""
import errno
import os
import signal
import subprocess

from harness import PYTHON, Mount, claim, main
from plain import (Background, contains, errno_of, exit_of, expect_errno, fork, in_child, read, same, value, wait_until,
                   write)

E = errno


def sleepers(mp, *names):
    for name in names:
        mp.start(name, 'sleep', '1000')
    return [mp(name) for name in names]


def states(mp, *names):
    return [value(mp(name, 'state')) for name in names]


def refused(mp, code, words, *sentence):
    expect_errno(code, lambda: write(mp('ctl'), words), *sentence, error_file=mp('error'))


@claim
def kill_of_a_glob_takes_what_matches_and_leaves_the_others(mp):
    """ctl of the root: `kill worker-*`."""
    sleepers(mp, 'worker-1', 'worker-2', 'other')
    write(mp('ctl'), 'kill worker-*\njoin worker-*')
    same(states(mp, 'worker-1', 'worker-2', 'other'), ['ended', 'ended', 'running'])
    same(value(mp('worker-1', 'exitcode')), '-9')


@claim
def terminate_all_takes_those_that_have_started_and_leaves_new_ones(mp):
    """`all` means the started processes that the writer may control."""
    sleepers(mp, 'a', 'b c', "it's", 'line\nfeed')
    mp.make('new', 'sleep', '1')
    write(mp('ctl'), 'terminate all\njoin all 20')
    same(states(mp, 'a', 'b c', "it's", 'line\nfeed', 'new'), ['ended'] * 4 + ['initial'])
    write(mp('ctl'), 'terminate all', os.O_WRONLY)
    same(read(mp('error')), '')


@claim
def signal_takes_a_name_and_then_who(mp):
    """signal NAME WHO..."""
    sleepers(mp, 'one', 'two')
    write(mp('ctl'), 'signal STOP one two')
    wait_until(lambda: states(mp, 'one', 'two') == ['paused', 'paused'])
    write(mp('ctl'), "signal CONT '*'\nsignal USR1 one\njoin one")
    same(value(mp('one', 'exitcode')), str(-signal.SIGUSR1))


@claim
def start_and_close_take_many(mp):
    """start and close for many: globs mean what can be started, or has started."""
    for name in ('w1', 'w2', 'w3'):
        mp.make(name, 'true')
    mp.start('w0', 'sleep', '1000')
    write(mp('ctl'), 'start w*\njoin w1 w2 w3\nclose w1 w2')
    assert not os.path.exists(mp('w1')) and not os.path.exists(mp('w2'))
    same(states(mp, 'w0', 'w3'), ['running', 'ended'])


@claim
def a_start_of_many_that_fails_for_one_names_it_and_starts_the_others(mp):
    """start, and exec failed: exec's own errno; the sentence names who."""
    mp.make('good', 'sleep', '1000')
    mp.make('bad', '/nowhere/at/all')
    refused(mp, E.ENOENT, 'start good bad', 'bad: ', '/nowhere/at/all')
    same(states(mp, 'good', 'bad'), ['running', 'initial'])


@claim
def a_line_is_refused_as_a_whole_when_one_of_many_cannot_take_it(mp):
    """Every name exists, is the writer's, and the verb is legal in its state, else nothing is done."""
    sleepers(mp, 'runs')
    mp.make('new', 'sleep', '1')
    mp.run('done', 'true')
    refused(mp, E.ESRCH, 'kill runs new', 'new', 'can only signal a started process')
    refused(mp, E.ESRCH, 'join done new', 'new', 'can only join a started process')
    refused(mp, E.ENOENT, 'kill runs nobody', 'nobody')
    refused(mp, E.EBUSY, 'close done runs', 'runs', 'Cannot close a process while it is still running')
    refused(mp, E.EALREADY, 'start new done', 'done', 'cannot start a process twice')
    same(states(mp, 'runs', 'new', 'done'), ['running', 'initial', 'ended'])
    same(read(mp('runs', 'error')), '')


@claim
def nobody_meant_is_enoent(mp):
    """No match is ENOENT; so is a plain name that is not there."""
    for words in ('kill all', 'join all', 'join all 0', 'terminate w*', 'join any all', 'kill w'):
        refused(mp, E.ENOENT, words)
    mp.make('w', 'sleep', '1')
    refused(mp, E.ENOENT, 'kill w*', 'has started', 'w*')
    mp.run('x', 'true')
    refused(mp, E.ENOENT, 'start x*', 'can be started')


@claim
def words_that_mean_nothing_are_quoted_and_nothing_is_done(mp):
    """An unknown verb, signal or value: EINVAL, lists what would be valid; all lines are checked first."""
    sleepers(mp, 'p')
    for words, part in (('frob all', 'valid are: start, join'), ('kill', 'all, names or globs'), ('join', 'whom'),
                        ('join any', 'whom'), ('join 5', 'whom'), ('join any 5', 'whom'), ('signal', 'is no signal'),
                        ('signal FOO all', "'FOO'"), ('signal TERM', 'whom'), ("kill 'a", 'kill: '), ('', 'there is no verb'),
                        ('start_method fork', 'unknown verb'), ('target /bin/true', 'unknown verb')):
        refused(mp, E.EINVAL, words or '\n', part)
        refused(mp, E.EINVAL, f'kill p\n{words or "x"}')
    same(states(mp, 'p'), ['running'])
    refused(mp, E.E2BIG, 'kill ' + 'p ' * 40000)


@claim
def a_line_of_more_patterns_than_64_is_refused_before_anything_is_done(mp):
    """A line may have 64 patterns, each of 255 bytes: E2BIG and a sentence above."""
    sleepers(mp, 'p')
    for words, part in (('kill p\nsignal CONT' + ' *' * 32000, 'at most 64 patterns'), ('kill p\nkill' + ' all' * 65, 'at most 64 patterns'),
                        ('kill p\nkill *' + 'x' * 255, 'at most 255 bytes')):
        refused(mp, E.E2BIG, words, part)
    same(states(mp, 'p'), ['running'])
    write(mp('ctl'), 'signal CONT' + ' *' * 32 + ' all' * 32 + ' p' * 20000)
    write(mp('ctl'), 'signal CONT p' + '*' * 254)
    write(mp('ctl'), 'kill [[:lower:]]\njoin *')
    same(states(mp, 'p'), ['ended'])


@claim
def lines_before_the_refused_one_stay_done_and_are_said(mp):
    """Lines done stay done; the first that fails ends the write, and `error` says which."""
    sleepers(mp, 'a', 'b')
    refused(mp, E.ENOENT, 'kill a\njoin a\nkill c\nkill b', 'line 3', 'kill a; join a')
    same(states(mp, 'a', 'b'), ['ended', 'running'])


@claim
def join_of_many_waits_for_the_last_and_its_seconds_run_out(mp):
    """join WHO... [SECONDS]: ETIME names those that still run."""
    a, b = sleepers(mp, 'a', 'b')
    refused(mp, E.ETIME, 'join a b 0', 'still running after 0 seconds', 'a, b')
    refused(mp, E.ETIME, 'join all 0.05', 'still running after 0.05 seconds', 'a, b')
    joined = Background(write, mp('ctl'), 'join a b 60')
    write(a + '/ctl', 'kill\njoin')
    refused(mp, E.ETIME, 'join all 0', 'seconds: b')
    assert joined.is_alive()
    write(b + '/ctl', 'kill')
    joined.result()
    same(states(mp, 'a', 'b'), ['ended', 'ended'])
    write(mp('ctl'), 'join all')


@claim
def the_last_word_is_seconds_unless_it_names_a_process(mp):
    """The last word is SECONDS unless it names a process."""
    sleepers(mp, 'a')
    mp.run('0', 'true')
    write(mp('ctl'), 'join 0')
    refused(mp, E.ETIME, 'join a 0 0.0', 'still running after 0 seconds: a')
    os.rmdir(mp('0'))
    refused(mp, E.ETIME, 'join a 0')
    refused(mp, E.ENOENT, 'join a b', 'named b')


@claim
def join_any_returns_at_the_first_end_and_the_descriptor_says_whose(mp):
    """join any A B C [SECONDS]: reading the same descriptor then says which has ended."""
    sleepers(mp, 'a', 'b\nb', 'c')
    descriptor = os.open(mp('ctl'), os.O_RDWR)
    try:
        contains(os.read(descriptor, 4096).decode(), 'join [any] WHO... [SECONDS]')
        same(errno_of(os.write, descriptor, b'join any all 0'), E.ETIME)
        waiting = Background(os.write, descriptor, b"join any a 'b\nb' c")
        same(errno_of(waiting.result), E.EINVAL)  # a line ends at its newline: a glob reaches such a name
        waiting = Background(os.write, descriptor, b'join any a b* c 60')
        write(mp('b\nb', 'ctl'), 'kill')
        waiting.result()
        same(os.read(descriptor, 4096), b'b\\012b\n')
        same(os.read(descriptor, 4096), b'')
        write(mp('c', 'ctl'), 'kill\njoin')
        os.write(descriptor, b'join any all')
        same(os.read(descriptor, 4096), b'b\\012b\nc\n')
        os.write(descriptor, b'terminate all')
        contains(os.read(descriptor, 4096).decode(), 'kill [tree] WHO...')
    finally:
        os.close(descriptor)


@claim
def join_any_names_one_that_is_removed_as_soon_as_it_has_ended(mp):
    """Who has ended is told by name, also when somebody else removes the directory in the same moment."""
    sleepers(mp, 'a', 'b\nb', 'c')
    descriptor = os.open(mp('ctl'), os.O_RDWR)
    try:
        waiting = Background(os.write, descriptor, b'join any a b* c')
        mp.wait_until_held(waiting)
        write(mp('b\nb', 'ctl'), 'kill\njoin\nclose')
        waiting.result()
        same(os.read(descriptor, 4096), b'b\\012b\n')
    finally:
        os.close(descriptor)


@claim
def a_join_of_many_is_interrupted_at_once_and_holds_up_nobody(mp):
    """join returns at once when interrupted, and never keeps anyone else from using the same file."""
    sleepers(mp, 'a', 'b')
    pid = fork(lambda: write(mp('ctl'), 'join all'))
    mp.wait_until_held(pid)
    os.kill(pid, signal.SIGKILL)
    same(exit_of(pid), -9)
    joined = Background(write, mp('ctl'), 'join any all')
    mp.wait_until_held(joined)
    write(mp('ctl'), 'kill b')
    joined.result()
    same(states(mp, 'a'), ['running'])


@claim
def a_join_sent_again_keeps_its_deadline(mp):
    """join's timeout is a deadline kept by that open."""
    sleepers(mp, 'a', 'b')
    script = '''if True:
        import errno, os, signal, sys, time
        beats = []
        signal.signal(signal.SIGALRM, lambda *_: beats.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        ctl = os.open(sys.argv[1], os.O_WRONLY)
        try:
            os.write(ctl, b'join all 0.5')     # sent again by Python after every alarm
        except OSError as error:
            os._exit(0 if error.errno == errno.ETIME and beats else 2)
        os._exit(3)'''
    same(subprocess.run([PYTHON, '-c', script, mp('ctl')], timeout=60).returncode, 0)


@claim
def join_from_inside_of_one_of_them_is_edeadlk(mp):
    """join, from inside, of the process one runs inside: EDEADLK, and the sentence names it."""
    sleepers(mp, 'other')
    path = mp.start('inside', 'sh', ['-c', 'exec cat > "$PROCFS_MP/ctl"'], stdin='join all\n')
    write(path + '/ctl', 'join')
    contains(read(path + '/stderr'), os.strerror(E.EDEADLK))
    contains(read(mp('error')), 'inside: cannot join current process')


@claim
def hundreds_are_killed_and_joined_by_one_line_each(mp):
    """One line takes as many as there are; a join of many costs no thread."""
    for i in range(300):
        mp.start(f'w{i}', 'sleep', '1000')
    joined = Background(write, mp('ctl'), 'join w*')
    mp.wait_until_held(joined)
    write(mp('ctl'), 'kill w*')
    joined.result()
    same(read(mp('active_children')), '')
    write(mp('ctl'), 'close all')
    same(mp.names(), [])


def a_long_script(mp, last='close last'):
    """Lines that each look at a hundred processes: the first and the last have an effect that can be seen, once."""
    for number in range(100):
        mp.start(f'w{number}', 'sleep', '1000')
    mp.make('first')
    mp.make('last')
    return 'close first\n' + 'signal CONT *\n' * 4000 + last + '\n'


@claim(timeout=120)
def a_write_of_many_lines_lets_others_in_between(mp):
    """One write holds up nobody for as long as all of its lines take."""
    script = a_long_script(mp)
    writing = Background(write, mp('ctl'), script)
    wait_until(lambda: not os.path.exists(mp('first')), what='the first line')
    same(read(mp('w7', 'alive')), '1\n')
    assert os.path.exists(mp('last')), 'the last line was done before anybody else was answered'
    writing.result()
    assert not os.path.exists(mp('last'))


@claim(timeout=120)
def a_write_of_many_lines_that_is_interrupted_gives_a_short_count(mp):
    """Lines that were done before an interruption are counted: who sends the rest does none of them twice."""
    script = a_long_script(mp).encode()
    told, tells = os.pipe()

    def write_until_interrupted():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        descriptor = os.open(mp('ctl'), os.O_WRONLY)
        done = os.write(descriptor, script)
        os.write(tells, b'%d' % done)
        os.write(descriptor, script[done:])
        return 0
    pid = fork(write_until_interrupted)
    wait_until(lambda: not os.path.exists(mp('first')), what='the first line')
    os.kill(pid, signal.SIGUSR1)
    done = int(os.read(told, 20))
    assert 0 < done < len(script) and script[:done].endswith(b'\n'), done
    same(exit_of(pid), 0)
    assert not os.path.exists(mp('last'))
    os.close(told)
    os.close(tells)


@claim(timeout=120)
def a_write_of_many_lines_goes_on_where_it_was_after_its_server_was_killed(mp):
    """No line is done twice, and none is left out."""
    for kills in range(1, 4):
        script = ''.join(f'close c{number}\nsignal CONT *\n' for number in range(2000))
        mp.sweep()
        for number in range(50):
            mp.start(f'w{number}', 'sleep', '1000')
        for number in range(2000):
            os.mkdir(mp(f'c{number}'))
        writing = Background(write, mp('ctl'), script)
        for kill in range(kills):
            wait_until(lambda: not os.path.exists(mp(f'c{100 * kill}')), what='the next line')
            mp.kill_server()
        writing.result()
        same([name for name in mp.names() if name.startswith('c')], [])


@claim(timeout=120)
def who_waits_for_its_turn_is_answered_at_the_end_of_the_mount():
    """Whoever waits when the mount ends is told so."""
    with Mount() as mp:
        writing = Background(write, mp('ctl'), a_long_script(mp))
        wait_until(lambda: not os.path.exists(mp('first')), what='the first line')
        wait_until(lambda: errno_of(os.kill, mp.keeper, signal.SIGTERM) or mp.process.poll() is not None, what='the end of the mount')
        assert errno_of(writing.result) in (0, E.ENODEV, E.ENOTCONN, E.ECONNABORTED)


@claim(timeout=120)
def each_user_means_their_own_processes():
    """`all` means those the writer may control; another's is EACCES; error is per user; everybody may write."""
    with Mount('allow_other') as mp:
        os.chmod(mp.base, 0o755)
        sleepers(mp, 'roots')

        def as_other():
            os.mkdir(mp('theirs'))
            write(mp('theirs', 'target'), 'sleep')
            write(mp('theirs', 'args'), '1000')
            write(mp('ctl'), 'start the*')
            first = errno_of(write, mp('ctl'), 'kill roots theirs')
            sentence = read(mp('error'))
            write(mp('ctl'), 'kill all\njoin all')
            return [first, sentence, value(mp('theirs', 'exitcode')), value(mp('roots', 'state'))]
        first, sentence, code, state = in_child(as_other, uid=65534)
        same(first, E.EACCES)
        contains(sentence, 'roots', 'not yours')
        same(read(mp('error')), '')
        same((code, state), ('-9', 'running'))


@claim
def ctl_and_help_list_the_verbs_for_many(mp):
    """cat ctl gives the list; help has it too."""
    text = read(mp('ctl'))
    for words in ('start WHO...', 'join [any] WHO... [SECONDS]', 'terminate [tree] WHO...', 'kill [tree] WHO...', 'signal NAME WHO...',
                  'close WHO...', 'WHO is all, a name or a glob'):
        contains(text, words)
        contains(read(mp('help')), words)


main()
