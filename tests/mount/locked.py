"""Programs that wait for memory which the mount does not provide, and what the kernel holds for them meanwhile."""
import os

from harness import PYTHON
from plain import append, call_of, children_of, file_in_use, name_of, read, stat_of, value, wait_until, write

SYS_CLOSE = '57' if os.uname().machine == 'aarch64' else '3'

# `page` is of a file of the mount, which nobody provides until there is more.
PAGE = """
import mmap, os, sys
held = os.open(os.environ['PROCFS_MP'] + '/' + sys.argv[1] + '/output', os.O_RDONLY)
page = mmap.mmap(held, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
left = 5000
while left:
    left -= len(os.read(held, left))
"""

# Writes much and that page: during all of that write its own output is locked. What its child says makes the server look meanwhile.
HOLDS_OUTPUT = PAGE + """
import time
writer = os.getpid()
if os.fork():
    os.writev(1, [bytes(2 << 20), page])
while os.getppid() == writer:
    os.write(2, b'x')
    time.sleep(0.01)
"""

# Reads its first input into that page: until then its pipe is locked. Then says all that it has read.
HOLDS_INPUT = PAGE + """
size = os.readv(0, [page])
os.write(1, page[:size])
while piece := os.read(0, 65536):
    os.write(1, piece)
"""

# An orphan that asks when it is told to. It faults that page, and maps the file meanwhile: as long as that takes its environment can't be
# read.
LOCKED = PAGE + """
import ctypes, threading
top, told = os.environ['PROCFS_MP'], sys.argv[2]
def ask():
    os.close(os.open(told + 'ask', os.O_RDONLY))
    os.mkdir(top + '/made')
asking = threading.Thread(target=ask)
asking.start()
threading.Thread(target=os.writev, args=(os.pipe()[1], [page]), daemon=True).start()
os.read(os.open(told + 'map', os.O_RDONLY), 1)
ctypes.CDLL(None).mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_PRIVATE, held, ctypes.c_long(0))
"""


def start_silent(mp, name='silent'):
    """Whose output's page will come when it says more (speak), or ends."""
    silent = mp.start(name, 'cat', stdin_open='1')
    speak(silent)
    wait_until(lambda: os.stat(silent + '/output').st_size == 5000, what='bytes to map')
    return silent


def speak(silent):
    append(silent + '/stdin', bytes(5000))


def start_output_holder(mp, number):
    start_silent(mp, f'silent{number}')
    return mp.start(f'p{number}', PYTHON, ['-c', HOLDS_OUTPUT, f'silent{number}'], output_max='1000')


def is_waiting(task):
    return stat_of(task)[:1] == [b'D']


def write_until_held(mp, path, pid, waiting=0):
    """One byte, until the program holds its pipe by a page that is asked for, beside so many requests that waited before. A close would
    be a request, too."""
    descriptor = os.open(path + '/stdin', os.O_WRONLY)
    os.write(descriptor, b'x')
    wait_until(lambda: file_in_use(pid).startswith('pipe:') and mp.pending() > waiting,
               what='a program that holds its input')
    os.close(descriptor)


def start_input_holder(mp, name, silent='silent', waiting=0):
    """Once it holds its pipe, with one byte in it."""
    path = mp.start(name, PYTHON, ['-c', HOLDS_INPUT, silent], stdin_open='1')
    write_until_held(mp, path, value(path + '/pid'), waiting)
    return path


def porter_of(mp):
    """It takes its name a moment after it was begun."""
    def found():
        return next((pid for pid in children_of(mp.server) if name_of(pid) == 'procfs-mp-port'), None)
    return wait_until(found, what='a porter')


def threads_that_wait(pid):
    """In the kernel, in a call about an open file: any thread stands still for a moment when another one begins or ends."""
    tasks = [f'{pid}/task/{task}' for task in os.listdir(f'/proc/{pid}/task')]
    return [task for task in tasks if is_waiting(task) and (file_in_use(task) or call_of(task)[:1] == [SYS_CLOSE])]


def start_locked(mp, as_user=lambda function: function(), python=PYTHON):
    """Once it is; it goes on when somebody opens `ask` in the mount's base for writing."""
    as_user(lambda: start_silent(mp) and None)
    for name in ('ask', 'map'):
        os.mkfifo(mp.base + '/' + name)
        os.chmod(mp.base + '/' + name, 0o666)
    words = ['-c', 'setsid "$0" -c "$1" silent "$2" & echo $!; read -r line', python, LOCKED, mp.base + '/']
    path = as_user(lambda: mp.start('p', 'sh', words, stdin_open='1'))
    pid = int(wait_until(lambda: read(path + '/stdout'), what='its number'))
    as_user(lambda: write(path + '/ctl', 'eof\njoin'))
    mapping = os.open(mp.base + '/map', os.O_WRONLY)
    wait_until(lambda: mp.pending() == 1, what='a page that is waited for')
    os.close(mapping)
    wait_until(lambda: is_waiting(pid), what='a file that is being mapped')


def end_locked(mp):
    """Its page comes to an end."""
    write(mp('silent', 'ctl'), 'kill')
    for name in ('ask', 'map'):
        os.unlink(mp.base + '/' + name)
