#!/usr/bin/env python3
"""The tree: which entries there are, what they look like from outside, and what makes new ones."""
import errno
import os
import stat
import subprocess

from harness import PYTHON, Mount, claim, main
from plain import (append, children_of, expect_errno, is_kind, permissions, read, read_bytes, same, value, wait_until,
                   write)

ROOT = {'clone', 'active_children', 'session', 'start_method', 'help', 'version'}
ROOT_LATER = {'self', 'ctl', 'status', 'status.json', 'events', 'locks', 'error'}
PROCESS = {'target', 'args', 'kwargs', 'name', 'daemon', 'authkey', 'run', 'env', 'cwd', 'umask', 'ctl', 'pid', 'ppid',
           'alive', 'exitcode', 'sentinel', 'state', 'error', 'wait', 'children', 'stdin', 'stdout', 'stderr', 'status'}
PROCESS_LATER = {'parent', 'start_method', 'nice', 'limits', 'user', 'timeout', 'stop_signal', 'stop_timeout', 'restart',
                 'stdout_to', 'stderr_to', 'output_max', 'stdin_open', 'memory_max', 'cpu_max', 'pids_max', 'started',
                 'ended', 'rusage', 'output', 'result', 'status.json'}
SETTABLE = ('target', 'args', 'kwargs', 'name', 'daemon', 'authkey', 'run', 'env', 'cwd', 'umask')
KNOWN = ('pid', 'ppid', 'alive', 'exitcode', 'sentinel', 'state', 'wait', 'status')
SECRET = ('authkey', 'env', 'stdin', 'stdout', 'stderr', 'error')


@claim
def root_lists_what_the_manual_names_and_nothing_else(mp):
    """The tree, root."""
    names = set(os.listdir(mp.path))
    same(ROOT - names, set(), 'missing')
    same(names - ROOT - ROOT_LATER, set(), 'unknown')


@claim
def a_process_directory_lists_what_the_manual_names_and_nothing_else(mp):
    """The tree, a process."""
    names = set(os.listdir(mp.make('one')))
    same(PROCESS - names, set(), 'missing')
    same(names - PROCESS - PROCESS_LATER, set(), 'unknown')


@claim
def every_listed_name_can_be_looked_up_and_has_the_type_it_was_listed_with(mp):
    """readdir and lookup agree."""
    mp.run('agree', 'true')
    for directory in (mp.path, mp('agree'), mp('agree', 'children')):
        for entry in os.scandir(directory):
            mode = os.lstat(entry.path).st_mode
            same((entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False), entry.is_symlink()),
                 (stat.S_ISDIR(mode), stat.S_ISREG(mode), stat.S_ISLNK(mode)), entry.path)
            same(entry.inode(), os.lstat(entry.path).st_ino, entry.path)


@claim
def unknown_names_do_not_exist(mp):
    """readdir and lookup agree."""
    mp.make('unknown')
    for path in (mp('nobody'), mp('unknown', 'nothing'), mp('unknown', 'children', 'x')):
        expect_errno(errno.ENOENT, lambda: os.lstat(path))
    expect_errno(errno.ENOTDIR, lambda: os.lstat(mp('version', 'x')))


@claim
def types_and_modes_say_what_can_be_done(mp):
    """The mode follows from what a file can do; secrets are the owner's alone."""
    path = mp.make('modes')
    assert is_kind(path, stat.S_ISDIR) and is_kind(path + '/children', stat.S_ISDIR)
    for file in PROCESS - {'children'}:
        assert is_kind(f'{path}/{file}', stat.S_ISREG), file
        same(permissions(f'{path}/{file}') & 0o022, 0, f'{file} is writable by others')
    for file in SETTABLE + ('ctl', 'stdin'):
        assert permissions(f'{path}/{file}') & 0o200, f'{file} cannot be written'
    for file in KNOWN:
        same(permissions(f'{path}/{file}') & 0o777, 0o444, file)
    for file in SECRET:
        same(permissions(f'{path}/{file}') & 0o077, 0, f'{file} is seen by others')
    same(permissions(path) & 0o755, 0o755, 'a process directory')
    for file in ('help', 'version', 'active_children'):
        same(permissions(mp(file)), 0o444, file)
    same(os.lstat(path).st_uid, os.getuid(), 'owner')


@claim
def exitcode_is_an_empty_file_until_the_end(mp):
    """None is an empty file; `[ -s p/exitcode ]` says whether it has ended; st_size is always true."""
    path = mp.make('size', 'cat', stdin='x')
    shell = f'[ -s {path}/exitcode ]'
    same(os.stat(path + '/exitcode').st_size, 0)
    same(subprocess.run(['sh', '-c', shell]).returncode, 1, 'before start')
    same((read(path + '/pid'), read(path + '/exitcode')), ('', ''))
    write(path + '/ctl', 'start')
    write(path + '/ctl', 'join')
    same(os.stat(path + '/exitcode').st_size, 2)
    same(subprocess.run(['sh', '-c', shell]).returncode, 0, 'after the end')


