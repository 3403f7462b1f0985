#!/usr/bin/env python3
"""What is kept of a process's output: how it is followed, bounded and let go."""
import errno
import json
import os
import resource
import re
import select
import signal
import subprocess

from harness import PYTHON, Mount, claim, main
from plain import (Background, children_of, contains, errno_of, exit_of, expect_errno, fork, in_child, read, read_bytes, same,
                   stat_of, value, wait_until, write)

# Writes what it reads from a FIFO, so that a test says when.
RELAY = 'while IFS= read -r line; do case $line in err*) echo "$line" >&2;; *) echo "$line";; esac; done < "$0"'


class Relay:
    """A process that writes a line to stdout (stderr when it begins with err) for each one that it is told."""

    def __init__(self, mount, name, **files):
        fifo = f'{mount.base}/{name}.fifo'
        os.mkfifo(fifo)
        self.path = mount.start(name, '/bin/sh', ['-c', RELAY, fifo], **files)
        self.fifo = open(fifo, 'wb', buffering=0)
        os.unlink(fifo)

    def say(self, line):
        self.fifo.write(line + b'\n')

    def end(self):
        self.fifo.close()
        write(self.path + '/ctl', 'join')


def make_fifo(mount):
    """A new one: a program that reads a line of it goes on when somebody writes one."""
    path = mount.base + '/go'
    errno_of(os.unlink, path)
    os.mkfifo(path)
    return path


def drain(descriptor):
    pieces = []
    while piece := os.read(descriptor, 65536):
        pieces.append(piece)
    return b''.join(pieces)


@claim
def output_delivers_both_streams_as_they_come_and_ends_with_the_process(mount):
    """A read of output waits for more; after the end it gives EOF."""
    relay = Relay(mount, 'a')
    output = os.open(relay.path + '/output', os.O_RDONLY)
    for line in (b'one', b'err two', b'three', b'err four'):
        reading = Background(os.read, output, 100)
        mount.wait_until_held(reading)
        relay.say(line)
        same(reading.result(), line + b'\n')
    reading = Background(os.read, output, 100)
    relay.end()
    same(reading.result(), b'')
    same(os.read(output, 100), b'')
    os.close(output)


@claim
def every_open_of_output_has_a_place_of_its_own_from_the_first_byte(mount):
    """Any number of readers, early and late, get all of it."""
    path = mount.make('a', '/bin/sh', ['-c', 'for i in 1 2 3 4 5 6 7 8 9; do echo $i; echo $i >&2; done'])
    early = [Background(read_bytes, path + '/output') for _ in range(20)]
    mount.wait_until_held(*early)
    write(path + '/ctl', 'start\njoin')
    expected = sorted(b'1\n2\n3\n4\n5\n6\n7\n8\n9\n' * 2)
    for reader in early:
        same(sorted(reader.result()), expected)
    same(sorted(read_bytes(path + '/output')), expected)
    same(os.stat(path + '/output').st_size, 36)


@claim
def a_stream_keeps_its_order_however_it_is_read(mount):
    """Megabytes on both streams, followed while they are written: each arrives whole and in order."""
    script = 'seq 1 400000 & seq 1 400000 | sed s/^/e/ >&2; wait'
    path = mount.start('a', '/bin/sh', ['-c', script])
    reader = subprocess.run(['cat', path + '/output'], stdout=subprocess.PIPE, check=True)
    whole = read_bytes(path + '/stdout') + read_bytes(path + '/stderr')
    same(len(reader.stdout), len(whole))
    same(read_bytes(path + '/stdout'), b''.join(b'%d\n' % i for i in range(1, 400001)))
    same(sorted(reader.stdout.replace(b'\n', b'')) == sorted(whole.replace(b'\n', b'')), True)


@claim
def without_waiting_a_read_of_output_gives_eagain(mount):
    """O_NONBLOCK: EAGAIN when there is nothing yet."""
    relay = Relay(mount, 'a')
    output = os.open(relay.path + '/output', os.O_RDONLY | os.O_NONBLOCK)
    same(errno_of(os.read, output, 1), errno.EAGAIN)
    relay.say(b'x')
    wait_until(lambda: os.stat(relay.path + '/stdout').st_size == 2)
    same(os.read(output, 100), b'x\n')
    same(errno_of(os.read, output, 1), errno.EAGAIN)
    relay.end()
    same(os.read(output, 1), b'')
    os.close(output)


