"""What supervises many processes elsewhere, so that it can be measured beside: each starts COUNT of a program and ends all of them.

A manager is prepared for a count, then start() and stop() are timed; pids() are those of its own processes, without what it
supervises. `shared` is the file in which the programs say that they run."""
import http.client
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import xmlrpc.client

from harness import DEADLINE
from plain import children_of, wait_until

LONG = 15 * DEADLINE
SUPERVISORD = '''[unix_http_server]
file={directory}/socket
[supervisord]
nodaemon=true
user=root
minfds={descriptors}
logfile=/dev/null
logfile_maxbytes=0
pidfile={directory}/pid
childlogdir={directory}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:p]
command={program} {shared}
numprocs={count}
process_name=p%(process_num)d
autostart=false
autorestart=false
startsecs=0
'''


def started(shared):
    with open(shared, 'rb') as file:
        return struct.unpack('QQ', file.read(16))[1]


def forget_started(shared):
    with open(shared, 'wb') as file:
        file.write(bytes(4096))


class Managed:
    """One in a directory of its own in memory. with Managed(count, program, shared) as manager: ..."""

    def __init__(self, count, program, shared):
        self.count, self.program, self.shared, self.daemon = count, program, shared, None

    def __enter__(self):
        self.directory = tempfile.mkdtemp(dir='/dev/shm')
        forget_started(self.shared)
        try:
            self.prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def prepare(self):
        pass

    def launch(self, *words):
        self.daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_up(self):
        wait_until(lambda: started(self.shared) >= self.count, LONG, f'{self.count} processes of {type(self).__name__}')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost')
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Supervisord(Managed):
    needs = 'supervisord'

    def prepare(self):
        path = os.path.join(self.directory, 'configuration')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(SUPERVISORD.format(directory=self.directory, program=self.program, shared=self.shared, count=self.count,
                                          descriptors=4 * self.count + 100))
        self.launch('supervisord', '-c', path)
        wait_until(lambda: os.path.exists(self.directory + '/socket'), LONG)

    def call(self, method):
        connection = UnixConnection(self.directory + '/socket')
        connection.request('POST', '/RPC2', xmlrpc.client.dumps((True,), 'supervisor.' + method), {'Content-Type': 'text/xml'})
        xmlrpc.client.loads(connection.getresponse().read())
        connection.close()

    def start(self):
        self.call('startAllProcesses')
        self.wait_up()

    def stop(self):
        self.call('stopAllProcesses')

    def pids(self):
        return [self.daemon.pid]


class Directories(Managed):
    """A supervising process for each directory, and one for all of them."""

    def prepare(self):
        self.services = os.path.join(self.directory, 'services')
        for number in range(self.count):
            service = f'{self.services}/p{number}'
            os.makedirs(service)
            with open(service + '/run', 'w', encoding='utf-8') as file:
                file.write(f'#!/bin/sh\nexec {self.program} {self.shared}\n')
            os.chmod(service + '/run', 0o755)

    def start(self):
        self.launch(*self.words())
        self.wait_up()

    def pids(self):
        return [self.daemon.pid, *children_of(self.daemon.pid)]


class S6(Directories):
    needs = 's6-svscan'

    def words(self):
        return 's6-svscan', '-c', str(self.count + 100), '-t0', self.services

    def stop(self):
        subprocess.run(['s6-svscanctl', '-t', self.services], check=True)
        self.daemon.wait()


class Runit(Directories):
    needs = 'runsvdir'

    def words(self):
        return 'runsvdir', self.services

    def stop(self):
        """runsvdir asks all and ends; each runsv ends after its service."""
        runsv = [os.pidfd_open(pid) for pid in children_of(self.daemon.pid)]
        self.daemon.send_signal(signal.SIGHUP)
        self.daemon.wait()
        for descriptor in runsv:
            wait_until(lambda one=descriptor: has_ended(one), LONG)
            os.close(descriptor)


def has_ended(pidfd):
    """Reaped or not: its parent may be anybody by now."""
    return bool(select.select([pidfd], [], [], 0)[0])


SUPERVISORS = {'supervisord': Supervisord, 's6-svscan': S6, 'runsvdir': Runit}
