#!/usr/bin/env python3
"""Nobody in: what one user tries against another's processes, each by another way. README.md says who is trusted with what."""
import ctypes
import errno
import os
import resource
import shutil
import signal
import struct
import subprocess

from harness import BINARY, LIBC, Skip
from plain import contains, errno_name, errno_of, exit_of, expect_errno, in_child, read, same, value, wait_until, write
from users import ALICE, BOB, DENIED, as_alice, as_bob, claim, fork_as, main_for_users, user_mount

ROUNDS = 12
AT_EMPTY_PATH, AT_STATX_DONT_SYNC, STATX_SIZE = 0x1000, 0x4000, 0x200


@claim
def verbs_for_many_reach_ones_own_alone(mp):
    """all and globs mean the processes that the writer may control; another's by its name is EACCES."""
    hers = as_alice(lambda: mp.start('hers', 'sleep', '1000'))
    his = as_bob(lambda: mp.start('his', 'sleep', '1000'))
    as_bob(lambda: write(mp('ctl'), 'kill all\njoin all 20'))
    same((value(his + '/exitcode'), value(hers + '/state')), ('-9', 'running'))
    for verb in ('kill hers', 'join hers', 'kill h*s hers'):
        expect_errno(DENIED, lambda: as_bob(lambda: write(mp('ctl'), verb)))
    expect_errno(errno.ENOENT, lambda: as_bob(lambda: write(mp('ctl'), 'kill her*')))
    same(value(hers + '/state'), 'running')


@claim
def a_set_user_id_program_gives_no_rights_away(mp):
    """no_new_privs: for every user but the mount's own."""
    program = mp.base + '/id'
    shutil.copy('/usr/bin/id', program)
    os.chmod(program, 0o6755)
    for which in ('-u', '-g'):
        same(read(as_alice(lambda: mp.run('hers' + which, program, which)) + '/stdout'), f'{ALICE}\n')
        same(read(mp.run('chosen' + which, program, which, user=str(ALICE)) + '/stdout'), f'{ALICE}\n')
        same(read(mp.run('roots' + which, program, which) + '/stdout'), '0\n')


@claim
def every_run_is_its_users_and_gains_nothing_whoever_begins_it(mp):
    """no_new_privs, user and groups are the same in the runs that follow, and when another server begins them."""
    log = mp.base + '/runs'
    with open(log, 'w') as file:
        os.chmod(file.fileno(), 0o666)
    script = f'{{ grep -h NoNewPrivs /proc/self/status; id -u; id -g; }} | tr -d "\\n" >> {log}; echo >> {log}; [ $(wc -l < {log}) -ge 4 ]'
    path = as_alice(lambda: mp.start('again', 'sh', ['-c', script], restart='on-failure'))
    for _ in range(2):
        mp.kill_server()
        read(mp('version'))
    write(path + '/ctl', 'join')
    same(open(log).read().split('\n'), [f'NoNewPrivs:\t1{ALICE}{ALICE}'] * 4 + [''])


@claim
def what_was_opened_before_a_name_was_made_anew_leads_to_nobody_else(mp):
    """A process id is never used again: an old descriptor, directory or cwd is not the next user's directory of that name."""
    path = mp('x')
    ways = {'stdout': os.O_RDONLY, 'env': os.O_RDONLY, 'error': os.O_RDONLY, 'result': os.O_RDONLY, 'exitcode': os.O_RDONLY,
            'run': os.O_RDWR, 'target': os.O_RDWR, 'stdin': os.O_RDWR, 'ctl': os.O_WRONLY}
    ready, told = os.pipe()
    go, start = os.pipe()

    def hold():
        os.mkdir(path)
        files = {file: os.open(f'{path}/{file}', way) for file, way in ways.items()}
        os.chdir(path)
        os.rmdir(path)
        os.write(told, b'x')
        os.read(go, 1)
        reads = {errno_of(os.pread, fd, 100, 0) for file, fd in files.items() if ways[file] != os.O_WRONLY}
        writes = {errno_of(os.write, fd, b'kill') for file, fd in files.items() if ways[file] != os.O_RDONLY}
        paths = {errno_of(os.open, file, way) for file, way in ways.items()}
        return (reads, writes, paths) != ({errno.ESTALE}, {errno.ESTALE}, {errno.ENOENT})
    pid = fork_as(ALICE, hold)
    os.read(ready, 1)
    as_bob(lambda: mp.start('x', 'sh', ['-c', 'echo secret; exec sleep 1000'], env='A=secret', stdin='secret'))
    os.write(start, b'x')
    same(exit_of(pid), 0)
    same((value(path + '/state'), value(path + '/target'), read(path + '/run'), read(path + '/stdin')), ('running', 'sh', '', 'secret'))
    for descriptor in (ready, told, go, start):
        os.close(descriptor)


