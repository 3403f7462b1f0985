#!/bin/sh
# The life of two processes in the words of a shell: redirections, cat, mkdir, rmdir. Arguments: the mount, and
# whether the shell can tell one errno from another (bash can; dash says "I/O error" for all).
# shellcheck disable=SC2310
cd "$1" || exit
tells_errno=$2

value() { if [ -s "$1" ] && [ -n "$(cat "$1")" ]; then echo "$2"; else echo "$3"; fi; }

known()
{
	echo "$2: alive $(cat "$1/alive"), $(value "$1/pid" "a pid" "no pid")," \
		"$(value "$1/exitcode" "exitcode $(cat "$1/exitcode")" "no exitcode"), state $(cat "$1/state")"
}

# The words of strerror(3), as bash, mkdir and rmdir say them.
errno_of()
{
	case $1 in
	'') echo "not refused" ;;
	*"No such process"*) echo ESRCH ;;
	*"No such file or directory"*) echo ENOENT ;;
	*"already in progress"*) echo EALREADY ;;
	*"resource busy"*) echo EBUSY ;;
	*"Invalid argument"*) echo EINVAL ;;
	*"imer expired"*) echo ETIME ;;
	*"File exists"*) echo EEXIST ;;
	*) echo "$1" ;;
	esac
}

# refusal WHAT TEXT FILE
refusal()
{
	if message=$({ echo "$2" >"$3"; } 2>&1); then
		echo "$1: not refused"
	elif [ "$tells_errno" = yes ]; then
		echo "$1: $(errno_of "$message")"
	else
		echo "$1: refused"
	fi
}

why() { echo "why: $(grep -oF -e "$2" "$1/error")"; }

mkdir short
known short made
echo echo >short/target
echo "hello bob" >short/args
echo "args: $(cat short/args)"
refusal "join before the start" join short/ctl
why short "can only join a started process"
echo /no/such/program >short/target
refusal "a target that is not there" start short/ctl
echo "pid after that: $(value short/pid "there is one" none)"
echo echo >short/target
echo start >short/ctl
read -r _ <short/wait
echo join >short/ctl
known short "started and joined"
echo "stdout: $(cat short/stdout)"
refusal "a second start" start short/ctl
why short "cannot start a process twice"
refusal "another target" cat short/target
why short "process has already started"
echo "the target is: $(cat short/target)"
rmdir short
[ -d short ] || echo "removed: gone"

mkdir long
echo sleep >long/target
echo "'in two'" >long/args
echo "pieces" >>long/args
echo "appended: $(cat long/args)"
echo 1000 >long/args
echo start >long/ctl
known long started
echo "removed while it runs: $(errno_of "$(rmdir long 2>&1)")"
why long "Cannot close a process while it is still running. You should first call join() or terminate()."
refusal "an unknown verb" dance long/ctl
refusal "a join of no time" "join 0" long/ctl
echo terminate >long/ctl
read -r _ <long/wait
echo join >long/ctl
known long "terminated and joined"
echo "made again: $(errno_of "$(mkdir long 2>&1)")"
rmdir long
[ -d long ] || echo "removed: gone"
