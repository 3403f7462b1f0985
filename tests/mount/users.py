"""What the tests of other users share: who they are, and a machine that lets them in. Only root can become other users."""
import errno
import functools
import os
import pwd
import shutil
import stat
import sys
import tempfile

import harness
from harness import MS_BIND, Mount, Skip, leave_mount_namespace, system_mount
from plain import fork, in_child

ALICE, BOB, GROUP, NOBODYS = 12345, 65534, 4242, 54321  # the last one has no account
DENIED = (errno.EACCES, errno.EPERM)


def claim(function):
    """As harness.claim, for root."""
    @functools.wraps(function)
    def checked(*arguments):
        if os.geteuid():
            raise Skip('only root can become other users')
        function(*arguments)
    return harness.claim(checked)


def open_machine_to_users():
    """In a mount namespace of this test's own, so that the machine stays as it is: /dev/fuse for all, allow_other for all, and
    an account for alice with a group."""
    leave_mount_namespace()
    place = tempfile.mkdtemp(prefix='procfs-mp-test-')
    try:
        os.mknod(place + '/fuse', stat.S_IFCHR | 0o666, os.makedev(10, 229))
        os.chmod(place + '/fuse', 0o666)
        if not os.access('/dev/fuse', os.W_OK) or os.stat('/dev/fuse').st_mode & 0o006 != 0o006:
            system_mount(place + '/fuse', '/dev/fuse', flags=MS_BIND)
        with open(place + '/fuse.conf', 'w') as file:
            file.write('user_allow_other\n')
        os.chmod(place + '/fuse.conf', 0o644)
        for file, line in (('passwd', f'procfs-mp-alice:x:{ALICE}:{ALICE}::/:/bin/sh\n'),
                           ('group', f'procfs-mp-group:x:{GROUP}:procfs-mp-alice\n')):
            with open(f'/etc/{file}') as old, open(f'{place}/{file}', 'w') as new:
                new.write(old.read() + line)
            os.chmod(f'{place}/{file}', 0o644)
            system_mount(f'{place}/{file}', f'/etc/{file}', flags=MS_BIND)
        if os.path.exists('/etc/fuse.conf'):
            system_mount(place + '/fuse.conf', '/etc/fuse.conf', flags=MS_BIND)
    finally:
        shutil.rmtree(place)


def as_alice(function):
    return in_child(function, ALICE, [GROUP])


def as_bob(function):
    return in_child(function, BOB)


def fork_as(uid, function):
    """Goes on in a child as that user: its pid, as fork's."""
    def become():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        return function()
    return fork(become)


def user_mount(*options):
    if not shutil.which('fusermount3'):
        raise Skip('no fusermount3')
    if not os.path.exists('/etc/fuse.conf'):
        raise Skip('no /etc/fuse.conf')
    if not any(entry.pw_uid == BOB for entry in pwd.getpwall()):
        raise Skip(f'no account has the user id {BOB}, and fusermount3 wants one')
    return Mount(*options, as_user=BOB, environment={'PATH': os.environ['PATH'], 'HOME': '/'})


def main_for_users(*options):
    """As harness.main, on a machine that lets users in."""
    if os.geteuid() == 0:
        try:
            open_machine_to_users()
        except OSError as reason:
            print(f'TAP version 13\n1..0 # SKIP {reason}')
            sys.exit(0)
    harness.main(*options)
