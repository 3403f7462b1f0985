"""One process, from mkdir to rmdir, and from one write to clone, beside posix_spawn and waitpid; alone and from several clients."""
import os

from harness import Mount
from rows import columns, program, scaled

TRUE = '/bin/true'
KINDS = (('/bin/true', TRUE, 1.4, 1.15), ('a static program', program('at_once'), 2.6, 1.6))
CLIENTS = (1, 2, 8)


def one_cpu():
    """For a child before it executes: client, mount and what they start share it."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def measure_lives(results, rounds):
    """On one CPU and where the scheduler places them."""
    for prepare, where in ((one_cpu, ', one CPU'), (None, '')):
        with Mount(prepare=prepare) as mount:
            for label, path, files, clone in KINDS:
                times = columns([program('cycle'), mount.path, path, str(rounds)], prepare)
                spawn = {'posix_spawn, waitpid': scaled(times['spawn'], .001)}
                results.add(f'six files: {label}{where}', 'us', scaled(times['files'], .001), spawn, files)
                results.add(f'one write to clone: {label}{where}', 'us', scaled(times['clone'], .001), spawn, clone)


def measure_rates(results, rounds, milliseconds):
    with Mount() as mount:
        for clients in CLIENTS:
            rates = columns([program('rate'), mount.path, program('at_once'), str(rounds), str(clients), str(milliseconds)])
            spawn = {'posix_spawn, waitpid': rates['spawn']}
            results.add(f'six files, {clients} at once', 'a second', rates['files'], spawn, '>= 0.5')
            results.add(f'one write to clone, {clients} at once', 'a second', rates['clone'], spawn)


def measure(results):
    measure_lives(results, 30 if results.quick else 600)
    measure_rates(results, 2 if results.quick else 7, 50 if results.quick else 300)
