"""procfs-mp(1) as a small machine: what each operation must answer, and what is the case afterwards.

Knows no files and no clients; of users it knows who asks: 0 is the superuser, whose mount it is. Whatever takes its time (an
end, a next run) is told to it once it is known to have happened.
"""
import errno
import signal

from values import FILES, NICE, Refused, line, rule_of, split

RESERVED = ('all', 'any', 'tree')
SIGNALS = {'TERM': signal.SIGTERM, 'SIGKILL': signal.SIGKILL, 'kill': signal.SIGKILL, 'USR1': signal.SIGUSR1,
           '19': signal.SIGSTOP, 'cont': signal.SIGCONT}
SECONDS = {'0': 0.0, '0.01': 0.01, '-1': 0.0, '1000': 1000.0, '1e3': 1000.0}
WITHOUT_WORD = ('start', 'close', 'reset', 'stop', 'eof', 'help')
VERBS = WITHOUT_WORD + ('join', 'terminate', 'kill', 'signal')
CLOSE_REFUSAL = 'Cannot close a process while it is still running. You should first call join() or terminate().'
UNSURE = ('unsure',)  # the error of a process of which several answers came at once
TWICE, UNSTARTED = 'cannot start a process twice', 'started process'


def shown(name):
    """A name as one line of a listing."""
    return ''.join(f'\\{ord(letter):03o}' if letter in '\n\\' else letter for letter in name)


class Process:
    def __init__(self, directory, identity, parent, owner):
        self.directory, self.identity, self.parent, self.made = directory, identity, parent, 0
        self.owner, self.session = owner, None
        self.files = {name: row[1] for name, row in FILES.items()}
        self.files['daemon'] = parent.files['daemon'] if parent else b'0\n'
        self.vector = []
        self.state = 'initial'
        self.exitcode = None
        self.fate = None       # it is about to end with this code
        self.actor = None      # the channel of the program that does what it is told
        self.channels = []     # how it does what it is told, and what its files then hold
        self.paused = self.ignores_term = self.stop_wanted = False
        self.felled = False    # its tree was signalled: that may be answered after its end
        self.delayed = None    # the signal that waits until it is continued
        self.interrupts = self.runs = self.serial = 0
        self.stdin = b''
        self.fed = []          # to this run, and not read yet
        self.eof = False
        self.out = {1: b'', 2: b''}
        self.result = b''
        self.error = ()
        self.removed = False

    @property
    def daemonic(self):
        return self.files['daemon'] == b'1\n'

    @property
    def equipped(self):
        """The channel of the next start, or None."""
        for channel, equipment in self.channels:
            if all((self.vector if name == 'args' else self.files[name]) == value for name, value in equipment.items()):
                return channel
        return None

    @property
    def started(self):
        return self.state in ('running', 'ended')

    def runs_again(self, code):
        policy = self.files['restart']
        return not self.stop_wanted and (policy == b'always\n' or (policy == b'on-failure\n' and code != 0))


