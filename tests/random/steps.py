"""The steps of a random run: each chooses what to do, does it through a client and holds the answer against the model."""
import errno
import os
import signal
import stat
from collections import Counter

from model import SECONDS, SIGNALS, VERBS, ManyScript, Script, shown
from plain import read, wait_until
from values import FILES, Refused, example, split
from world import Waiting, Wrong

NAMES = ['a', 'b', 'worker-1', 'worker-2', 'with blank', 'new\nline', '-x', 'Process-3', 'Process-7', 'ümlaut']
ODD_NAMES = ['all', 'any', 'tree', 'ctl', 'locks', 'n' * 255, 'n' * 256]
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


# ---- making and removing ----

@step(10)
def make(world):
    client, model = world.client(), world.model
    name = world.random.choice(NAMES if world.random.random() < 0.85 else ODD_NAMES)
    if len(model.processes) > 12 and name not in model.processes:
        return remove(world)
    world.say(f'{client.name}: mkdir {name!r}')
    result, _ = client.call('m', world.path(name))
    if name in ('ctl', 'locks'):
        return world.expect_code(result, errno.EEXIST, f'mkdir {name}')
    world.expect_code(result, refused(world, model.make, name, None), f'mkdir {name!r}')
    if not result:
        check_errors(world, None)


@step(4)
def clone(world):
    client, model = world.client(), world.model
    if len(model.processes) > 12:
        return None
    flags = world.random.choice([os.O_RDWR, os.O_RDWR, os.O_RDONLY])
    world.say(f'{client.name}: open clone, flags {flags}')
    fd, _ = client.call('o', world.path('clone'), a=flags)
    process = model.clone(None) if flags == os.O_RDWR else None
    _, name = client.call('R', a=fd, b=300)
    world.expect(name.decode(), process.directory + '\n' if process else '', 'the name of a clone')
    if process and world.random.random() < 0.5:
        write_script(world, client, process, fd)
    if not client.busy:
        client.call('c', a=fd)
    return None


@step(4)
def remove(world):
    client, process = world.client(), some(world)
    if not process:
        return
    world.say(f'{client.name}: rmdir {process.directory!r}')
    result, _ = client.call('d', world.path(process.directory))
    world.expect_code(result, refused(world, world.model.remove, process), f'rmdir {process.directory!r}')
    check_errors(world, process)


@step(1)
def remove_what_is_not_there(world):
    client = world.client()
    world.expect_code(client.call('d', world.path('nobody'))[0], errno.ENOENT, 'rmdir nobody')
    world.expect_code(client.call('d', world.path('locks'))[0], errno.EPERM, 'rmdir locks')
    world.model.error = (None,)
    world.check_error(None)


# ---- configuration ----

def may_write(process, file, data):
    """Nothing that would be run again for ever, and no program that is not told what to do but stays."""
    if file == 'restart':
        return process.equipped or process.actor or b'no' == data[:2]
    if process.equipped and file in ('args', 'run'):
        return False
    if file in ('target', 'args', 'run', 'cwd', 'stdout_to', 'stderr_to'):
        return process.files['restart'] == b'no\n'
    return True


@step(22)
def configure(world):
    client, process = world.client(), some(world)
    if not process:
        return
    file = world.random.choice(list(FILES))
    data = example(world.random, file)
    if not may_write(process, file, data):
        return
    if not data:
        flags, data = WRITING, b'\n' if file not in ('args', 'run', 'authkey') else b' '
    world.say(f'{client.name}: {process.directory!r}/{file} = {data!r}')
    result, _ = client.call('w', world.path(process.directory, file), data, WRITING)
    world.expect_code(result, refused(world, world.model.write, process, file, data), f'{file} = {data!r}')
    check_errors(world, process)
    look_at_value(world, client, process, file)


def look_at_value(world, client, process, file):
    result, data = client.call('r', world.path(process.directory, file))
    if file == 'args':
        world.expect(split(data), process.vector, f'args of {process.directory!r}, read {data!r}')
    elif process.files[file] is None:
        world.key = world.key or data
        world.expect(data, world.key, f'{file} of {process.directory!r}')
    else:
        world.expect(data, process.files[file], f'{file} of {process.directory!r}')


