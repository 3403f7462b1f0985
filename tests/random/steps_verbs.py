"""Steps that write verbs and wait for what comes of them."""
import errno
import os

from model import SECONDS, SIGNALS, VERBS, shown
from scripts import ManyScript, Script
from steps import check_errors, may_write, pair, some, step
from values import FILES, Refused, example
from world import Waiting, Wrong


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
    client, process = pair(world)
    if process:
        write_script(world, client, process)


def write_script(world, client, process, fd=None, text=None):
    model = world.model
    text = text or random_script(world, process)
    world.say(f'{client.name}: {process.directory!r}/ctl {text!r}')
    data = text.encode()
    what = f'{text!r} to the ctl of {process.directory!r}'
    if fd is None:
        client.ask('w', world.path(process.directory, 'ctl'), data, os.O_WRONLY)
    else:
        client.ask('W', data=data, a=fd)
    if not model.may(process):
        world.expect_code(client.answer()[0], errno.EACCES, what)
        return
    one = Script(model, process, text)
    one.advance()

    def check(result, _):
        world.expect_code(result, one.answer, what)
        if not result < 0:
            world.expect(result, len(data), f'the count of {what}')
    if one.answer is not None:
        check(*client.answer())
    else:
        world.model.scripts.append(one)
        waiting = Waiting(client, what, lambda: one.answer is not None, check)
        waiting.script = one
        world.wait(waiting, process.fate is not None)
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
    model.user = client.user
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
        model.user = one.user
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
