"""Steps that a run can be without: the server is killed, and nothing is lost nor any answer other than the model's; clients are main
processes."""
import os

from steps import step


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


class Session:
    def __init__(self, fd):
        self.fd = fd


@step(3)
def hold_session(world):
    client, model = world.client(), world.model
    if not client.session:
        world.say(f'{client.name}: opens session')
        fd, _ = client.call('o', world.path('session'), a=os.O_RDONLY)
        model.error = ()
        client.session = Session(fd)
    elif world.random.random() < 0.5:
        world.say(f'{client.name}: closes session')
        client.call('c', a=client.session.fd)
        model.release([one for one in model.processes.values() if one.session is client.session])
        client.session = None


WIDE = {'kills': kill_server, 'sessions': hold_session}
