#!/usr/bin/env python3
"""run.py [--seed N] [--steps M] [--seconds S] [--verbose]: random operations by several clients against a model.

Without --seed every run is another one; its number is printed and repeats it. With --seed the run goes on for --steps whatever
time it takes. At the first difference the last steps are printed, and it ends with 1.
"""
import argparse
import os
import random
import sys
import time
import traceback

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(os.path.dirname(os.path.abspath(__file__)), '../mount')]

from harness import Mount, need_fusectl  # noqa: E402
from model import Model  # noqa: E402
from plain import comment, errno_of  # noqa: E402
from steps import STEPS  # noqa: E402
import steps_inside  # noqa: E402,F401
from steps_files import list_root, read_events  # noqa: E402
from world import World  # noqa: E402

LAST = 60


class Run:
    def __init__(self, seed, steps, seconds=None):
        self.seed, self.steps, self.seconds = seed, steps, seconds
        self.done = 0

    def go(self, mount):
        generator = random.Random(self.seed)
        world = World(mount, Model(), generator)
        weights = [weight for weight, _ in STEPS]
        limit = time.monotonic() + self.seconds if self.seconds else None
        try:
            while self.done < self.steps and not (limit and time.monotonic() > limit):
                self.one(world, generator.choices(STEPS, weights)[0][1])
            list_root(world)
            read_events(world)
        except BaseException:
            comment('\n'.join(world.log[-LAST:]))
            raise
        finally:
            world.finish()
        self.end(world)

    def one(self, world, function):
        # At least one client stays free to end what the others wait for.
        if sum(not client.busy for client in world.clients) < 2:
            function = release
        world.say(f'{self.done}: {function.__name__}')
        function(world)
        world.settle()
        world.collect()
        self.done += 1

    def end(self, world):
        assert world.mount.healthy(), 'the server died'


def release(world):
    """Whoever waits is let go: what it waits for ends."""
    for process in list(world.model.processes.values()):
        if process.state == 'running':
            client = world.client()
            world.say(f'{client.name}: kills {process.directory!r}')
            world.expect(client.call('w', world.path(process.directory, 'ctl'), b'kill', os.O_WRONLY)[0], 4, 'kill')
            world.model.verb(process, ['kill'], None)
            process.error = ()
            world.settle()
            world.collect()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int)
    parser.add_argument('--steps', type=int, default=3000)
    parser.add_argument('--seconds', type=float)
    chosen = parser.parse_args()
    seed = int.from_bytes(os.urandom(4), 'big') if chosen.seed is None else chosen.seed
    errno_of(need_fusectl)
    run = Run(seed, chosen.steps, chosen.seconds)
    try:
        with Mount() as mount:
            run.go(mount)
    except Exception:
        traceback.print_exc()
        print(f'differs after {run.done} steps; again: tests/random/run.py --seed {seed} --steps {run.done + 1}')
        sys.exit(1)
    print(f'seed {seed}: {run.done} steps')


if __name__ == '__main__':
    main()
