#!/usr/bin/env python3
"""Who may: whose rights a process has, who may look and write, and what stays secret. Only root can become other users."""
import errno
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import stat
import subprocess

import harness
from harness import Mount, Skip, leave_mount_namespace
from locked import end_locked, start_locked
from plain import (Background, contains, errno_name, errno_of, exit_of, expect_errno, fork, in_child, read, same, value, wait_until,
                   write)
from users import ALICE, BOB, DENIED, GROUP, NOBODYS, as_alice, as_bob, claim, main_for_users, user_mount

CAP_SYS_NICE, CAP_SYS_RESOURCE = 23, 24
SECRET = ('authkey', 'env', 'stdin', 'stdout', 'stderr', 'output', 'error', 'result')
PUBLIC = ('pid', 'ppid', 'alive', 'exitcode', 'state', 'status', 'wait', 'target', 'args', 'name', 'daemon')
WRITABLE = ('target', 'args', 'kwargs', 'name', 'daemon', 'authkey', 'run', 'env', 'cwd', 'umask', 'ctl', 'stdin',
            'user', 'nice', 'limits', 'stop_signal', 'stop_timeout', 'timeout')


def start_as(user, mp, name, *words, **keywords):
    return user(lambda: mp.start(name, *words, **keywords))


@claim
def a_process_runs_as_whoever_made_its_directory_with_its_groups(mp):
    """A directory belongs to whoever made it; its process runs as that user, never as the mount's."""
    path = as_alice(lambda: mp.run('alice', 'cat', '/proc/self/status'))
    status = dict(line.split(':\t', 1) for line in read(path + '/stdout').splitlines() if ':\t' in line)
    same((status['Uid'].split(), status['Gid'].split(), sorted(status['Groups'].split())),
         ([str(ALICE)] * 4, [str(ALICE)] * 4, sorted([str(GROUP), str(ALICE)])))
    same((os.stat(path).st_uid, os.stat(path + '/ctl').st_uid), (ALICE, ALICE), 'owner of directory and file')
    same(read(as_bob(lambda: mp.run('bob', 'id', '-u')) + '/stdout'), f'{BOB}\n')
    same(read(mp.run('root', 'id', '-u') + '/stdout'), '0\n')


@claim
def starts_of_one_user_that_hang_hold_up_no_other_user(mp):
    """An exec that hangs holds up its own start only; a user's own ones may wait for each other."""
    with Mount('allow_other') as other:
        other.idle()
        os.kill(other.server, signal.SIGSTOP)
        try:
            paths = as_alice(lambda: [mp.make(f'stuck{number}', f'{other.path}/nothing') for number in range(140)])
            starts = [fork(lambda: as_alice(lambda: errno_of(write, path + '/ctl', 'start')) == errno.ENOENT)
                      for path in paths]
            wait_until(lambda: other.pending() > 0, what='execs that hang')
            wait_until(lambda: mp.pending() >= 140, what='140 starts')
            same(value(mp.run('roots', 'true') + '/exitcode'), '0')
            same(value(as_bob(lambda: mp.run('bobs', 'true')) + '/exitcode'), '0')
        finally:
            os.kill(other.server, signal.SIGCONT)
        same([exit_of(pid) for pid in starts], [1] * 140)
        same({value(path + '/state') for path in paths}, {'initial'})


@claim
def a_tree_is_signalled_also_while_another_users_orphan_cannot_be_read(mp):
    """What one user's programs wait for is no other user's affair."""
    path = as_alice(lambda: mp.start('alice', 'sleep', '1000'))
    start_locked(mp)
    same(exit_of(fork(lambda: errno_of(as_alice, lambda: write(path + '/ctl', 'kill tree\njoin')))), 0)
    same(value(path + '/exitcode'), '-9')
    end_locked(mp)


