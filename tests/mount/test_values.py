#!/usr/bin/env python3
"""The values: what each file takes, gives back, refuses, and does to the process."""
import errno
import hashlib
import json
import os
import random
import shlex

from harness import PYTHON, claim, main
from plain import append, expect_errno, read, read_bytes, same, value, vector, wait_until, write, write_all

SHOW_ARGS = 'import json, sys; print(json.dumps([a.encode("utf-8", "surrogateescape").hex() for a in sys.argv[1:]]))'
SHOW_ENVIRONMENT = 'import json, os; print(json.dumps(dict(os.environ)))'


def got_arguments(mp, name, data):
    """What a program really gets when `data` is written to args."""
    with open(mp.base + '/show', 'w') as file:
        file.write(f'#!{PYTHON}\n{SHOW_ARGS}\n')
    os.chmod(mp.base + '/show', 0o755)
    path = mp.make(name, mp.base + '/show')
    if data:
        write(path + '/args', data)
    shown = read_bytes(path + '/args')
    write(path + '/ctl', 'start\njoin')
    same(value(path + '/exitcode'), '0', read(path + '/stderr'))
    return [bytes.fromhex(word) for word in json.loads(read(path + '/stdout'))], shown


def environment_of(mp, name, text=''):
    path = mp.run(name, PYTHON, ['-c', SHOW_ENVIRONMENT], env=text)
    return json.loads(read(path + '/stdout'))


# file: what is written, what reads back (a newline after it)
ROUND_TRIPS = (
    ('target', 'sleep', 'sleep'), ('target', '/bin/true\n', '/bin/true'), ('target', '/a path/with blanks', None),
    ('args', 'one two', 'one two'), ('args', '  one \t two\n', 'one two'),
    ('kwargs', 'a=1\nb=two words\n', 'a=1\nb=two words'), ('name', 'somebody', 'somebody'), ('name', 'a b', 'a b'),
    ('daemon', '1', '1'), ('daemon', '0\n', '0'), ('authkey', 'ab' * 32, 'ab' * 32), ('env', 'A=b\n-HOME\n', 'A=b\n-HOME'),
    ('env', 'EMPTY=', 'EMPTY='), ('cwd', '/tmp', '/tmp'), ('run', '#!/bin/sh\necho x\n', '#!/bin/sh\necho x'))

REFUSED = (
    ('daemon', ('2', 'yes', '-1', '0 1', '00x')), ('authkey', ('xyz', 'ab' * 31, 'ab' * 33, 'zz' * 32)),
    ('umask', ('9', 'rwx', '-1', '0o22', '77777')), ('args', ('a "b', "it's", 'end\\')), ('kwargs', ('novalue', '=x')),
    ('env', ('NOVALUE', '=x')), ('pid', ('1', )), ('exitcode', ('0', )), ('state', ('ended', )))


@claim
def what_is_written_reads_back(mp):
    """One value per file, a newline after it."""
    path = mp.make('round')
    for file, text, expected in ROUND_TRIPS:
        write(f'{path}/{file}', text)
        same(value(f'{path}/{file}'), text if expected is None else expected, file)
        write(f'{path}/{file}', read(f'{path}/{file}'))
        same(value(f'{path}/{file}'), text if expected is None else expected, f'{file}, written back')
    for text in ('022', '0', '77', '0777'):
        write(path + '/umask', text)
        same(int(value(path + '/umask'), 8), int(text, 8))


@claim
def a_refused_write_leaves_the_value_also_when_it_was_emptied(mp):
    """A refused write to a file leaves its value as it was, also when its `>` had emptied it."""
    good = {'daemon': '1', 'authkey': '12' * 32, 'umask': '027', 'args': 'old words', 'kwargs': 'a=b', 'env': 'A=b',
            'name': 'old'}
    path = mp.make('leaves', **good)
    for file, bad in REFUSED:
        before = read(f'{path}/{file}')
        for text in bad:
            for flags in (os.O_WRONLY, os.O_WRONLY | os.O_TRUNC):
                expect_errno((errno.EINVAL, errno.EACCES, errno.EPERM), lambda: write(f'{path}/{file}', text, flags))
                same(read(f'{path}/{file}'), before, f'{file} after {text!r}')


