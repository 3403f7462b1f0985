#!/usr/bin/env python3
"""soak.py [MINUTES]: mixed work on a private mount, and what server, its children and keeper hold meanwhile. Ends with 1 when it grows.

The work is of several threads; each ends what it begins, so that what is held is to be the same at any time. What is sampled is
told in quarters: the first warms up, and the median of the last must not be above that of the second.
"""
import os
import statistics
import sys
import threading
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), '../mount')]

from harness import Mount, need_fusectl  # noqa: E402
from plain import children_of, errno_of, read, write  # noqa: E402

COLUMNS = ('rss KiB', 'pss KiB', 'anonymous KiB', 'descriptors', 'threads')
# What the last quarter may have more than the second: a share of it, and a number. The table that both share has 4 bytes for each pid
# there can be; they come to be used as pids go up, at most 16 MiB. Anonymous memory is all the rest that could grow.
TABLE = 16 << 10
SLACK = {'rss KiB': (0.05, TABLE), 'pss KiB': (0.05, TABLE), 'anonymous KiB': (0.05, 512), 'descriptors': (0, 16), 'threads': (0, 2)}
CHILDREN = {'procfs-mp-msg': 'messenger', 'procfs-mp-port': 'porter'}
WORKERS = 4
WRITING = os.O_WRONLY | os.O_TRUNC


# The work -----------------------------------------------------------------------------------------------------------

def life(mp, name):
    """Made, configured, started, joined, read, removed."""
    path = mp.make(name, 'sh', ['-c', 'echo out; echo err >&2; exit 3'], env='A=b\n')
    write(path + '/ctl', 'start\njoin')
    assert [read(f'{path}/{file}') for file in ('exitcode', 'stdout', 'stderr')] == ['3\n', 'out\n', 'err\n']
    read(path + '/status.json')
    os.rmdir(path)


def cloned(mp, _):
    descriptor = os.open(mp('clone'), os.O_RDWR)
    try:
        os.write(descriptor, b'target true\nstart\njoin\nreset\nstart\njoin\n')
        os.write(descriptor, b'close')
    finally:
        os.close(descriptor)


def refused(mp, name):
    path = mp.make(name, '/no/such/program')
    for file, data in (('ctl', 'start'), ('ctl', 'bogus'), ('daemon', 'x'), ('args', '"'), ('ctl', 'join'), ('pid', '1')):
        assert errno_of(write, f'{path}/{file}', data)
    assert read(path + '/error') or True
    os.rmdir(path)


def ended_by_a_signal(mp, name):
    path = mp.start(name, 'sleep', '1000', stdin='some input')
    waits = threading.Thread(target=lambda: read(path + '/wait'))
    waits.start()
    write(path + '/ctl', 'stop\njoin')
    waits.join()
    os.rmdir(path)


def a_group(mp, name):
    names = [f'{name}-{number}' for number in range(4)]
    for one in names:
        mp.make(one, 'echo', 'x' * 1000, restart='no')
    for verb in ('start', 'join', 'close'):
        write(mp('ctl'), f'{verb} {name}-*')


def with_output(mp, name):
    path = mp.make(name, 'sh', ['-c', 'head -c 300000 /dev/zero'], output_max='64K')
    write(path + '/ctl', 'start\njoin')
    read(path + '/output')
    os.rmdir(path)


def with_open_input(mp, name):
    path = mp.start(name, 'cat', stdin_open='1')
    write(path + '/stdin', 'line\n', os.O_WRONLY)
    write(path + '/ctl', 'eof\njoin')
    os.rmdir(path)


def with_a_lock(mp, name):
    os.close(os.open(mp('locks', name), os.O_RDWR | os.O_CREAT))
    os.unlink(mp('locks', name))


WORK = (life, cloned, refused, ended_by_a_signal, a_group, with_output, with_open_input, with_a_lock)


class Worker(threading.Thread):
    def __init__(self, mp, number, over):
        super().__init__(daemon=True)
        self.mp, self.number, self.over, self.rounds, self.error = mp, number, over, 0, None
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                WORK[(self.rounds + self.number) % len(WORK)](self.mp, f'soak-{self.number}-{self.rounds}')
                self.rounds += 1
        except BaseException as error:
            self.error = error
            self.over.set()


# What is held -------------------------------------------------------------------------------------------------------

def descriptors(pid):
    """Of the thread that has the most: the porter's have a table each."""
    def count(task):
        try:
            return len(os.listdir(f'/proc/{pid}/task/{task}/fd'))
        except FileNotFoundError:
            return 0
    return max(map(count, os.listdir(f'/proc/{pid}/task')))


def sample(pid):
    with open(f'/proc/{pid}/smaps_rollup') as file:
        sizes = {line.split(':')[0]: int(line.split()[1]) for line in file if line.endswith('kB\n')}
    return {'rss KiB': sizes['Rss'], 'pss KiB': sizes['Pss'], 'anonymous KiB': sizes['Anonymous'],
            'descriptors': descriptors(pid), 'threads': len(os.listdir(f'/proc/{pid}/task'))}


def quarters(samples):
    """Four lists of samples, of nearly the same length."""
    edges = [len(samples) * part // 4 for part in range(5)]
    return [samples[begin:end] for begin, end in zip(edges, edges[1:])]


def growth(samples, column):
    """The medians of the quarters, and whether the last is too far above the second."""
    medians = [statistics.median(one[column] for one in part) for part in quarters(samples)]
    share, number = SLACK[column]
    return medians, medians[3] > medians[1] * (1 + share) + number


def soak(seconds, say=print):
    """Runs it. Result: how many rounds were done, and what grew."""
    over = threading.Event()
    with Mount() as mp:
        workers = [Worker(mp, number, over) for number in range(WORKERS)]
        processes = {'server': mp.server, 'keeper': mp.keeper}
        processes |= {CHILDREN[open(f'/proc/{pid}/comm').read().strip()]: pid for pid in children_of(mp.server)}
        samples = {name: [] for name in processes}
        limit = time.monotonic() + seconds
        while not over.wait(min(1, seconds / 40)) and (time.monotonic() < limit or len(samples['server']) < 4):
            for name, pid in processes.items():
                samples[name].append(sample(pid))
        over.set()
        for worker in workers:
            worker.join()
            if worker.error:
                raise worker.error
        return sum(worker.rounds for worker in workers), report(samples, say)


def report(samples, say):
    grown = []
    say(f'{"medians of quarters":24}' + ''.join(f'{name:>12}' for name in ('first', 'second', 'third', 'last')))
    for name, taken in samples.items():
        for column in COLUMNS:
            medians, grows = growth(taken, column)
            say(f'{name + " " + column:24}' + ''.join(f'{one:12.0f}' for one in medians) + ('  grows' if grows else ''))
            grown += [f'{name} {column}'] * grows
    return grown


def main(arguments):
    minutes = float(arguments[0]) if arguments else 10
    errno_of(need_fusectl)
    rounds, grown = soak(minutes * 60)
    print(f'{rounds} rounds in {minutes:g} minutes; ' + (f'growing: {", ".join(grown)}' if grown else 'nothing grows'))
    return 1 if grown else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
