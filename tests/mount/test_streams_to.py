#!/usr/bin/env python3
"""Where stdout and stderr can lead: files, each other, nowhere, the descriptors of whoever wrote start."""
import errno
import os
import signal
import subprocess

import harness
from harness import claim
from plain import Background, contains, exit_of, expect_errno, in_child, read, same, value, wait_until, write

SAY = ['-c', 'echo out; echo err >&2']


def run_from(ctl, descriptor_of):
    """Writes start with `descriptor_of`'s value as descriptor 7."""
    def call():
        os.dup2(descriptor_of(), 7)
        write(ctl, 'start')
        write(ctl, 'join')
    return in_child(call)


@claim
def output_goes_to_a_file_that_is_appended_to_relative_to_cwd(mount):
    """stdout_to is a path relative to the cwd, made with the umask when it is missing; stdout stays empty."""
    os.mkdir(mount.base + '/place')
    path = mount.make('a', '/bin/sh', SAY, cwd=mount.base + '/place', umask='027', stdout_to='log')
    same(value(path + '/stdout_to'), 'log')
    write(path + '/ctl', 'start\njoin')
    same(read(mount.base + '/place/log'), 'out\n')
    same(os.stat(mount.base + '/place/log').st_mode & 0o777, 0o640)
    same((read(path + '/stdout'), read(path + '/stderr')), ('', 'err\n'))
    path = mount.run('b', '/bin/sh', SAY, cwd=mount.base + '/place', stdout_to='log', stderr_to=mount.base + '/place/log')
    same(read(mount.base + '/place/log'), 'out\nout\nerr\n')


@claim
def each_stream_can_go_where_the_other_goes(mount):
    """`stdout` and `stderr` name the other stream, wherever that one leads."""
    path = mount.run('a', '/bin/sh', SAY, stderr_to='stdout')
    same((read(path + '/stdout'), read(path + '/stderr')), ('out\nerr\n', ''))
    path = mount.run('b', '/bin/sh', SAY, stdout_to='stderr')
    same((read(path + '/stdout'), read(path + '/stderr')), ('', 'out\nerr\n'))
    mount.run('c', '/bin/sh', SAY, stdout_to='stderr', stderr_to=mount.base + '/both')
    same(read(mount.base + '/both'), 'out\nerr\n')


@claim
def dev_null_keeps_nothing(mount):
    """/dev/null is a path like any other."""
    path = mount.run('a', '/bin/sh', SAY, stdout_to='/dev/null', stderr_to='/dev/null')
    same((read(path + '/stdout'), read(path + '/stderr'), value(path + '/exitcode')), ('', '', '0'))


@claim
def a_file_that_cannot_be_opened_fails_the_start_with_its_errno(mount):
    """The errno of open(2) goes to the writer of start, error names the path, and the start can be corrected."""
    missing = mount.base + '/missing/log'
    path = mount.make('a', '/bin/sh', SAY, stderr_to=missing)
    expect_errno(errno.ENOENT, lambda: write(path + '/ctl', 'start'), 'stderr', missing, error_file=path + '/error')
    same(value(path + '/state'), 'initial')
    write(path + '/stderr_to', mount.base)
    expect_errno(errno.EISDIR, lambda: write(path + '/ctl', 'start'), mount.base, error_file=path + '/error')
    write(path + '/stderr_to', '')
    write(path + '/ctl', 'start\njoin')
    same(read(path + '/stderr'), 'err\n')


@claim
def what_leads_nowhere_is_refused(mount):
    """A stream to itself, both to each other, a wrong number and a write after start are refused with a sentence."""
    path = mount.make('a', '/bin/sh', SAY, stdout_to='stderr')
    for words in ('stdout', 'inherit x', 'inherit -1', 'inherit 1 2', 'a\0b'):
        expect_errno(errno.EINVAL, lambda words=words: write(path + '/stdout_to', words))
        same(value(path + '/stdout_to'), 'stderr')
    contains(read(path + '/error'), 'NUL')
    write(path + '/stderr_to', 'stdout')
    expect_errno(errno.EINVAL, lambda: write(path + '/ctl', 'start'), 'each other', error_file=path + '/error')
    write(path + '/stderr_to', '')
    write(path + '/ctl', 'start')
    expect_errno(errno.EBUSY, lambda: write(path + '/stdout_to', '/dev/null'), 'already started', error_file=path + '/error')


@claim
def inherit_takes_the_descriptor_of_who_wrote_start(mount):
    """`inherit N` is that descriptor itself, a pipe or a file at its position; 2 without a number."""
    read_end, write_end = os.pipe()
    path = mount.make('a', '/bin/sh', SAY, stdout_to='inherit 7', stderr_to='stdout')
    run_from(path + '/ctl', lambda: write_end)
    os.close(write_end)
    same(os.read(read_end, 100), b'out\nerr\n')
    same(os.read(read_end, 100), b'')
    os.close(read_end)

    def with_stderr():
        os.dup2(os.open(mount.base + '/terminal', os.O_WRONLY | os.O_CREAT), 2)
        os.write(2, b'before\n')
        write(path + '/ctl', 'start\njoin')
    path = mount.make('b', '/bin/sh', SAY, stderr_to='inherit')
    in_child(with_stderr)
    same(read(mount.base + '/terminal'), 'before\nerr\n')
    same(read(path + '/stdout'), 'out\n')


