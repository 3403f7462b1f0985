"""Plain file calls, comparisons and conditions for the tests through a real mount; knows nothing of the mount."""
import errno
import inspect
import json
import os
import signal
import stat
import threading
import time
import traceback

SLOWNESS = float(os.environ.get('PROCFS_MP_TEST_SLOWNESS', '1'))
DEADLINE = 20


def as_bytes(data):
    return data if isinstance(data, bytes) else os.fsencode(data)


def write(path, data, flags=os.O_WRONLY | os.O_TRUNC):
    """Opens as `>` does, one write(2), closes. OSError from any of them; a short count is a failure."""
    data = as_bytes(data)
    descriptor = os.open(path, flags)
    try:
        count = os.write(descriptor, data)
    finally:
        os.close(descriptor)
    assert count == len(data), f'{path}: {count} of {len(data)} bytes taken'


def write_all(path, data, size=1 << 17):
    """One open, as many writes as it takes."""
    data = as_bytes(data)
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        done = 0
        while done < len(data):
            done += os.write(descriptor, data[done:done + size])
    finally:
        os.close(descriptor)


def append(path, data):
    write(path, data, os.O_WRONLY | os.O_APPEND)


def read_bytes(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 17):
            pieces.append(piece)
        return b''.join(pieces)
    finally:
        os.close(descriptor)


def read(path):
    return os.fsdecode(read_bytes(path))


def value(path):
    """One value, without the newline that must end it; '' is None."""
    text = read(path)
    assert text == '' or text.endswith('\n'), f'{path}: no newline after {text!r}'
    return text[:-1]


def vector(*words):
    return b''.join(as_bytes(word) + b'\0' for word in words)


# Conditions ------------------------------------------------------------------------------------------------------

def wait_until(condition, deadline=DEADLINE, what=None):
    """Polls until the condition is true and returns its value; the deadline is only there to end a hang."""
    limit = time.monotonic() + deadline * SLOWNESS
    while not (result := condition()):
        if time.monotonic() > limit:
            raise AssertionError(f'never came true: {what or inspect.getsource(condition).strip()}')
        time.sleep(0.002)
    return result


def same(actual, expected, about=''):
    assert actual == expected, f'{about + ": " if about else ""}{actual!r} instead of {expected!r}'


def contains(text, *parts):
    for part in parts:
        assert part.lower() in text.lower(), f'{part!r} is not in {text!r}'


def errno_name(code):
    return errno.errorcode.get(code, str(code)) if code else 'success'


def errno_of(function, *arguments):
    """0 or the errno that the call fails with."""
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return 0


def expect_errno(code, function, *sentence, error_file=None):
    """The call fails with that errno (or one of them), and error_file then says each part of the sentence."""
    codes = code if isinstance(code, tuple) else (code,)
    got = errno_of(function)
    names = ' or '.join(map(errno_name, codes))
    assert got in codes, f'{errno_name(got)} instead of {names}'
    if error_file:
        contains(read(error_file), *sentence)


def stat_of(pid):
    """The fields of /proc/PID/stat from the state letter on; none when there is no such process."""
    try:
        return open(f'/proc/{pid}/stat', 'rb').read().rpartition(b')')[2].split()
    except OSError:
        return []


def parent_of(pid):
    """0 when there is no such process."""
    return int((stat_of(pid) or (b'', b'0'))[1])


def children_of(parent):
    """pid -> state letter of each child."""
    found = {int(name): stat_of(name) for name in os.listdir('/proc') if name.isdigit()}
    return {pid: fields[0].decode() for pid, fields in found.items() if fields and int(fields[1]) == parent}


def name_of(pid):
    """'' when there is no such process."""
    try:
        return open(f'/proc/{pid}/comm').read().rstrip('\n')
    except OSError:
        return ''


def exists(pid):
    return os.path.exists(f'/proc/{pid}')


class Stopped:
    """A process that stands still meanwhile."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: stat_of(self.pid)[:1] == [b'T'], what='a stop')

    def __exit__(self, *_):
        errno_of(os.kill, self.pid, signal.SIGCONT)  # it may have been ended meanwhile


class Background(threading.Thread):
    """A call in a thread of its own."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self.call, self.arguments, self.value, self.error = function, arguments, None, None
        self.start()

    def run(self):
        try:
            self.value = self.call(*self.arguments)
        except BaseException as error:
            self.error = error

    def result(self):
        self.join(DEADLINE * SLOWNESS)
        assert not self.is_alive(), 'the call never returned'
        if self.error:
            raise self.error
        return self.value


def call_of(task):
    """The number of the system call that a thread or process is in, and its arguments (proc(5))."""
    try:
        return open(f'/proc/{task}/syscall').read().split()
    except OSError:
        return []


def file_in_use(task):
    """The path of the open file that a thread or process is in a system call about; '' for none."""
    try:
        return os.readlink(f'/proc/{task}/fd/{int(call_of(task)[1], 16)}')
    except (OSError, IndexError):
        return ''


def fork(function):
    """Calls it in a forked child that exits with its value, 99 after any exception, and never outlives the claim. The pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(int(240 * SLOWNESS))
        code = function() or 0
    except BaseException:
        comment(traceback.format_exc())
    finally:
        os._exit(code)


def exit_of(pid):
    """Waits for such a child; -N after signal N."""
    def ended():
        found, status = os.waitpid(pid, os.WNOHANG)
        return (os.waitstatus_to_exitcode(status),) if found else None
    return wait_until(ended, what=f'the end of child {pid}')[0]


def in_child(function, uid=None, groups=()):
    """Calls it in a forked child, as that user; hands back its value (JSON) or raises its OSError."""
    read_fd, write_fd = os.pipe()

    def call():
        try:
            if uid is not None:
                os.setgroups(groups)
                os.setgid(uid)
                os.setuid(uid)
            answer = ['value', function()]
        except OSError as error:
            answer = ['errno', error.errno, str(error)]
        except Exception:
            answer = ['failure', traceback.format_exc()]
        with os.fdopen(write_fd, 'w') as stream:
            json.dump(answer, stream)
    pid = fork(call)
    os.close(write_fd)
    with os.fdopen(read_fd) as stream:
        text = stream.read()
    exit_of(pid)
    kind, *rest = json.loads(text) if text else ['failure', 'the child was killed']
    if kind == 'errno':
        raise OSError(*rest)
    assert kind == 'value', rest[0]
    return rest[0]


def is_kind(path, test):
    return test(os.lstat(path).st_mode)


def permissions(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def comment(text):
    for line in str(text).rstrip('\n').split('\n'):
        print(f'# {line}'.rstrip(), flush=True)
