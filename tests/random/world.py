"""A mount, its clients and the programs that run in it, beside the model of what they must see."""
import os
import select
import shlex
import shutil
import signal
import struct
import subprocess
import time

from model import UNSURE
from plain import SLOWNESS, Background, errno_name, exists, read, wait_until
from values import split

ACTOR = os.path.abspath(os.environ.get('ACTOR_BIN') or os.path.join(os.path.dirname(__file__), '../../build/tests/actor'))
REQUEST, ANSWER = struct.Struct('=iiiII'), struct.Struct('=iI')
DEADLINE = 20 * SLOWNESS


class Wrong(AssertionError):
    """The mount did not do what the model says."""


class Actor:
    """The other end of actor.c. One request at a time; `busy` while its answer is awaited. The model's `user` is who asked last."""

    def __init__(self, fds, name, model, user):
        (self.in_fd, self.out_fd), self.name, self.busy, self.pid = fds, name, False, None
        self.model, self.user, self.session, self.interrupts = model, user, None, 0

    def take(self, size):
        pieces = b''
        limit = time.monotonic() + DEADLINE
        while len(pieces) < size:
            if not select.select([self.out_fd], [], [], max(0, limit - time.monotonic()))[0]:
                raise Wrong(f'{self.name} got no answer')
            piece = os.read(self.out_fd, size - len(pieces))
            if not piece:
                raise Wrong(f'{self.name} has ended')
            pieces += piece
        return pieces

    def answer(self):
        """(result, data)"""
        result, size = ANSWER.unpack(self.take(ANSWER.size))
        self.busy = False
        return result, self.take(size)

    def ask(self, operation, path='', data=b'', a=0, b=0):
        self.model.user, self.model.session = self.user, self.session
        path = os.fsencode(path)
        whole = REQUEST.pack(ord(operation), a, b, len(path), len(data)) + path + data
        while whole:
            whole = whole[os.write(self.in_fd, whole):]
        self.busy = True

    def call(self, operation, path='', data=b'', a=0, b=0):
        self.ask(operation, path, data, a, b)
        return self.answer()

    def has_answered(self):
        return bool(select.select([self.out_fd], [], [], 0)[0])

    def is_asleep(self):
        """In a call about another file than its requests."""
        call = open(f'/proc/{self.pid}/syscall').read().split()
        return len(call) > 1 and call[1] != '0x0'

    def greet(self):
        self.pid, number = self.answer()
        return int(number) if number else None


