#!/usr/bin/env python3
"""many_python.py popen|fork COUNT PROGRAM SHARED: as many.c, in Python: steps up and down."""
import multiprocessing
import signal
import struct
import subprocess
import sys
import time


def step(name, begun):
    print(name, time.perf_counter_ns() - begun, flush=True)
    if not sys.stdin.readline():
        sys.exit(1)
    return time.perf_counter_ns()


def started(shared):
    with open(shared, 'rb') as file:
        return struct.unpack('QQ', file.read(16))[1]


def main():
    way, count, program, shared = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
    with open(shared, 'wb') as file:
        file.write(bytes(4096))
    begun = step('ready', time.perf_counter_ns())
    if way == 'popen':
        processes = [subprocess.Popen([program, shared]) for _ in range(count)]
        while started(shared) < count:
            time.sleep(.0002)
    else:
        context = multiprocessing.get_context('fork')
        processes = [context.Process(target=signal.pause) for _ in range(count)]
        for process in processes:
            process.start()
    begun = step('up', begun)
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait() if way == 'popen' else process.join()
    step('down', begun)


main()
