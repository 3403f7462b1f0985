#!/usr/bin/env python3
"""What a process may use: limits by name, nice."""
import errno
import json
import os
import re
import resource
import signal

from harness import LIBC, Mount, Skip, claim, main
from plain import expect_errno, read, same, value, write

NAMES = {'as': 'Max address space', 'core': 'Max core file size', 'cpu': 'Max cpu time', 'data': 'Max data size',
         'fsize': 'Max file size', 'locks': 'Max file locks', 'memlock': 'Max locked memory', 'msgqueue': 'Max msgqueue size',
         'nice': 'Max nice priority', 'nofile': 'Max open files', 'nproc': 'Max processes', 'rss': 'Max resident set',
         'rtprio': 'Max realtime priority', 'rttime': 'Max realtime timeout', 'sigpending': 'Max pending signals',
         'stack': 'Max stack size'}


def limits_in(text):
    """What /proc/PID/limits says: name -> (soft, hard)."""
    found = {}
    for line in text.splitlines()[1:]:
        title, soft, hard = re.match(r'(.*?)  +(\S+) +(\S+)', line).groups()
        found[title] = (soft, hard)
    return {name: found[title] for name, title in NAMES.items()}


UNLIMITED = resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
CAPABILITIES = {'CAP_SYS_NICE': 23, 'CAP_SYS_RESOURCE': 24}
PR_CAPBSET_DROP = 24


def is_capable(name):
    line = next(line for line in open('/proc/self/status') if line.startswith('CapEff:'))
    return bool(int(line.split()[1], 16) >> CAPABILITIES[name] & 1)


def drop_capability(name):
    """Of what is executed from here: root's set is bounded by this one."""
    if os.geteuid() == 0:
        LIBC.prctl(PR_CAPBSET_DROP, CAPABILITIES[name], 0, 0, 0)


def limits_of(mp, name, **files):
    return limits_in(read(mp.run(name, 'cat', '/proc/self/limits', **files) + '/stdout'))


@claim
def without_limits_it_has_those_of_the_mount(mp):
    """The server may have as many files open as it may; its processes have what the mount was started with."""
    same(limits_of(mp, 'p'), limits_in(open(f'/proc/{mp.keeper}/limits').read()))
    same((read(mp('p', 'limits')), 'limits: ' in read(mp('p', 'status'))), ('', False))


@claim
def every_limit_is_set_by_its_name(mp):
    """limits: one line for each, SOFT:HARD or one number for both."""
    before = limits_in(open(f'/proc/{mp.keeper}/limits').read())
    wanted = {'nofile': ('64', '128'), 'core': ('0', '0'), 'cpu': ('100', '200'), 'data': ('1000000000', '2000000000'),
              'locks': ('10', '20'), 'memlock': ('4096', '4096'), 'msgqueue': ('0', '100'), 'nproc': ('10', '20'),
              'rss': ('5', '6'), 'sigpending': ('7', '8'), 'stack': ('1048576', '2097152'), 'as': ('3000000000', '4000000000'),
              'fsize': ('100000', '200000'), 'rttime': ('1', '2'), 'nice': ('0', '0'), 'rtprio': ('0', '0')}
    text = ''.join(f'{name} {soft}:{hard}\n' if soft != hard else f'{name} {soft}\n' for name, (soft, hard) in wanted.items())
    got = limits_of(mp, 'p', limits=text)
    same(got, wanted)
    same(read(mp('p', 'limits')), ''.join(f'{name} {soft}:{hard}\n' for name, (soft, hard) in wanted.items()))
    same(set(before), set(wanted))


@claim
def what_reads_back_can_be_written_again(mp):
    """`>` replaces, `>>` appends, the last line about a name wins; blanks and empty lines mean nothing."""
    path = mp.make('p', 'true')
    write(path + '/limits', '\n  nofile   10 \n\ncore 0')
    same(read(path + '/limits'), 'nofile 10:10\ncore 0:0\n')
    write(path + '/limits', 'nofile 5:10\n', os.O_WRONLY | os.O_APPEND)
    same(read(path + '/limits'), 'nofile 5:10\ncore 0:0\n')
    write(path + '/limits', read(path + '/limits'))
    same(read(path + '/limits'), 'nofile 5:10\ncore 0:0\n')
    write(path + '/ctl', 'limits cpu 7')
    same(read(path + '/limits'), 'cpu 7:7\n')
    write(path + '/limits', '')
    same(read(path + '/limits'), '')
    write(path + '/limits', 'core 0\nnofile 9')
    assert 'limits: core 0:0,nofile 9:9\n' in read(path + '/status'), read(path + '/status')


