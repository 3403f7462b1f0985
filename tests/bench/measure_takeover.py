"""How soon a server that is killed is followed by one that answers: beside a program that is killed and executed again."""
import os
import signal
import time

from harness import Mount
from measure_many import most_at_once
from plain import read, write
from rows import scaled, spread


def seconds(function, *arguments):
    begun = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begun


def take_over(mount):
    os.kill(mount.server, signal.SIGKILL)
    read(mount('version'))


def execute_again(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.waitpid(os.posix_spawn('/bin/true', ['true'], os.environ), 0)


def take(mount, rounds):
    """([ours], [theirs]), seconds"""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(take_over, mount))
        mount.wait_until_followed()
        theirs.append(seconds(execute_again, os.posix_spawn('/bin/sleep', ['sleep', '1000'], os.environ)))
    return ours, theirs


def measure(results):
    counts = (1, 10, 100) if results.quick else (1, 10, 100, 1000, most_at_once())
    points, running = {}, 0
    with Mount() as mount:
        for count in counts:
            while running < count:
                write(mount('clone'), b'target sleep\nargs 10000\nstart', os.O_WRONLY)
                running += 1
            found = take(mount, 3 if results.quick else 21)
            points[count] = tuple(spread(side)['median'] * 1e6 for side in found)
            if count == min(1000, counts[-1]):
                ours, theirs = (scaled(side, 1000) for side in found)
                results.add(f'a killed server followed, {count:,} run', 'ms', ours, {'kill, posix_spawn': theirs})
        write(mount('ctl'), 'kill all\njoin all')
    results.add_growth('a killed server followed, in all', 'us', 'kill, posix_spawn', points)
