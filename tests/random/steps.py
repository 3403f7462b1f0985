"""What the steps of a random run share: each chooses what to do, does it through a client and holds the answer against the model."""
import errno
import os

from values import SECRET, Refused, split

NAMES = ['a', 'b', 'worker-1', 'worker-2', 'with blank', 'new\nline', '-x', 'Process-3', 'Process-7', 'ümlaut']
WRITING = os.O_WRONLY | os.O_TRUNC
STEPS = []


def step(weight):
    def register(function):
        STEPS.append((weight, function))
        return function
    return register


def some(world, *states):
    chosen = [one for one in world.model.processes.values() if not states or one.state in states]
    return world.random.choice(chosen) if chosen else None


def pair(world, *states):
    """A client and a process, or None: mostly one that the client may do something with."""
    client, process = world.client(), some(world, *states)
    return world.suited(client, process), process


def refused(world, call, *arguments):
    """The errno that the model says."""
    try:
        call(*arguments)
        return 0
    except Refused as refusal:
        return refusal.code


def check_errors(world, process):
    if world.random.random() < 0.6:
        world.check_error(process)


def may_write(process, file, data):
    """Nothing that would be run again for ever, and no program that is not told what to do but stays."""
    if file == 'restart':
        return process.equipped or process.actor or b'no' == data[:2]
    if process.equipped and file in ('args', 'run'):
        return False
    if file in ('target', 'args', 'run', 'cwd', 'stdout_to', 'stderr_to'):
        return process.files['restart'] == b'no\n'
    return True


def look_at_value(world, client, process, file):
    result, data = client.call('r', world.path(process.directory, file))
    world.expect(client.call('s', world.path(process.directory, file))[0], len(data), f'size of {file} of {process.directory!r}')
    if file in SECRET and not world.model.may(process):
        world.expect_code(result, errno.EACCES, f'{file} of {process.directory!r}, a secret')
    elif file == 'args':
        world.expect(split(data), process.vector, f'args of {process.directory!r}, read {data!r}')
    elif process.files[file] is None:
        world.expect(data, world.keys.setdefault(process.owner, data), f'{file} of {process.directory!r}')
    else:
        world.expect(data, process.files[file], f'{file} of {process.directory!r}')