@claim
def unlimited_is_a_limit_too(mp):
    """unlimited, where the mount may have that."""
    if resource.getrlimit(resource.RLIMIT_CPU)[1] != resource.RLIM_INFINITY:
        raise Skip('the cpu time is limited here')
    same(limits_of(mp, 'p', limits='cpu 10:unlimited')['cpu'], ('10', 'unlimited'))
    same(read(mp('p', 'limits')), 'cpu 10:unlimited\n')


@claim
def a_limit_does_what_it_says(mp):
    """cpu: SIGXCPU; nofile also when it is less than the launch itself needs."""
    path = mp.run('p', '/bin/sh', ['-c', 'while :; do :; done'], limits='cpu 1:5')
    same(value(path + '/exitcode'), str(-signal.SIGXCPU))
    none = mp.run('q', '/bin/true', limits='nofile 0\nstack 1048576')
    assert value(none + '/exitcode') in ('0', '127'), read(none + '/status')


@claim
def fsize_bounds_output_that_is_kept_and_none_that_leads_elsewhere(mp):
    """limits: kept stdout and stderr are files to the program; what was written before is there, and others are not bounded."""
    program = ['-c', 'exec head -c 5000 /dev/zero']
    path = mp.run('p', '/bin/sh', program, limits='fsize 1000')
    same((value(path + '/exitcode'), len(read(path + '/stdout'))), (str(-signal.SIGXFSZ), 1000))
    same(value(mp.run('q', '/bin/sh', program, limits='fsize 1000', stdout_to='/dev/null') + '/exitcode'), '0')
    open_limits = mp.run('r', '/bin/sh', program, limits='fsize 5000')
    same((value(open_limits + '/exitcode'), len(read(open_limits + '/stdout'))), ('0', 5000))


@claim
def nice_is_its_priority(mp):
    """nice: -20 to 19; the mount's own at first."""
    own = os.getpriority(os.PRIO_PROCESS, mp.keeper)
    same(value(mp.make('fresh') + '/nice'), str(own))
    path = mp.run('p', '/bin/sh', ['-c', 'cut -d" " -f19 /proc/self/stat'], nice='7')
    same((value(path + '/stdout'), value(path + '/nice'), 'nice: 7\n' in read(path + '/status')), ('7', '7', True))
    same(os.getpriority(os.PRIO_PROCESS, mp.keeper), own)
    write(mp('fresh', 'nice'), '5')
    write(mp('fresh', 'nice'), '')
    same(value(mp('fresh', 'nice')), str(own))


@claim
def a_start_that_fails_once_it_has_its_nice_says_why(mp):
    """cwd and target: a directory and a program that are not there, with a nice that is."""
    path = mp.make('p', 'true', nice='7', cwd='/no/such/directory')
    expect_errno(errno.ENOENT, lambda: write(path + '/ctl', 'start'), '/no/such/directory', error_file=path + '/error')
    write(path + '/ctl', 'cwd /\ntarget /no/such/program')
    expect_errno(errno.ENOENT, lambda: write(path + '/ctl', 'start'), '/no/such/program', error_file=path + '/error')


@claim
def status_json_says_all_of_it(mp):
    """status.json: every key is always there, null for what is not set."""
    plain = json.loads(read(mp.make('plain', 'true') + '/status.json'))
    same([plain[key] for key in ('stop_signal', 'stop_timeout', 'timeout', 'timed_out', 'user', 'nice', 'limits', 'memory_max',
                                 'cpu_max', 'pids_max')], ['TERM', 10, None, False, None, None, {}, None, [None, 100000], None])
    path = mp.start('p', 'sleep', '1000', stop_signal='RTMIN+1', stop_timeout='0.5', timeout='0.1', nice='4',
                    limits='nofile 64:128\nas 3000000000:unlimited' if UNLIMITED else 'nofile 64:128')
    value(path + '/wait')
    got = json.loads(read(path + '/status.json'))
    same([got[key] for key in ('stop_signal', 'stop_timeout', 'timeout', 'timed_out', 'nice', 'limits')],
         ['RTMIN+1', 0.5, 0.1, True, 4, {'nofile': [64, 128], **({'as': [3000000000, None]} if UNLIMITED else {})}])