class Model:
    def __init__(self, superusers=True):
        self.superusers = superusers  # the mount
        self.processes = {}    # by directory, in the order of their making
        self.made = 0
        self.start_method = b'spawn\n'
        self.user = 0          # who asks now
        self.session = None    # which that one holds open
        self.errors = {}       # the root's, of each user
        self.events = []       # (name, what)
        self.locks = {}        # name -> whose
        self.scripts = []      # those that wait
        self.kills = self.kills_over = 0  # how often the server was, or is about to be, killed

    @property
    def error(self):
        return self.errors.get(self.user, ())

    @error.setter
    def error(self, parts):
        self.errors[self.user] = parts

    def may(self, process, user=None):
        user = self.user if user is None else user
        return user in (0, process.owner)

    # ---- making and removing ----

    def event(self, process, what):
        self.events.append((shown(process.directory).replace(' ', '\\040'), what))

    def fail(self, process, code, *parts):
        """Remembers the sentence where it belongs; raises."""
        self.remember(process, parts or (None,))
        raise Refused(code, *parts)

    def remember(self, process, parts):
        if process and not process.removed:
            process.error = parts
        else:
            self.error = parts

    def add(self, directory, number, inside):
        if inside:
            inside.made = number
        else:
            self.made = number
        process = Process(directory, f'{inside.identity}:{number}' if inside else str(number), inside, self.user)
        process.session = None if inside else self.session
        process.files['start_method'] = self.start_method
        process.files['name'] = directory.encode() + b'\n'
        process.files['authkey'] = inside.files['authkey'] if inside else None
        self.processes[directory] = process
        self.event(process, 'created')
        self.error = ()
        return process

    def make(self, name, inside):
        if len(name) > 255:
            self.fail(None, errno.ENAMETOOLONG, '255 bytes')
        if name in self.processes:
            raise Refused(errno.EEXIST)  # the kernel's own answer, mostly: no sentence is sure
        if name in RESERVED:
            self.fail(None, errno.EINVAL, name, 'cannot name a process')
        return self.add(name, (inside.made if inside else self.made) + 1, inside)

    def clone(self, inside):
        number = inside.made if inside else self.made
        while True:
            number += 1
            name = f'Process-{inside.identity}:{number}' if inside else f'Process-{number}'
            if name not in self.processes:
                process = self.add(name, number, inside)
                return process

    def check_remove(self, process):
        if process.state == 'running':
            self.fail(process, errno.EBUSY, CLOSE_REFUSAL)

    def remove(self, process):
        self.check_remove(process)
        del self.processes[process.directory]
        process.removed = True
        self.event(process, 'removed')
        self.release(self.children(process))
        self.error = ()

    def children(self, process):
        return [one for one in self.processes.values() if one.parent is process]

    def release(self, children):
        """The end of a main process: daemonic ones are terminated, all pass to the mount."""
        for child in children:
            if child.state == 'running':
                child.stop_wanted = True
                if child.daemonic:
                    self.signal_one(child, signal.SIGTERM)
                    self.signal_one(child, signal.SIGCONT)
            child.parent = child.session = None

    # ---- values ----

    def write(self, process, file, data):
        """A value replaced as a shell's > does."""
        frozen = FILES[file][0]
        if frozen and process.state != 'initial':
            self.fail(process, errno.EBUSY, 'process has already started')
        try:
            value, vector = self.parse(process, file, data)
        except Refused as refusal:
            self.fail(process, refusal.code, *refusal.parts)
        self.put(process, file, value, vector)
        process.error = ()

    def append(self, process, file, data):
        if file == 'args':
            self.write(process, file, b''.join(word + b'\0' for word in process.vector + self.split_args(process, data)))
            return
        former = process.files[file]
        self.write(process, file, (former if file in ('env', 'kwargs') else former[:-1]) + data)

    def split_args(self, process, data):
        try:
            return split(data)
        except Refused as refusal:
            self.fail(process, errno.EBUSY if process.state != 'initial' else refusal.code)

    def parse(self, process, file, data):
        if file == 'args':
            return b'', split(data)
        if file == 'name':
            data = line(data, 255)
            return (data or process.directory.encode()) + b'\n', None
        trusted = self.superusers and not process.owner
        if file == 'user' and (self.user or not trusted):
            line(data)
            raise Refused(errno.EPERM, 'superuser')
        value = rule_of(file)(data)
        if file == 'nice' and not trusted and int(value) < int(NICE):
            raise Refused(errno.EPERM, 'nice value')
        return value, None

    def put(self, process, file, value, vector):
        if file == 'args':
            process.vector = vector
        process.files[file] = value

    def write_start_method(self, data):
        try:
            self.start_method = rule_of('start_method')(data)
        except Refused as refusal:
            self.fail(None, refusal.code, *refusal.parts)
        self.error = ()

    # ---- the life of one ----

    def quick_fate(self, process):
        """The exit code of a program that is known to end at once; None: it stays. Refused: it cannot be executed."""
        files = process.files
        if files['cwd'] == b'/no/such/directory\n':
            raise Refused(errno.ENOENT, '/no/such/directory')
        for which, other in ((0, 'stderr'), (1, 'stdout')):
            if files[('stdout_to', 'stderr_to')[which]].startswith(b'/no/'):
                raise Refused(errno.ENOENT, '/no/such/directory/x')
        if process.equipped:
            return None
        if files['target']:
            target = files['target'][:-1]
            if target in (b'true', b'false'):
                return int(target == b'false')
            raise Refused(errno.EACCES if target == b'/' else errno.ENOENT)
        known = {b' ': 0, b'exit 7\n': 7, b'#!/bin/sh\nexit 3': 3, b'kill -9 $$': -9}
        if files['run'] in known:
            return known[files['run']]
        raise Refused(errno.ENOENT)

    def check_start(self, process, inside):
        if process.state != 'initial':
            self.fail(process, errno.EALREADY, TWICE)
        if not process.files['target'] and not process.files['run']:
            self.fail(process, errno.EINVAL, 'nothing to run', 'target')
        if process.files['stdout_to'] == b'stderr\n' and process.files['stderr_to'] == b'stdout\n':
            self.fail(process, errno.EINVAL)
        if inside and inside.daemonic:
            self.fail(process, errno.EPERM, 'daemonic processes are not allowed to have children')

    def start(self, process, inside):
        self.check_start(process, inside)
        process.stop_wanted = False
        try:
            fate = self.quick_fate(process)
        except Refused as refusal:
            self.fail(process, refusal.code, *refusal.parts)
        process.fate = fate
        self.begin_run(process)

    def begin_run(self, process):
        process.state = 'running'
        process.actor = process.equipped
        process.paused = process.ignores_term = process.eof = process.felled = False
        process.fed = []
        process.delayed = None
        process.interrupts = 0
        process.runs += 1
        process.serial += 1
        process.error = ()
        self.event(process, 'started')

    def signal_one(self, process, number):
        if process.state != 'running' or process.fate is not None:
            return
        if number == signal.SIGKILL:
            process.fate = -9
        elif number == signal.SIGSTOP:
            process.paused = True
        elif number == signal.SIGCONT:
            process.paused = False
            if process.delayed:
                process.fate, process.delayed = -process.delayed, None
        elif number == signal.SIGUSR1:
            process.interrupts, process.kills_before = 1, self.kills_over
        elif not process.ignores_term:
            if process.paused:
                process.delayed = number
            else:
                process.fate = -number

    def stop(self, process):
        process.stop_wanted = True
        if process.files['stop_timeout'] == b'0\n' or process.files['stop_signal'] == b'KILL\n':
            self.signal_one(process, signal.SIGKILL)
            return
        self.signal_one(process, signal.SIGTERM)
        self.signal_one(process, signal.SIGCONT)
        if process.fate is None and process.files['stop_timeout'] == b'0.25\n':
            process.fate = -9

    def reset(self, process):
        if process.state == 'running':
            self.fail(process, errno.EBUSY)
        process.state, process.exitcode, process.fate, process.actor = 'initial', None, None, None
        process.out = {1: b'', 2: b''}
        if process.runs:
            process.result = b''
            self.event(process, 'reset')
        process.runs = 0

    def ended(self, process):
        """What was its fate has come. True when it is for good."""
        code, process.fate, process.actor = process.fate, None, None
        self.event(process, f'exited {code}')
        self.release(self.children(process))
        if process.runs_again(code):
            process.state = 'between'
            return False
        process.state, process.exitcode = 'ended', code
        return True

    # ---- verbs ----

    def verb(self, process, words, inside):
        """Does it. True when it waits for the end of the process."""
        verb = words[0]
        if verb == 'start':
            self.start(process, inside)
        elif verb == 'close':
            self.remove(process)
        elif verb == 'reset':
            self.reset(process)
        elif verb == 'eof':
            if not process.started:
                self.fail(process, errno.ESRCH)
            if process.files['stdin_open'] != b'1\n':
                self.fail(process, errno.EINVAL, 'stdin_open')
            process.eof = True
        elif verb == 'join':
            return self.join(process, words, inside)
        elif verb != 'help':
            self.send(process, words)
        return False

    def send(self, process, words):
        if not process.started:
            self.fail(process, errno.ESRCH, UNSTARTED)
        if process.state == 'ended':
            return
        if words[0] == 'stop':
            self.stop(process)
        elif words[0] == 'signal':
            self.signal_one(process, SIGNALS[words[1]])
        else:
            process.stop_wanted, process.felled = True, process.felled or words[1:] == ['tree']
            self.signal_one(process, signal.SIGTERM if words[0] == 'terminate' else signal.SIGKILL)

    def join(self, process, words, inside):
        if process.state == 'ended':
            return False
        if not process.started:
            self.fail(process, errno.ESRCH, 'can only join a started process')
        if inside is process:
            self.fail(process, errno.EDEADLK, 'cannot join current process')
        if len(words) > 1 and SECONDS[words[1]] < 1:
            self.fail(process, errno.ETIME, 'still running after')
        return True

    def check_line(self, process, line):
        """The words of a line of a process's ctl; Refused for what is wrong with them, in any state."""
        words = line.split()
        if words[0] in WITHOUT_WORD:
            if len(words) > 1:
                raise Refused(errno.EINVAL, 'takes no word')
        elif words[0] in ('terminate', 'kill'):
            if words[1:] not in ([], ['tree']):
                raise Refused(errno.EINVAL, 'tree')
        elif words[0] == 'join':
            if len(words) > 2 or (len(words) == 2 and words[1] not in SECONDS):
                raise Refused(errno.EINVAL, 'number of seconds')
        elif words[0] == 'signal':
            if len(words) != 2 or words[1] not in SIGNALS:
                raise Refused(errno.EINVAL, 'signal')
        elif words[0] in FILES:
            self.parse(process, words[0], line[len(words[0]):].lstrip(' \t').encode())
        else:
            raise Refused(errno.EINVAL, 'can be read' if words[0] == 'pid' else 'unknown verb', words[0])
        return words