@claim
def poll_says_when_output_has_more(mount):
    """Readable when there is more to read, and with a hang-up once the process has ended."""
    relay = Relay(mount, 'a')
    output = os.open(relay.path + '/output', os.O_RDONLY)
    poll = select.poll()
    poll.register(output, select.POLLIN)
    same(poll.poll(0), [])
    for line in (b'x', b'err y'):
        relay.say(line)
        same(poll.poll(20000), [(output, select.POLLIN)])
        same(os.read(output, 100), line + b'\n')
        same(poll.poll(0), [])
    waiting = Background(poll.poll, 20000)
    relay.end()
    same(waiting.result(), [(output, select.POLLIN | select.POLLHUP)])
    os.close(output)


@claim
def an_interrupt_frees_who_waits_for_output(mount):
    """EINTR by any signal, also one that kills; the other readers wait on."""
    relay = Relay(mount, 'a')
    other = Background(read_bytes, relay.path + '/output')

    def interrupted():
        signal.signal(signal.SIGUSR1, lambda *_: (_ for _ in ()).throw(InterruptedError()))
        try:
            os.read(os.open(relay.path + '/output', os.O_RDONLY), 1)
        except InterruptedError:
            return 7
        return 0
    for number, code in ((signal.SIGUSR1, 7), (signal.SIGKILL, -signal.SIGKILL)):
        pid = fork(interrupted)
        mount.wait_until_held(other, pid)
        os.kill(pid, number)
        same(exit_of(pid), code)
        wait_until(lambda: mount.pending() == 1, what='one read that waits')
    relay.say(b'x')
    relay.end()
    same(other.result(), b'x\n')


@claim
def who_follows_a_process_that_is_removed_unstarted_gets_the_end(mount):
    """rmdir: there is nothing more to come."""
    path = mount.make('a', '/bin/true')
    output = os.open(path + '/output', os.O_RDONLY)
    reading = Background(os.read, output, 1)
    mount.wait_until_held(reading)
    os.rmdir(path)
    same(reading.result(), b'')
    os.close(output)


@claim
def a_reset_is_the_end_for_who_followed_before_it(mount):
    """reset: output begins anew; an open from before does not wait for a run that it was not about."""
    path = mount.make('p', '/bin/echo', 'hello')
    readers = [Background(read, path + '/output') for _ in range(3)]
    polled = os.open(path + '/output', os.O_RDONLY | os.O_NONBLOCK)
    mount.wait_until_held(*readers)
    write(path + '/ctl', 'start\njoin\nreset')
    for reader in readers:
        assert reader.result() in ('', 'hello\n'), reader.value
    poller = select.poll()
    poller.register(polled, select.POLLIN)
    same([bool(events & select.POLLHUP) for _, events in poller.poll(0)], [True])
    same(os.read(polled, 100), b'')
    os.close(polled)
    new = Background(read, path + '/output')
    mount.wait_until_held(new)
    write(path + '/ctl', 'start')
    same(new.result(), 'hello\n')


@claim
def tail_follows_stdout(mount):
    """tail -f shows what comes; st_size is true while it grows."""
    relay = Relay(mount, 'a')
    relay.say(b'one')
    wait_until(lambda: os.stat(relay.path + '/stdout').st_size == 4)
    tail = subprocess.Popen(['tail', '-c', '+1', '-s', '0.05', '-f', relay.path + '/stdout'], stdout=subprocess.PIPE)
    same(tail.stdout.readline(), b'one\n')
    for line in (b'two', b'three'):
        relay.say(line)
        same(tail.stdout.readline(), line + b'\n')
    tail.kill()
    tail.communicate()
    relay.end()


