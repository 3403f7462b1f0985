#!/usr/bin/env python3
"""What is known of processes: times, usage, status for people and for programs, of one and of all."""
import datetime
import errno
import json
import os
import resource
import signal
import time

from harness import PYTHON, claim, main
from plain import expect_errno, read, read_bytes, same, value, wait_until, write

COUNTS = ('maxrss', 'minflt', 'majflt', 'inblock', 'oublock', 'nvcsw', 'nivcsw')
COMMON = ['directory', 'name', 'id', 'state', 'pid', 'ppid', 'alive', 'exitcode', 'signal', 'core_dumped', 'daemon',
          'start_method', 'target', 'run_bytes', 'owner', 'parent', 'created', 'started', 'ended']
OWN = COMMON + ['args', 'kwargs', 'cwd', 'umask', 'stop_signal', 'stop_timeout', 'timeout', 'timed_out', 'user', 'nice', 'limits',
                'memory_max', 'cpu_max', 'pids_max', 'stdout_to', 'stderr_to', 'output_max', 'stdout_dropped',
                'stderr_dropped', 'stdin_open', 'rusage', 'restart', 'restarts', 'restart_reason', 'restart_in', 'exact']
COLUMNS = ['NAME', 'STATE', 'PID', 'EXITCODE', 'SIGNAL', 'DAEMON', 'OWNER', 'STARTED', 'ENDED', 'TARGET']


def moment(text):
    return datetime.datetime.strptime(text, '%Y-%m-%dT%H:%M:%S.%f%z').timestamp()


def usage_of(path):
    pairs = [line.split(' ') for line in read(path + '/rusage').splitlines()]
    same([key for key, _ in pairs], ['utime', 'stime', *COUNTS] if pairs else [])
    for key, text in pairs[:2]:
        assert len(text.partition('.')[2]) == 6, f'{key} {text}'
    return {key: float(text) if '.' in text else int(text) for key, text in pairs}


def status_of(path):
    return json.loads(read_bytes(path + '/status.json'))


def line_of(mp, name):
    """The table's line, as a dictionary."""
    lines = [line.split() for line in read(mp('status')).splitlines()]
    same(lines[0], COLUMNS)
    return next(dict(zip(COLUMNS, line)) for line in lines if line[0] == name)


@claim
def started_and_ended_are_empty_until_they_are_known(mp):
    """started and ended: ISO 8601 UTC, empty before."""
    before = time.time() - 0.001
    path = mp.make('times', 'sleep', ['100'])
    same((read(path + '/started'), read(path + '/ended')), ('', ''))
    write(path + '/ctl', 'start')
    began = moment(value(path + '/started'))
    same(read(path + '/ended'), '')
    write(path + '/ctl', 'kill\njoin')
    ended = moment(value(path + '/ended'))
    assert before <= began <= ended <= time.time() + 0.001, (before, began, ended)
    same(moment(value(path + '/started')), began, 'the start does not move')
    for file in ('started', 'ended', 'rusage', 'status', 'status.json'):
        expect_errno((errno.EACCES, errno.EPERM), lambda: write(f'{path}/{file}', 'x'))


@claim
def a_program_that_looks_at_itself_finds_when_it_started(mp):
    """The program may look before anybody was told that it runs."""
    path = mp.run('looks', 'sh', ['-c', 'cd "$PROCFS_MP/self"; cat started rusage; cat status.json'])
    lines = read(path + '/stdout').splitlines()
    same(lines[0], value(path + '/started'))
    assert lines[1].startswith('utime '), lines
    same(json.loads(lines[-1])['state'], 'running')


@claim
def rusage_is_the_kernels_after_the_end(mp):
    """rusage: key value a line, the kernel's own after the end; empty before start."""
    path = mp.make('busy', PYTHON, ['-c', 'import time\nwhile time.process_time() < 0.3: pass\nb = bytearray(b"x") * (64 << 20)'])
    same(read(path + '/rusage'), '')
    write(path + '/ctl', 'start\njoin')
    same(value(path + '/exitcode'), '0')
    usage = usage_of(path)
    assert 0.29 <= usage['utime'] + usage['stime'] < 30, usage
    assert usage['maxrss'] >= 64 << 10 and usage['minflt'] > 1000 and usage['nvcsw'] + usage['nivcsw'] > 0, usage
    same(usage_of(path), usage, 'read again')


@claim
def rusage_counts_while_it_runs(mp):
    """Live values while it runs."""
    path = mp.start('spins', 'sh', ['-c', 'while :; do :; done'])
    wait_until(lambda: usage_of(path)['utime'] > 0.05)
    first = usage_of(path)
    wait_until(lambda: usage_of(path)['utime'] > first['utime'])
    assert first['maxrss'] > 0 and first['minflt'] > 0, first
    write(path + '/ctl', 'kill\njoin')
    last = usage_of(path)
    assert last['utime'] + 0.02 >= first['utime'] and last['minflt'] >= first['minflt'], (first, last)


