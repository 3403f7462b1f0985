"""The step that kills the server: nothing is lost, and no answer differs from the model's."""
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