@claim
def the_newest_is_kept_and_status_says_how_much_was_dropped(mount):
    """output_max bounds each stream to the byte, while it runs and after its end."""
    lines = b''.join(b'%d\n' % i for i in range(1, 300001))
    path = mount.run('a', '/bin/sh', ['-c', 'seq 1 300000; seq 1 300000 >&2; exec sleep 0'], output_max='100K')
    for name in ('stdout', 'stderr'):
        same(read_bytes(f'{path}/{name}'), lines[-102400:])
        same(os.stat(f'{path}/{name}').st_size, 102400)
        contains(read(path + '/status'), f'{name}_dropped: {len(lines) - 102400}\n')
        same(json.loads(read(path + '/status.json'))[name + '_dropped'], len(lines) - 102400)
    same(len(read_bytes(path + '/output')), 204800)
    path = mount.run('b', '/bin/echo', ['all'], output_max='4')
    same(read(path + '/stdout'), 'all\n')
    same('dropped' in read(path + '/status'), False)
    path = mount.run('c', '/bin/echo', ['hello'], output_max='0')
    same(read(path + '/stdout'), '')
    contains(read(path + '/status'), 'stdout_dropped: 6\n')


def kept_memory(mount):
    """KiB of the memory files that the server holds: nameless on a tmpfs of its own, or as memfd_create(2) names them."""
    blocks = 0
    for name in os.listdir(f'/proc/{mount.server}/fd'):
        link = f'/proc/{mount.server}/fd/{name}'
        try:
            if os.readlink(link).startswith(('/#', '/memfd:std')):
                blocks += os.stat(link).st_blocks
        except FileNotFoundError:
            pass
    return blocks // 2


@claim
def memory_is_given_back_while_it_runs_and_at_its_end(mount):
    """A process that has written 256 MiB and goes on running holds little more than output_max, and the child never waits."""
    script = 'head -c 268435456 /dev/zero; echo done >&2; exec sleep 1000'
    path = mount.start('a', '/bin/sh', ['-c', script], output_max='1M')
    wait_until(lambda: read(path + '/stderr') == 'done\n', deadline=60)
    wait_until(lambda: kept_memory(mount) < 3000, what='memory given back')
    same(os.stat(path + '/stdout').st_size, 1 << 20)
    write(path + '/ctl', 'kill\njoin')
    wait_until(lambda: kept_memory(mount) <= 1100, what='the rest given back')
    same(len(read_bytes(path + '/stdout')), 1 << 20)


@claim
def what_a_process_leaves_behind_is_bounded_after_its_end_too(mount):
    """Of each stream the newest are kept, whoever writes it and whenever."""
    path = mount.run('a', 'sh', ['-c', '(while [ ! -e go ]; do sleep 0.01; done; head -c 50000000 /dev/zero; echo the end) &'],
                     cwd=mount.base, output_max='1M')
    same(value(path + '/state'), 'ended')
    open(mount.base + '/go', 'w').close()
    wait_until(lambda: read(path + '/stdout')[-8:] == 'the end\n')
    wait_until(lambda: kept_memory(mount) <= 4 << 10, what='memory that is given back')


@claim
def a_reader_that_is_too_slow_misses_what_was_dropped_and_goes_on(mount):
    """Its next read begins at the first byte that is kept."""
    go = make_fifo(mount)
    script = 'echo first; read x < "$0"; seq 1 1000000; echo done >&2; exec sleep 1000'
    path = mount.start('a', '/bin/sh', ['-c', script, go], output_max='64K')
    stdout = os.open(path + '/stdout', os.O_RDONLY)
    same(wait_until(lambda: os.read(stdout, 100)), b'first\n')
    write(go, '\n', os.O_WRONLY)
    wait_until(lambda: read(path + '/stderr') == 'done\n')
    write(path + '/ctl', 'kill\njoin')
    wait_until(lambda: kept_memory(mount) < 100, what='memory given back')
    same(drain(stdout), read_bytes(path + '/stdout'))
    os.close(stdout)


@claim
def a_program_that_truncates_its_output_hurts_nobody(mount):
    """`> /dev/stdout` empties the file under the readers: what comes then is read."""
    script = 'exec 3< "$0"; echo a long first line; read x <&3; : > /dev/stdout; echo new; read x <&3'
    path = mount.start('a', '/bin/sh', ['-c', script, make_fifo(mount)])
    go = os.open(mount.base + '/go', os.O_WRONLY)
    output, stdout = (os.open(f'{path}/{name}', os.O_RDONLY) for name in ('output', 'stdout'))
    same(os.read(output, 100), b'a long first line\n')
    same(os.read(stdout, 100), b'a long first line\n')
    os.write(go, b'\n')
    same(os.read(output, 100), b'new\n')
    same(os.read(stdout, 100), b'')
    same(read(path + '/stdout'), 'new\n')
    os.write(go, b'\n')
    same(os.read(output, 100), b'')
    for descriptor in (output, stdout, go):
        os.close(descriptor)


