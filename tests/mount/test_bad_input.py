#!/usr/bin/env python3
"""Bad input: each gets a clear errno, changes nothing, and the server answers rightly afterwards."""
import ctypes
import errno
import fcntl
import mmap
import os
import socket
import stat

from harness import LIBC, claim, main
from plain import (append, contains, errno_name, errno_of, expect_errno, read, read_bytes, same, value, write, write_all)

E = errno
REFUSED = (E.EPERM, E.EACCES, E.ENOTSUP, E.EINVAL, E.ENOSYS)
FILES = ('target', 'args', 'kwargs', 'name', 'daemon', 'authkey', 'run', 'env', 'cwd', 'umask', 'pid', 'ppid', 'alive',
         'exitcode', 'state', 'ctl', 'error', 'status', 'stdout', 'stderr')
CONFIGURATION = ('target', 'args', 'kwargs', 'name', 'daemon', 'authkey', 'run', 'env', 'cwd', 'umask', 'state')


class Unchanged:
    """A directory whose values and listing, and the mount's, are the same before and after, and which still works."""

    def __init__(self, mp, name):
        self.mp = mp
        self.path = mp.make(name, 'sh', ['-c', 'exit 3'], env='A=b\n', kwargs='a=b\n', name='the name')

    def look(self):
        values = {file: read(f'{self.path}/{file}') for file in CONFIGURATION}
        values.update({file: os.lstat(f'{self.path}/{file}')[:6] for file in FILES})
        return values, sorted(os.listdir(self.path)), sorted(os.listdir(self.mp.path)), os.lstat(self.path)[:6]

    def __enter__(self):
        self.before = self.look()
        return self.path

    def __exit__(self, kind, *_):
        if kind is None:
            assert self.mp.healthy(), 'the server died'
            same(self.look(), self.before, 'changed')
            write(self.path + '/ctl', 'start\njoin')
            same(value(self.path + '/exitcode'), '3')


@claim
def unbalanced_quotes_are_refused_with_a_sentence(mp):
    """Bad input: unbalanced quotes."""
    with Unchanged(mp, 'quotes') as path:
        for text, word in (('a "b', 'quote'), ("it's", 'quote'), ('"\'', 'quote'), ('end\\', 'backslash'), ("'a''", 'quote')):
            for file, data in (('args', text), ('ctl', 'args ' + text)):
                expect_errno(E.EINVAL, lambda: write(f'{path}/{file}', data))
                contains(read(path + '/error'), word)


@claim
def nul_bytes_are_refused_where_they_cannot_be_meant(mp):
    """Bad input: NUL bytes in each file (in args they make a vector)."""
    with Unchanged(mp, 'nul') as path:
        for file in ('target', 'kwargs', 'name', 'daemon', 'authkey', 'env', 'cwd', 'umask', 'ctl'):
            for data in (b'\0', b'a\0', b'a\0b', b'A=b\0c', b'1\0', b'start\0', b'\0' * 5000):
                expect_errno((E.EINVAL, E.E2BIG) if len(data) > 100 else E.EINVAL, lambda: write(f'{path}/{file}', data))
    with Unchanged(mp, 'nulctl') as path:
        expect_errno(E.EINVAL, lambda: write(path + '/ctl', b'name x\0\nstart\n'))
    expect_errno(E.EINVAL, lambda: write(mp('start_method'), b'spawn\0'))


@claim
def invalid_utf8_is_kept_byte_for_byte_or_refused(mp):
    """Bad input: invalid UTF-8; arguments and environment are bytes."""
    data = b'\xff\xfe\x80\xc3('
    path = mp.make('utf8', b'/bin/' + data, env=b'A=' + data + b'\n', kwargs=b'k=' + data + b'\n')
    same(read_bytes(path + '/target'), b'/bin/' + data + b'\n')
    same(read_bytes(path + '/env'), b'A=' + data + b'\n')
    same(read_bytes(path + '/kwargs'), b'k=' + data + b'\n')
    expect_errno(E.ENOENT, lambda: write(path + '/ctl', 'start'))
    read_bytes(path + '/error')
    with Unchanged(mp, 'utf8words') as path:
        for file in ('ctl', 'daemon', 'umask', 'authkey'):
            expect_errno(E.EINVAL, lambda: write(f'{path}/{file}', data))


