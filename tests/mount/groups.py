"""What the tests of control groups share."""
import errno
import os

from cgroups import made_by
from harness import Skip
from plain import errno_of, read, same, value, wait_until, write


def need(mp, *files):
    """A directory for which these limits can be set here."""
    path = mp.make('probe', 'true')
    for file in files:
        code = errno_of(write, f'{path}/{file}', '100000')
        if code == errno.EOPNOTSUPP:
            raise Skip(value(path + '/error'))
        same(code, 0, file)
    os.rmdir(path)


def groups_of(mount):
    """Those with limits: p and the process's number in their name, where those that are made ahead have a t."""
    return [directory for directory in made_by(mount) if os.path.basename(directory).split('-')[5].startswith('p')]


def need_trees(mount):
    if not made_by(mount):
        raise Skip('no group of cgroup v2 can be made here')


def tree_of(pid):
    """The group of version 2 that it is in."""
    return next(line.rstrip('\n')[3:] for line in open(f'/proc/{pid}/cgroup') if line.startswith('0::'))


# Left behind with nothing to know it by: an orphan in a session of its own, without PROCFS_MP_ID.
HIDDEN = 'env -i setsid setsid -f sh -c "echo \\$\\$; exec sleep 1000"'


def hidden_one(path):
    return int(wait_until(lambda: read(path + '/stdout'), what='it has hidden').split()[-1])