@step(10)
def equip(world):
    client, process = world.client(), some(world, 'initial')
    if process and may_write(process, 'target', b''):
        world.say(f'{client.name}: {process.directory!r} will do what it is told')
        for file in ('cwd', 'stdout_to', 'stderr_to') if world.random.random() < 0.8 else ():
            if process.files[file]:
                client.call('w', world.path(process.directory, file), b'\n', WRITING)
                world.model.write(process, file, b'\n')
        world.equip(process, client, world.random.random() < 0.2)


@step(4)
def root_method(world):
    client = world.client()
    data = example(world.random, 'start_method')
    if not data:
        return
    world.say(f'{client.name}: start_method = {data!r}')
    result, _ = client.call('w', world.path('start_method'), data, WRITING)
    world.expect_code(result, refused(world, world.model.write_start_method, data), 'start_method')
    check_errors(world, None)
    world.expect(client.call('r', world.path('start_method'))[1], world.model.start_method, 'start_method')


# ---- verbs ----

def random_line(random, process, bounded):
    """bounded: no line after which the process may end while the next is done."""
    kind = random.random()
    if kind < 0.12:
        file = random.choice(list(FILES))
        data = example(random, file)
        if may_write(process, file, data) and not set(b'\n\0') & set(data) and file not in ('run', 'authkey', 'args', 'name'):
            text = f'{file} {data.decode("latin-1")}'
            return text if text.isascii() and len(text) < 60 else 'help'
    if kind < 0.18:
        return random.choice(['bogus', 'start now', 'join soon', 'signal', 'signal NOPE', 'kill all', 'pid 5', 'help me', '\tstart x'])
    verb = random.choice(VERBS + ('start', 'start', 'join', 'kill'))
    if bounded and verb in ('close', 'reset', 'eof'):
        verb = 'join'
    words = {'join': ['join'] if random.random() < 0.6 else ['join', random.choice(list(SECONDS))],
             'terminate': ['terminate'] + random.choice([[], [], ['tree']]), 'kill': ['kill'] + random.choice([[], ['tree']]),
             'signal': ['signal', random.choice(list(SIGNALS))]}.get(verb, [verb])
    return random.choice(['', ' ', '\t']) * (random.random() < 0.1) + random.choice([' ', '  ']).join(words)


def is_safe(process, line, seen):
    """Whether the answer to the line is sure, after those in `seen`."""
    words = line.split()
    begins = 'start' in seen or process.state == 'running'
    fated = process.fate is not None or ('start' in seen and not process.equipped) or any(
        word in seen for word in ('kill', 'terminate', 'stop', 'signal'))
    if words[0] == 'signal' and words[-1] == 'USR1' and (not process.actor or process.interrupts or seen):
        return False
    if words[0] == 'signal' and seen:
        return False
    if words[0] == 'join' and words[1:] and words[1] in SECONDS and SECONDS[words[1]] < 1 and seen:
        return False
    if words[0] == 'eof' and (begins or process.state == 'ended'):
        return False
    if process.files['restart'] != b'no\n' and words[0] == 'signal' and process.runs > 2:
        return False
    return not (begins and fated) or words[0] in ('join', 'help')


def random_script(world, process):
    random, lines, seen = world.random, [], []
    for _ in range(random.choice([1, 1, 1, 1, 2, 2, 3, 4])):
        line = random_line(random, process, bool(seen))
        if is_safe(process, line, seen):
            lines.append(line)
            seen.append(line.split()[0])
    return '\n'.join(lines or ['help']) + random.choice(['', '\n', '\n\n'])


@step(40)
def script(world):
    client, process = world.client(), some(world)
    if process:
        write_script(world, client, process)


