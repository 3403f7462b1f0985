#!/usr/bin/env python3
"""daemon, parent, main process: what is inherited, what ends with whom, and how the mount ends."""
import errno
import os
import shutil
import signal
import subprocess
import tempfile

from harness import BINARY, DEADLINE, PYTHON, SLOWNESS, Mount, claim, main
from plain import expect_errno, in_child, read, same, value, wait_until, write

# Writes words to a file of the mount and prints the errno, 0 for success.
TRY = '''
import os, sys
def attempt(path, text):
    try:
        descriptor = os.open(os.environ["PROCFS_MP"] + "/" + path, os.O_WRONLY | os.O_TRUNC)
        os.write(descriptor, text.encode())
    except OSError as error:
        return error.errno
    return 0
'''
# Says so in a file when it is told to terminate.
TOLD = '''
import signal, sys
def told(*_):
    with open(sys.argv[1], "w") as file:
        file.write("told")
    sys.exit()
signal.signal(signal.SIGTERM, told)
print("ready", flush=True)
while True:
    signal.pause()
'''


def make_in_shell(name, daemon):
    return (f'mkdir $PROCFS_MP/{name}; echo {daemon} > $PROCFS_MP/{name}/daemon; echo sleep > $PROCFS_MP/{name}/target; '
            f'echo 1000 > $PROCFS_MP/{name}/args; echo start > $PROCFS_MP/{name}/ctl; ')


def start_told(mp, name, **files):
    path = mp.start(name, PYTHON, ['-c', TOLD, f'{mp.base}/{name}.told'], **files)
    wait_until(lambda: read(path + '/stdout') == 'ready\n')
    return f'{mp.base}/{name}.told'


@claim
def what_a_managed_process_makes_is_its_child_and_starts_with_its_flag(mp):
    """A directory made from inside a managed process is that process's child, its parent, and starts with its flag."""
    for flag in ('0', '1'):
        path = mp.start('maker' + flag, 'sh', ['-c', f'mkdir $PROCFS_MP/kid{flag}; exec sleep 1000'], daemon=flag)
        wait_until(lambda: os.path.isdir(mp('kid' + flag)))
        assert os.path.samefile(mp('kid' + flag, 'parent'), path)
        same((value(mp('kid' + flag, 'daemon')), os.listdir(path + '/children')), (flag, ['kid' + flag]))


@claim
def default_names_inside_tell_the_line_of_descent(mp):
    """Default names then are Process-1:1."""
    def clone():
        descriptor = os.open(mp('clone'), os.O_RDWR)
        name = os.read(descriptor, 100).decode().rstrip('\n')
        os.close(descriptor)
        return name
    name = clone()
    script = 'for i in 1 2; do exec 3<>$PROCFS_MP/clone; read name <&3; echo $name; exec 3>&-; done'
    write(mp(name, 'target'), 'sh')
    write(mp(name, 'args'), b'-c\0' + script.encode() + b'\0')
    write(mp(name, 'ctl'), 'start\njoin')
    same(read(mp(name, 'stdout')).split(), [name + ':1', name + ':2'], read(mp(name, 'stderr')))


@claim
def nothing_starts_inside_a_daemonic_process(mp):
    """start inside a daemonic process: EPERM, daemonic processes are not allowed to have children."""
    script = TRY + 'os.mkdir(os.environ["PROCFS_MP"] + "/kid")\nprint(attempt("kid/target", "true"), attempt("kid/ctl", "start"))'
    path = mp.run('daemonic', PYTHON, ['-c', script], daemon='1')
    same(read(path + '/stdout'), f'0 {errno.EPERM}\n', read(path + '/stderr'))
    same((value(mp('kid', 'state')), read(mp('kid', 'pid'))), ('initial', ''))
    assert 'daemonic processes are not allowed to have children' in read(mp('kid', 'error')), read(mp('kid', 'error'))


@claim
def nobody_can_join_the_process_it_runs_inside(mp):
    """join, from inside, of the process one runs inside: EDEADLK, cannot join current process."""
    script = TRY + 'print(attempt("self/ctl", "join"), attempt("selfish/ctl", "join 5"))'
    path = mp.run('selfish', PYTHON, ['-c', script])
    same(read(path + '/stdout'), f'{errno.EDEADLK} {errno.EDEADLK}\n', read(path + '/stderr'))
    path = mp.run('grandchild', 'sh', ['-c', f"{PYTHON} -c '{TRY}print(attempt(\"grandchild/ctl\", \"join\"))'; :"])
    same(read(path + '/stdout'), f'{errno.EDEADLK}\n', read(path + '/stderr'))


