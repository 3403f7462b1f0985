"""What may be written to the files that configure a process, and what each then says: examples and rules."""
import errno
import os


class Refused(Exception):
    """errno, and parts of the sentence."""

    def __init__(self, code, *parts):
        super().__init__(code, parts)
        self.code, self.parts = code, parts


def line(data, largest=80):
    """One value without its newline."""
    data = data[:-1] if data.endswith(b'\n') else data
    if len(data) > max(largest, 80):
        raise Refused(errno.E2BIG)
    if b'\0' in data:
        raise Refused(errno.EINVAL, 'NUL')
    return data


def text(data):
    """A path or a name: any bytes."""
    data = line(data, 4096)
    return data + b'\n' if data else b''


def split(data):
    """The vector of a text as a POSIX shell splits it (2.2, Quoting), or of bytes with NULs."""
    if b'\0' in data:
        return (data if data.endswith(b'\0') else data + b'\0').split(b'\0')[:-1]
    text = data.decode('latin-1')
    words, word, quote = [], None, ''
    letters = iter(text)
    for letter in letters:
        if letter == '\\' and quote != "'":
            after = next(letters, None)
            if after is None:
                raise Refused(errno.EINVAL, 'args')
            if after != '\n':
                word = (word or '') + ('\\' if quote and after not in '$`"\\' else '') + after
        elif letter == quote:
            quote = ''
        elif not quote and letter in '\'"':
            quote, word = letter, word or ''
        elif not quote and letter in ' \t\n':
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or '') + letter
    if quote:
        raise Refused(errno.EINVAL, 'args')
    return [one.encode('latin-1') for one in words + ([] if word is None else [word])]


def lines(data, unset):
    data = data[:-1] if data.endswith(b'\n') else data
    if b'\0' in data:
        raise Refused(errno.EINVAL, 'NUL')
    for one in data.split(b'\n'):
        key, equals, _ = one.partition(b'=')
        if unset and one.startswith(b'-'):
            key, equals = key[1:], not equals
        if one and (not equals or not key or key[:1].isdigit() or b' ' in key or b'\t' in key):
            raise Refused(errno.EINVAL, 'is not a line of the form')
    return data + b'\n' if data else b''


def among(words, *parts):
    """A rule: the text that each word gives; another is refused with those parts."""
    def rule(data):
        data = line(data)
        if data not in words:
            raise Refused(errno.EINVAL, *parts)
        return words[data]
    return rule


def same(*words):
    return {word: word + b'\n' for word in words}


SECRET = ('authkey', 'env', 'stdin', 'stdout', 'stderr', 'output', 'result', 'error')  # the owner's and the superuser's

NICE = f'{os.getpriority(os.PRIO_PROCESS, 0)}\n'.encode()  # the mount's too