@claim
def who_only_says_that_it_is_inside_is_nobodys_child(mp):
    """$PROCFS_MP_ID of another user's process makes nobody its child, nor lets write its result."""
    hers = as_alice(lambda: mp.start('hers', 'sleep', '1000', daemon='1'))
    number = next(line for line in open(f"/proc/{value(hers + '/pid')}/environ").read().split('\0') if line.startswith('PROCFS_MP_ID='))
    script = f'{number} setsid setsid -f sh -c "mkdir {mp.path}/made; echo x > {hers}/result; cat {mp.path}/self/name; echo done" 2>&1 & wait'
    liar = as_bob(lambda: mp.start('liar', '/bin/sh', ['-c', script]))
    wait_until(lambda: 'done' in as_bob(lambda: read(liar + '/stdout')))
    same((os.stat(mp('made')).st_uid, value(mp('made', 'daemon')), os.listdir(hers + '/children')), (BOB, '0', []))
    same(read(hers + '/result'), '')
    lines = as_bob(lambda: read(liar + '/stdout')).splitlines()
    contains(lines[0], 'Permission denied')
    # As long as the one that it comes from has not ended it is inside of that.
    assert lines[1] == 'liar' or 'No such file' in lines[1], lines


def size_that_the_kernel_remembers(descriptor):
    """By statx(2) with AT_STATX_DONT_SYNC, which asks no server; None: there is no such call here."""
    number = {'x86_64': 332, 'aarch64': 291}.get(os.uname().machine)
    found = ctypes.create_string_buffer(256)
    if number is None or LIBC.syscall(number, descriptor, b'', AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, found):
        return None
    return struct.unpack_from('Q', found, 40)[0]


@claim
def what_the_kernel_remembers_of_a_secrets_size_is_its_owners_too(mp):
    """The size of a secret is a part of it, also for who asks the kernel alone."""
    path = as_alice(lambda: mp.run('sized', 'sh', ['-c', 'echo something; echo wrong >&2; echo r > $PROCFS_MP/self/result'],
                                   env='SECRET=1', stdin='input'))
    files = ('env', 'stdin', 'stdout', 'stderr', 'output', 'result', 'authkey')
    as_alice(lambda: [os.stat(f'{path}/{file}').st_size for file in files])
    ready, told = os.pipe()
    go, start = os.pipe()

    def hold():
        descriptors = [os.open(f'{path}/{file}', os.O_PATH) for file in files]
        if size_that_the_kernel_remembers(descriptors[0]) is None:
            os.write(told, b'n')
            return 77
        os.write(told, b'y')
        os.read(go, 1)
        return any(size_that_the_kernel_remembers(fd) for fd in descriptors)
    pid = fork_as(BOB, hold)
    if os.read(ready, 1) == b'n':
        exit_of(pid)
        raise Skip('no statx(2)')
    sizes = as_alice(lambda: [os.stat(f'{path}/{file}').st_size for file in files])
    same([size > 0 for size in sizes], [True] * len(files), f'{dict(zip(files, sizes))}')
    held = [f'/proc/{pid}/fd/{number}' for number in os.listdir(f'/proc/{pid}/fd')]
    same([os.stat(one).st_size for one in held if os.readlink(one).startswith((f'{path}/env', f'{path}/stdout'))], [0, 0])
    os.write(start, b'x')
    same(exit_of(pid), 0)
    same(as_alice(lambda: [os.stat(f'{path}/{file}').st_size for file in files]), sizes)
    for descriptor in (ready, told, go, start):
        os.close(descriptor)


@claim
def a_mount_is_its_own_users_to_upgrade(mp):
    """--upgrade: only the mount's own user and the superuser may do it."""
    program = shutil.copy(BINARY, mp.base + '/program')
    before = read(mp('version'))

    def upgrade():
        done = subprocess.run([program, '--upgrade', mp.path], capture_output=True, text=True)
        return [done.returncode, done.stderr]
    status, sentence = as_alice(upgrade)
    same((status, read(mp('version'))), (1, before))
    contains(sentence, "is another user's mount")


