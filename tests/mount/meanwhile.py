"""Who waits while the server is killed, and what they wait for."""
import os

from plain import Background, errno_of, same


def start_waiting(mp, name, code=7, **files):
    """A process that ends with that code when its file, which is handed back too, exists."""
    go = f'{mp.base}/go-{name}'
    errno_of(os.unlink, go)
    return mp.start(name, 'sh', ['-c', f'until [ -e {go} ]; do sleep 0.01; done; exit {code}'], **files), go


def touch(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))


def blocked(mp, *calls):
    """Each (function, arguments...) in a thread of its own, once all of them wait in the kernel."""
    mp.idle()
    threads = [Background(*call) for call in calls]
    mp.wait_until_held(*threads)
    return threads


def still_blocked(threads):
    same([thread.is_alive() for thread in threads], [True] * len(threads), 'who waits')
