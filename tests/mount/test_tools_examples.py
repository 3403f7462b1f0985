#!/usr/bin/env python3
"""The examples: each script in tools/examples does what it says, and what README.md and the manual show is what comes."""
import os
import re
import subprocess

from harness import BINARY, TOP, Mount, claim, main
from plain import read, same

EXAMPLES = TOP + '/tools/examples'

SHOWN = {
    'wait-for-many': '''worker-1 ended with 1
worker-2 ended with 2
worker-3 ended with 0
worker-4 ended with 1
worker-5 ended with 2
worker-1 has failed
worker-2 has failed
worker-4 has failed
worker-5 has failed
''',
    'result': '''square-1: 1
square-2: 4
square-3: 9
square-4: 16
the sum: 30
''',
    'result.py': '''read 4
write 5
execute 7
''',
    'lock': 'left: 0\n',
    'lock.py': 'left: 0\n',
    'daemon-helper': '''in the session: the helper is running
after it: the helper has ended with -15
the other is running
''',
    'capture': '''exit code 4
output: apple
output: fig
output: pear
errors: three lines, I think
''',
    'process-demo.py': '''Process-1 0 1
Process-2 0 8
Process-3 0 27
Process-4 0 64
Process-5 True True None
Process-5 False -15
greeter said hello bob
''',
}


def run_example(name):
    done = subprocess.run([BINARY, '--', f'{EXAMPLES}/{name}'], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    same((done.stdout, done.stderr, done.returncode), (SHOWN[name], '', 0), name)


def example(name):
    def run():
        run_example(name)
    run.__name__ = 'tools_examples_' + name.translate(str.maketrans('.-', '__'))
    run.__doc__ = f'tools/examples/{name} prints what it is meant to.'
    claim(run)


for each in SHOWN:
    example(each)


@claim
def the_scripts_that_are_expected_are_there_and_leave_nothing():
    """Every example here can be executed, and in a mount that stays they leave no directory and no lock."""
    for name in SHOWN:
        assert os.access(f'{EXAMPLES}/{name}', os.X_OK), name
    with Mount() as mp:
        for name in SHOWN:
            subprocess.run([f'{EXAMPLES}/{name}'], env={**os.environ, 'PROCFS_MP': mp.path}, stdout=subprocess.DEVNULL, check=True)
        same((mp.names(), os.listdir(mp('locks'))), ([], []))


# What is shown ---------------------------------------------------------------------------------------------------

def shown_in_readme():
    """(commands, output) for each block of shell that a block of output follows."""
    return re.findall(r'^```sh\n([^`]*)^```\n\n^```\n([^`]*)^```', read(TOP + '/README.md'), re.M)


def plain_text(roff):
    for escape, character in (('\\e', '\\'), ('\\(aq', "'"), ('\\-', '-'), ('\\&', '')):
        roff = roff.replace(escape, character)
    return roff


def sessions_in_manual():
    """The displays whose lines begin with "$ ": (commands, output), where output stands below its command."""
    found = []
    for block in re.findall(r'\.Bd -literal.*?\n(.*?)\.Ed', read(TOP + '/fs/procfs-mp.1'), re.S):
        lines = plain_text(block).splitlines(keepends=True)
        if lines[0].startswith('$ '):
            found.append((''.join(line[2:] for line in lines if line.startswith('$ ')),
                          ''.join(line for line in lines if not line.startswith('$ '))))
    return found


def compare(found):
    assert found, 'no output is shown any more'
    for commands, output in found:
        with Mount() as mp:
            done = subprocess.run(['sh', '-c', commands], cwd=mp.path, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            same((done.stdout, done.stderr), (output, ''), commands)


@claim
def what_readme_shows_is_what_comes():
    """Output in README.md is the output of the commands above it."""
    compare(shown_in_readme())


@claim
def what_the_manual_shows_is_what_comes():
    """Output in procfs-mp(1) is the output of the commands above it."""
    compare(sessions_in_manual())


main()