@claim
def what_one_user_has_in_env_reaches_no_other_and_no_name_of_the_mount(mp):
    """env is its process's: PROCFS_MP and PROCFS_MP_ID stay the mount's, and LD_PRELOAD is nobody else's."""
    lie = 'LD_PRELOAD=/no/such.so\nPROCFS_MP=/elsewhere\nPROCFS_MP_ID=1\nPATH=/nowhere:/usr/bin:/bin\n'
    path = as_alice(lambda: mp.run('liar', 'env', env=lie))
    lines = read(path + '/stdout').splitlines()
    same([line for line in lines if line.startswith('PROCFS_MP=')], [f'PROCFS_MP={mp.path}'])
    same([line for line in lines if line.startswith('PROCFS_MP_ID=')] == ['PROCFS_MP_ID=1'], False)
    for user in (as_bob, in_child):
        text = read(user(lambda: mp.run(f'other{os.getpid()}', 'env')) + '/stdout')
        assert '/no/such.so' not in text and '/nowhere' not in text, text
    for pid in (mp.keeper, mp.server):
        assert b'/no/such.so' not in open(f'/proc/{pid}/environ', 'rb').read()


@claim
def cwd_and_redirections_lead_nowhere_that_their_user_may_not_go(mp):
    """cwd, target and redirections are opened by the child after it has become its user, through links as well."""
    place = mp.base + '/private'
    os.mkdir(place, 0o700)
    with open(place + '/file', 'w') as file:
        file.write('secret')
    public = mp.base + '/public'
    os.mkdir(public)
    os.chmod(public, 0o777)
    as_alice(lambda: [os.symlink(place, public + '/door'), os.symlink(place + '/file', public + '/window')] and None)
    for number, files in enumerate(({'cwd': public + '/door'}, {'stdout_to': public + '/window'}, {'stdout_to': place + '/new'},
                                    {'stderr_to': public + '/door/new'}, {'target': public + '/door/file'})):
        path = as_alice(lambda: mp.make(f'p{number}', **{'target': 'true', **files}))
        for user in (as_alice, in_child):
            expect_errno(errno.EACCES, lambda: user(lambda: write(path + '/ctl', 'start')), error_file=path + '/error')
        same(value(path + '/state'), 'initial')
    same((os.listdir(place), open(place + '/file').read()), (['file'], 'secret'))
    expect_errno(errno.EPERM, lambda: as_alice(lambda: os.symlink('/etc/passwd', mp('link'))))
    expect_errno(DENIED, lambda: as_bob(lambda: os.rename(path, mp('mine'))))


@claim
def what_the_keeper_has_open_is_nobodys_to_open(mp):
    """A child gets no descriptor of ours, also not by a path that it opens before its program begins."""
    his = as_bob(lambda: mp.start('his', 'sh', ['-c', 'echo mine; exec sleep 1000']))
    wait_until(lambda: as_bob(lambda: read(his + '/stdout')) == 'mine\n')
    numbers = [int(number) for number in os.listdir(f'/proc/{mp.keeper}/fd') if int(number) > 2]
    assert len(numbers) > 4, numbers

    def attempt(number, file):
        path = mp.make(f'{file}{number}', **{'target': 'echo', 'args': 'forged', file: f'/proc/self/fd/{number}'})
        code = errno_of(write, path + '/ctl', 'start')
        os.rmdir(path)
        return errno_name(code)
    files = ('stdout_to', 'stderr_to', 'cwd', 'target')
    for user in (as_alice, in_child):
        same(user(lambda: [attempt(number, file) for number in numbers for file in files]), ['ENOENT'] * len(numbers) * len(files))
    same(as_bob(lambda: read(his + '/stdout')), 'mine\n')


@claim
def a_program_reads_its_input_anew_and_cannot_change_it(mp):
    """stdin is its owner's value: not the program's to write, who may be another user, and could keep there what counts for nobody."""
    script = 'cat /dev/stdin; echo more 2>&- >> /dev/stdin || echo refused; cat'
    paths = [as_alice(lambda: mp.run('hers', 'sh', ['-c', script], stdin='first\n')),
             mp.run('chosen', 'sh', ['-c', script], stdin='first\n', user=str(ALICE))]
    for path in paths:
        same((read(path + '/stdout'), read(path + '/stdin')), ('first\nrefused\nfirst\n', 'first\n'))


