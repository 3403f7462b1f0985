#!/usr/bin/env python3
"""The result: bytes that a process leaves for others, written inside and read outside."""
import errno
import hashlib
import os
import socket

from harness import PYTHON, claim, main
from plain import Background, append, contains, errno_of, expect_errno, read, read_bytes, same, value, wait_until, write

LARGEST = 16 << 20
REFUSALS = '''
import errno, os, sys
def code(flags, data=b'x', path=os.environ['PROCFS_MP'] + '/' + sys.argv[1] + '/result'):
    try:
        fd = os.open(path, flags)
        try:
            while data:
                data = data[os.write(fd, data):]
        finally:
            os.close(fd)
    except OSError as error:
        return errno.errorcode[error.errno]
    return 'done'
'''


def python(mp, name, code, *words):
    return mp.run(name, PYTHON, ['-c', REFUSALS + code, *words])


@claim
def what_is_written_inside_is_read_outside(mp):
    """result: bytes that the process writes from inside, through self/result, in any language."""
    path = mp.make('sh', 'sh', ['-c', 'echo 42 > "$PROCFS_MP/self/result"'])
    same(read(path + '/result'), '')
    write(path + '/ctl', 'start\njoin')
    same((value(path + '/exitcode'), read(path + '/result'), os.stat(path + '/result').st_size), ('0', '42\n', 3),
         read(path + '/stderr'))
    same(read(path + '/result'), '42\n', 'kept, and read again')
    same(read_bytes(python(mp, 'py', 'open(os.environ["PROCFS_MP"] + "/self/result", "wb").write(bytes(range(256)))', 'py')
                    + '/result'), bytes(range(256)))
    os.rmdir(path)
    same(read(mp.make('sh', 'true') + '/result'), '', 'a new process has none')


@claim
def a_descendant_is_inside_too(mp):
    """From inside: the process and what it has started, also in a session of its own."""
    path = mp.run('nested', 'sh', ['-c', 'setsid sh -c "echo deep > \\$PROCFS_MP/self/result"; exit 0'])
    same(read(path + '/result'), 'deep\n', read(path + '/stderr'))


@claim
def it_replaces_appends_and_goes_on(mp):
    """Several writes of one open continue, `>` replaces, `>>` appends."""
    path = mp.run('writes', 'sh', ['-c', 'cd "$PROCFS_MP/self"; { echo a; echo b; } > result; cat result; echo c >> result; '
                                   'cat result; echo d > result; cat result; : > result; wc -c < result; printf e > result'])
    same((read(path + '/stdout'), read(path + '/result')), ('a\nb\na\nb\nc\nd\n0\n', 'e'), read(path + '/stderr'))
    path = python(mp, 'places', 'r = "/" .join((os.environ["PROCFS_MP"], "self/result")); fd = os.open(r, os.O_RDWR)\n'
                  'os.write(fd, b"12345"); os.pwrite(fd, b"X", 2); print(os.pread(fd, 9, 1)); os.ftruncate(fd, 4)\n'
                  'try: os.pwrite(fd, b"far", 9)\nexcept OSError as e: print(errno.errorcode[e.errno], "hole" in open(r[:-6] + "error").read())', 'places')
    same((read(path + '/stdout'), read(path + '/result')), ("b'2X45'\nEINVAL True\n", '12X4'), read(path + '/stderr'))


