"""procfs-mp(1) as a small machine: what each operation must answer, and what is the case afterwards.

Knows no files and no clients. Whatever takes its time (an end, a next run) is told to it once it is known to have happened.
"""
import errno
import fnmatch
import signal

from values import FILES, Refused, rule_of, split

RESERVED = ('all', 'any', 'tree')
SIGNALS = {'TERM': signal.SIGTERM, 'SIGKILL': signal.SIGKILL, 'kill': signal.SIGKILL, 'USR1': signal.SIGUSR1,
           '19': signal.SIGSTOP, 'cont': signal.SIGCONT}
SECONDS = {'0': 0.0, '0.01': 0.01, '-1': 0.0, '1000': 1000.0, '1e3': 1000.0}
WITHOUT_WORD = ('start', 'close', 'reset', 'stop', 'eof', 'help')
VERBS = WITHOUT_WORD + ('join', 'terminate', 'kill', 'signal')
CLOSE_REFUSAL = 'Cannot close a process while it is still running. You should first call join() or terminate().'
TWICE, UNSTARTED = 'cannot start a process twice', 'started process'


def shown(name):
    """A name as one line of a listing."""
    return ''.join(f'\\{ord(letter):03o}' if letter in '\n\\' else letter for letter in name)


class Process:
    def __init__(self, directory, identity, parent):
        self.directory, self.identity, self.parent, self.made = directory, identity, parent, 0
        self.files = {name: row[1] for name, row in FILES.items()}
        self.files['daemon'] = parent.files['daemon'] if parent else b'0\n'
        self.vector = []
        self.state = 'initial'
        self.exitcode = None
        self.fate = None       # it is about to end with this code
        self.actor = None      # the channel of the program that does what it is told
        self.channels = []     # how it does what it is told, and what its files then hold
        self.paused = self.ignores_term = self.stop_wanted = False
        self.delayed = None    # the signal that waits until it is continued
        self.interrupts = self.runs = self.serial = 0
        self.stdin = b''
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
    def __init__(self):
        self.processes = {}    # by directory, in the order of their making
        self.made = 0
        self.start_method = b'spawn\n'
        self.error = ()        # the root's
        self.events = []       # (name, what)
        self.locks = set()
        self.scripts = []      # those that wait

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
        process = Process(directory, f'{inside.identity}:{number}' if inside else str(number), inside)
        process.files['start_method'] = self.start_method
        process.files['name'] = directory.encode() + b'\n'
        process.files['authkey'] = inside.files['authkey'] if inside else None
        self.processes[directory] = process
        self.event(process, 'created')
        self.error = ()
        return process

    def make(self, name, inside):
        if len(name) > 255:
            raise Refused(errno.ENAMETOOLONG)
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
        self.release(process)
        self.error = ()

    def children(self, process):
        return [one for one in self.processes.values() if one.parent is process]

    def release(self, process):
        """The end of a main process: daemonic ones are terminated, all pass to the mount."""
        for child in self.children(process):
            if child.state == 'running':
                child.stop_wanted = True
                if child.daemonic:
                    self.signal_one(child, signal.SIGTERM)
                    self.signal_one(child, signal.SIGCONT)
            child.parent = None

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

    def parse(self, process, file, data):
        if file == 'args':
            return b'', split(data)
        if file == 'name':
            data = data[:-1] if data.endswith(b'\n') else data
            if b'\0' in data:
                raise Refused(errno.EINVAL, 'NUL')
            return (data or process.directory.encode()) + b'\n', None
        return rule_of(file)(data), None

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
        process.paused = process.ignores_term = process.eof = False
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
            process.interrupts = 1
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
        self.release(process)
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
            process.stop_wanted = True
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