@claim
def a_refused_value_is_quoted_in_the_sentence(mp):
    """An unknown value: EINVAL, quotes the words, lists what would be valid."""
    path = mp.make('quoted')
    for file, text, sentence in (('daemon', 'maybe', ('maybe', '0', '1')), ('umask', 'rwx', ('rwx',)),
                                 ('authkey', 'xyz', ('64',)), ('args', 'a "b', ('quote',)), ('env', 'NOVALUE', ('NOVALUE',))):
        expect_errno(errno.EINVAL, lambda: write(f'{path}/{file}', text), *sentence, error_file=path + '/error')


@claim(timeout=120)
def args_are_split_as_a_posix_shell_splits_words(mp):
    """args is split as a POSIX shell splits words: quotes and backslash group; nothing is expanded."""
    dice = random.Random(20)
    fixed = ['', 'a', "'' \"\"", 'a\\ b', "'a b'c", '"a\\"b"', '"a\\$b" "c\\d"', '$HOME `id` * ~', "a'b'\"c\"", 'a\\\nb',
             'a\nb\tc', '"a\nb"', '# no comment', 'x;y|z&', '\\\\', "'\\'"]
    texts = [text for text in fixed if '\\\n' not in text and '\\$' not in text]
    while len(texts) < 60:
        text = ''.join(dice.choice('ab  \'\'""\\\\$;é') for _ in range(dice.randrange(1, 24)))
        if '\\$' in text or '\\\\"' in text:
            continue
        try:
            shlex.split(text)
        except ValueError:
            continue
        texts.append(text)
    for number, text in enumerate(texts):
        got, _ = got_arguments(mp, f'split{number}', text)
        same(got, [word.encode() for word in shlex.split(text)], repr(text))
    same(got_arguments(mp, 'continued', 'a\\\nb')[0], [b'ab'], 'backslash newline')
    same(got_arguments(mp, 'dollar', '"a\\$b\\c"')[0], [b'a$b\\c'], 'backslash in double quotes')


@claim
def bytes_with_a_nul_are_an_exact_vector(mp):
    """If the bytes hold a NUL, they are an exact NUL-separated vector as in /proc/PID/cmdline."""
    rows = ((b'a\0b\0', [b'a', b'b']), (b'a b\0', [b'a b']), (b'\0', [b'']), (b'\0\0', [b'', b'']), (b'a\0b', [b'a', b'b']),
            (b"it's\0\"\0\\\0", [b"it's", b'"', b'\\']), (b'line\nline\0\n\0', [b'line\nline', b'\n']),
            (b'\xff\xfe\0-x\0', [b'\xff\xfe', b'-x']))
    for number, (data, words) in enumerate(rows):
        same(got_arguments(mp, f'vector{number}', data)[0], words, repr(data))


@claim
def args_read_back_in_a_form_that_gives_the_same_vector(mp):
    """It reads back in a form that, written again, gives the same vector."""
    dice = random.Random(7)
    for number in range(30):
        words = [bytes(dice.choice(b' \n\t\'"\\$a-\xff\xc3#*') for _ in range(dice.randrange(6)))
                 for _ in range(dice.randrange(1, 6))]
        got, shown = got_arguments(mp, f'there{number}', vector(*words))
        same(got, words)
        same(got_arguments(mp, f'back{number}', shown)[0], words, repr(shown))
    path = mp.make('plain', args='plain words stay')
    same(read(path + '/args'), 'plain words stay\n')


@claim
def append_adds_and_replace_replaces(mp):
    """`>` replaces, `>>` appends."""
    path = mp.make('append', args='one', env='A=1\n', kwargs='a=1\n')
    append(path + '/args', ' two')
    append(path + '/args', ' "three four"\n')
    same(shlex.split(read(path + '/args')), ['one', 'two', 'three four'])
    append(path + '/env', 'B=2\n')
    same(read(path + '/env'), 'A=1\nB=2\n')
    append(path + '/kwargs', 'b=2\n')
    same(read(path + '/kwargs'), 'a=1\nb=2\n')
    write(path + '/args', 'new')
    same(read(path + '/args'), 'new\n')


