#!/usr/bin/env python3
"""`with lock:` between processes of any language: lock may hold the same name.
Run it with: procfs-mp -- tools/examples/lock.py"""
import fcntl
import os
import sys
import tempfile

MP = os.environ['PROCFS_MP']


class Lock:
    def __init__(self, name):
        self.path = f'{MP}/locks/{name}'

    def __enter__(self):
        self.file = open(self.path, 'w')
        fcntl.lockf(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def count_down(path, turns):
    for _ in range(turns):
        with Lock('number'):
            with open(path) as file:
                number = int(file.read())
            with open(path, 'w') as file:
                file.write(str(number - 1))


def put(path, text):
    with open(path, 'w') as file:
        file.write(text)


def main():
    with tempfile.NamedTemporaryFile('w+') as counter:
        put(counter.name, '800')
        workers = [f'{MP}/worker-{number}' for number in range(8)]
        for worker in workers:
            os.mkdir(worker)
            put(worker + '/target', sys.executable)
            put(worker + '/args', '\0'.join((os.path.abspath(__file__), counter.name, '100', '')))
            put(worker + '/ctl', 'start')
        for worker in workers:
            put(worker + '/ctl', 'join')
            os.rmdir(worker)
        print('left:', counter.read())
    os.unlink(MP + '/locks/number')


if len(sys.argv) == 3:
    count_down(sys.argv[1], int(sys.argv[2]))
else:
    main()
