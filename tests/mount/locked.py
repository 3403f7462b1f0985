"""A program whose environment nobody can read, since its memory waits for the mount."""
import os

from harness import PYTHON
from plain import read, stat_of, wait_until, write

# An orphan that asks when it is told to. It faults a page of a file of the mount, which nobody provides until there is more, and maps the
# file meanwhile: as long as that takes its environment can't be read.
LOCKED = """
import ctypes, mmap, os, sys, threading
top, told = os.environ['PROCFS_MP'], sys.argv[1]
held = os.open(top + '/silent/output', os.O_RDONLY)
page = mmap.mmap(held, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
left = 5000
while left:
    left -= len(os.read(held, left))
def ask():
    os.close(os.open(told + 'ask', os.O_RDONLY))
    os.mkdir(top + '/made')
asking = threading.Thread(target=ask)
asking.start()
threading.Thread(target=os.writev, args=(os.pipe()[1], [page]), daemon=True).start()
os.read(os.open(told + 'map', os.O_RDONLY), 1)
ctypes.CDLL(None).mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_PRIVATE, held, ctypes.c_long(0))
"""


def start_locked(mp):
    """Once it is; it goes on when somebody opens `ask` in the mount's base for writing."""
    silent = mp.start('silent', 'sh', ['-c', 'head -c 5000 /dev/zero; exec sleep 1000'])
    wait_until(lambda: os.stat(silent + '/output').st_size == 5000, what='bytes to map')
    for name in ('ask', 'map'):
        os.mkfifo(mp.base + '/' + name)
    words = ['-c', 'setsid "$0" -c "$1" "$2" & echo $!; read -r line', PYTHON, LOCKED, mp.base + '/']
    path = mp.start('p', 'sh', words, stdin_open='1')
    pid = int(wait_until(lambda: read(path + '/stdout'), what='its number'))
    write(path + '/ctl', 'eof\njoin')
    mapping = os.open(mp.base + '/map', os.O_WRONLY)
    wait_until(lambda: mp.pending() == 1, what='a page that is waited for')
    os.close(mapping)
    wait_until(lambda: stat_of(pid)[:1] == [b'D'], what='a file that is being mapped')


def end_locked(mp):
    """Its page comes to an end."""
    write(mp('silent', 'ctl'), 'kill')
    for name in ('ask', 'map'):
        os.unlink(mp.base + '/' + name)