@claim
def searches_that_wait_hold_up_nobody_else(mp):
    """However many wait for an orphan of their own user, others have their trees signalled and their programs started."""
    paths = [mp.start(f'q{number}', 'sleep', '1000') for number in range(8)]
    start_locked(mp)
    searches = [Background(write, path + '/ctl', 'kill tree') for path in paths]
    mp.wait_until_held(*searches)
    path = as_alice(lambda: mp.start('hers', 'sleep', '1000'))
    as_alice(lambda: write(path + '/ctl', 'kill tree\njoin'))
    same((value(path + '/exitcode'), [search.is_alive() for search in searches]), ('-9', [True] * len(searches)))
    end_locked(mp)
    for search in searches:
        search.result()


def ask_without_groups():
    """In a mount namespace without control groups, which only a mount that begins there lacks."""
    leave_mount_namespace()
    for line in reversed(open('/proc/self/mountinfo').read().splitlines()):
        if line.split(' - ')[1].startswith('cgroup'):
            subprocess.run(['umount', '-l', line.split()[4]], check=True)
    harness.LIBC.prctl(harness.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with Mount('allow_other') as mp:
        start_locked(mp, as_alice, '/usr/bin/python3')
        as_alice(lambda: mp.start('running', 'sleep', '1000') and None)
        os.close(os.open(mp.base + '/ask', os.O_WRONLY))
        wait_until(lambda: Background(os.path.isdir, mp('made')).result(), what='what it has made')
        end_locked(mp)
        same(os.stat(mp('made')).st_uid, ALICE)


@claim
def where_there_are_no_groups_another_users_orphan_is_asked_nothing():
    """What one user's programs wait for is no other user's affair, when they ask themselves either."""
    if not os.access('/usr/bin/python3', os.X_OK):
        raise Skip('no python3 that everybody may run')
    same(exit_of(fork(ask_without_groups)), 0)


@claim
def the_size_of_a_secret_is_a_part_of_it(mp):
    """Others may look, not at authkey, env, stdin, stdout, stderr, error."""
    path = as_alice(lambda: mp.run('sized', 'echo', 'something', env='SECRET=1'))
    for file in ('env', 'stdout', 'authkey'):
        assert as_alice(lambda: os.stat(f'{path}/{file}').st_size) > 0, file
        same(as_bob(lambda: os.stat(f'{path}/{file}').st_size), 0, file)
    path = as_alice(lambda: mp.run('cut', 'head', '-c 123457 /dev/zero', output_max='1'))
    dropped = lambda: (json.loads(read(path + '/status.json'))['stdout_dropped'], 'dropped' in read(path + '/status'))
    wait_until(lambda: as_alice(dropped) == [123456, True], what='a cut')
    same(as_bob(dropped), [None, False])


@claim
def a_user_without_an_account_has_its_own_group_and_no_other(mp):
    """Its process runs as that user; there is no account to take groups, a home or a name from."""
    path = in_child(lambda: mp.run('unknown', 'sh', ['-c', 'id -u; id -G; echo $HOME $USER $SHELL']), NOBODYS, [GROUP])
    same(read(path + '/stdout'), f'{NOBODYS}\n{NOBODYS}\n/ {NOBODYS} /bin/sh\n')


@claim
def another_users_process_has_no_capability_and_can_gain_none(mp):
    """no_new_privs when its user is not the mount's."""
    path = as_alice(lambda: mp.run('weak', 'cat', '/proc/self/status'))
    status = dict(line.split(':\t', 1) for line in read(path + '/stdout').splitlines() if ':\t' in line)
    same([int(status[key], 16) for key in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')], [0] * 4)
    same(status['NoNewPrivs'].strip(), '1')


@claim
def another_users_process_starts_in_the_root_with_a_minimal_environment(mp):
    """Another user's process starts in / with a minimal environment of its own."""
    path = as_alice(lambda: mp.run('minimal', 'sh', ['-c', 'pwd -P; exec env -0']))
    where, _, rest = read(path + '/stdout').partition('\n')
    same(where, '/')
    names = {entry.partition('=')[0] for entry in rest.split('\0') if entry}
    same(names - {'PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'PROCFS_MP', 'PROCFS_MP_ID', 'PWD', 'OLDPWD', 'SHLVL', '_'}, set())
    assert {'PATH', 'PROCFS_MP', 'PROCFS_MP_ID'} <= names, names


@claim
def others_may_look(mp):
    """Others may look (not at the secrets)."""
    path = as_alice(lambda: mp.run('seen', 'true', 'x', env='A=secret-word\n'))
    same(as_bob(lambda: sorted(os.listdir(path))), sorted(os.listdir(path)))
    for file in PUBLIC:
        same(as_bob(lambda: read(f'{path}/{file}')), read(f'{path}/{file}'), file)
    text = as_bob(lambda: read(path + '/status') + read(mp('active_children')))
    assert 'secret-word' not in text and value(path + '/authkey') not in text, text


@claim
def others_may_not_write_nor_control(mp):
    """Others may not write: EACCES or EPERM, and nothing has changed."""
    path = start_as(as_alice, mp, 'hers', 'sleep', '1000')
    idle = as_alice(lambda: mp.make('idle', 'true', 'x'))
    before = {file: read(f'{idle}/{file}') for file in PUBLIC if file != 'wait'}
    for file in WRITABLE:
        for text in ('1', 'start'):
            expect_errno(DENIED, lambda: as_bob(lambda: write(f'{idle}/{file}', text)))
            expect_errno(DENIED, lambda: as_bob(lambda: os.close(os.open(f'{idle}/{file}', os.O_RDWR))))
    same({file: read(f'{idle}/{file}') for file in before}, before)
    for verb in ('kill', 'terminate', 'signal KILL', 'close', 'join 0'):
        expect_errno(DENIED, lambda: as_bob(lambda: write(path + '/ctl', verb)))
    for directory in (path, idle):
        expect_errno(DENIED + (errno.EBUSY,), lambda: as_bob(lambda: os.rmdir(directory)))
    same((value(path + '/state'), value(idle + '/state')), ('running', 'initial'))


@claim
def secrets_are_the_owners_and_roots(mp):
    """authkey, env, stdin, stdout, stderr, error are the owner's."""
    path = as_alice(lambda: mp.run('secrets', 'sh', ['-c', 'echo out; echo err >&2'], env='A=b\n', stdin='x'))
    for file in SECRET:
        expect_errno(DENIED, lambda: as_bob(lambda: read(f'{path}/{file}')))
    for file in ('authkey', 'env', 'stdout', 'stderr', 'error'):
        same(as_alice(lambda: read(f'{path}/{file}')), read(f'{path}/{file}'), file)
    same(as_alice(lambda: read(path + '/stdout')), 'out\n')


@claim
def what_root_made_no_user_may_write_or_start(mp):
    """As root, never run another user's words with root's rights."""
    path = mp.make('roots', 'true')
    for file in WRITABLE:
        expect_errno(DENIED, lambda: as_alice(lambda: write(f'{path}/{file}', 'start')))
    expect_errno(DENIED, lambda: as_alice(lambda: os.rmdir(path)))
    same((value(path + '/state'), value(path + '/target')), ('initial', 'true'))


@claim
def root_starting_a_users_directory_runs_it_as_the_user(mp):
    """The superuser may all; the process runs as the user who made its directory."""
    path = as_alice(lambda: mp.make('words', 'id', '-u'))
    write(path + '/ctl', 'start\njoin')
    same(read(path + '/stdout'), f'{ALICE}\n')
    path = as_alice(lambda: mp.make('overwritten'))
    write(path + '/run', 'id -u; id -G\n')
    write(path + '/ctl', 'start\njoin')
    same(read(path + '/stdout'), f'{ALICE}\n{ALICE} {GROUP}\n')


@claim
def root_may_end_and_remove_what_a_user_made(mp):
    """The superuser may all."""
    path = start_as(as_alice, mp, 'ended', 'sleep', '1000')
    write(path + '/ctl', 'terminate\njoin')
    same(value(path + '/exitcode'), '-15')
    os.rmdir(path)


@claim
def what_the_user_may_not_open_the_start_may_not_either(mp):
    """cwd and target are opened by the child after it has become its user."""
    place = mp.base + '/private'
    os.mkdir(place, 0o700)
    shutil.copy('/bin/true', place + '/program')
    rows = ({'target': place + '/program'}, {'target': 'true', 'cwd': place})
    for number, files in enumerate(rows):
        path = as_alice(lambda: mp.make(f'denied{number}', **files))
        for user in (as_alice, in_child):
            expect_errno(errno.EACCES, lambda: user(lambda: write(path + '/ctl', 'start')))
        contains(read(path + '/error'), place)
    same(value(mp.run('allowed', place + '/program', cwd=place) + '/exitcode'), '0')


@claim
def a_user_cannot_signal_with_anyones_rights_but_its_own(mp):
    """It is signalled with that user's rights."""
    path = start_as(as_alice, mp, 'mine', 'sleep', '1000')
    as_alice(lambda: write(path + '/ctl', 'signal STOP'))
    wait_until(lambda: value(path + '/state') == 'paused')
    as_alice(lambda: write(path + '/ctl', 'kill\njoin'))
    same(value(path + '/exitcode'), '-9')


@claim
def clone_makes_the_openers_directory_whoever_writes_later(mp):
    """Rights are decided at open, as everywhere: a descriptor handed on keeps its opener's."""
    def clone_as_alice_write_as_root():
        os.seteuid(ALICE)
        descriptor = os.open(mp('clone'), os.O_RDWR)
        name = os.read(descriptor, 100).decode().strip()
        os.seteuid(0)
        os.write(descriptor, b'target id\nargs -u\nstart\njoin\n')
        os.close(descriptor)
        return name
    name = in_child(clone_as_alice_write_as_root)
    same((os.stat(mp(name)).st_uid, read(mp(name, 'stdout'))), (ALICE, f'{ALICE}\n'))


@claim
def a_descriptor_opened_before_keeps_its_right_and_gives_no_other(mp):
    """Rights are decided at open."""
    path = start_as(as_alice, mp, 'handed', 'sleep', '1000')

    def open_as_root_write_as_bob():
        descriptor = os.open(path + '/ctl', os.O_WRONLY)
        os.setgroups([])
        os.setgid(BOB)
        os.setuid(BOB)
        same(errno_name(errno_of(os.open, path + '/ctl', os.O_WRONLY)), 'EACCES')
        os.write(descriptor, b'terminate')
        os.close(descriptor)
    in_child(open_as_root_write_as_bob)
    write(path + '/ctl', 'join')
    same(value(path + '/exitcode'), '-15')


@claim
def each_user_has_an_authkey_of_its_own(mp):
    """authkey: drawn once per mount and user."""
    paths = [user(lambda: mp.make(f'key{number}')) for number, user in enumerate((as_alice, as_alice, as_bob, in_child))]
    keys = [value(path + '/authkey') for path in paths]
    assert keys[0] == keys[1] and len(set(keys)) == 3, keys


@claim
def nothing_of_another_owner_is_terminated_by_an_end(mp):
    """When a managed process ends, nothing of another owner is terminated."""
    script = ('import os\nos.setgroups([])\nos.setgid({0})\nos.setuid({0})\nos.chdir("/")\np = os.environ["PROCFS_MP"] + "/kept"\n'
              'os.mkdir(p)\nfor f, v in (("daemon", "1"), ("target", "sleep"), ("args", "1000"), ("ctl", "start")):\n'
              '    d = os.open(p + "/" + f, os.O_WRONLY)\n    os.write(d, v.encode())\n    os.close(d)\n').format(ALICE)
    path = mp.run('turncoat', harness.PYTHON, ['-c', script])
    same(value(path + '/exitcode'), '0', read(path + '/stderr'))
    ended = mp.run('barrier', 'true')
    same((value(ended + '/state'), value(mp('kept', 'state'))), ('ended', 'running'))


@claim
def users_cannot_change_the_mount_itself(mp):
    """Others may not write: start_method is the mount's owner's."""
    expect_errno(DENIED, lambda: as_alice(lambda: write(mp('start_method'), 'fork')))
    same(value(mp('start_method')), 'spawn')
    expect_errno(errno.EPERM, lambda: os.chown(mp.make('kept'), ALICE, ALICE))


@claim
def a_lock_is_everybodys_to_lock_and_its_makers_to_remove(mp):
    """Every user who sees the mount can make a lock and take it; whoever made it and the superuser can remove it."""
    path, ways = mp('locks/shared'), (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC)

    def open_all():
        for way in ways:
            os.close(os.open(path, way | os.O_CREAT, 0o600))
    for user in (as_alice, as_bob):
        user(open_all)
    same((os.stat(path).st_uid, stat.S_IMODE(os.stat(path).st_mode)), (ALICE, 0o666))

    def try_lock(way, function):
        fd = os.open(path, way)
        return errno_of(function, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(path) as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        same(as_bob(lambda: try_lock(os.O_RDONLY, fcntl.flock)), errno.EWOULDBLOCK)
    same(as_bob(lambda: [try_lock(os.O_RDONLY, fcntl.flock), try_lock(os.O_RDWR, fcntl.lockf)]), [0, 0])
    expect_errno(errno.EPERM, lambda: as_bob(lambda: os.unlink(path)))
    contains(as_bob(lambda: read(mp('error'))), 'not yours')
    as_alice(lambda: os.unlink(path))
    as_bob(open_all)
    os.unlink(path)
    same(os.listdir(mp('locks')), [])


@claim
def a_result_is_written_inside_by_its_owner_alone(mp):
    """result is its owner's secret, and outside nobody's to write, not even the superuser's."""
    path = as_alice(lambda: mp.run('result', 'sh', ['-c', 'echo alice > "$PROCFS_MP/self/result"']))
    same((as_alice(lambda: read(path + '/result')), read(path + '/result')), ('alice\n', 'alice\n'))
    expect_errno(DENIED, lambda: as_bob(lambda: write(path + '/result', 'x')))
    expect_errno(errno.EPERM, lambda: as_alice(lambda: write(path + '/result', 'x')))
    expect_errno(errno.EPERM, lambda: write(path + '/result', 'x'))
    same(read(path + '/result'), 'alice\n')


FACTS = 'cat /proc/self/status /proc/self/limits; cut -d" " -f19 /proc/self/stat; pwd; env'


@claim
def the_superuser_chooses_a_user_for_its_own_process(mp):
    """user: a name or a number; the process runs as that user, with its groups and no_new_privs, as another user's would."""
    for name, user in (('byname', 'procfs-mp-alice'), ('bynumber', str(ALICE))):
        path = mp.run(name, '/bin/sh', ['-c', FACTS], user=user)
        text = read(path + '/stdout')
        status = dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)
        same((status['Uid'].split(), status['Gid'].split(), sorted(status['Groups'].split()), status['NoNewPrivs']),
             ([str(ALICE)] * 4, [str(ALICE)] * 4, sorted([str(GROUP), str(ALICE)]), '1'), user)
        contains(text, '\n/\n', 'USER=procfs-mp-alice\n', 'HOME=/\n')
        same((value(path + '/user'), os.stat(path).st_uid, value(path + '/exitcode')), (user, 0, '0'))
        contains(read(path + '/status'), f'user: {user}\n')
    path = mp.run('nobodys', '/bin/sh', ['-c', 'id -u; id -g; id -G'], user=str(NOBODYS))
    same(read(path + '/stdout'), f'{NOBODYS}\n' * 3)
    plain = mp.run('none', 'id', '-u', user='')
    same((read(plain + '/stdout'), read(plain + '/user')), ('0\n', ''))


@claim
def a_process_with_a_user_leaves_its_result(mp):
    """result is written from inside also by a user that the superuser chose, and is nobody else's."""
    path = mp.run('p', '/bin/sh', ['-c', 'echo "$(id -u)" > "$PROCFS_MP/self/result"'], user=str(ALICE))
    same((value(path + '/exitcode'), read(path + '/result')), ('0', f'{ALICE}\n'))
    for file in ('result', 'stdout'):
        expect_errno(DENIED, lambda: as_bob(lambda: read(f'{path}/{file}')))
    expect_errno(DENIED, lambda: as_alice(lambda: read(path + '/stdout')))
    expect_errno(errno.EPERM, lambda: as_alice(lambda: write(path + '/result', 'outside')), error_file=path + '/error')


@claim
def a_user_that_is_none_is_refused(mp):
    """An unknown name at the start, since a look-up may take long; what can be no name when it is written."""
    path = mp.make('p', 'true', user='procfs-mp-nobody-knows')
    expect_errno(errno.EINVAL, lambda: write(path + '/ctl', 'start'), 'no user', 'procfs-mp-nobody-knows', error_file=path + '/error')
    for word in ('-1', '-alice', 'a b', 'a:b', '1x', '4294967295', '99999999999'):
        expect_errno(errno.EINVAL, lambda: write(path + '/user', word), word, 'user', error_file=path + '/error')
    same((value(path + '/user'), value(path + '/state')), ('procfs-mp-nobody-knows', 'initial'))
    write(path + '/ctl', f'user {BOB}\nstart\njoin')
    same(value(path + '/exitcode'), '0')
    expect_errno(errno.EBUSY, lambda: write(path + '/user', '0'))


@claim
def nobody_else_chooses_a_user(mp):
    """user is the superuser's, in a directory that the superuser made; chown is EPERM."""
    path = as_alice(lambda: mp.make('alices', 'id', '-u'))
    expect_errno(errno.EPERM, lambda: as_alice(lambda: write(path + '/user', str(ALICE))), 'superuser', error_file=path + '/error')
    expect_errno(errno.EPERM, lambda: write(path + '/user', '0'), 'superuser', error_file=path + '/error')
    expect_errno(DENIED, lambda: as_bob(lambda: write(path + '/user', str(BOB))))
    roots = mp.make('roots', 'id', '-u')
    expect_errno(DENIED, lambda: as_alice(lambda: write(roots + '/user', str(ALICE))))
    expect_errno(errno.EPERM, lambda: os.chown(roots, ALICE, ALICE))
    write(path + '/ctl', 'start\njoin')
    same(read(path + '/stdout'), f'{ALICE}\n')


@claim
def another_users_limits_are_what_that_user_could_get(mp):
    """Another user's directory never gets more than that user could; the superuser's does, also with a user."""
    path = as_alice(lambda: mp.make('alices', '/bin/sh', ['-c', FACTS]))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    expect_errno(errno.EPERM, lambda: as_alice(lambda: write(path + '/limits', f'nofile 10:{most + 1}')), 'superuser', str(most),
                 error_file=path + '/error')
    if 20 - resource.getrlimit(resource.RLIMIT_NICE)[0] > -5:
        expect_errno(errno.EPERM, lambda: as_alice(lambda: write(path + '/nice', '-5')), 'superuser', error_file=path + '/error')
    as_alice(lambda: write(path + '/ctl', f'limits nofile 20:{most}\nnice 19\nstart\njoin'))
    text = read(path + '/stdout')
    assert re.search(rf'Max open files +20 +{most} ', text), text
    contains(text, '\n19\n')
    if most >= int(open('/proc/sys/fs/nr_open').read()):
        most -= 1
    capable = int(next(line for line in open('/proc/self/status') if line.startswith('CapEff:')).split()[1], 16)
    if not capable >> CAP_SYS_RESOURCE & 1:
        most -= 1  # not even root can raise it here
    path = mp.run('raised', '/bin/sh', ['-c', FACTS], user=str(ALICE), nice='-5' if capable >> CAP_SYS_NICE & 1 else '19', limits=f'nofile 20:{most + 1}\nnproc 5000')
    text = read(path + '/stdout')
    assert re.search(rf'Max open files +20 +{most + 1} ', text), text
    assert re.search(r'Max processes +5000 +5000 ', text), text
    contains(text, '\n-5\n' if capable >> CAP_SYS_NICE & 1 else '\n19\n')


@claim
def a_tree_holds_nobody_who_only_says_so(mp):
    """An orphan's environment is believed only about a process of the same user."""
    path = mp.start('roots', 'sleep', '1000')
    environment = f"/proc/{value(path + '/pid')}/environ"
    lines = wait_until(lambda: open(environment, 'rb').read(), what='its environment').decode().split('\0')
    number = next(line for line in lines if line.startswith('PROCFS_MP_ID='))
    liar = as_alice(lambda: mp.start('liar', '/bin/sh', ['-c', f'{number} setsid setsid -f sh -c "echo \\$\\$; exec sleep 1000" & wait']))
    pid = int(wait_until(lambda: read(liar + '/stdout'), what='an orphan'))
    write(path + '/ctl', 'kill tree\njoin')
    assert state_of(pid) not in 'ZX', 'the orphan of another user was killed'
    owner = mp.start('chosen', '/bin/sh', ['-c', 'setsid setsid -f sh -c "echo \\$\\$; exec sleep 1000" & wait; exec sleep 1000'],
                     user=str(ALICE))
    other = int(wait_until(lambda: read(owner + '/stdout'), what='an orphan'))
    write(owner + '/ctl', 'kill tree\njoin')
    wait_until(lambda: state_of(other) in 'ZX', what='the end of the orphan')
    same(state_of(pid) in 'ZX', False)
    os.kill(pid, 9)


def state_of(pid):
    try:
        return open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[0]
    except OSError:
        return 'X'


@claim
def an_ordinary_user_can_mount():
    """An ordinary user can mount; a mount that only its owner can see is the default."""
    with user_mount() as mp:
        path = as_bob(lambda: mp.run('plain', 'id', '-u'))
        same(as_bob(lambda: (read(path + '/stdout'), value(path + '/exitcode'), os.listdir(mp.path) != [])), [f'{BOB}\n', '0', True])
        expect_errno(DENIED, lambda: as_alice(lambda: os.listdir(mp.path)))
        expect_errno(errno.ENOENT, lambda: as_bob(lambda: write(mp.make('no', '/no/such/program') + '/ctl', 'start')))
        as_bob(lambda: [os.rmdir(mp(name)) for name in ('plain', 'no')])


@claim
def in_a_users_mount_nobody_else_can_make_a_process():
    """A mount that is not the superuser's cannot become another user: there another's mkdir is EPERM."""
    with user_mount('allow_other') as mp:
        for user in (as_alice, in_child):
            expect_errno(errno.EPERM, lambda: user(lambda: os.mkdir(mp('intruder'))))
            expect_errno(DENIED, lambda: user(lambda: write(mp('clone'), 'target true\nstart')))
        same(mp.names(), [])
        path = as_bob(lambda: mp.run('own', 'id', '-u'))
        same(read(path + '/stdout'), f'{BOB}\n')
        same(as_alice(lambda: value(path + '/exitcode')), '0')
        expect_errno(DENIED, lambda: as_alice(lambda: read(path + '/stdout')))


@claim
def what_a_users_mount_cannot_have_is_refused_and_not_ignored():
    """memory_max, cpu_max, pids_max: EOPNOTSUPP with a sentence where no control group can be made."""
    with user_mount() as mp:
        path = as_bob(lambda: mp.make('p', 'true'))
        for file in ('memory_max', 'cpu_max', 'pids_max'):
            code = as_bob(lambda: errno_of(write, f'{path}/{file}', '100000'))
            if code == 0:
                raise Skip('here every user can make control groups')
            same(code, errno.EOPNOTSUPP, file)
            contains(as_bob(lambda: read(path + '/error')), file, 'cgroup')
            same(as_bob(lambda: value(f'{path}/{file}')).split()[0], 'max')
        as_bob(lambda: write(path + '/ctl', 'memory_max max\nstart\njoin'))
        expect_errno(errno.EPERM, lambda: as_bob(lambda: write(mp.make('q', 'true') + '/user', str(BOB))))
        as_bob(lambda: [os.rmdir(mp(name)) for name in ('p', 'q')])


@claim
def a_users_mount_is_unmounted_with_fusermount():
    """Unmounting ends the mount, also an ordinary user's."""
    with user_mount() as mp:
        in_child(lambda: same(subprocess.run(['fusermount3', '-u', mp.path]).returncode, 0), BOB)
        same(mp.wait(), 0, mp.messages())


main_for_users('allow_other')
