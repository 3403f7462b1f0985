"""What it costs a program that its output is kept: its own time to write it, beside a bare file's and supervisord's."""
import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time

from harness import Mount
from plain import write

MEMORY = '/dev/shm'
PIECE = 64 << 10
# Says on a FIFO when it begins and when it has written all.
WRITER = 'exec 3> "$1"; echo >&3; dd if=/dev/zero bs=65536 count="$2" 2> /dev/null; echo >&3'
SUPERVISORD = '''[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile={directory}/pid
[program:writer]
command=/bin/sh {directory}/writer {fifo} {count}
startsecs=0
autorestart=false
stdout_logfile={directory}/stdout
stdout_logfile_maxbytes={kept}
stdout_logfile_backups=0
stderr_logfile=NONE
'''
KEPT = 16 << 20
LONGEST = 300


@contextlib.contextmanager
def captured(mount, fifo, count):
    path = mount.start('writer', '/bin/sh', ['-c', WRITER, 'writer', fifo, str(count)])
    yield
    write(path + '/ctl', 'join')
    assert os.stat(path + '/stdout').st_size == min(KEPT, count * PIECE), 'not all of it was kept'
    os.rmdir(path)


@contextlib.contextmanager
def bare(_, fifo, count):
    with tempfile.TemporaryFile(dir=MEMORY) as file:
        append = os.open(f'/proc/self/fd/{file.fileno()}', os.O_WRONLY | os.O_APPEND)
        writer = subprocess.Popen(['/bin/sh', '-c', WRITER, 'writer', fifo, str(count)], stdout=append)
        os.close(append)
        yield
        writer.wait()


@contextlib.contextmanager
def supervised(_, fifo, count):
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        for name, text in (('writer', WRITER), ('configuration', SUPERVISORD.format(
                directory=directory, fifo=fifo, count=count, kept=KEPT))):
            with open(f'{directory}/{name}', 'w', encoding='utf-8') as file:
                file.write(text)
        daemon = subprocess.Popen(['supervisord', '-c', f'{directory}/configuration'], stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            daemon.terminate()
            daemon.wait()


def wait_for_sign(signs):
    """The limit is only there to end a hang."""
    assert select.select([signs], [], [], LONGEST)[0], 'the writer says nothing'
    os.read(signs, 1)


def seconds_of(way, mount, fifo, count):
    signs = os.open(fifo, os.O_RDWR)  # never waits for the other end
    with contextlib.closing(os.fdopen(signs, 'rb', buffering=0)), way(mount, fifo, count):
        wait_for_sign(signs)
        begun = time.perf_counter()
        wait_for_sign(signs)
        return time.perf_counter() - begun


def measure_capture(rounds, size):
    """Rows like those of the times; the ratio is a bare file's time by the way's own, round by round: its share of that rate."""
    ways = {'bare': bare, 'captured': captured}
    if shutil.which('supervisord'):
        ways['supervisord'] = supervised
    times = {name: [] for name in ways}
    with Mount() as mount, tempfile.TemporaryDirectory() as directory:
        fifo = directory + '/fifo'
        os.mkfifo(fifo)
        for _ in range(rounds):
            for name, way in ways.items():
                times[name].append(seconds_of(way, mount, fifo, size // PIECE))
    skipped = [] if 'supervisord' in ways else ['supervisord: not installed']
    return {'bytes': size, 'times': times, 'skipped': skipped}


def print_capture(capture, spread):
    print(f'\n{capture["bytes"] >> 20} MiB written to stdout: MiB/s, and the share of a bare file\'s rate')
    for name, times in capture['times'].items():
        rate = spread([capture['bytes'] / (1 << 20) / one for one in times], 0)
        share = spread([base / one for one, base in zip(times, capture['times']['bare'])], 2)
        print(f'  {name:<12}{rate["median"]:>7.0f}   {share["median"]:.2f} ({share["p10"]:.2f} to {share["p90"]:.2f})')
    for reason in capture['skipped']:
        print(f'  {reason}')