@claim
def later_writes_of_one_open_continue_the_value(mp):
    """Later writes of one open continue the value at their offset."""
    path = mp.make('pieces')
    for file, pieces, whole in (('args', ('first\n', 'second\n'), 'first second'), ('env', ('A=1\n', 'B=2\n'), 'A=1\nB=2'),
                                ('target', ('/bin', '/true'), '/bin/true'), ('run', ('echo a\n', 'echo b\n'), 'echo a\necho b')):
        descriptor = os.open(f'{path}/{file}', os.O_WRONLY | os.O_TRUNC)
        for piece in pieces:
            same(os.write(descriptor, piece.encode()), len(piece))
        os.close(descriptor)
        same(value(f'{path}/{file}'), whole, file)


@claim
def values_can_be_read_byte_by_byte(mp):
    """Reads at later offsets of the same open continue that one, even byte by byte."""
    path = mp.run('bytes', 'sh', ['-c', 'echo some output'], env='A=b\n')
    for file in ('target', 'args', 'env', 'pid', 'exitcode', 'state', 'stdout', 'status', 'wait', 'authkey', 'ctl'):
        whole = read_bytes(f'{path}/{file}')
        descriptor = os.open(f'{path}/{file}', os.O_RDONLY)
        pieces = []
        while piece := os.read(descriptor, 1):
            pieces.append(piece)
        os.close(descriptor)
        same(b''.join(pieces), whole, file)


@claim
def a_read_at_offset_0_takes_the_new_value_and_later_ones_continue_it(mp):
    """A read at offset 0 takes a new moment's value; reads at later offsets of the same open continue that one."""
    path = mp.make('moment', args='1000', target='sleep')
    state, name = os.open(path + '/state', os.O_RDONLY), os.open(path + '/name', os.O_RDONLY)
    same(os.pread(state, 4, 0), b'init')
    same(os.pread(name, 3, 0), b'mom')
    write(path + '/name', 'XXXXXXXX')
    write(path + '/ctl', 'start')
    same(os.pread(state, 100, 4), b'ial\n', 'the former value goes on')
    same(os.pread(name, 100, 3), b'ent\n', 'the former value goes on')
    same(os.pread(state, 100, 0), b'running\n')
    same(os.pread(name, 100, 0), b'XXXXXXXX\n')
    os.close(state)
    os.close(name)


@claim
def kwargs_become_options_after_args(mp):
    """kwargs is key=value a line, given to the program as --key=value after args."""
    path = mp.run('kwargs', PYTHON, ['-c', 'import sys; print(sys.argv[1:])', 'first'], kwargs='name=bob smith\nage=5\nnone=\n')
    same(read(path + '/stdout'), "['first', '--name=bob smith', '--age=5', '--none=']\n")


@claim
def env_adds_replaces_and_unsets(mp):
    """env is KEY=value a line; -KEY unsets; the mount's environment is the default."""
    plain = environment_of(mp, 'default')
    same(plain.get('PATH'), os.environ.get('PATH'))
    changed = environment_of(mp, 'changed', 'NEW=a=b c\nPATH=/bin:/usr/bin\nEMPTY=\n-HOME\n')
    same((changed.get('NEW'), changed.get('PATH'), changed.get('EMPTY'), 'HOME' in changed), ('a=b c', '/bin:/usr/bin', '', False))


@claim
def every_process_finds_the_mount_and_itself_in_its_environment(mp):
    """Every process finds the mount in $PROCFS_MP; $PROCFS_MP_ID names the process it is inside."""
    one, two = environment_of(mp, 'one'), environment_of(mp, 'two')
    same((one['PROCFS_MP'], two['PROCFS_MP']), (mp.path, mp.path))
    assert one['PROCFS_MP_ID'] and one['PROCFS_MP_ID'] != two['PROCFS_MP_ID'], one['PROCFS_MP_ID']


@claim
def cwd_is_where_the_mount_was_started_until_written(mp):
    """A relative target or cwd is relative to the directory in which the mount was started; the default cwd too."""
    os.makedirs(mp.base + '/sub', exist_ok=True)
    for number, (text, expected) in enumerate((('', mp.base), ('sub', mp.base + '/sub'), ('/usr', '/usr'), ('.', mp.base))):
        path = mp.run(f'cwd{number}', 'pwd', '-P', cwd=text)
        same(value(path + '/stdout'), expected, repr(text))