@claim
def outside_it_is_read_only(mp):
    """Outside writes are refused: EPERM with a sentence, also before start and after the end."""
    os.mkfifo(mp.base + '/hold')
    hold = os.open(mp.base + '/hold', os.O_RDWR)
    path = mp.make('closed', 'sh', ['-c', f'echo mine > $PROCFS_MP/self/result; echo; read x < {mp.base}/hold'])

    def refused():
        before = read(path + '/result')
        for call in (lambda: write(path + '/result', 'forged'), lambda: append(path + '/result', 'forged'),
                     lambda: os.truncate(path + '/result', 0), lambda: os.close(os.open(path + '/result', os.O_RDWR))):
            expect_errno(errno.EPERM, call, 'inside', 'self/result', error_file=path + '/error')
            same(read(path + '/result'), before)
    refused()
    write(path + '/ctl', 'start')
    wait_until(lambda: read(path + '/stdout') == '\n')
    same(read(path + '/result'), 'mine\n')
    refused()
    other = python(mp, 'other', 'print(code(os.O_WRONLY), code(os.O_WRONLY | os.O_TRUNC))', 'closed')
    same(read(other + '/stdout'), 'EPERM EPERM\n', 'another process is outside')
    os.write(hold, b'\n')
    os.close(hold)
    write(path + '/ctl', 'join')
    refused()
    same(read(path + '/result'), 'mine\n')
    expect_errno(errno.EINVAL, lambda: write(mp.make('verb') + '/ctl', 'result 42'))


@claim
def a_descriptor_that_is_handed_out_does_not_open_it(mp):
    """Each write is looked at, not only the open: a descriptor that has left the process is no way in."""
    path = mp.make('leaks', PYTHON, ['-c', 'import os, socket, sys\n'
                   'fd = os.open(os.environ["PROCFS_MP"] + "/self/result", os.O_WRONLY); os.write(fd, b"in")\n'
                   's = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); socket.send_fds(s, [b"x"], [fd]); s.recv(1)',
                   mp.base + '/socket'])
    server = socket.socket(socket.AF_UNIX)
    server.bind(mp.base + '/socket')
    server.listen()
    write(path + '/ctl', 'start')
    connection, _ = server.accept()
    _, (fd,), _, _ = socket.recv_fds(connection, 1, 1)
    same(errno_of(os.write, fd, b'out'), errno.EPERM)
    same(errno_of(os.ftruncate, fd, 0), errno.EPERM)
    os.close(fd)
    connection.close()
    write(path + '/ctl', 'join')
    same(read(path + '/result'), 'in')
    server.close()


@claim
def it_is_bounded(mp):
    """Up to 16 MiB, then E2BIG and a sentence; what fits stays."""
    path = python(mp, 'big', 'import hashlib; data = os.urandom(LARGEST)\n'
                  'print(code(os.O_WRONLY, data), code(os.O_WRONLY | os.O_APPEND), hashlib.sha256(data).hexdigest())\n'
                  'print(open(os.environ["PROCFS_MP"] + "/self/error").read())'.replace('LARGEST', str(LARGEST)), 'big')
    words, sentence = read(path + '/stdout').splitlines()[:2]
    whole = read_bytes(path + '/result')
    same((len(whole), words.split()), (LARGEST, ['done', 'E2BIG', hashlib.sha256(whole).hexdigest()]), read(path + '/stderr'))
    contains(sentence, str(LARGEST))
    path = python(mp, 'over', f'print(code(os.O_WRONLY | os.O_TRUNC, b"y" * {LARGEST + 1}))', 'over')
    same(read(path + '/stdout'), 'E2BIG\n', read(path + '/stderr'))
    part = read_bytes(path + '/result')  # the kernel cuts a large write into several
    assert part == b'y' * len(part) and len(part) <= LARGEST, len(part)


@claim
def who_joined_reads_it_whole(mp):
    """Whoever has waited for the end finds all of it."""
    paths = [mp.make(f'child{number}', 'sh', ['-c', f'seq {number} 3000 > "$PROCFS_MP/self/result"']) for number in range(8)]
    joins = []
    for path in paths:
        write(path + '/ctl', 'start')
        joins.append(Background(write, path + '/ctl', 'join'))
    for number, (path, join) in enumerate(zip(paths, joins)):
        join.result()
        same(read(path + '/result').split(), [str(n) for n in range(number, 3001)])


@claim
def it_holds_no_descriptor_after_rmdir(mp):
    """Kept to rmdir and no longer."""
    def count():
        return len(os.listdir(f'/proc/{mp.server}/fd'))
    before = count()
    path = mp.run('kept', 'sh', ['-c', 'echo 1 > "$PROCFS_MP/self/result"'])
    assert count() > before
    os.rmdir(path)
    same(count(), before)


main()
