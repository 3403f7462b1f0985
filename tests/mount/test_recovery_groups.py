#!/usr/bin/env python3
"""A server that died is followed by another, which knows the control groups of the one before."""
import os
import signal

from cgroups import made_by
from groups import HIDDEN, groups_of, hidden_one, need, need_trees, tree_of
from harness import Mount, claim, main
from plain import exists, read, same, value, wait_until, write


@claim
def nobody_escapes_a_tree_because_the_server_was_another():
    """kill tree reaches who has hidden before the server died, while the process runs and after its end; and nobody else."""
    with Mount() as mp:
        need_trees(mp)
        runs = mp.start('runs', '/bin/sh', ['-c', f'{HIDDEN} & exec sleep 1000'])
        ended = mp.run('ended', '/bin/sh', ['-c', f'{HIDDEN} & wait'])
        other = mp.start('other', '/bin/sh', ['-c', f'{HIDDEN} & exec sleep 1000'])
        pids = {path: hidden_one(path) for path in (runs, ended, other)}
        for _ in range(2):
            mp.kill_server()
            same(value(runs + '/state'), 'running')
        for path in (runs, ended):
            assert exists(pids[path])
            write(path + '/ctl', 'kill tree\njoin')
            wait_until(lambda: not exists(pids[path]), what=f'the end of the hidden one of {path}')
        same((exists(pids[other]), value(other + '/state')), (True, 'running'))
        write(other + '/ctl', 'kill tree\njoin')


@claim
def a_group_is_no_other_processs_after_the_server_died():
    """What an ended or a removed process has left behind keeps its group, and a new process begins in another one."""
    with Mount() as mp:
        need_trees(mp)
        ended = mp.run('ended', '/bin/sh', ['-c', f'{HIDDEN} & wait'])
        removed = mp.run('removed', '/bin/sh', ['-c', f'{HIDDEN} & wait'])
        pids = [hidden_one(path) for path in (ended, removed)]
        os.rmdir(removed)
        left = {tree_of(pid) for pid in pids}
        mp.kill_server()
        paths = [mp.start(f'p{i}', 'sleep', '1000') for i in range(20)]
        groups = {tree_of(value(path + '/pid')) for path in paths}
        same((len(groups), groups & left), (20, set()))
        write(ended + '/ctl', 'kill tree')
        wait_until(lambda: not exists(pids[0]), what='the end of the hidden one')
        same((exists(pids[1]), {value(path + '/state') for path in paths}), (True, {'running'}))
        os.kill(pids[1], signal.SIGKILL)


@claim
def a_group_that_was_handed_on_is_not_its_first_holders_again():
    """An ended process whose group is another's now: its kill tree leaves that one alone, whoever serves."""
    with Mount() as mp:
        need_trees(mp)
        first = [mp.run(f'first{i}', '/bin/sh', ['-c', 'cat /proc/self/cgroup']) for i in range(20)]
        used = {line[3:] for path in first for line in read(path + '/stdout').splitlines() if line.startswith('0::')}
        later = []

        def handed_on():
            later.append(mp.start(f'later{len(later)}', 'sleep', '1000'))
            return tree_of(value(later[-1] + '/pid')) in used
        wait_until(handed_on, what='a group that is used again')
        mp.kill_server()
        for path in first:
            write(path + '/ctl', 'kill tree')
        same({value(path + '/state') for path in later}, {'running'})


@claim
def groups_with_limits_are_removed_when_their_process_has_ended():
    """Ended before the server died, or after it."""
    with Mount() as mp:
        need(mp, 'pids_max')
        path = mp.start('p', '/bin/sh', ['-c', f'{HIDDEN} & exec sleep 1000'], pids_max='100')
        gone = mp.run('gone', '/bin/sh', ['-c', 'setsid sleep 1000 >/dev/null 2>&1 & echo $!'], pids_max='100')
        hidden = hidden_one(path)
        same(len(groups_of(mp)), 2)
        mp.kill_server()
        same((value(path + '/pids_max'), len(groups_of(mp))), ('100', 2))
        os.kill(int(value(gone + '/stdout')), signal.SIGKILL)
        wait_until(lambda: len(groups_of(mp)) == 1, what='the group of the ended one is removed')
        write(path + '/ctl', 'kill tree\njoin')
        wait_until(lambda: not exists(hidden), what='the end of the hidden one')
        wait_until(lambda: groups_of(mp) == [], what='its group is removed')


@claim
def an_end_while_no_server_was_there_removes_the_group():
    """The end is learnt from the keeper, and the group goes away."""
    with Mount() as mp:
        need(mp, 'pids_max')
        path = mp.start('p', 'sleep', '1000', pids_max='100')
        pid = int(value(path + '/pid'))
        os.kill(mp.server, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        mp.kill_server()
        write(path + '/ctl', 'join')
        wait_until(lambda: groups_of(mp) == [], what='its group is removed')


@claim
def after_several_servers_the_end_of_the_mount_leaves_no_group():
    """Whatever each of them made is removed."""
    with Mount() as mp:
        need_trees(mp)
        for i in range(5):
            mp.start(f'p{i}', 'sleep', '1000', daemon='1')
            mp.kill_server()
        assert made_by(mp)
        mp.end()
        same(mp.wait(), 0)
        same(made_by(mp), [])


main()
