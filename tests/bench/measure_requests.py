"""Which FUSE requests an operation is made of, and how many of them its caller waits for."""
import collections
import os
import re

from harness import Mount
from plain import same, write

REQUEST = re.compile(r'^unique: \d+, opcode: (\w+)')
NOT_WAITED_FOR = ('RELEASE', 'FORGET', 'BATCH_FORGET')
TRUE = '/bin/true'


def plain_write(path, text):
    """Without O_TRUNC: as a program writes that is not a shell."""
    write(path, text, os.O_WRONLY)


def read_once(path):
    descriptor = os.open(path, os.O_RDONLY)
    same(os.read(descriptor, 16), b'0\n')
    os.close(descriptor)


def clone_once():
    descriptor = os.open('clone', os.O_RDWR)
    os.write(descriptor, b'target /bin/true\nstart\njoin\n')
    os.read(descriptor, 64)
    os.close(descriptor)


def shell_write(path):
    """As a shell's `>` does it."""
    write(path, TRUE)


def steps_of(path):
    """The operations whose requests are counted, in their order."""
    return (
        ('mkdir', lambda: os.mkdir(path)),
        ('target', lambda: plain_write(path + '/target', TRUE)),
        ('> target', lambda: shell_write(path + '/target')),
        ('start', lambda: plain_write(path + '/ctl', 'start\n')),
        ('join', lambda: plain_write(path + '/ctl', 'join\n')),
        ('exitcode', lambda: read_once(path + '/exitcode')),
        ('[ -s exitcode ]', lambda: os.stat(path + '/exitcode')),
        ('rmdir', lambda: os.rmdir(path)),
        ('clone', clone_once),
    )


def opcodes(log):
    return [match.group(1) for match in map(REQUEST.match, open(log, errors='replace')) if match]


def measure(results):
    """From the debug log of a mount of its own, whose root is the working directory as in ways.c. statfs, which nothing
    else here sends, ends what belongs to a step; what close sends is in the queue before close returns."""
    before = os.getcwd()
    with Mount('debug') as mount:
        os.chdir(mount.path)
        try:
            for name in ('warm-up', 'counted'):
                os.statvfs('.')
                begun = len(opcodes(mount.log))
                steps = steps_of(name)
                for _, step in steps:
                    step()
                    os.statvfs('.')
        finally:
            os.chdir(before)
        pieces = ' '.join(opcodes(mount.log)[begun:]).split('STATFS')
    results.requests = {step: dict(collections.Counter(piece.split())) for (step, _), piece in zip(steps, pieces)}