# name -> (settable until the start only, what it says at first, rule, examples that are interesting)
FILES = {
    'target': (True, b'', text, [b'true', b'false', b'/no/such/program', b'/', b'nobody has this', b'', b'a\0b', b'x' * 5000]),
    'args': (True, b'', None, [b'', b'one two', b"'a b' \"c\\\"d\" e\\ f", b'"open', b"it's", b'\\', b'x\0y z\0', b'\0',
                               b'# $HOME ;&|', b'new\nline', b"''", b'\xff\xc3']),
    'kwargs': (True, b'', lambda data: lines(data, False), [b'', b'a=1', b'a=1\nb=x y\n', b'novalue', b'1a=b', b'=x', b'a b=c',
                                                            b'a=\0']),
    'env': (True, b'', lambda data: lines(data, True), [b'', b'A=1\n-B', b'-HOME', b'A', b'-A=1', b'-', b'A=1\n\nB=2\n', b'9=1']),
    'cwd': (True, b'', text, [b'', b'/', b'/tmp', b'/no/such/directory', b'a\0']),
    'umask': (True, b'0022\n', among({b'22': b'0022\n', b'0077': b'0077\n', b'777': b'0777\n', b'0': b'0000\n'}, 'mask', '0777'),
              [b'22', b'0077\n', b'777', b'0', b'8', b'1000', b'-1', b'', b'0x1', b'22 ', b'7' * 90]),
    'daemon': (True, b'0\n', among(same(b'0', b'1'), 'daemon', '0 and 1'), [b'0', b'1', b'1\n', b'2', b'', b'yes', b'01', b'1\n\n']),
    'name': (False, None, None, [b'', b'Ann', b'two words\n', b'new\nline', b'\xff', b'\0', b'n' * 255 + b'\n',
                            b'n' * 256]),
    'start_method': (True, None, among(same(b'spawn', b'fork', b'forkserver'), 'cannot find context'),
                     [b'spawn', b'fork\n', b'forkserver', b'thread', b'', b'SPAWN']),
    'run': (True, b'', bytes, [b'', b'exit 7\n', b'#!/bin/sh\nexit 3', b'#!/no/such/interpreter\n', b'kill -9 $$']),
    'stop_signal': (False, b'TERM\n', among({b'': b'TERM\n', b'TERM': b'TERM\n', b'SIGKILL': b'KILL\n', b'sigterm': b'TERM\n',
                                             b'15': b'TERM\n'}, 'signal', 'TERM'),
                    [b'', b'TERM', b'SIGKILL', b'sigterm', b'15', b'NOSUCH', b'0', b'-1', b'65', b'TERM KILL']),
    'stop_timeout': (False, b'10\n', among({b'': b'10\n', b'0': b'0\n', b'1': b'1\n', b'100': b'100\n', b'1e2': b'100\n', b'0.25': b'0.25\n'},
                                           'seconds'),
                     [b'', b'0', b'100', b'1e2', b'0.25', b'-1', b'nan', b'inf', b'1s', b' 1', b'1e99', b'0x10']),
    'restart': (False, b'no\n', among(same(b'no', b'on-failure', b'always'), 'restart', 'on-failure'),
                [b'no', b'on-failure', b'always', b'never', b'', b'no\n']),
    'limits': (True, b'', among({b'': b'', b'nofile 64:128': b'nofile 64:128\n', b'core 0': b'core 0:0\n',
                                 b'nofile 64\nnofile 70:80': b'nofile 70:80\n', b' core \t0 ': b'core 0:0\n', b'core \t0 ': b'core 0:0\n'}, 'limit'),
               [b'', b'nofile 64:128', b'core 0\n', b'nofile 64\nnofile 70:80', b'nofile 9:8', b'nofile', b'bogus 1', b'nofile -1',
                b' core \t0 ', b'nofile 1:2:3', b'nofile 99999999999999999999']),
    'nice': (True, NICE, among({b'': NICE, b'5': b'5\n', b'19': b'19\n'}, 'nice'), [b'', b'5', b'19', b'20', b'-21', b'x', b'5 ']),
    'output_max': (True, b'16777216\n', among({b'1M': b'1048576\n', b'64k': b'65536\n', b'9999999': b'9999999\n',
                                               b'1T': b'1099511627776\n'}, 'output_max'),
                   [b'1M', b'64k', b'9999999', b'', b'1T', b'1P', b'-1', b'1MM', b'99999999999999999999', b'9G9']),
    'stdin_open': (True, b'0\n', among(same(b'0', b'1'), 'stdin_open'), [b'0', b'1', b'2', b'']),
    'stdout_to': (True, b'', None, [b'', b'/dev/null', b'stderr', b'stdout', b'/no/such/directory/x', b'\0']),
    'stderr_to': (True, b'', None, [b'', b'/dev/null', b'stdout', b'stderr', b'/no/such/directory/x', b'inherit x']),
    'memory_max': (True, b'max\n', among({b'': b'max\n', b'max': b'max\n'}, 'memory_max'), [b'', b'max', b'x', b'-1', b'1X']),
    'cpu_max': (True, b'max 100000\n', None, [b'max', b'x', b'1 2 3', b'0', b'5 0']),
    'pids_max': (True, b'max\n', among({b'': b'max\n', b'max': b'max\n'}, 'pids_max'), [b'', b'max', b'0x1', b'many', b'1.5']),
    'user': (True, b'', None, [b'', b'a:b', b'0x1']),
    'authkey': (False, None, None, [b'0123456789abcdefABCDEF0000000000' + b'f' * 32, b'12', b'', b'g' * 64, b'0' * 65]),
}

# Those that only refuse everything that matters, or say at least what they refuse, are held to these rules.
LETTERS = b'ab \t\n\'"\\#=-$*\xc3\xa9\x01'


def output_to(which):
    own = (b'stdout', b'stderr')[which]

    def rule(data):
        data = line(data, 4096)
        if data == own or data.startswith(b'inherit '):
            raise Refused(errno.EINVAL)
        return data + b'\n' if data else b''
    return rule


def cpu_max(data):
    if line(data) not in (b'', b'max'):
        raise Refused(errno.EINVAL)
    return b'max 100000\n'


def user(data):
    if line(data):
        raise Refused(errno.EINVAL)
    return b''


def authkey(data):
    key = data[:-1] if data.endswith(b'\n') else data
    if len(key) != 64 or not all(chr(byte) in '0123456789abcdefABCDEF' for byte in key):
        raise Refused(errno.EINVAL, '64 hexadecimal')
    return key.lower() + b'\n'


OTHER_RULES = {'stdout_to': output_to(0), 'stderr_to': output_to(1), 'cpu_max': cpu_max, 'user': user, 'authkey': authkey}


def rule_of(name):
    return FILES[name][2] or OTHER_RULES[name]


def example(random, name):
    """Something to write there: mostly an example, sometimes noise."""
    if name in ('args', 'kwargs', 'env', 'name', 'target') and random.random() < 0.4:
        return bytes(random.choice(LETTERS) for _ in range(random.randrange(12)))
    return random.choice(FILES[name][3])
