"""The life of two processes in Python: open, read, write, os.mkdir, os.rmdir. Argument: the mount."""
import errno
import os
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().rstrip("\n")


def write(path, text, mode="w"):
    with open(path, mode, encoding="utf-8") as file:
        file.write(text)


def known(name, what):
    pid = "a pid" if read(f"{name}/pid").isdigit() else "no pid"
    exitcode = read(f"{name}/exitcode")
    exitcode = f"exitcode {exitcode}" if exitcode else "no exitcode"
    print(f"{what}: alive {read(f'{name}/alive')}, {pid}, {exitcode}, state {read(f'{name}/state')}")


def refusal(what, function, *arguments):
    try:
        function(*arguments)
        print(f"{what}: not refused")
    except OSError as error:
        print(f"{what}: {errno.errorcode[error.errno]}")


def why(name, sentence):
    print(f"why: {sentence if sentence in read(f'{name}/error') else ''}")


def short_life():
    os.mkdir("short")
    known("short", "made")
    write("short/target", "echo")
    write("short/args", "hello bob")
    print("args:", read("short/args"))
    refusal("join before the start", write, "short/ctl", "join")
    why("short", "can only join a started process")
    write("short/target", "/no/such/program")
    refusal("a target that is not there", write, "short/ctl", "start")
    print("pid after that:", "there is one" if read("short/pid") else "none")
    write("short/target", "echo")
    write("short/ctl", "start")
    write("short/ctl", "join")
    known("short", "started and joined")
    print("stdout:", read("short/stdout"))
    refusal("a second start", write, "short/ctl", "start")
    why("short", "cannot start a process twice")
    refusal("another target", write, "short/target", "cat")
    why("short", "process has already started")
    print("the target is:", read("short/target"))
    os.rmdir("short")
    print("removed:", "there" if os.path.exists("short") else "gone")


def long_life():
    os.mkdir("long")
    write("long/target", "sleep")
    write("long/args", "'in two'")
    write("long/args", " pieces", "a")
    print("appended:", read("long/args"))
    write("long/args", "1000")
    write("long/ctl", "start")
    known("long", "started")
    refusal("removed while it runs", os.rmdir, "long")
    why("long", "Cannot close a process while it is still running. You should first call join() or terminate().")
    refusal("an unknown verb", write, "long/ctl", "dance")
    refusal("a join of no time", write, "long/ctl", "join 0")
    write("long/ctl", "terminate")
    write("long/ctl", "join")
    known("long", "terminated and joined")
    refusal("made again", os.mkdir, "long")
    os.rmdir("long")
    print("removed:", "there" if os.path.exists("long") else "gone")


os.chdir(sys.argv[1])
short_life()
long_life()
