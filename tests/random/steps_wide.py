"""Steps that a run can be without: the server is killed, and nothing is lost nor any answer other than the model's; clients are
main processes; one write is two lives; what steps_pieces and steps_streams have."""
import os

from steps import WRITING, pair, step
from steps_files import look_at_all
from steps_pieces import append, read_in_pieces, write_in_pieces
from steps_streams import end_input, feed, follow_output
from steps_verbs import write_script


@step(2)
def kill_server(world):
    """Between two operations, or during one: at a moment that no seed repeats."""
    random = world.random
    world.end_kills()
    delays = [random.choice([0, random.uniform(0, 0.02)])]
    if random.random() < 0.2:
        delays.append(random.uniform(0, 0.01))
    world.say('the server is killed after ' + ' and '.join(f'{1000 * delay:.1f} ms' for delay in delays))
    world.begin_kills(delays)
    if random.random() < 0.3:
        world.end_kills()
        look_at_all(world)


class Session:
    def __init__(self, fd):
        self.fd = fd


@step(3)
def hold_session(world):
    client, model, chance = world.client(), world.model, world.random.random()
    if not client.session:
        world.say(f'{client.name}: opens session')
        fd, _ = client.call('o', world.path('session'), a=os.O_RDONLY)
        model.error = ()
        client.session = Session(fd)
        return
    if chance < 0.6:
        start_one(world, client, daemon=chance < 0.45)
    if chance > 0.3:
        world.say(f'{client.name}: closes session')
        client.call('c', a=client.session.fd)
        model.release([one for one in model.processes.values() if one.session is client.session])
        client.session = None


def start_one(world, client, daemon):
    """One that runs until it is told to end, made by the client."""
    world.say(f'{client.name}: makes one that runs, daemon {daemon}')
    client.call('c', a=client.call('o', world.path('clone'), a=os.O_RDWR)[0])
    process = world.model.clone(None)
    if daemon:
        world.expect(client.call('w', world.path(process.directory, 'daemon'), b'1', WRITING)[0], 1, 'daemon')
        world.model.write(process, 'daemon', b'1')
    world.equip(process, client, False)
    write_script(world, client, process, text='start')


@step(6)
def live_twice(world):
    """Two runs that end by themselves, in one write, which may also remove the process."""
    random = world.random
    client, process = pair(world, 'initial', 'ended')
    if not process:
        return
    lines = ['reset'] * (process.state == 'ended') + ['restart no']
    for number in range(2):
        target, umask = random.choice(['true', 'false']), random.choice(['0077', '22'])
        lines += ['reset'] * number + [f'target {target}', f'umask {umask}', 'start', 'join']
    write_script(world, client, process, text='\n'.join(lines + random.choice([[], ['reset'], ['close']])))


WIDE = {'kills': [kill_server], 'sessions': [hold_session], 'pieces': [write_in_pieces, append, read_in_pieces],
        'streams': [feed, end_input, follow_output], 'lives': [live_twice]}
