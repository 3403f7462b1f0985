"""Steps that make, remove and configure processes, look at them, and take locks."""
import errno
import fcntl
import json
import os
from collections import Counter

from model import shown
from steps import NAMES, WRITING, check_errors, look_at_value, may_write, pair, refused, some, step
from steps_verbs import write_script
from values import FILES, SECRET, example

ODD_NAMES = ['all', 'any', 'tree', 'ctl', 'locks', 'n' * 255, 'n' * 256]


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
    client, process = pair(world)
    if not process:
        return
    world.say(f'{client.name}: rmdir {process.directory!r}')
    result, _ = client.call('d', world.path(process.directory))
    if not world.model.may(process):
        world.expect_code(result, errno.EPERM, f"rmdir of another's {process.directory!r}")
        return
    world.expect_code(result, refused(world, world.model.remove, process), f'rmdir {process.directory!r}')
    check_errors(world, process)


@step(1)
def remove_what_is_not_there(world):
    client = world.client()
    world.expect_code(client.call('d', world.path('nobody'))[0], errno.ENOENT, 'rmdir nobody')
    world.expect_code(client.call('d', world.path('locks'))[0], errno.EPERM, 'rmdir locks')
    if not client.user:  # the kernel's own answer to others
        world.model.error = (None,)
    world.check_error(None)


# ---- configuration ----

@step(22)
def configure(world):
    client, process = pair(world)
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
    if world.model.may(process):
        world.expect_code(result, refused(world, world.model.write, process, file, data), f'{file} = {data!r}')
        check_errors(world, process)
    else:
        world.expect_code(result, errno.EACCES, f"another's {file} = {data!r}")
    look_at_value(world, client, process, file)


@step(10)
def equip(world):
    client, process = pair(world, 'initial')
    if process and may_write(process, 'target', b'') and world.model.may(process, client.user):
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
    if client.user:
        world.expect_code(result, errno.EACCES, 'start_method of the mount')
    else:
        world.expect_code(result, refused(world, world.model.write_start_method, data), 'start_method')
        check_errors(world, None)
    world.expect(client.call('r', world.path('start_method'))[1], world.model.start_method, 'start_method')


# ---- looking ----

LOOKED_AT = list(FILES) + ['state', 'alive', 'exitcode', 'pid', 'ppid', 'stdout', 'stderr', 'result', 'error', 'status.json', 'started',
                           'ended', 'parent']

@step(16)
def look(world):
    client, process = pair(world)
    if not process:
        return
    look_at(world, client, process, world.random.choice(LOOKED_AT))


def look_at_all(world):
    for process in world.model.processes.values():
        for file in LOOKED_AT:
            look_at(world, world.free(0)[0], process, file)


def look_at(world, client, process, file):
    if file in FILES:
        look_at_value(world, client, process, file)
        return
    if file == 'error' and world.model.may(process, client.user):
        world.check_error(process)
        return
    result, data = client.call('l' if file == 'parent' else 'r', world.path(process.directory, file))
    if file in SECRET and not world.model.may(process):
        world.expect_code(result, errno.EACCES, f'{file} of {process.directory!r}, a secret')
        return
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
    world.see_starts()
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
    got = [one for one in got if one[1] not in ('paused', 'continued')]  # the kernel tells of these when it likes
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
        locks.setdefault(name, client.user)
    elif what == 'remove':
        result, _ = client.call('u', path)
        owned = client.user in (0, locks.get(name))
        world.expect_code(result, errno.ENOENT if name not in locks else 0 if owned else errno.EPERM, 'unlink of a lock')
        if name in locks:
            world.model.error = () if owned else ('not yours',)
        if owned:
            locks.pop(name, None)
    elif what == 'write' and name in locks:
        world.expect_code(client.call('w', path, b'x', os.O_WRONLY)[0], errno.EPERM, 'a write to a lock')
        world.model.error = ('holds nothing',)
    elif what == 'lock' and name in locks:
        lock_against_another(world, client, path)
    else:
        _, data = client.call('L', world.path('locks'))
        world.expect({one.decode() for one in data.split(b'\0') if one} - {'.', '..'}, set(locks), 'the names of locks')


def lock_against_another(world, client, path):
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