class Script:
    """A write to a process's ctl. advance() does what can be done now; `answer` is None while it waits, then 0 or the errno."""

    def __init__(self, model, process, text, inside=None):
        self.model, self.process, self.inside, self.text = model, process, inside, text
        self.lines = [line for line in text.split('\n') if line.strip(' \t')]
        self.next, self.answer, self.waits = 0, None, False
        try:
            if not self.lines:
                raise Refused(errno.EINVAL, 'there is no verb')
            for line in self.lines:
                model.check_line(process, line)
        except Refused as refusal:
            model.remember(process, refusal.parts or (None,))
            self.answer = refusal.code

    def do_line(self):
        line = self.lines[self.next]
        if self.process.removed:
            self.model.fail(None, errno.ESRCH, 'process object is closed')
        if line.split()[0] in FILES:
            file = line.split()[0]
            self.model.write(self.process, file, line[len(file):].lstrip(' \t').encode())
            return False
        return self.model.verb(self.process, line.split(), self.inside)

    def advance(self):
        while self.answer is None:
            if self.waits and self.process.state != 'ended':
                return
            if not self.waits:
                if self.next == len(self.lines):
                    self.answer = 0
                    self.model.remember(self.process, ())
                    break
                try:
                    self.waits = self.do_line()
                except Refused as refusal:
                    if self.next:
                        self.model.remember(self.process, refusal.parts + ('done before it',))
                    self.answer = refusal.code
                    break
                if self.waits:
                    continue
            self.waits = False
            self.next += 1


class ManyScript:
    """One line in the root's ctl."""

    def __init__(self, model, verb, words, seconds=None):
        self.model, self.verb, self.words, self.seconds = model, verb, words, seconds
        self.answer, self.answers, self.chosen, self.ended, self.waits, self.any = None, (), [], [], False, False

    def choose(self):
        model, chosen = self.model, []
        everybody = list(model.processes.values())
        meant = [one for one in everybody if (one.state == 'initial') == (self.verb == 'start')]
        for word in self.words:
            if word in model.processes:
                found = [model.processes[word]]
            elif word == 'all' or '*' in word or '?' in word:
                found = [one for one in meant if word == 'all' or fnmatch.fnmatchcase(one.directory, word)]
            else:
                found = []
            if not found:
                model.fail(None, errno.ENOENT)
            chosen += found
        return [one for one in everybody if one in chosen]

    def check(self, process):
        model = self.model
        if self.verb == 'start':
            model.check_start(process, None)
        elif self.verb == 'close':
            model.check_remove(process)
        elif self.verb == 'reset':
            if process.state == 'running':
                raise Refused(errno.EBUSY)
        elif not process.started:
            raise Refused(errno.ESRCH, UNSTARTED)

    def begin(self):
        model = self.model
        try:
            self.chosen = self.choose()
            for process in self.chosen:
                before = process.error
                try:
                    self.check(process)
                except Refused as refusal:
                    process.error = before
                    model.fail(None, refusal.code, shown(process.directory), *refusal.parts)
            if self.verb == 'join':
                self.waits = not self.is_over()
                if self.waits and self.seconds is not None and self.seconds < 1:
                    model.fail(None, errno.ETIME, 'still running after')
            else:
                self.act()
            if not self.waits:
                self.finish()
        except Refused as refusal:
            self.answer, self.waits = refusal.code, False

    def act(self):
        """Starts fail each for itself; which of them is the first, and told, nobody knows."""
        refusals = []
        for process in self.chosen:
            try:
                self.model.verb(process, [self.verb] + self.extra(), None)
            except Refused as refusal:
                refusals.append(refusal)
        if refusals:
            self.answers = {refusal.code for refusal in refusals}
            self.model.fail(None, refusals[0].code)

    def extra(self):
        return ['USR1'] if self.verb == 'signal' else []

    def is_over(self):
        """Who has ended has, also when it is reset while others are still waited for."""
        self.ended += [one for one in self.chosen if one.state == 'ended' and one not in self.ended]
        return bool(self.ended) if self.any else len(self.ended) == len(self.chosen)

    def finish(self):
        self.answer = 0
        self.model.error = ()

    def advance(self):
        if self.answer is None and self.is_over():
            self.waits = False
            self.finish()