@claim
def the_children_that_it_waited_for_count_before_and_after_the_end(mp):
    """As getrusage(2) counts: with the children that were waited for."""
    script = 'i=0; (while [ $i -lt 300000 ]; do i=$((i+1)); done); echo done; read x'
    path = mp.base + '/fifo'
    os.mkfifo(path)
    made = mp.start('family', 'sh', ['-c', f'exec <>{path}; {script}'])
    wait_until(lambda: read(made + '/stdout') == 'done\n')
    running = usage_of(made)
    write(made + '/ctl', 'kill\njoin')
    ended = usage_of(made)
    assert running['utime'] > 0 and ended['utime'] >= running['utime'] - 0.02, (running, ended)


@claim
def how_it_ended_is_in_status_and_in_the_table(mp):
    """The exit code, the signal's name and whether it dumped core."""
    for name, word, code, signal_name in (('term', 'terminate', -15, 'SIGTERM'), ('user', 'signal USR1', -10, 'SIGUSR1'),
                                          ('real', 'signal RTMIN+3', -(signal.SIGRTMIN + 3), 'SIGRTMIN+3')):
        path = mp.start(name, 'sleep', ['100'])
        same((status_of(path)['exitcode'], status_of(path)['signal']), (None, None))
        write(path + '/ctl', word + '\njoin')
        told = status_of(path)
        same((told['exitcode'], told['signal'], told['core_dumped'], told['alive']), (code, signal_name, False, False))
        assert f'signal: {signal_name}\n' in read(path + '/status'), read(path + '/status')
        line = line_of(mp, name)
        same((line['EXITCODE'], line['SIGNAL'], line['STATE']), (str(code), signal_name, 'ended'))
    path = mp.run('seven', 'sh', ['-c', 'exit 7'])
    same((status_of(path)['exitcode'], status_of(path)['signal']), (7, None))
    assert 'signal:' not in read(path + '/status')
    same((line_of(mp, 'seven')['EXITCODE'], line_of(mp, 'seven')['SIGNAL']), ('7', '-'))


@claim
def a_core_dump_is_told(mp):
    """Whether it dumped core. A pipe or a file that takes the core decides that; here it is what the kernel said."""
    code = ('import os, resource, sys; os.chdir(sys.argv[1]); resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)); '
            'child = os.fork() or os.abort(); status = os.waitpid(child, 0)[1]; print(int(os.WCOREDUMP(status)), flush=True); os.abort()')
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 and os.geteuid():
        code = code.replace('(-1, -1)', '(0, 0)')
    path = mp.run('aborts', PYTHON, ['-c', code, mp.base])
    dumped = read(path + '/stdout') == '1\n'
    told = status_of(path)
    same((told['signal'], told['core_dumped']), ('SIGABRT', dumped))
    same('(core dumped)' in read(path + '/status'), dumped)
    same(line_of(mp, 'aborts')['SIGNAL'], 'SIGABRT+core' if dumped else 'SIGABRT')


@claim
def status_json_has_the_keys_that_the_manual_lists(mp):
    """Stable key names, an object per process; of all an array."""
    path = mp.make('keys', 'printf', ['%s', 'a b'], kwargs='a=1\nb=two words\n', cwd='/tmp', umask='027', name='other')
    told = status_of(path)
    same(list(told), OWN)
    same((told['directory'], told['name'], told['state'], told['pid'], told['alive'], told['rusage'], told['started']),
         ('keys', 'other', 'initial', None, False, None, None))
    same((told['args'], told['kwargs'], told['cwd'], told['umask'], told['target'], told['daemon'], told['parent']),
         (['%s', 'a b'], ['a=1', 'b=two words'], '/tmp', '0027', 'printf', False, None))
    write(path + '/ctl', 'start\njoin')
    told = status_of(path)
    same((told['pid'], told['ppid'], told['exitcode']), (int(value(path + '/pid')), mp.keeper, 0))
    same((told['started'], told['ended']), (value(path + '/started'), value(path + '/ended')))
    same(list(told['rusage']), ['utime', 'stime', *COUNTS])
    same(told['rusage'], usage_of(path))
    every = json.loads(read_bytes(mp('status.json')))
    same([list(each) for each in every if each['directory'] == 'keys'], [COMMON + ['exact']])
    same([each['directory'] for each in every], [each['directory'] for each in sorted(every, key=lambda each: each['id'])])


@claim
def the_manual_lists_every_key(mp):
    """Stable key names that the man page lists."""
    manual = read(os.path.dirname(os.path.abspath(__file__)) + '/../../fs/procfs-mp.1')
    section = manual[manual.index('.Ss The keys of status.json'):]
    section = section[:section.index('\n.S', 1)]
    listed = [word for line in section.splitlines() if line.startswith('.It Cm ')
              for word in line[len('.It Cm '):].replace(' , ', ' ').split()]
    same(sorted(listed), sorted(OWN))


