"""One process from Python's file calls, beside what Python has."""
import os

from harness import PYTHON, Mount
from rows import HERE, columns, scaled


def measure(results):
    rounds = 20 if results.quick else 300
    with Mount() as mount:
        times = columns([PYTHON, os.path.join(HERE, 'python_client.py'), mount.path, str(rounds)])
    beside = {'multiprocessing, fork': scaled(times['multiprocessing'], .001),
              'subprocess.run': scaled(times['subprocess'], .001)}
    results.add("six files, Python's calls", 'us', scaled(times['files'], .001), beside,
                {'multiprocessing, fork': .5, 'subprocess.run': 1.2})