@claim
def descendants_that_left_the_session_or_their_parent_are_still_inside(mp):
    """Inside is decided by session id, then by the chain of parents, then by $PROCFS_MP_ID."""
    ways = {'child': 'sh -c "mkdir $PROCFS_MP/from-child"', 'session': 'setsid sh -c "mkdir $PROCFS_MP/from-session"',
            'orphan': '(sh -c "mkdir $PROCFS_MP/from-orphan" &) ; :',
            'both': 'setsid -f sh -c "mkdir $PROCFS_MP/from-both"; :'}
    for way, script in ways.items():
        path = mp.start('by-' + way, 'sh', ['-c', f'{script}; sleep 1000'])
        wait_until(lambda: os.path.isdir(mp('from-' + way)))
        assert os.path.samefile(mp('from-' + way, 'parent'), path), way


@claim
def outsiders_are_nobodys_children(mp):
    """The main process of what is made outside is the mount itself."""
    path = mp.start('stranger', 'sleep', '1000', daemon='1')
    mp.make('outside')
    same((value(mp('outside', 'daemon')), os.listdir(path + '/children')), ('0', []))


@claim
def the_end_of_a_process_terminates_its_daemonic_children_at_once_and_leaves_the_others(mp):
    """When a managed process ends, its running daemonic processes are terminated and its others pass to the mount."""
    path = mp.run('ends', 'sh', ['-c', make_in_shell('tied', 1) + make_in_shell('free', 0)])
    same(value(path + '/exitcode'), '0', read(path + '/stderr'))
    write(mp('tied', 'ctl'), 'join')
    same((value(mp('tied', 'exitcode')), value(mp('free', 'state'))), ('-15', 'running'))
    os.rmdir(path)
    same(value(mp('free', 'state')), 'running')


@claim
def the_end_of_a_killed_process_terminates_its_daemonic_children_too(mp):
    """When a managed process ends (in any way), its running daemonic processes are terminated."""
    path = mp.start('killed', 'sh', ['-c', make_in_shell('tied', 1) + 'exec sleep 1000'])
    wait_until(lambda: os.path.exists(mp('tied')) and value(mp('tied', 'state')) == 'running')
    write(path + '/ctl', 'kill')
    write(mp('tied', 'ctl'), 'join')
    same(value(mp('tied', 'exitcode')), '-15')


