"""multiprocessing.Process, over the files of a mount. A child can also return a value: see result()."""
import errno
import os
import pickle
import runpy
import sys

MP = os.environ['PROCFS_MP']


class Process:
    def __init__(self, target=None, args=(), kwargs={}, *, name=None, daemon=None):
        clone = os.open(MP + '/clone', os.O_RDWR)
        self.path = f'{MP}/{os.read(clone, 256).decode().strip()}'
        os.close(clone)
        self._work = target, args, kwargs
        for file, value in ('name', name), ('daemon', daemon if daemon is None else int(daemon)):
            if value is not None:
                self._put(file, str(value).encode())

    def _put(self, file, data):
        with open(f'{self.path}/{file}', 'wb', buffering=0) as stream:
            stream.write(data)

    def _get(self, file):
        with open(f'{self.path}/{file}') as stream:
            return stream.read().rstrip('\n')

    def run(self):
        target, args, kwargs = self._work
        return target(*args, **kwargs) if target else None

    def start(self):
        self._put('env', f'PYTHONPATH={os.path.dirname(os.path.abspath(__file__))}'.encode())
        self._put('stdin', pickle.dumps(os.path.abspath(sys.argv[0])) + pickle.dumps(self))
        self._put('target', sys.executable.encode())
        self._put('args', b'-c\0import process; process.child()\0')
        self._put('ctl', b'start')

    def join(self, timeout=None):
        try:
            self._put('ctl', b'join' if timeout is None else f'join {timeout}'.encode())
        except OSError as error:
            if error.errno != errno.ETIME:
                raise

    def result(self):
        with open(self.path + '/result', 'rb') as stream:
            return pickle.load(stream)

    terminate = lambda self: self._put('ctl', b'terminate')
    kill = lambda self: self._put('ctl', b'kill')
    close = lambda self: os.rmdir(self.path)
    is_alive = lambda self: self._get('alive') == '1'
    name = property(lambda self: self._get('name'))
    daemon = property(lambda self: self._get('daemon') == '1')
    pid = property(lambda self: int(self._get('pid') or 0) or None)
    exitcode = property(lambda self: int(self._get('exitcode')) if self._get('exitcode') else None)


def child():
    """Inside: as under multiprocessing's spawn, the main program is imported under another name."""
    main = type(sys)('__mp_main__')
    vars(main).update(runpy.run_path(pickle.load(sys.stdin.buffer), run_name='__mp_main__'))
    sys.modules['__main__'] = main
    value = pickle.load(sys.stdin.buffer).run()
    with open(MP + '/self/result', 'wb') as stream:
        pickle.dump(value, stream)
