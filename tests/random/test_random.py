#!/usr/bin/env python3
"""Random operations by several clients against a model: one run that is new each time, and those that once found something.

A run ends after its steps or its seconds, whatever comes first. One that fails prints how to repeat it, but for the moments at
which the server is killed.
"""
import os
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

from run import Run  # noqa: E402
from steps_wide import WIDE  # noqa: E402

from harness import claim, main  # noqa: E402
from plain import comment  # noqa: E402

# What they found, and were without: 122, 126 a sentence of two lines; 13 a configuration that a new server did not know, since
# one write had reset, configured and started it.
SEEDS = {122: (120, ['users', *WIDE]), 126: (220, ['users', *WIDE]), 13: (3970, ['lives'])}


OFTEN = 25  # how often the server is killed, as a step's weight


def go(seed, steps, *more):
    run = Run(seed, steps, *more)
    try:
        with run.mount() as mount:
            run.go(mount)
    except BaseException:
        comment(f'again: tests/random/run.py --seed {seed} --steps {run.done + 1}{run.options()}')
        raise
    comment(f'seed {seed}: {run}')


@claim(timeout=90)
def random_operations_by_several_clients_are_answered_as_the_manual_says():
    """All of procfs-mp(1): another run each time."""
    go(int.from_bytes(os.urandom(4), 'big'), 4000, 7)


@claim(timeout=90)
def random_operations_on_servers_that_die_all_the_time_are_answered_so_too():
    """A server that is killed loses nothing."""
    go(int.from_bytes(os.urandom(4), 'big'), 4000, 5, (), OFTEN)


@claim
def runs_that_once_found_something_find_nothing_more():
    """The same."""
    for seed, (steps, without) in SEEDS.items():
        go(seed, steps, None, without)


main()
