#!/usr/bin/env python3
"""run.py [--seed N] [--steps M] [--seconds S] [--kills WEIGHT] [--without WHAT]...: random operations by several clients
against a model.

Two users are among the clients, when the superuser runs it; the server is killed, as often as its step's weight of about 220
says; clients hold sessions, read and write values in pieces, feed programs that run and follow them. --without is without one
of these: users, kills, sessions, pieces, streams, lives. Without --seed every run is another one; its number is printed and
repeats it, but for the moments of the kills, which no number holds: what one of them found may need several runs to be found
again. With --seed the run goes on for --steps whatever time it takes. At the first difference the last steps are printed, and
it ends with 1.
"""
import argparse
import os
import random
import re
import sys
import time
import traceback

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(os.path.dirname(os.path.abspath(__file__)), '../mount')]

from harness import Mount, need_fusectl  # noqa: E402
from model import Model  # noqa: E402
from plain import comment, errno_of  # noqa: E402
from steps import STEPS  # noqa: E402
import steps_inside  # noqa: E402,F401
from steps_files import list_root, look_at_all, read_events  # noqa: E402
from steps_wide import WIDE, kill_server  # noqa: E402
from users import BOB  # noqa: E402
from world import World  # noqa: E402

LAST = 60
RESENDS = (6, 9)  # from this Linux on nobody who waits is interrupted by a kill


class Run:
    """without: of 'users' and what steps_wide calls WIDE. kills: how often, as a step's weight."""

    def __init__(self, seed, steps, seconds=None, without=(), kills=2):
        self.seed, self.steps, self.seconds, self.without, self.weight = seed, steps, seconds, without, kills
        self.other = BOB if 'users' not in without and os.geteuid() == 0 else 0
        self.done = self.kills = 0

    def mount(self):
        return Mount(*['allow_other'] if self.other else [])

    def chosen(self):
        linux = tuple(int(number) for number in re.findall(r'\d+', os.uname().release)[:2])
        without = {*self.without, *([] if linux >= RESENDS else ['kills'])}
        unwanted = [function for what, functions in WIDE.items() if what in without for function in functions]
        return [(self.weight if function is kill_server else weight, function) for weight, function in STEPS
                if function not in unwanted]

    def go(self, mount):
        generator = random.Random(self.seed)
        world = World(mount, Model(os.geteuid() == 0), generator, self.other)
        steps = self.chosen()
        weights = [weight for weight, _ in steps]
        limit = time.monotonic() + self.seconds if self.seconds else None
        try:
            while self.done < self.steps and not (limit and time.monotonic() > limit):
                self.one(world, generator.choices(steps, weights)[0][1])
            world.end_kills()
            look_at_all(world)
            list_root(world)
            read_events(world)
        except BaseException:
            comment('\n'.join(world.log[-LAST:]))
            raise
        finally:
            world.finish()
            self.kills = world.model.kills
        self.end(world)

    def one(self, world, function):
        # At least one client stays free to end what the others wait for.
        if len(world.free(0)) < 2:
            function = release
        world.say(f'{self.done}: {function.__name__}')
        function(world)
        world.settle()
        world.collect()
        self.done += 1

    def __str__(self):
        return f'{self.done} steps, {self.kills} kills'

    def options(self):
        return f' --kills {self.weight}' + ''.join(f' --without {what}' for what in self.without)

    def end(self, world):
        assert world.mount.healthy(), 'the server died'


def release(world):
    """Whoever waits is let go: what it waits for ends."""
    for process in list(world.model.processes.values()):
        if process.state == 'running':
            client = world.client(0)
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
    parser.add_argument('--kills', type=int, default=2)
    parser.add_argument('--without', action='append', choices=('users', *WIDE), default=[])
    chosen = parser.parse_args()
    seed = int.from_bytes(os.urandom(4), 'big') if chosen.seed is None else chosen.seed
    errno_of(need_fusectl)
    run = Run(seed, chosen.steps, chosen.seconds, chosen.without, chosen.kills)
    try:
        with run.mount() as mount:
            run.go(mount)
    except Exception:
        traceback.print_exc()
        print(f'differs after {run.done} steps; again: tests/random/run.py --seed {seed} --steps {run.done + 1}{run.options()}')
        sys.exit(1)
    print(f'seed {seed}: {run}')


if __name__ == '__main__':
    main()