def hold_session(mp, name):
    """A program that holds `session`, makes NAME-d (daemonic) and NAME-n through a child of its own, then obeys stdin."""
    script = ('exec 9< $PROCFS_MP/session; sh -c "$1"; echo ready; read word; '
              'if [ "$word" = close ]; then exec 9<&-; echo closed; read word; fi')
    holder = subprocess.Popen(['sh', '-c', script, 'sh', make_in_shell(name + '-d', 1) + make_in_shell(name + '-n', 0)],
                              env=dict(os.environ, PROCFS_MP=mp.path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    same(holder.stdout.readline(), 'ready\n')
    return holder


@claim
def the_holder_of_session_is_a_main_process_until_it_ends(mp):
    """While a program holds session open, it is a main process; when it exits its daemonic processes are terminated."""
    mp.start('bystander', 'sleep', '1000', daemon='1')
    for name, ending in (('exits', 'exit'), ('is-killed', 'kill')):
        with hold_session(mp, name) as holder:
            same((value(mp(name + '-d', 'state')), value(mp(name + '-d', 'daemon'))), ('running', '1'))
            mp.make(f'{name}-other')
            same(value(mp(f'{name}-other', 'daemon')), '0', 'a session is not daemonic')
            if ending == 'kill':
                holder.kill()
        write(mp(name + '-d', 'ctl'), 'join')
        same(value(mp(name + '-d', 'exitcode')), '-15')
        same((value(mp(name + '-n', 'state')), value(mp('bystander', 'state'))), ('running', 'running'))


@claim
def closing_session_ends_the_lease_while_the_program_goes_on(mp):
    """A session ends when its opener exits or closes it."""
    with hold_session(mp, 'closes') as holder:
        holder.stdin.write('close\n')
        holder.stdin.flush()
        same(holder.stdout.readline(), 'closed\n')
        write(mp('closes-d', 'ctl'), 'join')
        same((value(mp('closes-d', 'exitcode')), value(mp('closes-n', 'state')), holder.poll()), ('-15', 'running', None))


@claim
def a_session_opened_twice_lasts_until_both_are_closed(mp):
    """While a program holds session open, it is a main process: however often it has opened it."""
    script = ('import os, sys\nmp = os.environ["PROCFS_MP"]\n'
              'a, b = os.open(mp + "/session", os.O_RDONLY), os.open(mp + "/session", os.O_RDONLY)\n'
              'os.mkdir(mp + "/twice-d")\n'
              'with open(mp + "/twice-d/ctl", "w") as ctl: ctl.write("target sleep\\nargs 1000\\ndaemon 1\\nstart\\n")\n'
              'os.close(b)\nprint("one", flush=True)\nsys.stdin.readline()\nos.close(a)\nprint("none", flush=True)\n'
              'sys.stdin.readline()\n')
    with subprocess.Popen([PYTHON, '-c', script], env=dict(os.environ, PROCFS_MP=mp.path), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as holder:
        same(holder.stdout.readline(), 'one\n')
        write(mp('twice-d', 'ctl'), 'signal CONT')
        same(value(mp('twice-d', 'alive')), '1')
        holder.stdin.write('\n')
        holder.stdin.flush()
        same(holder.stdout.readline(), 'none\n')
        write(mp('twice-d', 'ctl'), 'join 20')
        same(value(mp('twice-d', 'exitcode')), '-15')
        holder.stdin.write('\n')


@claim
def reading_session_keeps_nothing(mp):
    """grep -r is safe: a session that was opened and closed ends nothing of the mount's."""
    mp.start('steady', 'sleep', '1000', daemon='1')
    in_child(lambda: read(mp('session')))
    same(value(mp('steady', 'state')), 'running')


# The end of the mount --------------------------------------------------------------------------------------------

@claim(timeout=120)
def the_end_of_the_mount_terminates_the_daemonic_and_joins_the_others():
    """When the mount ends (unmounted, SIGTERM, SIGINT), its daemonic processes are terminated, the others are joined."""
    for ending in (signal.SIGTERM, signal.SIGINT, 'umount'):
        with Mount(ending=ending) as mp:
            os.mkfifo(mp.base + '/fifo')
            mp.start('joined', 'sh', ['-c', f'cat {mp.base}/fifo > {mp.base}/out'])
            told = start_told(mp, 'daemonic', daemon='1')
            mp.end()
            wait_until(lambda: os.path.exists(told) and read(told) == 'told')
            same(mp.process.poll(), None, f'{ending}: did not wait for the other')
            with open(mp.base + '/fifo', 'w') as fifo:
                fifo.write('finished')
            same(mp.wait(), 0, mp.messages())
            same(read(mp.base + '/out'), 'finished')


@claim
def a_second_signal_kills_what_is_left():
    """SIGTERM/SIGINT ends the mount; a second signal kills what is left."""
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)):
        with Mount() as mp:
            mp.start('for-ever', 'sleep', '100000')
            mp.start('deaf', 'sh', ['-c', 'trap "" TERM; exec sleep 100000'], daemon='1')
            told = start_told(mp, 'daemonic', daemon='1')
            os.kill(mp.keeper, first)
            wait_until(lambda: os.path.exists(told))
            same(mp.process.poll(), None, 'did not wait')
            os.kill(mp.keeper, second)
            same(mp.wait(), 0, mp.messages())


@claim
def a_pending_join_and_a_blocked_read_are_answered_when_the_mount_ends():
    """Deferred requests are answered before leaving."""
    with Mount() as mp:
        path = mp.start('blocked', 'sleep', '100000', daemon='1')
        readers = [subprocess.Popen(['cat', path + '/wait'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
                   subprocess.Popen(['sh', '-c', f'echo join > {path}/ctl'], stderr=subprocess.DEVNULL)]
        wait_until(lambda: mp.pending() >= 2)
        os.kill(mp.keeper, signal.SIGTERM)
        for reader in readers:
            reader.wait(DEADLINE * SLOWNESS)
        same(mp.wait(), 0)


# procfs-mp -- COMMAND --------------------------------------------------------------------------------------------

class Place:
    """A private directory with a mountpoint, gone at the end: nothing may be left in or on it."""

    def __enter__(self):
        self.base = tempfile.mkdtemp(prefix='procfs-mp-test-')
        self.path = self.base + '/mp'
        os.mkdir(self.path)
        return self

    def popen(self, *command, mountpoint=True, **keywords):
        words = [BINARY] + ([self.path] if mountpoint else []) + ['--', *command]
        return subprocess.Popen(words, cwd=self.base, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **keywords)

    def run(self, *command, **keywords):
        with self.popen(*command, **keywords) as process:
            out, err = process.communicate('input\n', DEADLINE * SLOWNESS)
        return process.returncode, out, err

    def __exit__(self, kind, *_):
        left = [line.split()[4] for line in open('/proc/self/mountinfo') if self.base in line]
        for path in left:
            subprocess.run(['umount', '-l', path])
        shutil.rmtree(self.base)
        assert kind or not left, f'still mounted: {left}'


@claim
def a_commands_exit_status_is_the_mounts():
    """procfs-mp MOUNTPOINT -- COMMAND ends with its exit status: 128+N after signal N, 126/127 when it can't be run."""
    with Place() as place:
        with open(place.base + '/plain', 'w') as file:
            file.write('not executable\n')
        rows = ((('sh', '-c', 'exit 0'), 0), (('sh', '-c', 'exit 7'), 7), (('sh', '-c', 'kill -9 $$'), 137),
                (('sh', '-c', 'kill -15 $$'), 143), (('/no/such/program',), 127), (('no-such-program',), 127),
                ((place.base + '/plain',), 126), ((place.base,), 126))
        for command, status in rows:
            for mountpoint in (True, False):
                got, _, err = place.run(*command, mountpoint=mountpoint)
                same(got, status, f'{command}: {err}')
                assert status not in (126, 127) or command[0] in err, err


@claim
def a_command_finds_the_mount_and_keeps_its_terminal():
    """COMMAND is run as the main process with $PROCFS_MP set; its stdin, stdout and stderr are the caller's."""
    script = 'read word; echo got $word; echo err >&2; echo $PROCFS_MP; mkdir $PROCFS_MP/x; cat $PROCFS_MP/x/state'
    with Place() as place:
        same(place.run('sh', '-c', script), (0, f'got input\n{place.path}\ninitial\n', 'err\n'))


@claim
def without_a_mountpoint_the_mount_is_private_and_goes_away():
    """Without MOUNTPOINT on a private directory that goes away with it."""
    with Place() as place:
        code, out, err = place.run('sh', '-c', 'echo $PROCFS_MP; stat -c %a $PROCFS_MP/..; cat $PROCFS_MP/version', mountpoint=False)
        path = out.split('\n')[0]
        assert code == 0 and path.startswith('/'), (code, out, err)
        same(os.path.lexists(path), False, 'the private directory')
        assert all(path not in line for line in open('/proc/self/mountinfo')), 'still mounted'


@claim
def a_command_is_the_main_process_of_what_it_made():
    """When the mount ends, its daemonic processes are terminated and the others are joined."""
    script = ('p=$PROCFS_MP; mkdir $p/d $p/n; echo 1 > $p/d/daemon; printf "target sleep\\nargs 100000\\nstart" > $p/d/ctl; '
              'echo "cat fifo > out" > $p/n/run; echo start > $p/n/ctl; cat $p/active_children; echo over; exit 3')
    with Place() as place:
        os.mkfifo(place.base + '/fifo')
        with place.popen('sh', '-c', script) as process:
            same(sorted(process.stdout.readline() for _ in range(3)), ['d\n', 'n\n', 'over\n'])
            same(process.poll(), None, 'did not wait')
            with open(place.base + '/fifo', 'w') as fifo:
                fifo.write('finished')
            same(process.wait(DEADLINE * SLOWNESS), 3)
        same(read(place.base + '/out'), 'finished')


@claim
def term_and_hup_are_passed_on_and_int_is_left_to_the_command():
    """The terminal's SIGINT is left to COMMAND; SIGTERM and SIGHUP are passed on to it."""
    script = 'trap "exit 5" TERM; trap "exit 6" HUP; trap "echo INT" INT; echo $PROCFS_MP; while read word; do echo $word; done; exit 9'
    with Place() as place:
        for number, status in ((signal.SIGTERM, 5), (signal.SIGHUP, 6)):
            with place.popen('sh', '-c', script) as process:
                same(process.stdout.readline(), place.path + '\n')
                process.send_signal(signal.SIGINT)
                process.stdin.write('still here\n')
                process.stdin.flush()
                same(process.stdout.readline(), 'still here\n', 'after SIGINT to the mount')
                process.send_signal(number)
                same(process.wait(DEADLINE * SLOWNESS), status)


@claim
def a_mountpoint_is_left_unmounted_by_a_refused_start():
    """A command that cannot be run leaves no mount."""
    with Place() as place:
        same(place.run('/no/such/program')[0], 127)
        same(os.listdir(place.path), [])
        expect_errno(errno.ENOENT, lambda: os.stat(place.path + '/version'))


main()