@claim
def truncation_after_a_cut_leaves_what_is_new(mount):
    """The window begins anew."""
    script = 'seq 1 200000; read x < "$0"; : > /dev/stdout; echo new'
    go = make_fifo(mount)
    path = mount.start('a', '/bin/sh', ['-c', script, go], output_max='64K')
    wait_until(lambda: 'stdout_dropped' in read(path + '/status'))
    write(go, '\n', os.O_WRONLY)
    write(path + '/ctl', 'join')
    same(read(path + '/stdout'), 'new\n')
    same('dropped' in read(path + '/status'), False)


@claim
def output_max_is_a_number_of_bytes_settled_before_start(mount):
    """K, M, G and T are units; it is shown in bytes; nonsense is EINVAL, a write after start EBUSY."""
    path = mount.make('a', '/bin/true')
    same(value(path + '/output_max'), str(16 << 20))
    for words, number in (('1', 1), ('2k', 2048), ('3M', 3 << 20), ('1G', 1 << 30), ('1T', 1 << 40), ('0', 0)):
        write(path + '/output_max', words + '\n')
        same(value(path + '/output_max'), str(number))
    for words in ('\n', '-1', '1X', '1KK', 'x', '1 K', '9223372036854775808', '9999999999G', 'a\0'):
        expect_errno(errno.EINVAL, lambda words=words: write(path + '/output_max', words), 'not valid', error_file=path + '/error')
        same(value(path + '/output_max'), '0')
    write(path + '/ctl', 'start')
    expect_errno(errno.EBUSY, lambda: write(path + '/output_max', '1'), 'already started', error_file=path + '/error')


@claim
def output_is_its_owners_and_cannot_be_written(mount):
    """Mode 0400, EACCES for writing."""
    path = mount.make('a', '/bin/true')
    same(os.stat(path + '/output').st_mode & 0o777, 0o400)
    expect_errno(errno.EACCES, lambda: in_child(lambda: os.open(path + '/output', os.O_WRONLY), uid=0))


@claim
def while_nobody_reads_a_silent_process_costs_the_server_nothing(mount):
    """No wake-up at all of the server once its processes are silent."""
    for i in range(5):
        mount.start(f'p{i}', '/bin/sleep', ['1000'])

    def switches():
        text = open(f'/proc/{mount.server}/task/{mount.server}/status').read()
        return int(re.search(r'^voluntary_ctxt_switches:\s+(\d+)', text, re.M)[1])

    def quiet():
        before = switches()
        select.select([], [], [], 0.2)
        return switches() == before
    wait_until(quiet, what='a server that sleeps')


@claim
def a_thousand_opens_and_closes_of_output_leave_no_descriptor(mount):
    """What following takes is given back."""
    path = mount.start('a', '/bin/sleep', ['1000'])
    mount.idle()
    before = len(os.listdir(f'/proc/{mount.server}/fd'))
    for _ in range(1000):
        os.close(os.open(path + '/output', os.O_RDONLY))
    mount.idle()
    same(len(os.listdir(f'/proc/{mount.server}/fd')), before)
    same(len(children_of(mount.keeper)), 2)


@claim
def what_was_silent_takes_no_descriptors_for_ever():
    """A stream is kept as long as it holds something or a descendant could write to it."""
    with Mount(prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))) as mp:
        gate = mp.start('gate', 'sleep', '1000')
        late = mp.run('late', 'sh', ['-c', '(read code < "$PROCFS_MP/gate/wait"; echo late) & exec true'])
        spoke = mp.run('spoke', 'echo', 'something')
        for number in range(300):
            mp.run(f'silent{number}', 'true')
        same((read(late + '/stdout'), read(spoke + '/stdout'), read(mp('silent0', 'stdout'))), ('', 'something\n', ''))
        write(gate + '/ctl', 'kill')
        wait_until(lambda: read(late + '/stdout') == 'late\n', what='what an orphan wrote late')


main()
