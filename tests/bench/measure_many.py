"""Many processes: starting all, ending all, and what those who look after them hold in memory."""
import os
import resource
import shutil
import subprocess
import tempfile
import time

from harness import PYTHON, Mount
from rows import HERE, program, scaled, spread
from supervisors import SUPERVISORS, started

OURS, RAW = 'six files', 'posix_spawn, kill, waitpid'


def memory_of(pids):
    """Bytes; what is shared is divided among those who share it."""
    total = 0
    for pid in pids:
        with open(f'/proc/{pid}/smaps_rollup', encoding='utf-8') as file:
            total += sum(int(line.split()[1]) << 10 for line in file if line.startswith('Pss:'))
    return total


class Steps:
    """A program that prints a step's name and nanoseconds, and goes on when a line comes in."""

    def __init__(self, *words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def next(self):
        """(name, seconds), or None after the last"""
        line = self.process.stdout.readline().split()
        return (line[0], int(line[1]) / 1e9) if line else None

    def go_on(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait() == 0, self.process.args


def by_steps(words, pids):
    """{step: seconds}, {step: bytes of those processes after it}"""
    seconds, memory = {}, {}
    with Steps(*words) as steps:
        while step := steps.next():
            seconds[step[0]] = step[1]
            memory[step[0]] = memory_of(pids or [steps.process.pid])
            steps.go_on()
    return seconds, memory


def in_mount(way, count, shared):
    """On a mount that has had processes before."""
    with Mount() as mount:
        for number in (32, count):
            done = by_steps([program('many'), way, str(number), program('pauser'), shared, mount.path],
                            [mount.keeper, mount.server])
        return done


def in_c(count, shared):
    return by_steps([program('many'), 'spawn', str(count), program('pauser'), shared, '.'], None)


def in_python(way, count, shared):
    return by_steps([PYTHON, os.path.join(HERE, 'many_python.py'), way, str(count), program('pauser'), shared], None)


def supervised(kind, count, shared):
    with kind(count, program('pauser'), shared) as manager:
        memory = {'ready': memory_of(manager.pids()) if manager.daemon else 0}
        begun = time.perf_counter()
        manager.start()
        seconds = {'up': time.perf_counter() - begun}
        assert started(shared) >= count
        memory['up'] = memory_of(manager.pids())
        begun = time.perf_counter()
        manager.stop()
        seconds['down'] = time.perf_counter() - begun
    return seconds, memory


def ways(results, with_others):
    """{way: function}; with_others: also what is not C"""
    found = {RAW: in_c, OURS: lambda *about: in_mount('files', *about), 'clone': lambda *about: in_mount('clone', *about)}
    if not with_others:
        return found
    found['Python Popen'] = lambda *about: in_python('popen', *about)
    found['Python multiprocessing, fork'] = lambda *about: in_python('fork', *about)
    for name, kind in SUPERVISORS.items():
        if shutil.which(kind.needs):
            found[name] = lambda *about, kind=kind: supervised(kind, *about)
        else:
            results.miss(f'{name}: not installed')
    return found


def take(results, count, rounds, with_others):
    """{way: [(seconds, memory) of each round]}"""
    all_ways = ways(results, with_others)
    found = {name: [] for name in all_ways}
    with tempfile.TemporaryDirectory(dir='/dev/shm') as directory:
        for _ in range(rounds):
            for name, way in all_ways.items():
                found[name].append(way(count, os.path.join(directory, 'shared')))
    return found


def seconds_of(found, way, *steps):
    return [sum(seconds.get(step, 0) for step in steps) for seconds, _ in found[way]]


def bytes_of(found, way, count, step):
    """A process; what was there before the first one is not theirs."""
    return [max(0, memory[step] - memory['ready']) / count for _, memory in found[way]]


def add_times(results, found, count):
    others = [name for name in found if name not in (OURS, 'clone')]

    def beside(*steps):
        return {name: scaled(seconds_of(found, name, *steps), 1000) for name in others}
    results.add(f'{count:,} made and started by six files', 'ms', scaled(seconds_of(found, OURS, 'made', 'up'), 1000),
                beside('up'), 1.5)
    results.add(f'{count:,} made and started by clone', 'ms', scaled(seconds_of(found, 'clone', 'up'), 1000),
                {RAW: beside('up')[RAW]}, 1.5)
    results.add(f'terminate all, join all of {count:,}', 'ms', scaled(seconds_of(found, OURS, 'down'), 1000), beside('down'), 1.5)


def add_memory(results, found, count):
    beside = {name: bytes_of(found, name, count, 'up') for name in SUPERVISORS if name in found}
    if not beside:
        beside[RAW] = bytes_of(found, RAW, count, 'up')
    results.add(f'memory for each of {count:,} that run', 'bytes', bytes_of(found, OURS, count, 'up'), beside)
    results.add(f'memory for each of {count:,} configured, not started', 'bytes', bytes_of(found, OURS, count, 'made'),
                {'1 KiB': [1024] * len(found[OURS])}, 1)


def most_at_once():
    """Ten thousand, or as many as there may be descriptors for: each has two streams."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 10000 if limit == resource.RLIM_INFINITY else min(10000, (limit - 500) // 2)


def measure(results):
    counts = {1: 1, 5: 1, 20: 1} if results.quick else {1: 11, 10: 7, 100: 5, 1000: 3, most_at_once(): 2}
    points = {'up': {}, 'clone': {}, 'down': {}}
    for count, rounds in counts.items():
        is_shown = count in (1000, max(counts))
        found = take(results, count, rounds, count == min(1000, max(counts)))  # ten thousand would take others minutes
        each = {name: spread(seconds_of(found, way, *steps))['median'] * 1e6 / count for name, way, steps in (
            ('up', OURS, ('made', 'up')), ('clone', 'clone', ('up',)), ('down', OURS, ('down',)),
            ('raw-up', RAW, ('up',)), ('raw-down', RAW, ('down',)))}
        for name, raw in (('up', 'raw-up'), ('clone', 'raw-up'), ('down', 'raw-down')):
            points[name][count] = each[name], each[raw]
        if is_shown:
            add_times(results, found, count)
            add_memory(results, found, count)
    results.add_growth('made and started, six files', 'us', 'posix_spawn', points['up'])
    results.add_growth('made and started, clone', 'us', 'posix_spawn', points['clone'])
    results.add_growth('ended and joined', 'us', 'kill, waitpid', points['down'])