@claim
def st_size_is_what_reading_gives_in_every_file_of_an_ended_process(mp):
    """st_size is always true."""
    path = mp.run('sizes', 'sh', ['-c', 'echo out; echo err >&2'], env='A=b\n', kwargs='')
    for name in os.listdir(path):
        file = f'{path}/{name}'
        if name == 'ctl' or not is_kind(file, stat.S_ISREG) or not permissions(file) & 0o400:
            continue
        same(os.lstat(file).st_size, len(read_bytes(file)), name)


@claim
def find_ls_and_grep_walk_a_mount_of_ended_processes(mp):
    """Read-only opens create nothing: `grep -r` is safe."""
    for name in ('one', 'two'):
        mp.run(name, 'echo', 'needle')
    before = sorted(os.listdir(mp.path))
    found = subprocess.run(['find', mp.path], capture_output=True, text=True)
    same((found.returncode, found.stderr), (0, ''), 'find')
    assert mp('two', 'exitcode') in found.stdout.split('\n')
    listed = subprocess.run(['ls', '-lR', mp.path], capture_output=True, text=True)
    same((listed.returncode, listed.stderr), (0, ''), 'ls -lR')
    grep = subprocess.run(['grep', '-r', '--exclude=events', 'needle', mp.path], capture_output=True, text=True, timeout=50)
    assert f'{mp("one", "stdout")}:needle' in grep.stdout, grep.stdout
    same(sorted(os.listdir(mp.path)), before, 'after grep -r')


@claim
def names_count_every_construction_and_are_never_reused(mp):
    """N in Process-N counts every construction and is never used again."""
    def clone():
        descriptor = os.open(mp('clone'), os.O_RDWR)
        name = os.read(descriptor, 100).decode()
        os.close(descriptor)
        assert name.startswith('Process-') and name.endswith('\n'), name
        return int(name[8:])
    first = clone()
    same(clone(), first + 1, 'after a clone')
    mp.make('named')
    same(clone(), first + 3, 'after a mkdir')
    os.rmdir(mp(f'Process-{first + 3}'))
    same(clone(), first + 4, 'after a removal')
    write(mp('clone'), 'target true')
    assert os.path.isdir(mp(f'Process-{first + 5}'))


@claim
def reading_clone_creates_nothing(mp):
    """Read-only opens of clone create nothing."""
    before = mp.names()
    read(mp('clone'))
    same(mp.names(), before)


@claim
def a_clone_descriptor_gives_the_name_and_takes_what_ctl_takes(mp):
    """Reading that descriptor gives the name, and it takes what the process's ctl takes."""
    descriptor = os.open(mp('clone'), os.O_RDWR)
    try:
        name = os.read(descriptor, 100).decode().rstrip('\n')
        same(os.read(descriptor, 100), b'', 'a second read')
        path = mp(name)
        same(value(path + '/state'), 'initial')
        os.write(descriptor, b'target sleep\nargs 1000\n')
        same(value(path + '/target'), 'sleep')
        os.write(descriptor, b'start')
        same(value(path + '/alive'), '1')
        os.write(descriptor, b'kill')
        os.write(descriptor, b'join')
        same(value(path + '/exitcode'), '-9')
        expect_errno(errno.EALREADY, lambda: os.write(descriptor, b'start'), 'twice', error_file=path + '/error')
    finally:
        os.close(descriptor)


@claim
def one_printf_into_clone_creates_configures_and_starts(mp):
    """The manual's last example."""
    before = set(mp.names())
    subprocess.run(['sh', '-c', f"printf 'target sleep\\nargs 1000\\nstart\\n' > {mp('clone')}"], check=True)
    name, = set(mp.names()) - before
    same((value(mp(name, 'state')), value(mp(name, 'target'))), ('running', 'sleep'))


@claim
def active_children_names_the_started_and_unfinished(mp):
    """active_children: names of the processes started and not finished, one per line."""
    mp.make('idle')
    for name in ('b', 'a'):
        mp.start(name, 'sleep', '1000')
    mp.run('over', 'true')
    same(sorted(read(mp('active_children')).splitlines()), ['a', 'b'])
    for name in ('a', 'b'):
        write(mp(name, 'ctl'), 'kill\njoin')
    same(read(mp('active_children')), '')


@claim
def a_newline_in_a_name_is_listed_as_an_octal_escape(mp):
    """Where names are listed, a newline in one is \\012."""
    mp.start('new\nline', 'sleep', '1000')
    same(read(mp('active_children')), 'new\\012line\n')