@claim
def odd_bytes_still_make_valid_json(mp):
    """Bytes that are not UTF-8 become U+FFFD, and `exact` says so."""
    odd = b'q"\\\n\t\x01\x7f/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'
    path = os.fsencode(mp.path) + b'/odd\xff \xc3\n"\\'
    os.mkdir(path)
    write(path + b'/target', b'/bin/tr\xc3\xa9 \xfe')
    write(path + b'/args', odd + b'\0\xed\xa0\x80\0\0\xc0\xaf\xf5\xf4\x90\x80\x80\0')
    told = json.loads(read_bytes(path + b'/status.json').decode('utf-8'))
    same(told['directory'], 'odd\ufffd \ufffd\n"\\')
    same(told['target'], '/bin/tré \ufffd')
    same(told['args'], [odd.decode(), '\ufffd' * 3, '', '\ufffd' * 7])
    same(told['exact'], False)
    every = {each['id']: each for each in json.loads(read_bytes(mp('status.json')).decode('utf-8'))}
    same((every[told['id']]['directory'], every[told['id']]['exact']), (told['directory'], False))
    same(status_of(mp.make('plain\té', 'true'))['exact'], True)
    assert b'odd\xff \xc3\\012"\\134 ' in read_bytes(mp('status')), read_bytes(mp('status'))


@claim
def secrets_are_left_out(mp):
    """authkey, env, the streams, result and error are their owner's and in no status."""
    path = mp.make('secret', run='echo ho-out; echo ho-err >&2; echo ho-result > "$PROCFS_MP/self/result"',
                   env='HO=ho-env', stdin='ho-in', authkey='ab' * 32)
    write(path + '/ctl', 'start\njoin')
    expect_errno(errno.EALREADY, lambda: write(path + '/ctl', 'start'), 'twice', error_file=path + '/error')
    told = ''.join(read(file) for file in (path + '/status', path + '/status.json', mp('status'), mp('status.json')))
    for word in ('ho-env', 'ho-in', 'ab' * 32, 'ho-out', 'ho-err', 'ho-result', 'twice', 'authkey'):
        assert word not in told, word


@claim
def the_table_is_aligned(mp):
    """A table for people."""
    for name in ('a', 'a much longer name', 'é', 'tab\there'):
        mp.make(name, 'true')
    os.mkdir(mp('nothing'))
    mp.make('script', run='#!/bin/sh\n')
    lines = read(mp('status')).splitlines()
    place = lines[0].index('STATE')
    for line in lines[1:]:
        same(line[place - 2:place + 7], '  initial', line)
    same(lines[0].split(), COLUMNS)
    same([line.split()[-1] for line in lines[1:]], ['true'] * 4 + ['-', '(run)'])
    assert lines[4].startswith('tab\\011here '), lines[4]
    assert not any(line != line.rstrip() for line in lines)


@claim
def the_tables_of_all_have_no_size_until_they_are_read(mp):
    """What stat(2) says of the root's status and status.json is 0: nobody makes them to see how long they are."""
    mp.make('one', 'true')
    for file in ('status', 'status.json'):
        descriptor = os.open(mp(file), os.O_RDONLY)
        same((os.stat(mp(file)).st_size, os.fstat(descriptor).st_size), (0, 0))
        first = os.read(descriptor, 1)
        same(first + os.read(descriptor, 1 << 16), read_bytes(mp(file)))
        same(os.fstat(descriptor).st_size, 0)
        os.close(descriptor)
        same(os.stat(mp('one', file)).st_size, len(read_bytes(mp('one', file))))


@claim
def the_table_for_people_shows_no_more_than_200_bytes_of_a_name_or_a_target(mp):
    """What is longer ends in "..."; for programs it is there whole."""
    name, target = 'n' * 255, '\x01' * 4096
    mp.make(name, target)
    mp.make('é' * 127, 'é' * 2000)
    mp.make('short', 'x' * 200)
    rows = [line.split() for line in read(mp('status')).splitlines()[1:]]
    same([(row[0], row[-1]) for row in rows],
         [('n' * 200 + '...', '\\001' * 200 + '...'), ('é' * 100 + '...', 'é' * 100 + '...'), ('short', 'x' * 200)])
    told = json.loads(read_bytes(mp('status.json')))
    same([(each['directory'], each['target']) for each in told], [(name, target), ('é' * 127, 'é' * 2000), ('short', 'x' * 200)])


@claim(timeout=200)
def ten_thousand_are_told_whole(mp):
    """A status of 10,000 processes is served whole."""
    count = 10000
    for number in range(count):
        os.mkdir(mp(f'many-{number}'))
    write(mp('many-7/ctl'), 'target true\nstart\njoin')
    begun = time.monotonic()
    told = json.loads(read_bytes(mp('status.json')))
    lines = read(mp('status')).splitlines()
    print(f'# both in {time.monotonic() - begun:.3f} s')
    same([each['directory'] for each in told], [f'many-{number}' for number in range(count)])
    same([line.split()[0] for line in lines[1:]], [f'many-{number}' for number in range(count)])
    with open(mp('status.json'), 'rb') as file:  # in small pieces, while the set changes
        first = file.read(100)
        os.rmdir(mp('many-1'))
        rest = file.read()
    same(len(json.loads(first + rest)), count)
    for number in range(count):
        if number != 1:
            os.rmdir(mp(f'many-{number}'))


main()
