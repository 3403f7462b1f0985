#!/usr/bin/env python3
"""The server is killed at random moments while programs of every kind work; each checks every answer it gets.

PROCFS_MP_TEST_KILLS is how often, PROCFS_MP_TEST_SEED the seed of the moments, which is printed.
"""
import collections
import errno
import json
import mmap
import os
import random
import re
import select
import signal
import time

from harness import DEADLINE, SLOWNESS, claim, main
from plain import comment, exit_of, expect_errno, fork, read, same, value, vector, wait_until, write

SECONDS = 150  # a machine that is slower gets fewer kills: no test fails on a time
KILLS = int(os.environ.get('PROCFS_MP_TEST_KILLS') or (500 if SLOWNESS == 1 else 60))
SEED = int(os.environ.get('PROCFS_MP_TEST_SEED') or random.randrange(1 << 32))
EVENT = re.compile(rb'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (\S+) (created|started|exited -?\d+|removed|reset)\n')


class Client:
    """One program that works in the mount until it is told to stop. What it did is its history: name -> changes."""

    def __init__(self, mp, number, stop):
        self.mp, self.number, self.stop = mp, number, stop
        self.random = random.Random(f'{SEED} {number}')
        self.made, self.rounds = 0, 0
        self.history = []
        self.numbers = []

    def fresh(self):
        """A name that nobody has used."""
        self.made += 1
        return f'client{self.number}-{self.made}'

    def make(self):
        """By mkdir, or by clone, whose names are counted."""
        if self.random.random() < 0.5:
            name = self.fresh()
            os.mkdir(self.mp(name))
        else:
            descriptor = os.open(self.mp('clone'), os.O_RDWR)
            name = os.read(descriptor, 100).decode().rstrip('\n')
            os.close(descriptor)
            self.made += 1
            self.numbers.append(int(name.removeprefix('Process-')))
        self.history.append((name, 'created'))
        return self.mp(name)

    def note(self, path, what):
        self.history.append((os.path.basename(path), what))

    def remove(self, path):
        if self.random.random() < 0.7:
            os.rmdir(path)
        else:
            write(path + '/ctl', 'close')
        self.note(path, 'removed')
        same(os.path.exists(path), False, 'a removed directory')

    def wait(self, path):
        """By every way there is to wait for the end of one."""
        name = os.path.basename(path)
        way = self.random.choice(('join', 'deadline', 'wait', 'poll', 'root', 'look'))
        if way == 'join':
            write(path + '/ctl', 'join')
        elif way == 'deadline':
            write(path + '/ctl', f'join {DEADLINE * SLOWNESS}')
        elif way == 'wait':
            same(read(path + '/wait'), read(path + '/exitcode'))
        elif way == 'poll':
            self.poll(path + '/sentinel')
        elif way == 'root':
            write(self.mp('ctl'), f'join {name}')
        else:
            wait_until(lambda: value(path + '/state') == 'ended')
        same(value(path + '/alive'), '0', f'after the end, by {way}')

    def poll(self, path):
        descriptor = os.open(path, os.O_RDONLY)
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        assert poller.poll(DEADLINE * SLOWNESS * 1000), 'never woken'
        os.close(descriptor)

    def run(self):
        kinds = (self.life, self.life, self.values, self.missing, self.ended, self.output, self.refused,
                 self.several, self.held, self.left, self.input)
        while not self.stop[0]:
            self.random.choice(kinds)()
            self.rounds += 1

    def report(self, path):
        with open(path, 'w') as file:
            json.dump({'rounds': self.rounds, 'made': self.made, 'numbers': self.numbers, 'history': self.history}, file)

    # What clients do ---------------------------------------------------------------------------------------------

    def life(self):
        """Every start runs exactly once, and its exit code is its own."""
        path = self.make()
        code, runs = self.random.randrange(256), f'{self.mp.base}/runs-{os.path.basename(path)}'
        write(path + '/target', 'sh')
        write(path + '/args', vector('-c', 'echo run >>"$1"; echo out $2; echo err $2 >&2; exit $2', 'sh', runs, str(code)))
        self.begin(path)
        self.wait(path)
        same(value(path + '/exitcode'), str(code))
        same(open(runs).read(), 'run\n', 'how often it ran')
        same((read(path + '/stdout'), read(path + '/stderr')), (f'out {code}\n', f'err {code}\n'))
        os.unlink(runs)
        self.note(path, f'exited {code}')
        expect_errno(errno.EALREADY, lambda: write(path + '/ctl', 'start'))
        self.remove(path)

    def begin(self, path):
        write(path + '/ctl', 'start')
        self.note(path, 'started')

    def values(self):
        """What was written is what is read, until it is written again."""
        path = self.make()
        expect_errno(errno.EEXIST, lambda: os.mkdir(path))
        for number in range(4):
            text = f'{self.random.random()}'
            for file in ('target', 'name', 'args', 'cwd'):
                write(f'{path}/{file}', f'{file}{text}')
            write(path + '/env', f'A={text}\nB=2\n')
            for file in ('target', 'name', 'args', 'cwd'):
                same(value(f'{path}/{file}'), f'{file}{text}')
            same(read(path + '/env'), f'A={text}\nB=2\n')
            write(path + '/daemon', str(number % 2))
            same(value(path + '/daemon'), str(number % 2))
        self.remove(path)
        expect_errno(errno.ENOENT, lambda: read(path + '/target'))

    def missing(self):
        """A start that fails says so, with its sentence, and can be made good."""
        path = self.make()
        write(path + '/target', '/no/such/program')
        expect_errno(errno.ENOENT, lambda: write(path + '/ctl', 'start'), '/no/such/program', error_file=path + '/error')
        same((value(path + '/state'), value(path + '/pid')), ('initial', ''))
        write(path + '/target', 'true')
        self.begin(path)
        self.wait(path)
        self.note(path, 'exited 0')
        same(value(path + '/exitcode'), '0')
        self.remove(path)

    def ended(self):
        """A signal ends what it was sent to, once."""
        path = self.make()
        write(path + '/ctl', 'target sleep\nargs 1000\nstart')
        self.note(path, 'started')
        pid = int(value(path + '/pid'))
        same((value(path + '/state'), os.path.exists(f'/proc/{pid}')), ('running', True))
        verb, code = self.random.choice((('terminate', '-15'), ('kill', '-9'), ('signal INT', '-2'), ('stop', '-15')))
        write(path + '/ctl', verb)
        self.wait(path)
        same((value(path + '/exitcode'), value(path + '/pid')), (code, str(pid)))
        self.note(path, f'exited {code}')
        self.remove(path)

    def input(self):
        """Every byte that was written arrives, once and in order."""
        path = self.make()
        write(path + '/target', 'cat')
        write(path + '/stdin_open', '1')
        self.begin(path)
        whole = b''
        descriptor = os.open(path + '/stdin', os.O_WRONLY)
        for number in range(self.random.randrange(1, 30)):
            piece = f'{number} {self.random.random()}\n'.encode() * self.random.choice((1, 50))
            same(os.write(descriptor, piece), len(piece))
            whole += piece
        os.close(descriptor)
        write(path + '/ctl', 'eof')
        self.wait(path)
        self.note(path, 'exited 0')
        got = read(path + '/stdout').encode()
        assert got == whole, f'{len(got)} of {len(whole)} bytes'
        self.remove(path)

    def output(self):
        """Whoever follows a program's output gets all of it, in order, and the end."""
        path = self.make()
        write(path + '/target', 'sh')
        write(path + '/args', vector('-c', 'i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i + 1)); done'))
        self.begin(path)
        same(read(path + '/output'), ''.join(f'line {number}\n' for number in range(300)))
        self.wait(path)
        self.note(path, 'exited 0')
        self.remove(path)

    def refused(self):
        """A refusal is the one of a mount that nobody kills."""
        path = self.make()
        for code, line in ((errno.ESRCH, 'join'), (errno.EINVAL, 'start'), (errno.EINVAL, 'dance'), (errno.ESRCH, 'kill')):
            expect_errno(code, lambda: write(path + '/ctl', line))
            assert read(path + '/error'), line
        expect_errno(errno.EINVAL, lambda: write(path + '/daemon', 'perhaps'))
        expect_errno(errno.ENOENT, lambda: read(path + '/nothing'))
        expect_errno(errno.ENOENT, lambda: os.rmdir(path + '-nothing'))
        self.remove(path)

    def several(self):
        """Verbs for many answer for each of them."""
        paths = [self.make() for _ in range(3)]
        names = ' '.join(map(os.path.basename, paths))
        for path in paths:
            write(path + '/ctl', 'target sh\nargs -c "exit 4"\nstart')
            self.note(path, 'started')
        same(self.any_of(names) in map(os.path.basename, paths), True)
        write(self.mp('ctl'), f'join {names}')
        same([value(path + '/exitcode') for path in paths], ['4'] * 3)
        for path in paths:
            self.note(path, 'exited 4')
            self.remove(path)

    def any_of(self, names):
        descriptor = os.open(self.mp('ctl'), os.O_RDWR)
        line = f'join any {names}\n'.encode()
        same(os.write(descriptor, line), len(line))
        first = os.read(descriptor, 1000).decode().split()
        os.close(descriptor)
        return first[0]

    def held(self):
        """A descriptor goes on where it was; one of a process that is gone never shows another one."""
        path = self.make()
        write(path + '/name', 'abcdefgh')
        descriptor = os.open(path + '/name', os.O_RDONLY)
        same(b''.join(os.read(descriptor, 1) for _ in range(9)), b'abcdefgh\n')
        same(os.read(descriptor, 1), b'')
        self.remove(path)
        expect_errno((errno.ESTALE, errno.ENOENT, errno.EIO), lambda: os.pread(descriptor, 1, 0))
        os.close(descriptor)

    def left(self):
        """A client that is killed while it waits is gone, and what it waited for is not."""
        path = self.make()
        write(path + '/ctl', 'target sleep\nargs 1000\nstart')
        self.note(path, 'started')
        child = fork(lambda: write(path + '/ctl', 'join'))
        time.sleep(self.random.random() / 50)
        os.kill(child, signal.SIGKILL)
        same(exit_of(child), -signal.SIGKILL)
        same(value(path + '/alive'), '1')
        write(path + '/ctl', 'kill\njoin')
        self.note(path, 'exited -9')
        self.remove(path)


