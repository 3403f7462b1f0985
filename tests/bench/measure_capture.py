"""What it costs a program that its output is kept: its own time to write it, beside a bare file's and others' who keep it."""
import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time

from harness import DEADLINE, Mount
from plain import write
from rows import program

MEMORY = '/dev/shm'
PIECE = 64 << 10
KEPT = 16 << 20
SUPERVISORD = '''[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile={directory}/pid
[program:writer]
command={blaster} {fifo} {count}
startsecs=0
autorestart=false
stdout_logfile={directory}/stdout
stdout_logfile_maxbytes={kept}
stdout_logfile_backups=0
stderr_logfile=NONE
'''


@contextlib.contextmanager
def captured(mount, fifo, count):
    path = mount.start('writer', program('blaster'), [fifo, str(count)])
    yield
    write(path + '/ctl', 'join')
    assert os.stat(path + '/stdout').st_size == min(KEPT, count * PIECE), 'not all of it was kept'
    os.rmdir(path)


@contextlib.contextmanager
def bare(_, fifo, count):
    with tempfile.TemporaryFile(dir=MEMORY) as file:
        append = os.open(f'/proc/self/fd/{file.fileno()}', os.O_WRONLY | os.O_APPEND)
        writer = subprocess.Popen([program('blaster'), fifo, str(count)], stdout=append)
        os.close(append)
        yield
        writer.wait()


@contextlib.contextmanager
def supervised(_, fifo, count):
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        with open(f'{directory}/configuration', 'w', encoding='utf-8') as file:
            file.write(SUPERVISORD.format(directory=directory, blaster=program('blaster'), fifo=fifo, count=count, kept=KEPT))
        daemon = subprocess.Popen(['supervisord', '-c', f'{directory}/configuration'], stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            daemon.terminate()
            daemon.wait()


@contextlib.contextmanager
def logged(_, fifo, count):
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        logger = subprocess.Popen(['s6-log', 'n0', f's{KEPT}', directory], stdin=subprocess.PIPE)
        writer = subprocess.Popen([program('blaster'), fifo, str(count)], stdout=logger.stdin)
        logger.stdin.close()
        yield
        writer.wait()
        logger.wait()


OTHERS = {'supervisord': ('supervisord', supervised), 's6-log': ('s6-log', logged)}


def wait_for_sign(signs):
    """The limit is only there to end a hang."""
    assert select.select([signs], [], [], 15 * DEADLINE)[0], 'the writer says nothing'
    os.read(signs, 1)


def seconds_of(way, mount, fifo, count):
    signs = os.open(fifo, os.O_RDWR)  # never waits for the other end
    with contextlib.closing(os.fdopen(signs, 'rb', buffering=0)), way(mount, fifo, count):
        wait_for_sign(signs)
        begun = time.perf_counter()
        wait_for_sign(signs)
        return time.perf_counter() - begun


def measure(results):
    rounds, size = (2, 8 << 20) if results.quick else (7, 1 << 30)
    ways = {'captured': captured, 'O_APPEND file': bare}
    for name, (command, way) in OTHERS.items():
        if shutil.which(command):
            ways[name] = way
        else:
            results.miss(f'{name}: not installed')
    rates = {name: [] for name in ways}
    with Mount() as mount, tempfile.TemporaryDirectory() as directory:
        fifo = directory + '/fifo'
        os.mkfifo(fifo)
        for _ in range(rounds):
            for name, way in ways.items():
                rates[name].append(size / (1 << 20) / seconds_of(way, mount, fifo, size // PIECE))
    results.add(f'{size >> 20:,} MiB of stdout kept', 'MiB/s', rates.pop('captured'), rates, '>= 0.9')