@claim
def self_is_the_process_that_the_reader_runs_inside(mp):
    """self: symlink to the process that the reader runs inside; ENOENT elsewhere."""
    expect_errno(errno.ENOENT, lambda: os.readlink(mp('self')))
    expect_errno(errno.ENOENT, lambda: os.stat(mp('self')))
    path = mp.run('me', 'sh', ['-c', 'readlink $PROCFS_MP/self; cat $PROCFS_MP/self/pid; echo $$'])
    link, pid, shell = read(path + '/stdout').split()
    same((link.rpartition('/')[2], pid), ('me', shell))


@claim
def children_and_parent_link_maker_and_made(mp):
    """parent, children/: symlinks."""
    path = mp.start('maker', 'sh', ['-c', 'mkdir $PROCFS_MP/made $PROCFS_MP/too; exec sleep 1000'])
    wait_until(lambda: os.path.isdir(mp('too')))
    same(sorted(os.listdir(path + '/children')), ['made', 'too'])
    assert os.path.islink(path + '/children/made')
    assert os.path.samefile(path + '/children/made', mp('made'))
    assert os.path.islink(mp('made', 'parent'))
    assert os.path.samefile(mp('made', 'parent'), path)
    os.rmdir(mp('too'))
    same(os.listdir(path + '/children'), ['made'])


@claim
def start_method_takes_the_three_methods_of_python(mp):
    """start_method: spawn | fork | forkserver; status says what was used."""
    same(value(mp('start_method')), 'spawn')
    for method in ('fork', 'forkserver', 'spawn'):
        write(mp('start_method'), method)
        same(value(mp('start_method')), method)
    expect_errno(errno.EINVAL, lambda: write(mp('start_method'), 'bogus'))
    same(value(mp('start_method')), 'spawn', 'after a refusal')
    write(mp('start_method'), 'fork')
    path = mp.run('method', 'true')
    write(mp('start_method'), 'spawn')
    assert 'spawn' in read(path + '/status'), read(path + '/status')


@claim
def status_tells_all_at_a_glance_but_no_secret(mp):
    """status: all of it at a glance, secrets left out."""
    path = mp.start('glance', 'sleep', '1000', env='PASS=sesame\n')
    text = read(path + '/status')
    for part in ('glance', 'sleep', '1000', 'running', value(path + '/pid')):
        assert part in text, (part, text)
    for secret in ('sesame', value(path + '/authkey')):
        assert secret not in text, text


@claim
def help_and_version_are_texts(mp):
    """help, version."""
    text = read(mp('help'))
    for word in ('mkdir', 'start', 'join', 'terminate', 'rmdir'):
        assert word in text, word
    assert any(character.isdigit() for character in value(mp('version')))
    usage = read(mp.make('usage') + '/ctl')
    for word in ('start', 'join', 'terminate', 'kill', 'signal', 'close'):
        assert word in usage, (word, usage)


@claim
def ppid_is_seen_alike_from_inside_and_outside(mp):
    """pid, ppid: what is known of it."""
    path = mp.run('pids', 'sh', ['-c', 'echo $$ $PPID'])
    same(f"{value(path + '/pid')} {value(path + '/ppid')}", value(path + '/stdout'))


@claim
def a_thousand_directories_are_listed_whole_while_others_go(mp):
    """A listing is complete for what was there all the time."""
    names = [f'many{number:04}' for number in range(1000)]
    for name in names:
        os.mkdir(mp(name))
    with os.scandir(mp.path) as entries:
        seen = [next(entries).name for _ in range(50)]
        gone = set(names[::2]) - set(seen)
        for name in gone:
            os.rmdir(mp(name))
        seen += [entry.name for entry in entries]
    same(len(seen), len(set(seen)), 'a name was listed twice')
    same(set(names) - gone - set(seen), set(), 'not listed')
    same(set(mp.names()), set(names) - gone)


@claim
def a_removed_directory_is_gone_for_held_descriptors_too(mp):
    """An old handle can never mean a newer process."""
    path = mp.make('again', 'true')
    target, directory = os.open(path + '/target', os.O_RDONLY), os.open(path, os.O_RDONLY)
    try:
        os.rmdir(path)
        mp.make('again', 'false')
        expect_errno((errno.ENOENT, errno.ENODEV, errno.ESTALE), lambda: os.read(target, 10))
        expect_errno((errno.ENOENT, errno.ESTALE), lambda: os.open('target', os.O_RDONLY, dir_fd=directory))
    finally:
        os.close(target)
        os.close(directory)


@claim
def unmounting_ends_the_mount_as_a_signal_does():
    """Unmounting ends the mount."""
    with Mount(ending='umount') as mp:
        mp.run('once', PYTHON, ['-c', 'pass'])
        append(mp('once', 'ctl'), 'join')
        wait_until(lambda: set(children_of(mp.keeper)) == set(mp.servers))


main()
