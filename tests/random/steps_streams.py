"""Steps with input that goes on while a program runs, and output that is followed. A run can be without them."""
import errno
import os

from steps import WRITING, pair, some, step
from steps_inside import speak, told
from steps_verbs import write_script

UNREAD = 8  # writes that surely find room in the pipe


def fed_one(world):
    """A client, and one whose input goes on; None: there is none."""
    client, process = pair(world, 'running')
    able = process and process.actor and process.fate is None and world.model.may(process, client.user)
    if not able or process.files['stdin_open'] != b'1\n' or process.files['restart'] != b'no\n':
        return None
    return client, process


@step(8)
def feed(world):
    chosen = fed_one(world)
    if not chosen or len(chosen[1].fed) == UNREAD:
        return
    client, process = chosen
    data = bytes(world.random.randrange(256) for _ in range(world.random.choice([1, 20, 3000])))
    flags = world.random.choice([WRITING, os.O_WRONLY, os.O_WRONLY | os.O_APPEND])
    world.say(f'{client.name}: {len(data)} bytes of stdin for {process.directory!r}, which runs')
    result, _ = client.call('w', world.path(process.directory, 'stdin'), data, flags)
    if process.eof:
        world.expect_code(result, errno.EPIPE, 'stdin after eof')
        world.model.remember(process, ('eof',))
        return
    world.expect(result, len(data), 'stdin while it runs')
    process.fed.append(data)
    process.error = ()


@step(2)
def end_input(world):
    chosen = fed_one(world)
    if chosen:
        write_script(world, *chosen, text='eof')


def read_all(client, fd):
    """The bytes there are, and what came then: 0 or an errno."""
    data = b''
    while True:
        result, piece = client.call('R', a=fd, b=100000)
        if result <= 0:
            return data, -result
        data += piece


@step(4)
def follow_output(world):
    """output: stdout and stderr as they come; who does not wait gets EAGAIN until the end."""
    random, process = world.random, told(world) or some(world, 'ended')
    if not process:
        return
    client = world.suited(world.client(), process)
    world.say(f'{client.name}: follows the output of {process.directory!r}')
    fd, _ = client.call('o', world.path(process.directory, 'output'), a=os.O_RDONLY | os.O_NONBLOCK)
    if not world.model.may(process):
        world.expect_code(fd, errno.EACCES, "another's output")
        return
    what, end = f'output of {process.directory!r}', errno.EAGAIN if process.state == 'running' else 0
    data, result = read_all(client, fd)
    world.expect((sorted(data), result), (sorted(process.out[1] + process.out[2]), end), what)
    if process.state == 'running':
        kept = len(process.out[1] + process.out[2])
        said = bytes(random.randrange(256) for _ in range(10))
        speak(world, process, random.choice([1, 2]), said)
        is_kept = len(process.out[1] + process.out[2]) > kept
        world.expect(read_all(client, fd), (said if is_kept else b'', end), f'what is new in {what}')
    client.call('c', a=fd)
