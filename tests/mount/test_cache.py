#!/usr/bin/env python3
"""What the kernel keeps of alive and exitcode is never stale, and costs no request."""
import os
import random
import shutil
import signal
import subprocess
import time

from harness import TOP, claim, main
from plain import Background, Stopped, errno_of, exists, read, same, value, wait_until, write

HAMMER = os.environ.get('HAMMER_BIN') or os.path.join(TOP, 'build', 'tests', 'hammer')
SECONDS = 8


@claim(timeout=200)
def no_read_is_stale_whatever_its_reader_could_know(mp):
    """After a join has returned, no read anywhere still shows `alive` 1; the same for polls, reads of wait and resets."""
    done = subprocess.run([HAMMER, mp.path, str(SECONDS), shutil.which('sleep')], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    same(done.returncode, 0, done.stdout)
    assert ', 0 stale' in done.stdout, done.stdout
    same(mp.messages(), '', 'the kernel lets every page go in time')
    print('# ' + done.stdout.strip(), flush=True)


@claim
def held_descriptors_follow_a_process_through_reset_and_a_second_run(mp):
    """A read at offset 0 takes a new moment's value, whatever the kernel has kept."""
    path = mp.run('p', 'sh', ['-c', 'exit 3'])
    alive, exitcode = (os.open(f'{path}/{name}', os.O_RDONLY) for name in ('alive', 'exitcode'))
    same((os.pread(alive, 9, 0), os.pread(exitcode, 9, 0)), (b'0\n', b'3\n'))
    write(path + '/ctl', 'reset')
    same((os.pread(alive, 9, 0), os.pread(exitcode, 9, 0)), (b'0\n', b''))
    write(path + '/ctl', 'target sleep\nargs 1000\nstart')
    same((os.pread(alive, 9, 0), os.pread(exitcode, 9, 0), os.stat(path + '/exitcode').st_size), (b'1\n', b'', 0))
    write(path + '/ctl', 'kill\njoin')
    same((os.pread(alive, 9, 0), os.pread(exitcode, 9, 0), os.stat(path + '/exitcode').st_size), (b'0\n', b'-9\n', 3))
    os.rmdir(path)
    for descriptor in (alive, exitcode):
        assert errno_of(os.pread, descriptor, 9, 0), 'the process is gone'
        os.close(descriptor)


@claim
def what_is_restarted_stays_alive_to_who_holds_it_open(mp):
    """Between two runs it is alive; when no other follows it has ended, however often it was read before."""
    path = mp.start('p', 'sleep', ['0.01'], restart='always')
    alive, exitcode = (os.open(f'{path}/{name}', os.O_RDONLY) for name in ('alive', 'exitcode'))

    def has_run_again():
        same((os.pread(alive, 9, 0), os.pread(exitcode, 9, 0)), (b'1\n', b''))
        return 'restarts: 2' in read(path + '/status')
    wait_until(has_run_again)
    write(path + '/ctl', 'kill\njoin')
    same(os.pread(alive, 9, 0), b'0\n')
    assert os.pread(exitcode, 9, 0), 'no exitcode after the end'
    for descriptor in (alive, exitcode):
        os.close(descriptor)


@claim
def the_times_of_alive_and_exitcode_are_those_of_the_end(mp):
    """Attributes that the kernel kept are asked for anew after the end."""
    path = mp.start('p', 'sleep', ['1000'])
    before = [os.stat(f'{path}/{name}').st_mtime_ns for name in ('alive', 'exitcode', 'alive', 'exitcode')]
    write(path + '/ctl', 'kill\njoin')
    for name, started in zip(('alive', 'exitcode'), before):
        same(os.stat(f'{path}/{name}').st_mtime_ns, os.stat(path + '/state').st_mtime_ns)
        assert os.stat(f'{path}/{name}').st_mtime_ns > started


@claim
def an_end_is_seen_by_everybody_while_others_read_all_the_time(mp):
    """Readers that never pause hold up neither the end nor each other."""
    path = mp.start('p', 'sleep', ['1000'])
    readers = [subprocess.Popen(['sh', '-c', 'while [ ! -s "$1/exitcode" ]; do read a < "$1/alive"; done; cat "$1/alive"',
                                 'reader', path], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() > begun + .2 and value(path + '/alive') == '1')
    write(path + '/ctl', 'kill\njoin')
    for reader in readers:
        same(reader.communicate(timeout=60)[0], '0\n')


@claim
def a_read_that_comes_together_with_the_end_does_not_wait_for_itself(mp):
    """The page that it is to fill is the one that is dropped: it is answered first."""
    path = mp.start('p', 'sleep', ['1000'])
    pid, held = int(value(path + '/pid')), os.open(path + '/alive', os.O_RDONLY)
    same(os.pread(held, 9, 0), b'1\n')
    os.posix_fadvise(held, 0, 0, os.POSIX_FADV_DONTNEED)
    mp.idle()
    with Stopped(mp.server):
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not exists(pid), what='the keeper reaps')
        reading = Background(os.pread, held, 9, 0)
        mp.wait_until_held(reading)
    assert reading.result() in (b'0\n', b'1\n'), reading.value
    write(path + '/ctl', 'join')
    same(os.pread(held, 9, 0), b'0\n')
    same(mp.messages(), '', 'the kernel lets the page go')
    os.close(held)


def kill_server(mp):
    """Waits until another one answers."""
    mp.kill_server()
    read(mp('version'))


@claim(timeout=200)
def no_read_is_stale_when_servers_are_killed(mp):
    """A new server takes back what the kernel has kept before it answers anybody, and one that is killed while the kernel lets it
    wait is followed by another nevertheless."""
    seed = os.environ.get('PROCFS_MP_TEST_SEED') or str(random.randrange(1 << 32))
    moments, kills = random.Random(seed), 0
    hammer = subprocess.Popen([HAMMER, mp.path, str(SECONDS), shutil.which('sleep'), 'killed'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    while hammer.poll() is None:
        time.sleep(moments.random() / 20)
        kill_server(mp)
        kills += 1
    said = hammer.communicate()[0]
    same(hammer.returncode, 0, f'{said}seed {seed}')
    assert ', 0 stale' in said, said
    assert 'does not let go' not in mp.messages(), mp.messages()
    print(f'# {said.strip()}, {kills} kills', flush=True)


@claim
def what_ends_without_a_server_is_not_alive_to_the_next(mp):
    """A held descriptor, a new one and the size of exitcode, all kept by the kernel, say what has become of it meanwhile."""
    path = mp.start('p', 'sleep', ['1000'])
    pid = int(value(path + '/pid'))
    alive, exitcode = (os.open(f'{path}/{name}', os.O_RDONLY) for name in ('alive', 'exitcode'))
    for _ in range(3):
        same((os.pread(alive, 9, 0), os.pread(exitcode, 9, 0), os.stat(path + '/exitcode').st_size), (b'1\n', b'', 0))
    os.kill(mp.server, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f'/proc/{pid}'), what='its end')
    kill_server(mp)
    same((os.pread(alive, 9, 0), os.pread(exitcode, 9, 0), os.stat(path + '/exitcode').st_size), (b'0\n', b'-9\n', 3))
    same((value(path + '/alive'), value(path + '/exitcode')), ('0', '-9'))
    write(path + '/ctl', 'reset')
    same((os.pread(alive, 9, 0), os.pread(exitcode, 9, 0)), (b'0\n', b''))
    for descriptor in (alive, exitcode):
        os.close(descriptor)


main()
