#!/usr/bin/env python3
"""A program that makes the kernel hold its pipe or its output, by memory that nobody provides, is its owner's affair."""
import os
import signal

from harness import PYTHON, Mount, claim, main
from locked import (HOLDS_INPUT, porter_of, speak, start_input_holder, start_output_holder, start_silent, threads_that_wait,
                    write_until_held)
from plain import Background, Stopped, append, exists, read, read_bytes, same, stat_of, value, wait_until, write

HOLDERS = 6  # more than libuv's pool has threads
READERS = 16  # more than the kernel has background requests


def wait_until_carrying(mp, loads):
    """The porter waits with so many loads. Its pid."""
    porter = porter_of(mp)
    wait_until(lambda: len(threads_that_wait(porter)) == loads, what=f'{loads} loads that wait')
    return porter


def others_are_served(mp, name='other'):
    other = mp.start(name, 'cat', stdin_open='1')
    append(other + '/stdin', 'hello')
    write(other + '/ctl', 'eof\njoin')
    same((read(other + '/stdout'), value(other + '/exitcode')), ('hello', '0'))
    another = mp.start(name + '-killed', 'sleep', '1000')
    Background(write, another + '/ctl', 'kill tree\njoin').result()
    same(value(another + '/exitcode'), '-9')


@claim
def programs_whose_output_cannot_be_cut_hold_up_nobody_else(mp):
    """A program that hangs in a write is its owner's affair: other processes start and end as ever."""
    held = [start_output_holder(mp, number) for number in range(HOLDERS)]
    wait_until_carrying(mp, HOLDERS)
    others_are_served(mp)
    same([value(path + '/state') for path in held], ['running'] * HOLDERS)


@claim
def programs_that_hold_their_input_hold_up_nobody_else(mp):
    """Who writes to it waits as if the program did not read; eof does not wait. It gets every byte, once, when it goes on."""
    silent = [start_silent(mp, f'silent{number}') for number in range(HOLDERS)]
    held = [start_input_holder(mp, f'p{number}', f'silent{number}', number) for number in range(HOLDERS)]
    for path in held:
        append(path + '/stdin', 'y' * 10000)
    wait_until_carrying(mp, HOLDERS)
    others_are_served(mp)
    writer = Background(append, held[0] + '/stdin', 'z' * 60000)
    mp.wait_until_held(writer)
    for path in held[1:]:
        write(path + '/ctl', 'eof')
    others_are_served(mp, 'later')
    same([value(path + '/state') for path in held], ['running'] * HOLDERS)
    for each in silent:
        speak(each)
    writer.result()
    write(held[0] + '/ctl', 'eof')
    for path, expected in zip(held, ['x' + 'y' * 10000 + 'z' * 60000] + ['x' + 'y' * 10000] * (HOLDERS - 1)):
        write(path + '/ctl', 'join')
        assert read(path + '/stdout') == expected, len(read(path + '/stdout'))


@claim
def the_end_of_a_program_that_holds_its_input_is_seen(mp):
    """It can be killed, and its input is closed, as any other's."""
    start_silent(mp)
    path = start_input_holder(mp, 'p')
    append(path + '/stdin', 'y')
    porter = wait_until_carrying(mp, 1)
    write(path + '/ctl', 'eof\nkill\njoin')
    wait_until(lambda: not threads_that_wait(porter), what='a porter with nothing to do')


@claim
def the_end_of_a_program_whose_child_holds_its_input_is_seen(mp):
    """Its input is closed, and nobody else waits for the child."""
    start_silent(mp)
    script = 'exec 3<&0; "$0" -c "$1" silent <&3 & echo $!; exec sleep 1000'
    path = mp.start('p', 'sh', ['-c', script, PYTHON, HOLDS_INPUT], stdin_open='1')
    child = int(wait_until(lambda: read(path + '/stdout'), what='its number'))
    write_until_held(mp, path, child)
    write(path + '/ctl', 'kill\njoin')
    others_are_served(mp)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not threads_that_wait(porter_of(mp)), what='a porter with nothing to do')


@claim
def the_keeper_is_never_held_by_a_program(mp):
    """It closes an input before who may wait for the program does: it could not end, and its mount with it."""
    silent = [start_silent(mp, f'silent{number}') for number in range(HOLDERS)]
    held = [start_input_holder(mp, f'p{number}', f'silent{number}', number) for number in range(HOLDERS)]
    for number, path in enumerate(held, 1):
        write(path + '/ctl', 'eof')
        wait_until_carrying(mp, number)
    same(threads_that_wait(mp.keeper), [])
    for each in silent:
        speak(each)
    for path in held:
        write(path + '/ctl', 'join')
        same((read(path + '/stdout'), value(path + '/exitcode')), ('x', '0'))


