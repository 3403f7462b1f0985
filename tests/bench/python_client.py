#!/usr/bin/env python3
"""python_client.py MOUNT ROUNDS: starts and joins a process in each way that Python has, one after the other in every round, and
prints a line a round: nanoseconds, in the order of the names in the first line."""
import multiprocessing
import os
import subprocess
import sys
import time

TRUE = '/bin/true'
FORK = multiprocessing.get_context('fork')


def put(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def by_files(number):
    name = f'python-{number}'
    os.mkdir(name)
    put(name + '/target', TRUE)
    put(name + '/ctl', 'start\n')
    put(name + '/ctl', 'join\n')
    with open(name + '/exitcode', encoding='utf-8') as file:
        assert file.read() == '0\n'
    os.rmdir(name)


def nothing():
    pass


def by_multiprocessing(_):
    process = FORK.Process(target=nothing)
    process.start()
    process.join()
    assert process.exitcode == 0
    process.close()


def by_subprocess(_):
    subprocess.run([TRUE], check=True)


WAYS = (('files', by_files), ('multiprocessing', by_multiprocessing), ('subprocess', by_subprocess))


def main():
    os.chdir(sys.argv[1])
    print(*(name for name, _ in WAYS))
    for number in range(int(sys.argv[2])):
        times = {}
        for i in range(len(WAYS)):
            name, way = WAYS[(i + number) % len(WAYS)]
            begun = time.perf_counter_ns()
            way(number)
            times[name] = time.perf_counter_ns() - begun
        print(*(times[name] for name, _ in WAYS))


main()