@claim
def empty_writes_do_nothing(mp):
    """Bad input: empty writes."""
    with Unchanged(mp, 'empty') as path:
        for file in ('target', 'args', 'name', 'daemon', 'authkey', 'umask', 'ctl', 'stdin'):
            write(f'{path}/{file}', b'', os.O_WRONLY)
        for data in ('\n', '\n\n\n', '   \n'):
            errno_of(write, path + '/ctl', data)
        for file in ('daemon', 'authkey', 'umask'):
            same(errno_name(errno_of(write, f'{path}/{file}', '\n')), 'EINVAL', file)


@claim
def two_mebibytes_of_args_are_too_long(mp):
    """Too long: E2BIG."""
    for name, data in (('oneword', b'x' * (2 << 20)), ('manywords', b'x ' * (1 << 20)), ('vector', b'x\0' * (1 << 20))):
        path = mp.make(name, 'true')
        code = errno_of(write_all, path + '/args', data)
        if not code:
            code = errno_of(write, path + '/ctl', 'start')
            assert read(path + '/error').strip(), 'no sentence'
        same(errno_name(code), 'E2BIG', name)
        same(value(path + '/state'), 'initial')
        write(path + '/args', 'short')
        write(path + '/ctl', 'start\njoin')
        same(value(path + '/exitcode'), '0')


@claim
def values_that_are_too_long_are_refused_whole(mp):
    """Too long: E2BIG."""
    with Unchanged(mp, 'long') as path:
        for file in ('name', 'daemon', 'authkey', 'umask', 'target', 'cwd'):
            expect_errno((E.E2BIG, E.EINVAL, E.ENAMETOOLONG), lambda: write(f'{path}/{file}', 'x' * 100000))


@claim
def a_name_has_at_most_255_bytes(mp):
    """name: as that of a directory; E2BIG above, and the value is as it was."""
    path = mp.make('named')
    for data in ('n' * 255, 'm' * 255 + '\n'):
        write(path + '/name', data)
        same(read(path + '/name'), data.rstrip('\n') + '\n')
    for data in ('x' * 256, 'x' * 256 + '\n', 'x' * 4000):
        expect_errno(E.E2BIG, lambda: write(path + '/name', data), 'name takes at most 255 bytes', error_file=path + '/error')
        expect_errno(E.E2BIG, lambda: write(path + '/ctl', 'name ' + data))
        expect_errno(E.E2BIG, lambda: append(path + '/name', 'x'))
    same(read(path + '/name'), 'm' * 255 + '\n')


@claim
def odd_names_are_names(mp):
    """Bad input: names with odd characters, 255-byte names."""
    names = ['-rf', ' ', 'a b', 'new\nline', '*', '?', '[a]', '\\', '"', "'", '$HOME', '\x01', '\x7f', 'é', os.fsdecode(b'\xff\xfe'),
             '...', '.hidden', 'x' * 255, 'é' * 127, 'Process-1', '012', 'ALL', '%s%n']
    for name in names:
        path = mp.run(name, 'true')
        same((value(path + '/exitcode'), value(path + '/pid').isdigit()), ('0', True), repr(name))
        same(read_bytes(path + '/name'), os.fsencode(name) + b'\n')
    same(sorted(mp.names()), sorted(names))
    read(mp('active_children'))
    for name in names:
        os.rmdir(mp(name))
    same(mp.names(), [])


@claim
def names_that_cannot_be_are_refused(mp):
    """all, any and tree can't be directory names; what exists, exists; 256 bytes are too long."""
    before = sorted(os.listdir(mp.path))
    for name in ('all', 'any', 'tree'):
        expect_errno((E.EINVAL, E.EEXIST), lambda: os.mkdir(mp(name)))
    for name in ('clone', 'active_children', 'session', 'start_method', 'help', 'version', 'self', '.', '..'):
        expect_errno(E.EEXIST, lambda: os.mkdir(mp(name)))
    expect_errno(E.ENAMETOOLONG, lambda: os.mkdir(mp('x' * 256)))
    expect_errno(E.ENOENT, lambda: os.mkdir(mp('no', 'such')))
    os.mkdir(mp('twice'))
    expect_errno(E.EEXIST, lambda: os.mkdir(mp('twice')))
    os.rmdir(mp('twice'))
    same(sorted(os.listdir(mp.path)), before)