def write_script(world, client, process, fd=None):
    model = world.model
    text = random_script(world, process)
    world.say(f'{client.name}: {process.directory!r}/ctl {text!r}')
    one = Script(model, process, text)
    data = text.encode()
    if fd is None:
        client.ask('w', world.path(process.directory, 'ctl'), data, os.O_WRONLY)
    else:
        client.ask('W', data=data, a=fd)
    one.advance()
    what = f'{text!r} to the ctl of {process.directory!r}'

    def check(result, _):
        world.expect_code(result, one.answer, what)
        if not result < 0:
            world.expect(result, len(data), f'the count of {what}')
    if one.answer is not None:
        check(*client.answer())
    elif process.fate is not None:
        world.model.scripts.append(one)
        world.waiting.append(Waiting(client, what, lambda: one.answer is not None, check))
    else:
        world.model.scripts.append(one)
        waiting = Waiting(client, what, lambda: one.answer is not None, check)
        waiting.script = one
        world.wait(waiting)
    if one.answer is not None and process.fate is None:
        check_errors(world, process)


def random_many(world):
    random, model = world.random, world.model
    verb = random.choice(['start', 'start', 'join', 'join', 'terminate', 'kill', 'signal', 'close', 'reset', 'stop'])
    names = list(model.processes) or ['nobody']
    words = random.sample(names, min(len(names), random.choice([1, 2, 3])))
    kind = random.random()
    if kind < 0.25:
        words = [random.choice(['all', 'worker-*', 'Process-?', '*', '?'])]
    elif kind < 0.35:
        words.append('nobody')
    return verb, words


def quoted(word):
    return "'" + word + "'"


@step(12)
def many(world):
    client, model, random = world.client(), world.model, world.random
    verb, words = random_many(world)
    if any('\n' in word for word in words):
        return
    one = ManyScript(model, verb, words)
    one.any = verb == 'join' and random.random() < 0.5
    try:
        chosen, before = one.choose(), model.error
    except Refused:
        chosen = []
    if verb == 'start' and any(each.files['restart'] != b'no\n' and not each.equipped for each in chosen):
        return
    if verb == 'signal' and any(not each.actor or each.interrupts or each.runs > 2 for each in chosen):
        return
    if verb == 'join' and random.random() < 0.3:
        one.seconds = random.choice([0, 1000])
        while str(one.seconds) in model.processes:
            return
    text = ' '.join([verb] + (['any'] if one.any else ['USR1'] if verb == 'signal' else []) + [quoted(word) for word in words] +
                    ([str(one.seconds)] if one.seconds is not None else []))
    world.say(f'{client.name}: /ctl {text!r}')
    fd, _ = client.call('o', world.path('ctl'), a=os.O_RDWR)
    client.ask('W', data=text.encode(), a=fd)
    one.begin()

    def check(result, _):
        if -result not in one.answers:
            world.expect_code(result, one.answer, f'{text!r} to the ctl of the root')
        if one.any and not one.answer:
            ended = [shown(each.directory) + '\n' for each in one.chosen if each.state == 'ended']
            world.expect(client.call('R', a=fd, b=60000)[1].decode(), ''.join(ended), f'the answer to {text!r}')
        client.call('c', a=fd)
        if one.answer:
            check_errors(world, None)
    if one.answer is not None:
        check(*client.answer())
    else:
        model.scripts.append(one)
        waiting = Waiting(client, text, lambda: one.answer is not None, check)
        waiting.script, waiting.fd = one, fd
        world.wait(waiting)


# ---- waiting ----

@step(6)
def read_wait(world):
    client, process = world.client(), some(world)
    if not process or len([one for one in world.clients if not one.busy]) < 2:
        return
    world.say(f'{client.name}: reads wait of {process.directory!r}')
    client.ask('r', world.path(process.directory, 'wait'))
    what = f'wait of {process.directory!r}'

    def check(result, data):
        world.expect((result, data), (len(data), f'{process.exitcode}\n'.encode()), what)
    if process.state == 'initial':
        world.expect_code(client.answer()[0], errno.ESRCH, what)
    elif process.state == 'ended':
        check(*client.answer())
    else:
        world.wait(Waiting(client, what, lambda: process.state != 'running', check))


