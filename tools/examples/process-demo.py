#!/usr/bin/env python3
"""Uses process.py as one uses multiprocessing.
Run it with: procfs-mp -- tools/examples/process-demo.py"""
import time

from process import Process


def power(base, exponent=2):
    return base ** exponent


class Greeter(Process):
    def __init__(self, whom):
        super().__init__(name='greeter')
        self.whom = whom

    def run(self):
        print('hello', self.whom)


if __name__ == '__main__':
    workers = [Process(target=power, args=(number,), kwargs={'exponent': 3}) for number in range(1, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        print(worker.name, worker.exitcode, worker.result())

    sleeper = Process(target=time.sleep, args=(100,), daemon=True)
    sleeper.start()
    sleeper.join(0.1)
    print(sleeper.name, sleeper.daemon, sleeper.is_alive(), sleeper.exitcode)
    sleeper.terminate()
    sleeper.join()
    print(sleeper.name, sleeper.is_alive(), sleeper.exitcode)

    greeter = Greeter('bob')
    greeter.start()
    greeter.join()
    with open(greeter.path + '/stdout') as output:
        print(greeter.name, 'said', output.read().strip())
    for process in [*workers, sleeper, greeter]:
        process.close()