@claim
def a_relative_target_is_relative_to_where_the_mount_was_started(mp):
    """A relative target is relative to the directory in which the mount was started."""
    os.makedirs(mp.base + '/bin', exist_ok=True)
    with open(mp.base + '/bin/tell', 'w') as file:
        file.write('#!/bin/sh\necho told "$@"\n')
    os.chmod(mp.base + '/bin/tell', 0o755)
    for number, cwd in enumerate(('', '/')):
        same(read(mp.run(f'relative{number}', 'bin/tell', 'it', cwd=cwd) + '/stdout'), 'told it\n', f'cwd {cwd!r}')


@claim
def a_plain_name_is_looked_up_in_the_path_of_the_processs_env(mp):
    """target is a path, or a name looked up in PATH (the process's env, else the mount's)."""
    for place in ('first', 'second'):
        os.makedirs(f'{mp.base}/{place}', exist_ok=True)
        with open(f'{mp.base}/{place}/where-am-i', 'w') as file:
            file.write(f'#!/bin/sh\necho {place}\n')
        os.chmod(f'{mp.base}/{place}/where-am-i', 0o755)
    path = mp.make('nopath', 'where-am-i')
    expect_errno(errno.ENOENT, lambda: write(path + '/ctl', 'start'))
    for place, other in (('first', 'second'), ('second', 'first')):
        path = mp.run(place, 'where-am-i', env=f'PATH=/nowhere:{mp.base}/{place}:{mp.base}/{other}:/bin\n')
        same(read(path + '/stdout'), place + '\n')


@claim
def umask_is_the_childs(mp):
    """umask: how it is launched."""
    for text in ('022', '077', '0', '0777'):
        path = mp.run('umask' + text, 'sh', ['-c', 'umask'], umask=text)
        same(int(value(path + '/stdout'), 8), int(text, 8))


@claim
def name_is_the_directorys_until_written(mp):
    """name is the directory's name until written."""
    path = mp.make('called')
    same(value(path + '/name'), 'called')
    write(path + '/name', 'other name')
    same(value(path + '/name'), 'other name')
    assert os.path.isdir(mp('called')) and not os.path.exists(mp('other name'))


@claim
def daemon_is_off_unless_written(mp):
    """daemon is 0 or 1, settable only before start."""
    path = mp.make('flag')
    same(value(path + '/daemon'), '0')
    for text in ('1', '0', '1\n'):
        write(path + '/daemon', text)
        same(value(path + '/daemon'), text.strip())


@claim
def authkey_is_drawn_once_and_inherited(mp):
    """authkey is 64 hex digits, drawn once per mount and user, inherited by new directories, settable."""
    first, second = mp.make('first'), mp.make('second')
    key = value(first + '/authkey')
    assert len(bytes.fromhex(key)) == 32 and len(set(key)) > 4, key
    same(value(second + '/authkey'), key)
    write(first + '/authkey', '0f' * 32 + '\n')
    same((value(first + '/authkey'), value(second + '/authkey')), ('0f' * 32, key))
    path = mp.run('parent', 'sh', ['-c', 'mkdir $PROCFS_MP/kid'], authkey='ee' * 32)
    same((value(path + '/exitcode'), value(mp('kid', 'authkey'))), ('0', 'ee' * 32), 'a child inherits it')


@claim
def run_is_executed_when_target_is_empty(mp):
    """run: a script kept in the directory, executed when target is empty; without #! by /bin/sh."""
    rows = (('#!/bin/sh\necho sh "$@"\n', 'sh a b c\n'), ('echo plain "$1"; echo "$2"\n', 'plain a\nb c\n'),
            (f'#!{PYTHON}\nimport sys\nprint(sys.argv[1:])\n', "['a', 'b c']\n"), ('#!/bin/cat\ntext\n', None))
    for number, (script, expected) in enumerate(rows):
        path = mp.make(f'script{number}', args='a "b c"' if expected else None)
        write(path + '/run', script)
        same(read(path + '/run'), script)
        write(path + '/ctl', 'start\njoin')
        same(read(path + '/stdout'), expected or script, script)
    path = mp.run('both', 'echo', 'target wins', run='echo run\n')
    same(read(path + '/stdout'), 'target wins\n')
    path = mp.make('quick', run='exit 7\n')
    write(path + '/ctl', 'start\njoin')
    same(value(path + '/exitcode'), '7')