@claim
def a_shell_script_inherits_its_own_output(mount):
    """In `echo start > ctl` descriptor 1 is ctl itself, which is refused; 2 is the script's."""
    path = mount.make('a', '/bin/sh', SAY, stdout_to='inherit', stderr_to='inherit')
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    script = f'exec 2>&{write_end}; echo start > {path}/ctl; echo join > {path}/ctl'
    pid = os.spawnv(os.P_NOWAIT, '/bin/sh', ['sh', '-c', script])
    same(exit_of(pid), 0)
    os.close(write_end)
    same(os.read(read_end, 100), b'out\nerr\n')
    os.close(read_end)


@claim
def a_file_of_the_mount_cannot_be_inherited(mount):
    """EINVAL and a sentence that says why; nothing hangs and the start can be corrected."""
    path = mount.make('a', '/bin/sh', SAY, stdout_to='inherit 7')
    for inside in (path + '/ctl', mount('clone'), path + '/name', mount('session')):
        flags = os.O_RDONLY if inside.endswith('session') else os.O_WRONLY
        expect_errno(errno.EINVAL, lambda: run_from(path + '/ctl', lambda: os.open(inside, flags)), 'of this mount',
                     error_file=path + '/error')
    same(value(path + '/state'), 'initial')
    write(path + '/stdout_to', '')
    write(path + '/ctl', 'start\njoin')
    same(read(path + '/stdout'), 'out\n')


@claim
def a_descriptor_that_is_not_there_or_cannot_be_written_is_ebadf(mount):
    """The sentence names its number."""
    path = mount.make('a', '/bin/sh', SAY, stdout_to='inherit 77')
    expect_errno(errno.EBADF, lambda: write(path + '/ctl', 'start'), '77', error_file=path + '/error')
    write(path + '/stdout_to', 'inherit 7')
    expect_errno(errno.EBADF, lambda: run_from(path + '/ctl', lambda: os.open('/dev/null', os.O_RDONLY)), '7',
                 'writing', error_file=path + '/error')


@claim
def inherit_and_restart_do_not_go_together(mount):
    """No second run fails for want of a descriptor: the start is refused, and so is a restart that is written later."""
    path = mount.make('a', 'sleep', '1000', stderr_to='inherit', restart='on-failure')
    expect_errno(errno.EINVAL, lambda: write(path + '/ctl', 'start'), 'inherit and restart', 'no to restart', error_file=path + '/error')
    same(value(path + '/state'), 'initial')
    write(path + '/restart', 'no')
    write(path + '/ctl', 'start')
    for word in ('on-failure', 'always'):
        expect_errno(errno.EINVAL, lambda: write(path + '/restart', word), 'inherit and restart', error_file=path + '/error')
    write(path + '/restart', 'no')
    same((value(path + '/restart'), value(path + '/alive')), ('no', '1'))
    write(path + '/ctl', 'kill\njoin\nreset\nstderr_to /dev/null\nrestart always\nstart')
    same(value(path + '/restart'), 'always')


@claim
def only_the_owners_programs_lend_their_descriptors():
    """The superuser's write of start in another's directory inherits nothing; files are opened with the owner's rights."""
    if os.geteuid():
        raise harness.Skip('not the superuser')
    with harness.Mount('allow_other') as mount:
        path = mount('a')

        def make():
            os.mkdir(path)
            write(path + '/target', '/bin/echo')
            write(path + '/args', 'hello')
            write(path + '/stdout_to', 'inherit 7')
        in_child(make, uid=1000)
        expect_errno(errno.EPERM, lambda: write(path + '/ctl', 'start'), "owner", error_file=path + '/error')
        read_end, write_end = os.pipe()
        # A program of its own: one that has only changed its user may not be looked into.
        subprocess.run(['/bin/sh', '-c', f'exec 7>&{write_end}; echo start > {path}/ctl; echo join > {path}/ctl'], user=1000,
                       group=1000, extra_groups=[], pass_fds=[write_end], check=True)
        os.close(write_end)
        same(os.read(read_end, 100), b'hello\n')
        os.close(read_end)
        path = mount('b')
        in_child(make, uid=1000)
        in_child(lambda: write(path + '/stdout_to', mount.base + '/log'), uid=1000)
        expect_errno(errno.EACCES, lambda: in_child(lambda: write(path + '/ctl', 'start'), uid=1000), mount.base + '/log',
                     error_file=path + '/error')


@claim
def a_start_that_hangs_in_an_open_holds_up_nobody(mount):
    """A FIFO without a reader: other processes start, and a kill ends the start."""
    os.mkfifo(mount.base + '/fifo')
    path = mount.make('a', '/bin/sh', SAY, stdout_to=mount.base + '/fifo')
    hanging = Background(write, path + '/ctl', 'start')
    wait_until(lambda: value(path + '/pid'), what='a pid')
    other = mount.run('b', '/bin/sh', SAY)
    same(read(other + '/stdout'), 'out\n')
    os.kill(int(value(path + '/pid')), signal.SIGKILL)
    try:
        hanging.result()
        raise AssertionError('the start succeeded')
    except OSError as error:
        same(error.errno, errno.ECANCELED)


harness.main()