@claim
def only_process_directories_can_be_removed(mp):
    """rmdir NAME is close(); the files belong to the tree."""
    with Unchanged(mp, 'stays') as path:
        expect_errno(E.ENOENT, lambda: os.rmdir(mp('nobody')))
        expect_errno(REFUSED + (E.EBUSY, E.ENOTEMPTY), lambda: os.rmdir(path + '/children'))
        expect_errno(E.ENOTDIR, lambda: os.rmdir(mp('version')))
        expect_errno(REFUSED + (E.EISDIR,), lambda: os.unlink(path))
        for file in ('target', 'ctl', 'pid'):
            expect_errno(REFUSED, lambda: os.unlink(f'{path}/{file}'))
        for file in ('clone', 'version'):
            expect_errno(REFUSED, lambda: os.unlink(mp(file)))


@claim
def odd_offsets_are_refused(mp):
    """Bad input: writes at odd offsets."""
    with Unchanged(mp, 'offset') as path:
        for file in ('target', 'args', 'name', 'daemon', 'umask', 'authkey', 'env', 'kwargs'):
            for offset in (1000, 1 << 20, 1 << 40, (1 << 63) - 4096):
                descriptor = os.open(f'{path}/{file}', os.O_WRONLY)
                code = errno_of(os.pwrite, descriptor, b'1', offset)
                os.close(descriptor)
                assert code in (E.EINVAL, E.E2BIG, E.EFBIG, E.ESPIPE), f'{file} at {offset}: {errno_name(code)}'


@claim
def truncation_to_another_size_is_refused(mp):
    """Bad input: truncation."""
    with Unchanged(mp, 'truncate') as path:
        for file in ('target', 'args', 'name', 'daemon', 'umask', 'authkey', 'pid', 'exitcode', 'state'):
            for size in (1, 1 << 20, 1 << 40):
                code = errno_of(os.truncate, f'{path}/{file}', size)
                assert code in REFUSED + (E.EFBIG, E.E2BIG), f'{file} to {size}: {errno_name(code)}'
        expect_errno(E.EISDIR, lambda: os.truncate(path, 0))


@claim
def nothing_can_be_linked_renamed_or_made(mp):
    """Bad input: hard links, symlinks, rename, mknod, create."""
    with Unchanged(mp, 'links') as path:
        os.mkdir(mp('other'))
        calls = {
            'link': lambda: os.link(path + '/target', path + '/hard'),
            'link to the root': lambda: os.link(path + '/target', mp('hard')),
            'symlink': lambda: os.symlink('target', path + '/soft'),
            'symlink in the root': lambda: os.symlink('x', mp('soft')),
            'rename a file': lambda: os.rename(path + '/target', path + '/moved'),
            'rename over a file': lambda: os.rename(path + '/target', path + '/args'),
            'rename across': lambda: os.rename(path + '/target', mp('other', 'target')),
            'rename a directory': lambda: os.rename(path, mp('moved')),
            'rename over a directory': lambda: os.rename(path, mp('other')),
            'rename a root file': lambda: os.rename(mp('version'), mp('moved')),
            'fifo': lambda: os.mkfifo(path + '/fifo'),
            'fifo in the root': lambda: os.mkfifo(mp('fifo')),
            'device': lambda: os.mknod(mp('device'), stat.S_IFCHR | 0o600, os.makedev(1, 3)),
            'plain node': lambda: os.mknod(path + '/node', stat.S_IFREG | 0o600),
            'create': lambda: os.close(os.open(path + '/unknown', os.O_WRONLY | os.O_CREAT, 0o644)),
            'create in the root': lambda: os.close(os.open(mp('unknown'), os.O_WRONLY | os.O_CREAT, 0o644)),
            'directory in a process': lambda: os.mkdir(path + '/inner'),
            'directory in children': lambda: os.mkdir(path + '/children/inner'),
            'socket': lambda: socket.socket(socket.AF_UNIX).bind(path + '/socket'),
        }
        for kind, call in calls.items():
            code = errno_of(call)
            assert code in REFUSED, f'{kind}: {errno_name(code)}'
        os.rmdir(mp('other'))
        assert errno_of(lambda: os.close(os.open(path + '/target', os.O_WRONLY | os.O_CREAT | os.O_EXCL))) == E.EEXIST


