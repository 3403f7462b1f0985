#!/usr/bin/env python3
"""The examples about streams: each script does what it says."""
import subprocess

from harness import BINARY, TOP, claim, main
from plain import same


def run_example(name):
    done = subprocess.run([BINARY, '--', f'{TOP}/tools/examples/{name}'], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    same(done.returncode, 0, done.stderr)
    return done.stdout, done.stderr


@claim
def conversation_with_a_program_that_goes_on_running():
    """stdin_open, output and eof."""
    same(run_example('conversation'), ('hello: HELLO\nhow: HOW\nare you: ARE YOU\nit ended with 0\n', ''))


@claim
def log_files_and_what_is_kept():
    """stdout_to, inherit and output_max."""
    same(run_example('log-files'), ('the log has:\na line of one\na line of two\nthe newest:\n998\n999\n1000\n'
                                    'stdout_dropped: 3880\n', 'a warning for whoever started it\n'))


main()