@claim
def stdin_before_start_is_the_childs_whole_input(mp):
    """stdin before start is the child's whole input."""
    path = mp.run('none', 'cat')
    same(read(path + '/stdout'), '', 'without stdin')
    path = mp.run('short', 'cat', stdin='hello\n')
    same(read(path + '/stdout'), 'hello\n')
    data = random.Random(5).randbytes(5 << 20)
    path = mp.make('long', 'sha256sum')
    write_all(path + '/stdin', data)
    write(path + '/ctl', 'start\njoin')
    same(read(path + '/stdout').split()[0], hashlib.sha256(data).hexdigest())


@claim
def output_can_be_read_while_it_runs_and_after_the_end(mp):
    """stdout and stderr can be read while it runs and after it ended."""
    os.mkfifo(mp.base + '/go')
    path = mp.start('talks', 'sh', ['-c', f'echo one; echo two >&2; cat {mp.base}/go; echo three'])
    wait_until(lambda: read(path + '/stdout') == 'one\n' and read(path + '/stderr') == 'two\n')
    same(value(path + '/state'), 'running')
    with open(mp.base + '/go', 'w') as fifo:
        fifo.write('go\n')
    write(path + '/ctl', 'join')
    same((read(path + '/stdout'), read(path + '/stderr')), ('one\ngo\nthree\n', 'two\n'))


@claim
def ten_mebibytes_of_output_are_whole(mp):
    """A process's output is whole after its end."""
    path = mp.run('much', PYTHON, ['-c', 'for number in range(1310720): print("%07d" % number)'])
    same(read_bytes(path + '/stdout'), b''.join(b'%07d\n' % number for number in range(1310720)))
    same(os.stat(path + '/stdout').st_size, 10 << 20)


@claim
def a_refused_write_leaves_the_value_also_when_others_close_the_file_in_between(mp):
    """A refused write leaves the value as it was, also when its `>` had emptied it."""
    path = mp.make('between', '/bin/old')
    reader = os.open(path + '/target', os.O_RDONLY)
    writer = os.open(path + '/target', os.O_WRONLY | os.O_TRUNC)
    same(read(path + '/target'), '')
    os.close(reader)
    expect_errno(errno.EINVAL, lambda: os.write(writer, b'a\0b'))
    same(read(path + '/target'), '/bin/old\n')
    os.close(writer)


@claim
def what_truncate_removed_does_not_come_back(mp):
    """truncate(2) is no part of a write that could be refused."""
    path = mp.make('truncated', '/bin/old')
    os.truncate(path + '/target', 0)
    expect_errno(errno.EINVAL, lambda: write(path + '/target', b'a\0b', os.O_WRONLY))
    same(read(path + '/target'), '')


@claim
def appending_goes_on_with_words_vectors_and_single_values(mp):
    """`>>` appends: to an exact vector when the bytes hold a NUL, to the words of args, to a path."""
    path = mp.make('appended', '/bin/l')
    for first, second, expected in ((b'a\0', b'b\0', 'a b\n'), (b'a\n', b'b\0', 'a b\n'), (b'a b\n', b'c', 'a b c\n'),
                                    (b'"x y"', b' z', "'x y' z\n")):
        write(path + '/args', first)
        write(path + '/args', second, os.O_WRONLY | os.O_APPEND)
        same(read(path + '/args'), expected, repr((first, second)))
    write(path + '/target', 's', os.O_WRONLY | os.O_APPEND)
    same(read(path + '/target'), '/bin/ls\n')
    write(path + '/env', 'A=1\n')
    write(path + '/env', 'B=2\n', os.O_WRONLY | os.O_APPEND)
    same(read(path + '/env'), 'A=1\nB=2\n')


main()