def follow_events(mp, report):
    """Reads events from the first line until every client has gone and `last` was removed."""
    descriptor = os.open(mp('events'), os.O_RDONLY)
    data = b''
    while b' last removed\n' not in data[-4096:]:
        piece = os.read(descriptor, 1 << 16)
        assert piece, 'an end of events'
        data += piece
    os.close(descriptor)
    with open(report, 'wb') as file:
        file.write(data)


def kill_often(mp, chance, alive):
    """Mostly servers that answer; sometimes one that has only just begun, never two of those in a row. Result: how many."""
    began, number = time.monotonic(), 0
    while number < KILLS and time.monotonic() - began < SECONDS:
        number += 1
        time.sleep(chance.uniform(0, 0.02))
        mp.kill_server()
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0, 0.01) * SLOWNESS)
            mp.kill_server()
            number += 1
        read(mp('version'))
        gone = [client for client in alive if os.waitid(os.P_PID, client, os.WEXITED | os.WNOHANG | os.WNOWAIT)]
        assert not gone, f'after kill {number} a client found something wrong'
    return number


def check_events(data, reports):
    """Each process's changes came once, in order; nothing came that nobody did."""
    seen = collections.defaultdict(list)
    for line in data.splitlines(keepends=True):
        matched = EVENT.fullmatch(line)
        assert matched, line
        name, what = (part.decode() for part in matched.groups())
        seen[name].append(what)
    done = collections.defaultdict(list)
    for report in reports:
        for name, what in report['history']:
            done[name].append(what)
    done['last'] = ['created', 'removed']
    for name in (done.keys() | seen.keys()) - {'something'}:
        same(seen[name], done[name], f'the changes of {name}')


