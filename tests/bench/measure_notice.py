"""How soon after the end of a process whoever waits for it runs again."""
import os
import tempfile

from harness import Mount
from measure_cycle import one_cpu
from rows import columns, program, scaled


def measure(results):
    rounds = 20 if results.quick else 300
    for prepare, where in ((one_cpu, ', one CPU'), (None, '')):
        with Mount(prepare=prepare) as mount, tempfile.TemporaryDirectory(dir='/dev/shm') as directory:
            times = columns([program('notice'), mount.path, program('stamper'), os.path.join(directory, 'shared'), str(rounds)],
                            prepare)
        times = {name: scaled(column, .001) for name, column in times.items()}
        for way, label in (('join', "join's return"), ('wait', 'a read of wait'), ('sentinel', 'poll on sentinel')):
            results.add(f'{label} after the exit{where}', 'us', times[way],
                        {'waitpid': times['waitpid'], 'pidfd, epoll': times['pidfd']},
                        {'waitpid': 1.3, 'pidfd, epoll': 1.3} if way == 'join' else None)