@step(3)
def poll_sentinel(world):
    client, process = world.client(), some(world)
    if not process or len([one for one in world.clients if not one.busy]) < 2:
        return
    file = world.random.choice(['sentinel', 'wait'])
    fd, _ = client.call('o', world.path(process.directory, file), a=os.O_RDONLY)
    result, _ = client.call('p', a=fd, b=0)
    world.say(f'{client.name}: polls {file} of {process.directory!r}')
    world.expect(bool(result & 1), process.state == 'ended', f'poll of {file} of {process.directory!r}, {process.state}')
    if process.state != 'running' or world.random.random() < 0.5:
        client.call('c', a=fd)
        return
    client.ask('p', a=fd, b=-1)

    def check(result, _):
        world.expect(result & 1, 1, f'poll of {file} of {process.directory!r} after its end')
        client.call('c', a=fd)
    world.waiting.append(Waiting(client, 'poll', lambda: process.state != 'running', check, counts=False))


@step(4)
def interrupt(world):
    parked = [one for one in world.waiting if one.counts and one.actor in world.clients]
    if not parked:
        return
    waiting = world.random.choice(parked)
    world.say(f'{waiting.actor.name} is interrupted in {waiting.what}')
    result, _ = world.interrupt(waiting)
    one = getattr(waiting, 'script', None)
    if one:
        world.model.scripts.remove(one)
    if one and isinstance(one, Script) and one.next:
        if not 0 < result < len(one.text):
            raise Wrong(f'{waiting.what}, interrupted after {one.next} lines: {result}')
    else:
        world.expect_code(result, errno.EINTR, waiting.what)
    if hasattr(waiting, 'fd'):
        waiting.actor.call('c', a=waiting.fd)


# ---- telling the programs ----

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
    client, process = world.client(), some(world)
    if process:
        result, _ = client.call('w', world.path(process.directory, 'result'), b'x', WRITING)
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
        world.expect(process.actor.call('n')[0], process.interrupts, f'USR1 in {process.directory!r}')


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
    one = Script(world.model, other, text, process)
    process.actor.ask('w', world.path(other.directory, 'ctl'), text.encode(), os.O_WRONLY)
    one.advance()
    world.expect_code(process.actor.answer()[0], one.answer, f'{text} of {other.directory!r} inside {process.directory!r}')


# ---- input ----

@step(4)
def give_input(world):
    client, process = world.client(), some(world, 'initial', 'ended')
    if not process:
        return
    data = world.random.choice([b'line\n', b'\0\1\2', b'i' * 100])
    world.say(f'{client.name}: {len(data)} bytes of stdin for {process.directory!r}')
    result, _ = client.call('w', world.path(process.directory, 'stdin'), data, os.O_WRONLY | os.O_APPEND)
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
    if not process or getattr(process, 'read_in', None) == process.serial:
        return
    process.read_in = process.serial
    got, wanted = b'', process.stdin
    while len(got) < len(wanted):
        _, piece = process.actor.call('R', a=0, b=1000)
        if not piece:
            break
        got += piece
    world.expect(got, wanted, f'the input of {process.directory!r}')
    if process.files['stdin_open'] != b'1\n':
        world.expect(process.actor.call('R', a=0, b=10), (0, b''), f'the end of the input of {process.directory!r}')


# ---- looking ----

@step(16)
def look(world):
    client, process = world.client(), some(world)
    if not process:
        return
    file = world.random.choice(list(FILES) + ['state', 'alive', 'exitcode', 'pid', 'ppid', 'stdout', 'stderr', 'result', 'error',
                                              'status.json', 'started', 'ended', 'parent'])
    if file in FILES:
        look_at_value(world, client, process, file)
        return
    if file == 'error':
        world.check_error(process)
        return
    result, data = client.call('l' if file == 'parent' else 'r', world.path(process.directory, file))
    check_known(world, process, file, result, data)


def check_known(world, process, file, result, data):
    running, what = process.state == 'running', f'{file} of {process.directory!r}'
    state = 'paused' if process.paused and running else process.state
    exact = {'state': state, 'alive': int(running), 'exitcode': process.exitcode if process.state == 'ended' else None}
    if file in exact:
        wanted = b'' if exact[file] is None else f'{exact[file]}\n'.encode()
        world.expect(data, wanted, what)
    elif file in ('stdout', 'stderr'):
        world.expect(data, process.out[1 if file == 'stdout' else 2], what)
    elif file == 'result':
        world.expect(data, process.result, what)
    elif file == 'parent':
        if not process.parent:
            world.expect_code(result, errno.ENOENT, what)
        else:
            world.expect(os.path.basename(data).decode(), process.parent.directory, what)
    elif file in ('pid', 'ppid', 'started', 'ended'):
        filled = process.state == 'ended' if file == 'ended' else process.started
        world.expect(bool(data), filled, f'{what} is filled')
    elif file == 'status.json':
        import json
        known = json.loads(data)
        world.expect((known['directory'], known['state'], known['exitcode'], known['daemon']),
                     (process.directory, state, process.exitcode if process.state == 'ended' else None, process.daemonic), what)


