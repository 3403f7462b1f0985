#!/usr/bin/env python3
"""spin(1) goes through all that keeper.pml allows, and refutes each of the variants that leave something out.

Before that the names are held against the code: a model of something else would prove nothing.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'keeper.pml')
TOP = os.path.dirname(os.path.dirname(os.path.dirname(MODEL)))
STEPS = set('REQUEST CHANGE COMMIT REPLY TELL TAKE LAUNCH REAP REPORT DRAIN SPAWN REPLAY RECONCILE RESEND'.split())
# The claim, what is defined, and what spin has to say.
RUNS = (
    ('with_one_kill_of_the_server_nothing_is_lost_or_done_twice_and_nobody_waits_for_ever', ['KILLS=1', 'ONE_STARTER'], True),
    ('nor_with_three_kills', ['KILLS=3', 'ONE_STARTER'], True),
    ('nor_with_one_kill_and_two_who_start_it', ['KILLS=1'], True),
    ('nor_with_two_kills_and_two_who_start_it', ['KILLS=2'], True),
    ('telling_the_keeper_before_the_commit_is_refuted', ['KILLS=1', 'BROKEN_TELL_BEFORE_COMMIT'], False),
    ('releasing_an_exit_before_the_commit_is_refuted', ['KILLS=1', 'BROKEN_RELEASE_BEFORE_COMMIT'], False),
    ('a_journal_without_answers_is_refuted', ['KILLS=1', 'BROKEN_NO_ANSWER'], False),
    ('a_restart_that_does_not_look_at_the_table_is_refuted', ['KILLS=1', 'BROKEN_NO_RECONCILE'], False),
    ('taking_a_launch_unchecked_is_refuted', ['KILLS=1', 'BROKEN_TAKE_UNCHECKED'], False),
)
# Of the largest run, which has 18 million states: it takes half a minute.
NEEDED_KIB = 1500 << 10
COMPILER = ['cc', '-O2', '-w', '-DSAFETY', '-DCOLLAPSE', '-DVECTORSZ=2048', '-o', 'pan', 'pan.c']


def check(defines):
    """What pan prints: it has looked at everything, or at all up to the first error."""
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(MODEL, directory)
        for command in (['spin', '-a'] + ['-D' + define for define in defines] + ['keeper.pml'], COMPILER):
            subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
        return subprocess.run(['./pan', '-m1000000', '-n'], cwd=directory, capture_output=True, text=True).stdout


def steps_of(text):
    """The steps that comments name: /* REPLAY, RECONCILE */, /* REPORT: ... */ and the like."""
    comments = re.findall(r'/\*(.*?)\*/', text, re.S)
    return {step for comment in comments for step in re.findall(r'\b[A-Z]{3,}\b', comment)}


def check_names():
    """What is wrong with the names, a line each."""
    model = open(MODEL).read()
    sources = {path: open(path).read() for room in ('core', 'fs') for path in glob.glob(f'{TOP}/{room}/*.[ch]')}
    in_code = set().union(*(steps_of(text) for text in sources.values()))
    header = sources[f'{TOP}/core/message.h']
    kinds = re.search(r'enum message_kind \{(.*?)\n\};', header, re.S).group(1)
    brackets = {kind: what for kind, what in re.findall(r'\t(MESSAGE_\w+)[^\[]*\[(.*?)\]', kinds, re.S)}
    modelled = set(re.findall(r'MESSAGE_\w+', re.search(r'mtype:message = \{(.*?)\}', model).group(1)))
    wrong = [f'the step {step} is nowhere in the code' for step in STEPS - in_code]
    wrong += [f'the step {step} is nowhere in the model' for step in STEPS - steps_of(model)]
    for kind in re.findall(r'^\t(MESSAGE_\w+)', kinds, re.M):
        what = brackets.get(kind, '')
        if (kind in modelled) == what.startswith('left out'):
            wrong.append(f'{kind} says "{what}", and is {"" if kind in modelled else "not "}in the model')
        if kind in modelled and not set(re.findall(r'[A-Z]{3,}', what)) <= STEPS:
            wrong.append(f'{kind} names a step that there is not: {what}')
    return wrong + [f'{kind} is no message of the code' for kind in modelled - set(brackets)]


def holds(text):
    errors = re.search(r'errors: (\d+)', text)
    assert errors and 'out of memory' not in text and 'max search depth too small' not in text, text
    return errors.group(1) == '0'


def has_memory():
    available = next((int(line.split()[1]) for line in open('/proc/meminfo') if line.startswith('MemAvailable')), 0)
    return available > 2 * NEEDED_KIB


def main():
    print('TAP version 13')
    if not shutil.which('spin'):
        print('1..0 # SKIP spin is not installed')
        return 0
    print(f'1..{len(RUNS) + 1}')
    wrong = check_names()
    failed = bool(wrong)
    print(f'{"not ok" if wrong else "ok"} 1 - the_steps_and_messages_of_the_model_are_those_of_the_code')
    print(''.join(f'# {line}\n' for line in wrong), end='', flush=True)
    for number, (claim, defines, right) in enumerate(RUNS, 2):
        if defines == ['KILLS=2'] and not has_memory():
            print(f'ok {number} - {claim} # SKIP it takes {NEEDED_KIB >> 10} MiB, which should be half of what is free', flush=True)
            continue
        text = check(defines)
        good = holds(text) == right
        failed += not good
        print(f'{"ok" if good else "not ok"} {number} - {claim}', flush=True)
        if not good:
            print('\n'.join('# ' + line for line in text.splitlines()), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
