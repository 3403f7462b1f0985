"""Steps of the programs that the mount runs, and what they read and leave."""
import errno
import os
import signal

from scripts import Script
from steps import NAMES, WRITING, check_errors, pair, refused, some, step


def told(world):
    """One that does what it is told now."""
    able = [one for one in world.model.processes.values()
            if one.state == 'running' and one.actor and not one.paused and one.fate is None]
    return world.random.choice(able) if able else None


@step(10)
def tell_to_end(world):
    process = told(world)
    if not process or (process.files['restart'] != b'no\n' and process.runs > 2):
        return
    how = world.random.choice([('e', 0), ('e', 1), ('e', 200), ('k', signal.SIGKILL), ('k', signal.SIGUSR2)])
    world.say(f'{process.directory!r} is told {how}')
    process.actor.ask(how[0], a=how[1])
    process.fate = how[1] if how[0] == 'e' else -how[1]


@step(8)
def tell_to_speak(world):
    process = told(world)
    if not process:
        return
    which = world.random.choice([1, 2])
    data = bytes(world.random.randrange(256) for _ in range(world.random.randrange(1, 30)))
    speak(world, process, which, data)


def speak(world, process, which, data):
    world.say(f'{process.directory!r} writes {len(data)} bytes to {which}')
    world.expect(process.actor.call('W', data=data, a=which)[0], len(data), 'bytes written')
    leads = process.files['stdout_to' if which == 1 else 'stderr_to']
    if leads in (b'stdout\n', b'stderr\n'):
        which = 3 - which
        leads = process.files['stdout_to' if which == 1 else 'stderr_to']
    if leads == b'':
        process.out[which] += data


@step(4)
def tell_a_result(world):
    process = told(world)
    if not process:
        return
    data = world.random.choice([b'42\n', b'x', b'\0\xff', b'r' * 5000])
    flags = world.random.choice([WRITING, os.O_WRONLY | os.O_APPEND])
    world.say(f'{process.directory!r} leaves {len(data)} bytes, flags {flags}')
    result, _ = process.actor.call('w', world.path('self', 'result'), data, flags)
    world.expect(result, len(data), 'result')
    process.result = process.result + data if flags & os.O_APPEND else data
    process.error = ()


@step(2)
def result_from_outside(world):
    client, process = pair(world)
    if process:
        result, _ = client.call('w', world.path(process.directory, 'result'), b'x', WRITING)
        if not world.model.may(process):
            world.expect_code(result, errno.EACCES, "another's result from outside")
            return
        world.expect_code(result, errno.EPERM, 'result from outside')
        world.model.remember(process, ('from inside',))
        check_errors(world, process)


@step(2)
def tell_to_ignore(world):
    process = told(world)
    if process:
        ignores = world.random.random() < 0.7
        world.say(f'{process.directory!r} ignores TERM: {ignores}')
        world.expect(process.actor.call('i', a=signal.SIGTERM, b=ignores)[0], 0, 'signal(2)')
        process.ignores_term = ignores


@step(2)
def count_interrupts(world):
    process = told(world)
    if process:
        got = process.actor.call('n')[0]
        if got != 2 or not process.interrupts or process.kills_before == world.model.kills:  # the server died in the very moment
            world.expect(got, process.interrupts, f'USR1 in {process.directory!r}')


@step(6)
def inside(world):
    process, model = told(world), world.model
    if not process:
        return
    what = world.random.choice(['mkdir', 'clone', 'start', 'self', 'join self', 'kill another'])
    world.say(f'inside {process.directory!r}: {what}')
    actor = process.actor
    if what == 'self':
        _, link = actor.call('l', world.path('self'))
        world.expect(link.decode(), process.directory, 'self')
    elif what == 'mkdir' and len(model.processes) < 12:
        name = world.random.choice(NAMES)
        result, _ = actor.call('m', world.path(name))
        world.expect_code(result, refused(world, model.make, name, process), f'mkdir {name!r} inside')
    elif what == 'clone' and len(model.processes) < 12:
        fd, _ = actor.call('o', world.path('clone'), a=os.O_RDWR)
        made = model.clone(process)
        world.expect(actor.call('R', a=fd, b=300)[1].decode(), made.directory + '\n', 'the name of a clone inside')
        actor.call('c', a=fd)
    elif what == 'join self':
        write_inside(world, process, process, 'join')
    elif what == 'start':
        other = some(world, 'initial')
        if other and (other.files['restart'] == b'no\n' or other.equipped):
            write_inside(world, process, other, 'start')
    elif what == 'kill another':
        other = some(world)
        if other is not process:
            write_inside(world, process, other, 'kill')


def write_inside(world, process, other, text):
    process.actor.ask('w', world.path(other.directory, 'ctl'), text.encode(), os.O_WRONLY)
    what = f'{text} of {other.directory!r} inside {process.directory!r}'
    if not world.model.may(other):
        world.expect_code(process.actor.answer()[0], errno.EACCES, what)
        return
    one = Script(world.model, other, text, process)
    one.advance()
    world.expect_code(process.actor.answer()[0], one.answer, what)


# ---- input ----

@step(4)
def give_input(world):
    client, process = pair(world, 'initial', 'ended')
    if not process:
        return
    data = world.random.choice([b'line\n', b'\0\1\2', b'i' * 100])
    world.say(f'{client.name}: {len(data)} bytes of stdin for {process.directory!r}')
    result, _ = client.call('w', world.path(process.directory, 'stdin'), data, os.O_WRONLY | os.O_APPEND)
    if not world.model.may(process):
        world.expect_code(result, errno.EACCES, "another's stdin")
        return
    if process.state == 'ended':
        code = errno.EPIPE if process.files['stdin_open'] == b'1\n' else errno.EBUSY
        world.expect_code(result, code, 'stdin after the end')
        world.model.remember(process, (None,))
        return
    world.expect_code(result, 0, 'stdin')
    process.stdin += data
    process.error = ()


@step(3)
def take_input(world):
    process = told(world)
    if not process:
        return
    wanted = b'' if getattr(process, 'read_in', None) == process.serial else process.stdin
    wanted, got, process.fed, process.read_in = wanted + b''.join(process.fed), b'', [], process.serial
    while len(got) < len(wanted):
        _, piece = process.actor.call('R', a=0, b=1000)
        if not piece:
            break
        got += piece
    world.expect(got, wanted, f'the input of {process.directory!r}')
    if process.files['stdin_open'] != b'1\n' or process.eof:
        world.expect(process.actor.call('R', a=0, b=10), (0, b''), f'the end of the input of {process.directory!r}')
