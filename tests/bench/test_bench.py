#!/usr/bin/env python3
"""The measurement works: a quick run ends well and its results are complete. No number is judged."""
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'mount'))
from harness import PYTHON, claim, main  # noqa: E402
from plain import same  # noqa: E402

# A word of each row that must be there.
ROWS = ('six files: /bin/true', 'one write to clone: a static program', 'six files, 8 at once', "Python's calls", "join's return",
        'poll on sentinel', 'alive by pread', 'exitcode by open, read, close', '[ -s exitcode ]', 'reading alive while',
        'made and started by six files', 'made and started by clone', 'terminate all, join all', 'memory for each of',
        'mkdir, 100 directories', 'MiB of stdout kept', 'a killed server followed')
NOTHING = {'p10': 0, 'median': 0, 'p90': 0}
STEPS = {'mkdir': 'MKDIR', 'target': 'WRITE', 'start': 'WRITE', 'join': 'WRITE', 'exitcode': 'READ', 'rmdir': 'RMDIR',
         'clone': 'WRITE'}


def quick_run():
    with tempfile.TemporaryDirectory(prefix='procfs-mp-test-') as directory:
        json_path, svg_path = directory + '/results', directory + '/picture'
        done = subprocess.run([PYTHON, os.path.join(HERE, 'bench.py'), '--quick', '--json', json_path, '--svg', svg_path],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        same(done.returncode, 0, done.stdout)
        with open(json_path, encoding='utf-8') as file:
            return done.stdout, json.load(file), xml.etree.ElementTree.parse(svg_path)


def check_spread(spread):
    assert 0 <= spread['p10'] <= spread['median'] <= spread['p90'], spread


@claim(timeout=1000)
def quick_measurement_gives_every_row():
    """Tables for people, the same as JSON, and a picture that is well-formed."""
    output, results, picture = quick_run()
    rows = results['rows']
    for words in ROWS:
        assert any(words in row['what'] for row in rows), f'no row says {words}'
    for row in rows:
        for name in ('ours', 'theirs', 'ratio'):
            check_spread(row[name] or NOTHING)
        assert row['what'] in output, row
    for row in results['growth']:
        assert len(row['points']) == 3 and all(point['ours'] >= 0 for point in row['points']), row
    for step, opcode in STEPS.items():
        same(results['requests'][step].get(opcode), 1, f'{opcode} of {step}')
    for name in ('supervisord', 's6-svscan', 'runsvdir'):
        assert any(row['beside'] == name for row in rows) or any(name in one for one in results['missing']), name
    assert len(list(picture.iter('{http://www.w3.org/2000/svg}circle'))) > 10


main()
