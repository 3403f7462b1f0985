#!/usr/bin/env python3
"""What procfs-mp costs, beside what people would use instead, everything in turns with what it is compared with.

Prints tables, which are Markdown; --json FILE and --svg FILE write the same for programs and as a picture. Says nothing about
good or bad: no test fails on a time. PROCFS_MP_BIN names the binary, BENCH_PROGRAMS the directory of the programs built beside
this file; tools/bench sets them.
"""
import argparse
import contextlib
import json
import os
import resource
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'mount'))
import measure_capture  # noqa: E402
import measure_cycle  # noqa: E402
import measure_directories  # noqa: E402
import measure_many  # noqa: E402
import measure_notice  # noqa: E402
import measure_python  # noqa: E402
import measure_requests  # noqa: E402
import measure_state  # noqa: E402
import measure_takeover  # noqa: E402
import plot  # noqa: E402
import rows  # noqa: E402
from harness import need_fusectl, on_stop  # noqa: E402

MEASUREMENTS = {'cycle': measure_cycle, 'python': measure_python, 'notice': measure_notice, 'state': measure_state,
                'many': measure_many, 'directories': measure_directories, 'capture': measure_capture, 'takeover': measure_takeover,
                'requests': measure_requests}


def release():
    with open('/etc/os-release', encoding='utf-8') as file:
        for line in file:
            if line.startswith('PRETTY_NAME='):
                return line.split('=', 1)[1].strip().strip('"')
    return 'unknown system'


def describe_machine():
    """What kind of machine, never which."""
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        models = [line.split(':', 1)[1].strip() for line in file if line.startswith('model name')]
    return {'cpus': len(os.sched_getaffinity(0)), 'model': models[0] if models else os.uname().machine,
            'kernel': os.uname().release, 'system': release(), 'load': round(os.getloadavg()[0], 1)}


def machine_words(machine):
    return (f'{machine["cpus"]} CPUs ({machine["model"]}), Linux {machine["kernel"]}, {machine["system"]}, '
            f'load {machine["load"]} at the beginning')


def take(results, names):
    for name in names:
        begun = time.monotonic()
        MEASUREMENTS[name].measure(results)
        print(f'{name}: {time.monotonic() - begun:.0f} s', file=sys.stderr, flush=True)


def show(results):
    if results.rows:
        print('\n' + rows.rows_table(results.rows))
    if results.growth:
        print('\n' + rows.growth_table(results.growth))
    if results.requests:
        print('\n' + rows.requests_table(results.requests, measure_requests.NOT_WAITED_FOR))
    for what in results.missing:
        print(f'\nleft out: {what}')


def write_out(options, found):
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump(found, file, indent=1)
            file.write('\n')
    if options.svg and found['rows'] and found['growth']:
        with open(options.svg, 'w', encoding='utf-8') as file:
            file.write(plot.draw(found, machine_words(found['machine'])))


def raise_descriptor_limit():
    """For ten thousand processes, each with two streams; what is refused leaves it as it was."""
    most = int(open('/proc/sys/fs/nr_open', encoding='utf-8').read())
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main():
    parser = argparse.ArgumentParser(prog='tools/bench', description='measures what procfs-mp costs')
    parser.add_argument('--quick', action='store_true', help='little of everything, well under a minute: whether it works')
    parser.add_argument('--json', metavar='FILE', help='write the results there, too')
    parser.add_argument('--svg', metavar='FILE', help='draw them there')
    parser.add_argument('only', nargs='*', metavar='MEASUREMENT', help=f'of {", ".join(MEASUREMENTS)}; all when none is named')
    options = parser.parse_args()
    unknown = set(options.only) - set(MEASUREMENTS)
    if unknown:
        parser.error(f'no such measurement: {", ".join(sorted(unknown))}')
    signal.signal(signal.SIGTERM, on_stop)
    need_fusectl()
    raise_descriptor_limit()
    machine = describe_machine()
    print(machine_words(machine), flush=True)
    results = rows.Results(options.quick)
    take(results, options.only or MEASUREMENTS)
    show(results)
    write_out(options, {'machine': machine, 'quick': options.quick, 'rows': results.rows, 'growth': results.growth,
                        'requests': results.requests, 'missing': results.missing})


if __name__ == '__main__':
    main()
