"""Asking whether a process runs and how it ended; and the same while others are started."""
import os
import tempfile

from harness import Mount
from measure_cycle import one_cpu
from rows import columns, program, scaled

QUESTIONS = (
    ('alive by pread, held', 'held-alive', 'held-proc', .2),
    ('exitcode by pread, held, while it runs', 'held-exitcode', 'held-proc', .2),
    ('exitcode by pread, held, after the end', 'held-ended', 'held-proc', .2),
    ('alive by open, read, close', 'open-alive', 'open-proc', 2),
    ('exitcode by open, read, close, after the end', 'open-ended', 'open-proc', 2),
    ('[ -s exitcode ] while it runs', 'stat-exitcode', 'stat-tmpfs', 1.3),
    ('[ -s exitcode ] after the end', 'stat-ended', 'stat-tmpfs', 1.3),
)
BESIDE = {'held-proc': '/proc/PID/stat', 'open-proc': '/proc/PID/stat', 'stat-tmpfs': 'tmpfs'}


def measure_questions(results, directory, rounds):
    plain = os.path.join(directory, 'plain')
    with open(plain, 'w', encoding='utf-8'):
        pass
    for prepare, where in ((one_cpu, ', one CPU'), (None, '')):
        with Mount(prepare=prepare) as mount:
            times = columns([program('state'), mount.path, program('pauser'), os.path.join(directory, 'shared'), plain,
                             str(rounds)], prepare)
        for label, ours, theirs, reach in QUESTIONS:
            results.add(label + where, 'us', scaled(times[ours], .001), {BESIDE[theirs]: scaled(times[theirs], .001)}, reach)


def measure_beside_starts(results, directory, count, rounds):
    with Mount() as mount:
        times = columns([program('readers'), mount.path, program('pauser'), os.path.join(directory, 'shared'), str(count),
                         str(rounds)])
    times = {name: scaled(column, .001) for name, column in times.items()}
    results.add(f'reading alive while {count:,} start, 99th of 100', 'us', times['busy'],
                {'alone': times['alone'], '/proc while posix_spawn starts as many': times['proc-busy']}, 5)
    results.add(f'what runs anyway: /proc while posix_spawn starts {count:,}', 'us', times['proc-busy'],
                {'alone': times['proc-alone']})


def measure(results):
    with tempfile.TemporaryDirectory(dir='/dev/shm') as directory:
        measure_questions(results, directory, 10 if results.quick else 100)
        measure_beside_starts(results, directory, 50 if results.quick else 1000, 1 if results.quick else 7)
