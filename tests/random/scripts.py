"""What is written to ctl, as lines: a process's, and the root's verbs for many. A part of the model."""
import errno
import fnmatch

from model import UNSTARTED, shown
from values import FILES, Refused


class Script:
    """A write to a process's ctl. advance() does what can be done now; `answer` is None while it waits, then 0 or the errno."""

    def __init__(self, model, process, text, inside=None):
        self.model, self.process, self.inside, self.text, self.user = model, process, inside, text, model.user
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
        self.model.user = self.user
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
        self.model, self.verb, self.words, self.seconds, self.user = model, verb, words, seconds, model.user
        self.answer, self.answers, self.chosen, self.ended, self.waits, self.any = None, (), [], [], False, False

    def choose(self):
        model, chosen = self.model, []
        everybody = list(model.processes.values())
        meant = [one for one in everybody if model.may(one) and (one.state == 'initial') == (self.verb == 'start')]
        for word in self.words:
            if word in model.processes:
                found = [model.processes[word]]
                if not model.may(found[0]):
                    model.fail(None, errno.EACCES, 'not yours')
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
        self.model.user = self.user
        if self.answer is None and self.is_over():
            self.waits = False
            self.finish()
