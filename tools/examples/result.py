#!/usr/bin/env python3
"""A child that returns a value that is more than a line: any bytes do, here JSON.
Run it with: procfs-mp -- tools/examples/result.py"""
import json
import os
import sys

MP = os.environ['PROCFS_MP']

WORK = '''
import json, os
words = {word: len(word) for word in ('read', 'write', 'execute')}
with open(os.environ['PROCFS_MP'] + '/self/result', 'w') as result:
    json.dump(words, result)
'''

child = MP + '/child'
os.mkdir(child)
with open(child + '/target', 'w') as target:
    target.write(sys.executable)
with open(child + '/args', 'wb') as args:
    args.write(b'-c\0' + WORK.encode() + b'\0')
with open(child + '/ctl', 'w') as ctl:
    ctl.write('start\njoin\n')
with open(child + '/result') as result:
    for word, length in json.load(result).items():
        print(word, length)
os.rmdir(child)
