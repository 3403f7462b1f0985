"""Directories of processes that never run, beside tmpfs's."""
import os
import tempfile

from harness import Mount
from rows import columns, program, scaled, spread

STEPS = (('mkdir', 'mkdir'), ('ls', 'a name listed'), ('cat', 'cat alive'), ('rmdir', 'rmdir'))


def take(place, count, read):
    return {name: values[0] / 1000 for name, values in columns([program('directories'), place, str(count), str(read)]).items()}


def measure_count(mount, count, rounds):
    """{step: ([ours], [tmpfs's])}, microseconds a directory"""
    found = {name: ([], []) for name, _ in STEPS}
    for _ in range(rounds):
        ours = take(mount.path, count, min(count, 10000))
        with tempfile.TemporaryDirectory(dir='/dev/shm') as plain:
            theirs = take(plain, count, min(count, 10000))
        for name, (left, right) in found.items():
            left.append(ours[name])
            right.append(theirs[name])
    return found


def measure(results):
    counts = (1, 10, 100) if results.quick else (1, 10, 100, 1000, 10000, 100000)
    with Mount() as mount:
        take(mount.path, 100, 100)
        found = {count: measure_count(mount, count, 1 if results.quick else 21 if count < 10000 else 3) for count in counts}
    for name, label in STEPS:
        ours, theirs = found[counts[-1]][name]
        results.add(f'{label}, {counts[-1]:,} directories', 'us', ours, {'tmpfs': theirs})
        results.add_growth(label, 'us', 'tmpfs', {count: tuple(spread(side)['median'] for side in one[name])
                                                  for count, one in found.items()})
