#!/usr/bin/env python3
"""The measurement works: a quick run ends well and its results are complete. No number is judged."""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'mount'))
from harness import PYTHON, claim, main  # noqa: E402
from plain import same  # noqa: E402

WAYS = ('spawn', 'files', 'clone')
STEPS = ('mkdir', 'target', 'start', 'join', 'exitcode', 'rmdir', 'clone')


def quick_run():
    with tempfile.TemporaryDirectory(prefix='procfs-mp-test-') as directory:
        path = os.path.join(directory, 'results')
        done = subprocess.run([PYTHON, os.path.join(HERE, 'bench.py'), '--quick', '--rounds', '5', '--json', path],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        same(done.returncode, 0, done.stdout)
        with open(path, encoding='utf-8') as file:
            return done.stdout, json.load(file)


def check_spread(spread):
    assert 0 < spread['p10'] <= spread['median'] <= spread['p90'], spread


@claim(timeout=240)
def quick_measurement_gives_every_row():
    """A table for people and the same as JSON."""
    output, results = quick_run()
    rows = results['times']
    same({(row['program'], row['way'], row['one_cpu']) for row in rows},
         {(program, way, one) for program in ('true', 'at-once') for way in WAYS for one in (True, False)})
    for row in rows:
        check_spread(row['microseconds'])
        check_spread(row['ratio'])
        if row['way'] == 'spawn':
            same(set(row['ratio'].values()), {1.0})
    memory = results['memory']
    assert memory['directories'] > 0
    for name in ('server', 'keeper'):
        assert memory['before'][name] > 0 and memory['after'][name] > 0, memory
    same(tuple(results['requests']), STEPS)
    for step, opcode in zip(STEPS, ('MKDIR', 'WRITE', 'WRITE', 'WRITE', 'READ', 'RMDIR', 'WRITE')):
        same(results['requests'][step].get(opcode), 1, f'{opcode} of {step}')
    capture = results['capture']
    same({'bare', 'captured'} - set(capture['times']), set())
    same('supervisord' in capture['times'], not capture['skipped'])
    for times in capture['times'].values():
        assert times and all(one > 0 for one in times), capture
    for word in WAYS + STEPS + ('bare', 'captured', 'supervisord'):
        assert word in output, f'{word} is not in the table'


main()