@claim
def values_that_mean_nothing_are_refused(mp):
    """EINVAL with what would be valid, and the value stays; EBUSY after the start."""
    path = mp.make('p', 'true', limits='core 0', nice='3')
    for text, sentence in (('nofiles 5', "'nofiles' is no limit; valid are: as core cpu"), ('nofile', 'nofile'), ('nofile x', "'x'"),
                           ('nofile 5:', "'5:'"), ('nofile :5', "':5'"), ('nofile -1', "'-1'"), ('nofile 5 6', "'5 6'"),
                           ('nofile 1:2:3', "'1:2:3'"), ('nofile 10:5', 'above'), ('cpu unlimited:5', 'above'),
                           ('core 99999999999999999999', '9999'), ('RLIMIT_CORE 0', 'RLIMIT_CORE'), ('core ' + 'x' * 100, 'limits')):
        expect_errno(errno.EINVAL, lambda: write(path + '/limits', 'cpu 5\n' + text), sentence, error_file=path + '/error')
    for word in ('20', '-21', 'x', '1.5', '+', '0x5'):
        expect_errno(errno.EINVAL, lambda: write(path + '/nice', word), word, '-20 to 19', error_file=path + '/error')
    same((read(path + '/limits'), value(path + '/nice')), ('core 0:0\n', '3'))
    write(path + '/ctl', 'start\njoin')
    for file in ('limits', 'nice'):
        expect_errno(errno.EBUSY, lambda: write(f'{path}/{file}', '1'), 'already started', error_file=path + '/error')


@claim
def what_the_kernel_refuses_is_said_at_the_start(mp):
    """A limit above what even the superuser can have: start fails with a sentence, and can be corrected."""
    if not is_capable('CAP_SYS_RESOURCE'):
        raise Skip('nobody can raise a limit here')
    most = int(open('/proc/sys/fs/nr_open').read())
    path = mp.make('p', 'true', limits=f'core 0\nnofile {most + 1}')
    expect_errno(errno.EPERM, lambda: write(path + '/ctl', 'start'), f'nofile {most + 1}:{most + 1}', 'not permitted',
                 error_file=path + '/error')
    same(value(path + '/state'), 'initial')
    write(path + '/ctl', 'limits core 0\nstart\njoin')
    same(value(path + '/exitcode'), '0')


@claim
def the_superuser_raises_a_hard_limit():
    """In the superuser's mount a limit may be above the mount's own."""
    if not is_capable('CAP_SYS_RESOURCE'):
        raise Skip('nobody can raise a limit here')

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
    with Mount(prepare=lower) as mp:
        same(limits_of(mp, 'p', limits='nofile 1000:2000')['nofile'], ('1000', '2000'))
        same(limits_of(mp, 'q')['nofile'], ('200', '300'))


@claim
def who_cannot_raise_a_limit_is_told_when_it_is_written():
    """A hard limit above the mount's own, in a mount that cannot raise it: EPERM, and the value stays."""
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
        drop_capability('CAP_SYS_RESOURCE')
        drop_capability('CAP_SYS_NICE')
        os.nice(5)
    with Mount(prepare=lower) as mp:
        path = mp.make('p', 'cat', '/proc/self/limits', limits='nofile 300')
        expect_errno(errno.EPERM, lambda: write(path + '/limits', 'nofile 10:301'), 'nofile', '300', error_file=path + '/error')
        expect_errno(errno.EPERM, lambda: write(path + '/nice', '-20'), 'nice', error_file=path + '/error')
        same((read(path + '/limits'), value(path + '/nice')), ('nofile 300:300\n', str(os.getpriority(os.PRIO_PROCESS, mp.keeper))))
        write(path + '/ctl', 'nice 19\nstart\njoin')
        same(limits_in(read(path + '/stdout'))['nofile'], ('300', '300'))


main()
