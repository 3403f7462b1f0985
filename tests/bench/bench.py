#!/usr/bin/env python3
"""What procfs-mp costs: one start and join against posix_spawn in the same rounds, memory, requests.

Prints a table; --json FILE writes the same for programs. Says nothing about good or bad: no test fails on a time.
PROCFS_MP_BIN names the binary, CYCLE_BIN and AT_ONCE_BIN the two programs built beside this file; tools/bench sets them.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, 'tests', 'mount'))
from harness import Mount, need_fusectl  # noqa: E402
from plain import same, write  # noqa: E402
from capture import measure_capture, print_capture  # noqa: E402

BUILT = os.path.join(TOP, 'build', 'tests')
CYCLE = os.environ.get('CYCLE_BIN') or os.path.join(BUILT, 'cycle')
AT_ONCE = os.environ.get('AT_ONCE_BIN') or os.path.join(BUILT, 'at_once')
TRUE = '/bin/true'
REQUEST = re.compile(r'^unique: \d+, opcode: (\w+)')
MEMORY_WARM_UP = 64
NOT_WAITED_FOR = ('RELEASE', 'FORGET', 'BATCH_FORGET')


def plain_write(path, text):
    """Without O_TRUNC: as a program writes that is not a shell."""
    write(path, text, os.O_WRONLY)


def quantile(values, part):
    values = sorted(values)
    return values[round(part * (len(values) - 1))]


def spread(values, digits):
    return {name: round(quantile(values, part), digits) for name, part in (('p10', .1), ('median', .5), ('p90', .9))}


# Time ------------------------------------------------------------------------------------------------------------

def run_cycle(mount, program, rounds, prepare):
    """{way: nanoseconds of each round}"""
    done = subprocess.run([CYCLE, mount.path, program, str(rounds)], stdout=subprocess.PIPE, text=True, check=True,
                          preexec_fn=prepare)
    ways, *lines = done.stdout.splitlines()
    columns = zip(*(map(int, line.split()) for line in lines))
    return dict(zip(ways.split(), columns))


def summarize(program, pinned, times):
    """A row for each way; the ratio is taken round by round, the median and the rest are of these ratios."""
    return [{'program': program, 'way': way, 'one_cpu': pinned,
             'microseconds': spread([one / 1000 for one in column], 1),
             'ratio': spread([one / base for one, base in zip(column, times['spawn'])], 3)}
            for way, column in times.items()]


def measure_times(rounds):
    """On one CPU: caller, server, keeper and the started programs share it. Else the scheduler places them."""
    rows = []
    cpu = max(os.sched_getaffinity(0))
    for pinned in (True, False):
        prepare = (lambda: os.sched_setaffinity(0, {cpu})) if pinned else None
        with Mount(prepare=prepare) as mount:
            for label, program in (('true', TRUE), ('at-once', AT_ONCE)):
                rows += summarize(label, pinned, run_cycle(mount, program, rounds, prepare))
    return rows


# Memory ----------------------------------------------------------------------------------------------------------

def resident(pid):
    for line in open(f'/proc/{pid}/status'):
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) * 1024
    raise AssertionError(f'no VmRSS in /proc/{pid}/status')


def make_directories(mount, prefix, count):
    for i in range(count):
        path = mount(f'{prefix}-{i}')
        os.mkdir(path)
        plain_write(path + '/target', TRUE)


def measure_memory(count):
    with Mount() as mount:
        make_directories(mount, 'before', MEMORY_WARM_UP)
        pids = {'server': mount.server, 'keeper': mount.keeper}
        before = {name: resident(pid) for name, pid in pids.items()}
        make_directories(mount, 'process', count)
        after = {name: resident(pid) for name, pid in pids.items()}
        for name in mount.names():
            os.rmdir(mount(name))
    return {'directories': count, 'before': before, 'after': after,
            'each': {name: round((after[name] - before[name]) / count) for name in pids}}


# Requests --------------------------------------------------------------------------------------------------------

def read_once(path):
    descriptor = os.open(path, os.O_RDONLY)
    same(os.read(descriptor, 16), b'0\n')
    os.close(descriptor)


def clone_once():
    descriptor = os.open('clone', os.O_RDWR)
    os.write(descriptor, b'target /bin/true\nstart\njoin\n')
    os.read(descriptor, 64)
    os.close(descriptor)


def steps_of(path):
    """The operations whose requests are counted, in their order."""
    return (
        ('mkdir', lambda: os.mkdir(path)),
        ('target', lambda: plain_write(path + '/target', TRUE)),
        ('start', lambda: plain_write(path + '/ctl', 'start\n')),
        ('join', lambda: plain_write(path + '/ctl', 'join\n')),
        ('exitcode', lambda: read_once(path + '/exitcode')),
        ('rmdir', lambda: os.rmdir(path)),
        ('clone', clone_once),
    )


def opcodes(log):
    return [match.group(1) for match in map(REQUEST.match, open(log, errors='replace')) if match]


def measure_requests():
    """From the debug log of a mount of its own, whose root is the working directory as in cycle.c. statfs, which nothing
    else here sends, ends what belongs to a step; what close sends is in the queue before close returns."""
    before = os.getcwd()
    with Mount('debug') as mount:
        os.chdir(mount.path)
        try:
            for name in ('warm-up', 'counted'):
                os.statvfs('.')
                begun = len(opcodes(mount.log))
                steps = steps_of(name)
                for _, step in steps:
                    step()
                    os.statvfs('.')
        finally:
            os.chdir(before)
        pieces = ' '.join(opcodes(mount.log)[begun:]).split('STATFS')
    return {step: dict(collections.Counter(piece.split())) for (step, _), piece in zip(steps, pieces)}


# Output ----------------------------------------------------------------------------------------------------------

def print_times(rows):
    print(f'{"program":<9}{"way":<7}{"CPUs":<6}{"us: median":>11}{"p10":>9}{"p90":>9}   {"ratio: median":>13}{"p10":>7}{"p90":>7}')
    for row in rows:
        times, ratio = row['microseconds'], row['ratio']
        print(f'{row["program"]:<9}{row["way"]:<7}{"one" if row["one_cpu"] else "all":<6}'
              f'{times["median"]:>11.1f}{times["p10"]:>9.1f}{times["p90"]:>9.1f}   '
              f'{ratio["median"]:>13.2f}{ratio["p10"]:>7.2f}{ratio["p90"]:>7.2f}')


def print_memory(memory):
    print(f'\nbytes for each of {memory["directories"]} directories with target set: '
          + ', '.join(f'{name} {each}' for name, each in memory['each'].items()))


def print_requests(requests):
    print('\nrequests, and how many of them the caller waits for')
    for step, counts in requests.items():
        waited = sum(count for opcode, count in counts.items() if opcode not in NOT_WAITED_FOR)
        print(f'  {step:<10}{waited:>2}   '
              + ', '.join(f'{count} {opcode}' if count > 1 else opcode for opcode, count in counts.items()))


def main():
    parser = argparse.ArgumentParser(prog='tools/bench', description='measures what procfs-mp costs')
    parser.add_argument('--quick', action='store_true', help='fewer rounds and directories, well under a minute')
    parser.add_argument('--rounds', type=int, metavar='N', help='rounds of each table row (400; quick: 40)')
    parser.add_argument('--json', metavar='FILE', help='write the results there, too')
    options = parser.parse_args()
    rounds = options.rounds or (40 if options.quick else 400)
    need_fusectl()
    machine = {'kernel': os.uname().release, 'cpus': len(os.sched_getaffinity(0)), 'load': os.getloadavg()[0]}
    print(f'Linux {machine["kernel"]}, {machine["cpus"]} CPUs, load {machine["load"]:.1f}, {rounds} rounds\n', flush=True)
    results = {'machine': machine, 'rounds': rounds, 'times': measure_times(rounds)}
    print_times(results['times'])
    results['memory'] = measure_memory(1000 if options.quick else 10000)
    print_memory(results['memory'])
    results['requests'] = measure_requests()
    print_requests(results['requests'])
    results['capture'] = measure_capture(3 if options.quick else 9, 64 << 20 if options.quick else 1 << 30)
    print_capture(results['capture'], spread)
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump(results, file, indent=2)
            file.write('\n')


if __name__ == '__main__':
    main()