@step(5)
def list_root(world):
    client, model = world.client(), world.model
    _, data = client.call('L', world.path())
    names = {name.decode() for name in data.split(b'\0') if name}
    known = {'.', '..', 'clone', 'active_children', 'self', 'session', 'start_method', 'error', 'help', 'version', 'status',
             'status.json', 'locks', 'ctl', 'events'}
    world.expect(names - known, set(model.processes), 'the names in the root')
    running = [shown(one.directory) + '\n' for one in model.processes.values() if one.state == 'running']
    world.expect(client.call('r', world.path('active_children'))[1].decode(), ''.join(running), 'active_children')


@step(3)
def list_children(world):
    client, process = world.client(), some(world)
    if process:
        _, data = client.call('L', world.path(process.directory, 'children'))
        names = {name.decode() for name in data.split(b'\0') if name} - {'.', '..'}
        world.expect(names, {one.directory for one in world.model.children(process)}, f'children of {process.directory!r}')


@step(4)
def read_events(world):
    client, wanted = world.client(), world.model.events
    fd, _ = client.call('o', world.path('events'), a=os.O_RDONLY | os.O_NONBLOCK)
    text = b''
    while True:
        result, data = client.call('R', a=fd, b=100000)
        if result <= 0:
            break
        text += data
    client.call('c', a=fd)
    world.expect_code(result, errno.EAGAIN, 'events at the end')
    got = [tuple(line.split(' ', 2)[1:]) for line in text.decode().splitlines()]
    world.expect(Counter(got), Counter(wanted), 'events')
    for name in {name for name, _ in wanted}:
        world.expect([what for one, what in got if one == name], [what for one, what in wanted if one == name], f'events of {name}')


# ---- locks ----

@step(4)
def lock_names(world):
    client, locks = world.client(), world.model.locks
    name = world.random.choice(['one', 'two', 'three'])
    what = world.random.choice(['make', 'remove', 'write', 'list', 'lock'])
    path = world.path('locks', name)
    world.say(f'{client.name}: {what} lock {name}')
    if what == 'make':
        fd, _ = client.call('o', path, a=os.O_RDWR | os.O_CREAT)
        client.call('c', a=fd)
        if name not in locks:
            world.model.error = ()
        locks.add(name)
    elif what == 'remove':
        result, _ = client.call('u', path)
        world.expect_code(result, 0 if name in locks else errno.ENOENT, 'unlink of a lock')
        if name in locks:
            world.model.error = ()
        locks.discard(name)
    elif what == 'write' and name in locks:
        world.expect_code(client.call('w', path, b'x', os.O_WRONLY)[0], errno.EPERM, 'a write to a lock')
        world.model.error = ('holds nothing',)
    elif what == 'lock' and name in locks:
        lock_against_another(world, client, path)
    else:
        _, data = client.call('L', world.path('locks'))
        world.expect({one.decode() for one in data.split(b'\0') if one} - {'.', '..'}, locks, 'the names of locks')


def lock_against_another(world, client, path):
    import fcntl
    other = world.client()
    if other is client:
        return
    fds = [one.call('o', path, a=os.O_RDWR)[0] for one in (client, other)]
    alone, now = fcntl.LOCK_EX, fcntl.LOCK_NB
    world.expect(client.call('f', a=fds[0], b=alone | now)[0], 0, 'flock')
    world.expect_code(other.call('f', a=fds[1], b=alone | now)[0], errno.EAGAIN, 'flock of what is locked')
    client.call('c', a=fds[0])
    world.expect(other.call('f', a=fds[1], b=alone | now)[0], 0, 'flock after its holder has closed it')
    other.call('c', a=fds[1])