@claim
def a_result_opened_before_another_user_was_chosen_is_not_read_after(mp):
    """result is secret to all but its owner and the user that its process runs as now."""
    path = mp.make('p', 'sh', ['-c', 'echo "$(id -u)" > $PROCFS_MP/self/result; exec sleep 1000'], user=str(ALICE))
    ready, told = os.pipe()
    go, start = os.pipe()

    def hold():
        descriptor = os.open(path + '/result', os.O_RDONLY)
        os.write(told, b'x')
        os.read(go, 1)
        return {errno.EACCES: 1}.get(errno_of(os.pread, descriptor, 100, 0), 2)
    write(path + '/ctl', 'start')
    pid = fork_as(ALICE, hold)
    os.read(ready, 1)
    write(path + '/ctl', f'kill\njoin\nreset\nuser {BOB}\nstart')
    wait_until(lambda: read(path + '/result') == f'{BOB}\n')
    os.write(start, b'x')
    same(exit_of(pid), 1)
    same(as_bob(lambda: read(path + '/result')), f'{BOB}\n')
    for descriptor in (ready, told, go, start):
        os.close(descriptor)


@claim
def a_process_of_another_cannot_be_reached_through_proc(mp):
    """Its memory, descriptors and environment are its user's, and between clone and exec nobody's."""
    path = as_alice(lambda: mp.start('hers', 'sleep', '1000', env='SECRET=1'))
    pid = value(path + '/pid')
    for file in ('environ', 'fd/1', 'mem', 'cwd'):
        expect_errno(DENIED, lambda: as_bob(lambda: os.close(os.open(f'/proc/{pid}/{file}', os.O_RDONLY))))
    for kept in (mp.keeper, mp.server):
        for user in (as_alice, as_bob):
            expect_errno(DENIED, lambda: user(lambda: os.listdir(f'/proc/{kept}/fd')))
            expect_errno(errno.EPERM, lambda: user(lambda: os.kill(kept, signal.SIGTERM)))


@claim
def users_who_race_for_the_same_names_run_their_own_words_as_themselves(mp):
    """A directory belongs to whoever made it, at every moment; nothing between mkdir, start and rmdir lets another in."""
    def race(uid):
        ran = 0
        while ran < ROUNDS:
            path = mp(f'name{ran % 3}')
            if errno_of(os.mkdir, path):
                for data in ('kill', 'run true', 'start'):
                    assert errno_of(write, path + '/ctl', data) != 0, data
                assert errno_of(os.rmdir, path) != 0
                continue
            write(path + '/ctl', 'run id -u\nstart\njoin')
            assert read(path + '/stdout') == f'{uid}\n', read(path + '/stdout')
            assert os.stat(path).st_uid == uid
            os.rmdir(path)
            ran += 1
        return 0
    pids = [fork_as(uid, lambda: race(uid)) for uid in (ALICE, BOB)]
    same([exit_of(pid) for pid in pids], [0] * 2)


@claim
def names_that_look_like_something_else_stay_names(mp):
    """A name is one directory in the root, and one word in every list."""
    for name in ('..', '.', 'a/b', 'x' * 256):
        assert errno_of(lambda: as_alice(lambda: os.mkdir(f'{mp.path}/{name}'))) != 0, name
    for name in ('status', 'ctl', 'locks', 'all', 'any', 'tree', 'self'):
        expect_errno((errno.EEXIST, errno.EINVAL), lambda: as_alice(lambda: os.mkdir(mp(name))))
    for name in ('-rf', '$(id)', ' ', 'a\nstate: ended', '\x1b[2J', '*'):
        path = as_alice(lambda: mp.start(name, 'sleep', '1000'))
        same(value(path + '/state'), 'running')
    same(len(read(mp('active_children')).splitlines()), 6)
    same('\x1b' in read(mp('status')) + read(mp('active_children')) + read(mp('status.json')), False)


@claim
def where_a_user_can_have_no_more_processes_its_start_is_eagain():
    """clone(2)'s EAGAIN at RLIMIT_NPROC: nothing is left behind, it can be done again."""
    with user_mount() as mp:
        as_bob(lambda: mp.run('first', 'true'))  # by a keeper that has all its threads
        path = as_bob(lambda: mp.make('p', 'true'))

        def limit(soft):
            before = resource.prlimit(mp.keeper, resource.RLIMIT_NPROC)
            resource.prlimit(mp.keeper, resource.RLIMIT_NPROC, (before[1] if soft is None else soft, before[1]))
        as_bob(lambda: limit(1))
        expect_errno(errno.EAGAIN, lambda: as_bob(lambda: write(path + '/ctl', 'start')))
        contains(as_bob(lambda: read(path + '/error')), 'cannot make a process')
        same(as_bob(lambda: value(path + '/state')), 'initial')
        as_bob(lambda: limit(None))
        as_bob(lambda: write(path + '/ctl', 'start\njoin'))
        same(as_bob(lambda: value(path + '/exitcode')), '0')
        as_bob(lambda: os.rmdir(path))


main_for_users('allow_other')