class Client(Actor):
    def __init__(self, program, name, model, user):
        who = {'user': user, 'group': user, 'extra_groups': []} if user else {}
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, **who)
        super().__init__((self.process.stdin.fileno(), self.process.stdout.fileno()), name, model, user)
        self.greet()

    def finish(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Inner(Actor):
    """A program that the mount runs, at the end of two FIFOs that stay open here."""

    def __init__(self, base, number, model, user):
        self.paths = [f'{base}/{number}.in', f'{base}/{number}.out']
        for path in self.paths:
            os.mkfifo(path)
            os.chmod(path, 0o666)
        super().__init__([os.open(path, os.O_RDWR) for path in self.paths], f'program {number}', model, user)

    def drain(self):
        for fd in (self.in_fd, self.out_fd):
            while select.select([fd], [], [], 0)[0]:
                os.read(fd, 1 << 16)
        self.busy = False

    def finish(self):
        os.close(self.in_fd)
        os.close(self.out_fd)


class Waiting:
    """A request that waits: `due` says whether the model wants it answered now, `check` takes the answer."""

    def __init__(self, actor, what, due, check, counts=True):
        self.actor, self.what, self.due, self.check, self.counts = actor, what, due, check, counts


class World:
    """other: a user, besides whoever mounted, who has two of the clients; 0: none."""

    def __init__(self, mount, model, random, other=0):
        self.mount, self.model, self.random, self.other = mount, model, random, other
        self.program = shutil.copy(ACTOR, mount.base)  # where others can reach it
        self.clients = [Client(self.program, f'client {number}', model, 0) for number in range(4)]
        self.clients += [Client(self.program, f'other client {number}', model, other) for number in range(2 if other else 0)]
        self.inner, self.waiting, self.log = [], [], []
        self.channels = 0
        os.mkdir(mount.base + '/fifos')
        self.keys = {}
        self.kills = None

    def finish(self):
        if self.kills:
            self.kills.join(DEADLINE)
        for actor in self.clients + self.inner:
            actor.finish()

    def path(self, *parts):
        return self.mount(*parts)

    def say(self, text):
        self.log.append(text)

    def free(self, user=None):
        return [one for one in self.clients if not one.busy and user in (None, one.user)]

    def client(self, user=None):
        """One that is free; None when all wait."""
        free = self.free(user)
        return self.random.choice(free) if free else None

    def suited(self, client, process):
        """Mostly one that may do something with the process."""
        if not process or self.model.may(process, client.user) or self.random.random() < 0.2:
            return client
        return self.random.choice([one for one in self.free() if self.model.may(process, one.user)])

    # ---- comparing ----

    def expect(self, got, wanted, what):
        if got != wanted:
            raise Wrong(f'{what}: {got!r} instead of {wanted!r}')

    def expect_code(self, result, code, what):
        got = -result if result < 0 else 0
        if got != code:
            raise Wrong(f'{what}: {errno_name(got)} instead of {errno_name(code)}')

    def check_error(self, process):
        """Of the process; without one the root's, of the user who asked last."""
        parts, path = (process.error, process.directory) if process and not process.removed else (self.model.error, '')
        reader = next((one for one in self.clients if one.user == (0 if path else self.model.user)), None)
        if reader.busy or parts is UNSURE:
            return
        _, data = reader.call('r', os.path.join(self.path(), path, 'error'))
        sentence = data.decode(errors='replace')
        if bool(parts) != bool(sentence) or sentence.count('\n') != bool(sentence):
            raise Wrong(f'error of {path or "the root"}: {sentence!r}, but {parts!r} is expected')
        for part in filter(None, parts):
            if part.lower() not in sentence.lower():
                raise Wrong(f'error of {path or "the root"}: {part!r} is not in {sentence!r}')

    # ---- the server's death ----

    def begin_kills(self, delays):
        def kill():
            for delay in delays:
                time.sleep(delay)
                self.mount.kill_server()
        self.model.kills += len(delays)
        self.kills = Background(kill)

    def end_kills(self):
        """From here on a server works that nobody kills."""
        if self.kills:
            self.kills.result()
            read(self.path('version'))
            self.kills, self.model.kills_over = None, self.model.kills

    # ---- what takes its time ----

    def wait(self, waiting, fated=False):
        """A request was sent that the model says waits: from here on the kernel has it. fated: it does not wait for long."""
        self.waiting.append(waiting)
        if fated:
            return
        self.see_starts()
        count = sum(one.counts for one in self.waiting)

        def parked():
            if waiting.actor.has_answered():
                raise self.too_early(waiting)
            return waiting.actor.is_asleep() and self.mount.pending() == count
        wait_until(parked, what=f'{waiting.what} waits')

    def see_starts(self):
        """A program can run before the server has the keeper's word of its exec: the start goes on then."""
        wanted = sum(what == 'started' for _, what in self.model.events)

        def seen():
            fd, text = os.open(self.path('events'), os.O_RDONLY | os.O_NONBLOCK), b''
            try:
                while True:
                    text += os.read(fd, 1 << 20)
            except BlockingIOError:
                return text.count(b' started\n') >= wanted
            finally:
                os.close(fd)
        wait_until(seen, what=f'{wanted} starts')

    def collect(self):
        """Everything that the model says is over has its answer; nothing else has."""
        answered = []
        for script in list(self.model.scripts):
            script.advance()
            if script.answer is not None:
                self.model.scripts.remove(script)
                answered.append(getattr(script, 'process', None))
        for process in filter(None, answered):
            if answered.count(process) > 1 or process.felled:
                process.error = UNSURE
        fated = any(one.fate is not None for one in self.model.processes.values())
        for waiting in list(self.waiting):
            if waiting.due():
                self.waiting.remove(waiting)
                waiting.check(*waiting.actor.answer())
            elif not fated and waiting.actor.has_answered():
                raise self.too_early(waiting)

    def too_early(self, waiting):
        answer, actor = waiting.actor.answer(), waiting.actor
        return Wrong(f'{waiting.what} was answered ({answer!r}) and should wait; {actor.name} has had {actor.call("n")[0]} '
                     f'interrupts of {actor.interrupts} that were sent')

    def greet(self, process):
        """The program that does what it is told has begun."""
        actor = process.actor
        number = actor.greet()
        process.id = number
        self.expect(read(self.path(process.directory, 'pid')), f'{actor.pid}\n', 'pid')
        process.greeted = process.serial

    def settle(self):
        """Fates come true, new runs begin, pauses and their ends are seen."""
        model = self.model
        while True:
            fated = [one for one in model.processes.values() if one.state == 'running' and one.fate is not None]
            if not fated:
                break
            self.end(fated[0])
        for process in model.processes.values():
            if process.state == 'running' and process.actor and getattr(process, 'greeted', None) != process.serial:
                self.greet(process)
            if process.state == 'running':
                wanted = 'paused\n' if process.paused else 'running\n'
                if self.random.random() < 0.3 or process.paused != getattr(process, 'seen_paused', False):
                    wait_until(lambda: read(self.path(process.directory, 'state')) == wanted, what=f'{process.directory} is {wanted}')
                    process.seen_paused = process.paused

    def end(self, process):
        model, fate, actor = self.model, process.fate, process.actor
        self.say(f'  ({process.directory} ends with {fate})')
        process.seen_paused = False
        if not process.runs_again(fate):
            if not self.in_flight(process):
                self.expect(read(self.path(process.directory, 'wait')), f'{fate}\n', f'wait of {process.directory}')
            model.ended(process)
        else:
            wait_until(lambda: not exists(actor.pid), what=f'the end of {actor.name}')
            model.ended(process)
            process.fate = None
            process.actor = process.equipped
            model.begin_run(process)
        self.collect()
        if actor and process.state != 'running':
            actor.drain()
        if process.state == 'ended' and not process.removed:
            self.expect(read(self.path(process.directory, 'alive')), '0\n', f'alive of {process.directory} after its end')

    def in_flight(self, process):
        """Whether somebody's lines go on at its end, or have not begun: nobody else can see that end for sure."""
        return any(script.process is process for script in self.model.scripts if hasattr(script, 'lines'))

    def equip(self, process, client, by_run):
        """What it will run is a program that does what it is told."""
        inner = Inner(self.mount.base + '/fifos', self.channels, self.model, process.owner)
        self.channels += 1
        self.inner.append(inner)
        words = [self.program] + inner.paths
        text = ' '.join(map(shlex.quote, words[1:])).encode()
        files = ({'target': b'', 'run': b'exec ' + shlex.join(words).encode() + b' "$@"\n'} if by_run else
                 {'target': words[0].encode(), 'args': text})
        for file, data in files.items():
            result, _ = client.call('w', self.path(process.directory, file), data, os.O_WRONLY | os.O_TRUNC)
            self.expect_code(result, 0, f'{file} of {process.directory}')
            self.model.write(process, file, data)
        process.channels.insert(0, (inner, {file: split(data) if file == 'args' else process.files[file]
                                            for file, data in files.items()}))

    def interrupt(self, waiting):
        self.waiting.remove(waiting)
        waiting.actor.interrupts += 1
        os.kill(waiting.actor.pid, signal.SIGUSR1)
        return waiting.actor.answer()