@claim
def pages_that_are_asked_for_ahead_hold_up_no_close(mp):
    """Of a file, by anybody: the kernel tells of it later, but does not wait for what others want to read."""
    silent = [start_silent(mp, f'silent{number}') for number in range(READERS)]
    files = [os.open(path + '/output', os.O_RDONLY) for path in silent]
    for descriptor in files:
        left = 5000
        while left:
            left -= len(os.read(descriptor, left))
    for descriptor in files:
        Background(os.posix_fadvise, descriptor, 0, 4096, os.POSIX_FADV_WILLNEED)
    wait_until(lambda: mp.pending() >= READERS, what='pages that are waited for')
    path = mp.make('other')
    for _ in range(100):
        read(path + '/state')
    wait_until(lambda: mp.pending() == READERS, what='closes that were told')
    for each in silent:
        speak(each)
    for descriptor in files:
        os.close(descriptor)


@claim
def a_killed_server_is_followed_whatever_programs_hold(mp):
    """Twice: nothing that the dead one waited for holds up the next, and no byte is lost or doubled."""
    silent = start_silent(mp)
    path = start_input_holder(mp, 'p')
    output = start_output_holder(mp, 0)
    append(path + '/stdin', 'y' * 10000)
    porter = wait_until_carrying(mp, 2)
    writer = Background(append, path + '/stdin', 'z' * 60000)
    mp.wait_until_held(writer)
    for number in range(2):
        mp.kill_server()
        others_are_served(mp, f'other{number}')
        same([value(each + '/state') for each in (path, output)], ['running', 'running'])
    speak(silent)
    writer.result()
    write(path + '/ctl', 'eof\njoin')
    assert read_bytes(path + '/stdout') == b'x' + b'y' * 10000 + b'z' * 60000, len(read_bytes(path + '/stdout'))
    write(output + '/ctl', 'kill')
    wait_until(lambda: not exists(porter), what='the end of the porter before')


@claim
def a_keeper_that_is_the_last_to_close_a_pipe_waits_for_no_program(mp):
    """A server is killed before the keeper knows that an input is over, and its porter with it: another follows."""
    silent = start_silent(mp)
    path = start_input_holder(mp, 'p')
    porter = porter_of(mp)
    with Stopped(mp.keeper):
        write(path + '/ctl', 'eof')
        os.kill(mp.server, signal.SIGKILL)
        wait_until(lambda: stat_of(porter)[:1] in ([], [b'Z']), what='the end of the porter')
    mp.kill_server()
    others_are_served(mp)
    same(value(path + '/state'), 'running')
    speak(silent)
    write(path + '/ctl', 'join')
    same((read(path + '/stdout'), value(path + '/exitcode')), ('x', '0'))


@claim
def a_porter_that_dies_takes_its_server_with_it_and_nothing_else(mp):
    """Whatever it is held by. Another server has another: what is written then arrives, as what was written before."""
    path = mp.start('p', 'cat', stdin_open='1')
    silent = start_silent(mp)
    held = start_input_holder(mp, 'q')
    append(held + '/stdin', 'y' * 10000)
    append(path + '/stdin', 'before ')
    os.kill(wait_until_carrying(mp, 1), signal.SIGKILL)
    mp.wait_until_followed()
    append(path + '/stdin', 'and after')
    write(path + '/ctl', 'eof\njoin')
    same(read(path + '/stdout'), 'before and after')
    speak(silent)
    write(held + '/ctl', 'eof\njoin')
    same(read(held + '/stdout'), 'x' + 'y' * 10000)


@claim
def what_a_dead_porter_has_not_taken_is_not_held_by_what_it_waits_for(mp):
    """Whoever of it and the server is killed: another program's input has its end, though the dead one still waits in the kernel."""
    for killed in ('porter', 'server'):
        silent = start_silent(mp, f'silent-{killed}')
        held = start_input_holder(mp, f'held-{killed}', f'silent-{killed}')
        append(held + '/stdin', 'y' * 10000)
        path = mp.start(killed, 'cat', stdin_open='1')
        porter = wait_until_carrying(mp, 1)
        with Stopped(porter):
            append(path + '/stdin', 'hello')
            os.kill(porter if killed == 'porter' else mp.server, signal.SIGKILL)
            mp.wait_until_followed()
        write(path + '/ctl', 'eof\njoin')
        same((read(path + '/stdout'), len(threads_that_wait(porter))), ('hello', 1))
        speak(silent)
        write(held + '/ctl', 'eof\njoin')
        same(read(held + '/stdout'), 'x' + 'y' * 10000)


@claim
def a_porter_that_stands_still_does_not_hold_up_the_end_of_the_mount():
    """Nor does one that was stopped while it had nothing to do."""
    with Mount() as mp:
        os.kill(porter_of(mp), signal.SIGSTOP)


if __name__ == '__main__':
    main()