@claim
def creating_an_existing_file_opens_it(mp):
    """`>` opens with O_CREAT in every shell."""
    path = mp.make('creat')
    descriptor = os.open(path + '/target', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.write(descriptor, b'true')
    os.close(descriptor)
    same(value(path + '/target'), 'true')


@claim
def modes_and_owners_cannot_be_changed(mp):
    """Bad input: chmod; chown is EPERM."""
    with Unchanged(mp, 'modes') as path:
        for place in (path, path + '/target', path + '/ctl', path + '/pid', mp('version')):
            expect_errno(REFUSED, lambda: os.chmod(place, 0o777))
            expect_errno(E.EPERM, lambda: os.chown(place, 12345, 12345))


@claim
def times_change_nothing(mp):
    """Bad input: utimes is refused or has no effect on any value."""
    with Unchanged(mp, 'times') as path:
        for place in (path, path + '/target', path + '/exitcode', mp('version')):
            code = errno_of(os.utime, place, (1, 1))
            assert code in REFUSED + (0,), errno_name(code)


@claim
def there_are_no_extended_attributes(mp):
    """Bad input: xattrs."""
    with Unchanged(mp, 'xattrs') as path:
        for place in (path, path + '/target', mp('version')):
            for name in ('user.x', 'trusted.x', 'system.posix_acl_access', 'security.capability'):
                expect_errno(REFUSED, lambda: os.setxattr(place, name, b'value'))
                expect_errno((E.ENOTSUP, E.ENODATA), lambda: os.getxattr(place, name))
            code = errno_of(lambda: same(os.listxattr(place), []))
            assert code in (0, E.ENOTSUP), errno_name(code)


def fallocate(descriptor, size):
    """The system call alone: posix_fallocate(3) writes when it is refused."""
    if LIBC.fallocate(descriptor, 0, ctypes.c_longlong(0), ctypes.c_longlong(size)):
        raise OSError(ctypes.get_errno(), 'fallocate')


@claim
def space_cannot_be_reserved_and_holes_cannot_be_sought(mp):
    """Bad input: fallocate, odd seeks."""
    with Unchanged(mp, 'space') as path:
        for file in ('target', 'args', 'stdin'):
            descriptor = os.open(f'{path}/{file}', os.O_WRONLY)
            expect_errno(REFUSED + (E.ENODEV, E.ESPIPE), lambda: fallocate(descriptor, 1 << 20))
            expect_errno((E.EINVAL, E.ESPIPE), lambda: os.lseek(descriptor, -1, os.SEEK_SET))
            os.close(descriptor)


@claim
def mapping_locking_and_direct_io_do_no_harm(mp):
    """Bad input: mmap, fcntl, O_DIRECT."""
    with Unchanged(mp, 'mapping') as path:
        for file in ('target', 'args', 'pid', 'ctl', 'status'):
            descriptor = os.open(f'{path}/{file}', os.O_RDONLY)
            try:
                with mmap.mmap(descriptor, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
                    mapped[:1]
            except (OSError, ValueError):
                pass
            errno_of(fcntl.lockf, descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            errno_of(fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            errno_of(fcntl.fcntl, descriptor, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)
            errno_of(fcntl.ioctl, descriptor, 0x5401, b'\0' * 64)
            os.close(descriptor)
        expect_errno(E.EINVAL, lambda: write(path + '/daemon', 'x', os.O_WRONLY | os.O_DIRECT))
        code = errno_of(lambda: os.close(os.open(path + '/target', os.O_RDONLY | os.O_DIRECT)))
        assert code in (0, E.EINVAL), errno_name(code)


@claim
def files_that_only_speak_cannot_be_written_and_the_others_way_round(mp):
    """The mode follows from what a file can do; root is told as everybody."""
    with Unchanged(mp, 'oneway') as path:
        for file in ('pid', 'ppid', 'alive', 'exitcode', 'state', 'status', 'wait', 'sentinel'):
            expect_errno((E.EACCES, E.EPERM, E.EINVAL), lambda: write(f'{path}/{file}', '1'))
        for file in ('version', 'help', 'active_children'):
            expect_errno((E.EACCES, E.EPERM, E.EINVAL), lambda: write(mp(file), '1'))
        expect_errno(E.EISDIR, lambda: os.open(path, os.O_WRONLY))
        expect_errno(E.ENOTDIR, lambda: os.open(path + '/pid', os.O_RDONLY | os.O_DIRECTORY))


@claim
def reads_far_behind_the_end_give_nothing(mp):
    """Bad input: odd offsets."""
    with Unchanged(mp, 'behind') as path:
        for file in ('target', 'args', 'state', 'status', 'stdout', 'error'):
            descriptor = os.open(f'{path}/{file}', os.O_RDONLY)
            os.read(descriptor, 10)
            for offset in (100000, 1 << 40, (1 << 63) - 4096):
                same(os.pread(descriptor, 10, offset), b'', f'{file} at {offset}')
            os.close(descriptor)


main()
