"""Steps that write and read a value in pieces, and append to one: what an open goes on with. A run can be without them."""
import os

from steps import WRITING, check_errors, look_at_value, may_write, pair, refused, step
from values import example

# Those of which a part has a meaning that the rules know.
IN_PIECES = ('target', 'args', 'kwargs', 'env', 'name', 'daemon', 'start_method')


def something(world):
    """Whom to write what, and the client; None: nothing now."""
    client, process = pair(world)
    file = world.random.choice(IN_PIECES)
    data = example(world.random, file)
    if not process or not world.model.may(process, client.user) or not 0 < len(data) < 200 or not may_write(process, file, data):
        return None
    return client, process, file, data


def check(world, client, process, file):
    check_errors(world, process)
    look_at_value(world, client, process, file)


@step(4)
def write_in_pieces(world):
    """Later writes of one open go on; one that is refused leaves what was before it."""
    chosen = something(world)
    if not chosen:
        return
    client, process, file, data = chosen
    cut = world.random.randrange(1, len(data) + 1)
    world.say(f'{client.name}: {process.directory!r}/{file} = {data[:cut]!r} and {data[cut:]!r}')
    fd, _ = client.call('o', world.path(process.directory, file), a=WRITING)
    if fd < 0:
        world.expect_code(fd, refused(world, world.model.write, process, file, data), f'{file} opened')
        return
    written = b''
    for piece in filter(None, (data[:cut], data[cut:])):
        result, _ = client.call('W', data=piece, a=fd)
        code = refused(world, world.model.write, process, file, written + piece)
        world.expect_code(result, code, f'{piece!r} after {written!r} to {file}')
        written += b'' if code else piece
    client.call('c', a=fd)
    check(world, client, process, file)


@step(4)
def append(world):
    """>> goes on from what is there, without the newline that ends a single value."""
    chosen = something(world)
    if not chosen:
        return
    client, process, file, data = chosen
    if file == 'target' and b'/' in data:
        return  # which errno that has depends on what is there
    world.say(f'{client.name}: {process.directory!r}/{file} += {data!r}')
    result, _ = client.call('w', world.path(process.directory, file), data, os.O_WRONLY | os.O_APPEND)
    world.expect_code(result, refused(world, world.model.append, process, file, data), f'{file} += {data!r}')
    check(world, client, process, file)


@step(4)
def read_in_pieces(world):
    """Reads of one open go on with the value that the first one found; at offset 0 they find that of now."""
    chosen = something(world)
    if not chosen or chosen[2] == 'args':
        return
    client, process, file, data = chosen
    before = process.files[file]
    if len(before) < 2:
        return
    fd, _ = client.call('o', world.path(process.directory, file), a=os.O_RDONLY)
    cut = world.random.randrange(1, len(before))
    world.expect(client.call('R', a=fd, b=cut)[1], before[:cut], f'the first {cut} bytes of {file}')
    result, _ = client.call('w', world.path(process.directory, file), data, WRITING)
    world.expect_code(result, refused(world, world.model.write, process, file, data), f'{file} = {data!r}')
    world.expect(client.call('R', a=fd, b=10000)[1], before[cut:], f'{file} from byte {cut} on, which is {data!r} now')
    client.call('S', a=fd, b=os.SEEK_SET)
    world.expect(client.call('R', a=fd, b=10000)[1], process.files[file], f'{file} from its beginning, after {before!r}')
    client.call('c', a=fd)