def held_descriptors(mp):
    """What the keeper has open, after it has done something: only then it lets go of what nobody wants any more."""
    os.rmdir(mp.run('something', 'true'))
    found = collections.Counter()
    for number in os.listdir(f'/proc/{mp.keeper}/fd'):
        try:
            found[re.sub(r'\d+', 'N', os.readlink(f'/proc/{mp.keeper}/fd/{number}'))] += 1
        except FileNotFoundError:
            pass
    return found


def is_nothing_held(mp, before):
    more = held_descriptors(mp) - before
    return not sum(count for name, count in more.items() if 'memfd' in name or 'pipe' in name)


CLIENTS = 6


@claim(timeout=280)
def a_server_that_is_killed_at_any_moment_loses_nothing(mp):
    """kill -9 of the server at any moment loses nothing, and no start ever runs twice or is forgotten."""
    comment(f'PROCFS_MP_TEST_SEED={SEED}')
    stop = mmap.mmap(-1, 1)
    before = held_descriptors(mp)
    clients = [Client(mp, number, stop) for number in range(CLIENTS)]

    def work(client):
        client.run()
        client.report(f'{mp.base}/report{client.number}')
    follower = fork(lambda: follow_events(mp, mp.base + '/events'))
    pids = [fork(lambda: work(client)) for client in clients]
    began = time.monotonic()
    try:
        kills = kill_often(mp, random.Random(SEED), [*pids, follower])
    finally:
        stop[0] = 1
    took = time.monotonic() - began
    same([exit_of(pid) for pid in pids], [0] * CLIENTS)
    os.mkdir(mp('last'))
    os.rmdir(mp('last'))
    same(exit_of(follower), 0)
    reports = [json.load(open(f'{mp.base}/report{number}')) for number in range(CLIENTS)]
    comment(f'{kills} kills, {sum(report["rounds"] for report in reports)} rounds of clients in {took:.1f} s')
    check_events(open(mp.base + '/events', 'rb').read(), reports)
    numbers = [number for report in reports for number in report['numbers']]
    same(len(numbers), len(set(numbers)), 'numbers of clone')
    made = sum(report['made'] for report in reports) + 2
    descriptor = os.open(mp('clone'), os.O_RDWR)
    same(os.read(descriptor, 100).decode(), f'Process-{made + 1}\n', 'N counts every construction')
    os.close(descriptor)
    same(mp.names(), [f'Process-{made + 1}'])
    os.rmdir(mp(f'Process-{made + 1}'))
    wait_until(lambda: is_nothing_held(mp, before), what='nothing that nobody wants is held')


if __name__ == '__main__':
    main()
