#!/bin/sh
# The command line: its answers, its refusals, every way to mount and every way to end.
TEST_SECONDS=${TEST_SECONDS:-240}
. "$(dirname "$0")/lib.sh"

# run ARG...: leaves $out, $err and $status.
run()
{
	"$PROCFS_MP_BIN" "$@" >"$TEST_DIR/run.out" 2>"$TEST_DIR/run.err"
	status=$?
	out=$(cat "$TEST_DIR/run.out")
	err=$(cat "$TEST_DIR/run.err")
}

# usage_error QUOTED ARG...: exit status 2, nothing on stdout, and a sentence that has the word QUOTED.
usage_error()
{
	quoted=$1
	shift
	run "$@"
	claim "usage error: procfs-mp $*: exit status" equal "$status" 2
	claim "usage error: procfs-mp $*: nothing on stdout" equal "$out" ""
	claim "usage error: procfs-mp $*: the sentence" contains "$err" "$quoted"
}

# cannot_mount NAME EXPRESSION ARG...: exit status 1 and one line that names the place and the reason.
cannot_mount()
{
	what=$1
	expression=$2
	shift 2
	run "$@"
	claim "$what: exit status" equal "$status" 1
	claim "$what: nothing on stdout" equal "$out" ""
	claim "$what: the reason" matches "$err" "$expression"
	claim "$what: one sentence" lines_in 1 "$TEST_DIR/run.err"
}

answers()
{
	for option in -h --help; do
		run "$option"
		claim "$option: exit status" equal "$status" 0
		claim "$option: on stdout" matches "$out" '^usage: procfs-mp'
		claim "$option: nothing on stderr" equal "$err" ""
		for word in -f -d -s -o allow_other MOUNTPOINT COMMAND; do
			claim "$option tells of $word" contains "$out" "$word"
		done
	done
	for option in -V --version; do
		run "$option"
		claim "$option: exit status" equal "$status" 0
		claim "$option: on stdout" matches "$out" 'procfs-mp.*[0-9]+\.[0-9]+'
		claim "$option: nothing on stderr" equal "$err" ""
	done
	version=$out
}

usage_errors()
{
	mkdir -p "$MP"
	usage_error "-Z" -Z "$MP"
	usage_error "--no-such-option" --no-such-option "$MP"
	usage_error "-o" "$MP" -o
	usage_error "no_such_option" -o no_such_option "$MP"
	usage_error "'ro'" -o ro "$MP"
	usage_error "third" "$MP" second third
	usage_error "--" "$MP" --
	usage_error "--upgrade" --upgrade
	usage_error "--upgrade" --upgrade "$MP" second
	claim "none of them has mounted" not mounted "$MP"
}

unfit_mountpoints()
{
	: >file
	mkdir -p "$MP"
	cannot_mount "a missing mountpoint" "$TEST_DIR/missing.*(does not exist|no such)" "$TEST_DIR/missing"
	claim "it was not made" not test -e "$TEST_DIR/missing"
	cannot_mount "a file as mountpoint" "$TEST_DIR/file.*not a directory" "$TEST_DIR/file"

	mount_it || exit
	make kept sleep 1000
	echo start >"$MP/kept/ctl"
	cannot_mount "a mountpoint that has one already" "$MP.*(busy|already)" "$MP"
	claim "the one there goes on" equal "$(cat "$MP/kept/alive")" 1
	claim "version tells what -V tells" contains "$version" "$(head -n 1 "$MP/version" | sed 's/^procfs-mp //')"
	printf 'terminate\njoin\n' >"$MP/kept/ctl"

	# Each of the two takes the mount away when the other has died: both are stopped before they are killed.
	# shellcheck disable=SC2046 # one word each
	kill -STOP $(marked)
	# shellcheck disable=SC2046
	kill -KILL $(marked)
	wait "$keeper" 2>/dev/null
	keeper=
	claim "killed, it leaves a mount that nobody answers" wait_until 10 no_marked
	# A process that ends gives up its memory, and with it the mark, before its descriptors.
	wait_until 10 is_stale
	cannot_mount "a stale mountpoint" "$MP.*(stale|not connected)" "$MP"
	claim "the sentence says how to take it away" contains "$err" "fusermount3 -u"
	claim "that does it" fusermount3 -u "$MP"
	claim "nothing is mounted then" not mounted "$MP"
	mount_it || exit
	claim "and it can be mounted again" test -f "$MP/version"
	claim "and unmounted" unmount_it
}

background()
{
	mkdir -p "$MP"
	# The substitution ends when nobody has its pipe open any more: a mount that kept it would hang here.
	said=$("$PROCFS_MP_BIN" "$MP" 2>&1)
	claim "in the background: exit status" equal "$?" 0
	claim "in the background: it says nothing" equal "$said" ""
	claim "it works as soon as the command returns" mkdir "$MP/p"
	make q echo hello
	claim "and starts processes" sh -c "printf 'start\njoin\n' >'$MP/q/ctl'"
	claim "whose output is there" equal "$(cat "$MP/q/stdout")" hello
	server=$(cat "$MP/q/ppid")
	claim "its process has no terminal's session but its own" not equal \
		"$(sed 's/.*) //' "/proc/$server/stat" | cut -d' ' -f4)" "$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f4)"
	claim "unmounting ends it" detach "$MP"
	claim "both its processes" wait_until 20 no_marked

	"$PROCFS_MP_BIN" "$MP"
	make q echo hello
	printf 'start\njoin\n' >"$MP/q/ctl"
	kill -TERM "$(cat "$MP/q/ppid")"
	claim "SIGTERM ends one in the background" wait_until 20 no_marked
	claim "and unmounts it" not mounted "$MP"
}

options()
{
	mount_it -s || exit
	claim "-s is accepted" test -f "$MP/version"
	claim "with -s: it unmounts" unmount_it

	: >"$TEST_DIR/mount.out"
	mkdir -p "$MP"
	"$PROCFS_MP_BIN" -d "$MP" >"$TEST_DIR/debug.out" 2>&1 &
	keeper=$!
	claim "-d mounts" wait_until 20 answering "$MP"
	claim "-d stays in the foreground" not gone "$keeper"
	claim "-d shows requests" wait_until 10 grep -qi lookup "$TEST_DIR/debug.out"
	claim "-d: it unmounts" unmount_it

	mount_it -o rw,nofail,_netdev,x-systemd.automount,noauto,user,defaults || exit
	claim "options for fstab and systemd are accepted" test -f "$MP/version"
	claim "with them: it unmounts" unmount_it
	mount_it -o rw,nosuid,nodev,noexec -o x-systemd.requires=/,comment=x,relatime,users,nofail || exit
	make p sh "-c 'echo ran'"
	claim "noexec does not keep processes from running" sh -c "printf 'start\njoin\n' >'$MP/p/ctl'"
	claim "with -o twice: it unmounts" unmount_it

	mount_it -o fsname=other || exit
	claim "the type is fuse.procfs-mp, the source can be given" \
		matches "$(grep -F " $MP " /proc/self/mountinfo)" ' - fuse\.procfs-mp other '
	claim "with fsname: it unmounts" unmount_it
	if [ "$(id -u)" -eq 0 ]; then
		mount_it -o allow_other || exit
		claim "allow_other implies default_permissions" \
			matches "$(grep -F " $MP " /proc/self/mountinfo)" 'default_permissions.*allow_other'
		claim "with allow_other: it unmounts" unmount_it
	else
		skip "allow_other implies default_permissions" "not the superuser"
	fi
}

# command_ends STATUS ARG...: without a mountpoint.
command_ends()
{
	wanted=$1
	shift
	run -- "$@"
	claim "procfs-mp -- $*: exit status" equal "$status" "$wanted"
}

commands()
{
	command_ends 0 true
	command_ends 7 sh -c 'exit 7' -f -o nothing
	command_ends 143 sh -c 'kill -TERM $$'
	command_ends 137 sh -c 'kill -KILL $$'
	command_ends 127 no-such-program-here
	claim "what can't be found is named" contains "$err" no-such-program-here
	: >unfit
	command_ends 127 "$TEST_DIR/no/such/program"
	command_ends 126 "$TEST_DIR/unfit"
	claim "what can't be run is named" contains "$err" "$TEST_DIR/unfit"

	run -- sh -c 'echo "$PROCFS_MP"; [ -f "$PROCFS_MP/version" ] && mkdir "$PROCFS_MP/p" && ls -d "$PROCFS_MP/p"'
	claim "the command finds the mount" equal "$status" 0
	private=$(printf '%s\n' "$out" | head -n 1)
	claim "in a directory of its own" equal "$out" "$private
$private/p"
	claim "that is gone afterwards" not test -e "$private"
	run -- printf '<%s>' 'a b' '' '*'
	claim "its arguments are what they were" equal "$out" "<a b><><*>"
	claim "its input, output and errors are the caller's" \
		equal "$(echo in | "$PROCFS_MP_BIN" -- sh -c 'cat; echo out; echo err >&2' 2>&1)" "in
out
err"
	mkdir -p "$MP"
	run "$MP" -- sh -c 'echo "$PROCFS_MP"'
	claim "a mountpoint can be named" equal "$out" "$MP"
	claim "and stays, empty" rmdir "$MP"
	cannot_mount "a command with a missing mountpoint" "$TEST_DIR/missing" "$TEST_DIR/missing" -- touch "$TEST_DIR/ran"
	claim "the command is not run then" not test -e "$TEST_DIR/ran"
}

command_signals()
{
	cat >main.sh <<'END'
trap 'echo "got TERM"; exit 5' TERM
trap 'echo "got HUP"; exit 6' HUP
echo ready
while :; do
	if [ -e "$TEST_DIR/question" ]; then
		rm "$TEST_DIR/question"
		echo answer
	fi
	sleep 0.02
done
END
	mkdir -p "$MP"
	"$PROCFS_MP_BIN" "$MP" -- sh main.sh >>"$LOG" 2>&1 &
	keeper=$!
	await ready
	kill -INT "$keeper"
	: >question
	claim "SIGINT to the mount is left to the command" await answer
	kill -TERM "$keeper"
	wait "$keeper"
	claim "SIGTERM is passed on, and the command's end is the mount's" equal "$?" 5
	claim "the command had that one signal" equal "$(grep got "$LOG")" "got TERM"
	: >"$LOG"
	"$PROCFS_MP_BIN" "$MP" -- sh main.sh >>"$LOG" 2>&1 &
	keeper=$!
	await ready
	kill -HUP "$keeper"
	wait "$keeper"
	claim "SIGHUP is passed on" equal "$?" 6
	keeper=
	claim "nothing is mounted then" not mounted "$MP"
}

# ended_by SIGNAL: daemonic processes are terminated, the others waited for; a second signal ends them too.
ended_by()
{
	mkdir -p "$MP"
	# What a shell runs in the background ignores SIGINT, unless told otherwise.
	env --default-signal=INT "$PROCFS_MP_BIN" -f "$MP" >>"$TEST_DIR/mount.out" 2>&1 &
	keeper=$!
	claim "$1: mounted" wait_until 20 answering "$MP"
	make daemonic sleep 1000
	echo 1 >"$MP/daemonic/daemon"
	echo start >"$MP/daemonic/ctl"
	daemonic=$(cat "$MP/daemonic/pid")
	make other sh "-c 'read -r line <\"$TEST_DIR/gate\"; echo \"\$line\" >\"$TEST_DIR/finished\"'"
	echo start >"$MP/other/ctl"
	other=$(cat "$MP/other/pid")

	kill "-$1" "$keeper"
	claim "$1: the daemonic process is terminated" wait_until 20 vanished "$daemonic"
	claim "$1: the other one goes on" not gone "$other"
	claim "$1: and the mount waits for it" not gone "$keeper"
}

ends()
{
	mkfifo gate
	for signal in TERM INT; do
		ended_by "$signal"
		rm -f finished
		echo "done" >gate
		claim "$signal: the mount ends with the last process" wait_until 20 gone "$keeper"
		wait "$keeper"
		claim "$signal: it was not killed" test "$?" -lt 128
		claim "$signal: that process had its own end" equal "$(cat finished)" "done"
		claim "$signal: nothing is mounted then" not mounted "$MP"

		ended_by "$signal"
		kill "-$signal" "$keeper"
		claim "$signal twice: what is left is killed" wait_until 20 vanished "$other"
		claim "$signal twice: the mount ends" wait_until 20 gone "$keeper"
		wait "$keeper"
		keeper=
		claim "$signal twice: nothing is mounted then" not mounted "$MP"
	done
	ended_by TERM
	kill -KILL "$other"
	wait "$keeper"
	keeper=

	mount_it || exit
	make daemonic sleep 1000
	echo 1 >"$MP/daemonic/daemon"
	echo start >"$MP/daemonic/ctl"
	daemonic=$(cat "$MP/daemonic/pid")
	claim "unmounting ends the mount" unmount_it
	claim "unmounting terminates daemonic processes" vanished "$daemonic"
}

answers
usage_errors
unfit_mountpoints
background
options
commands
command_signals
ends
all_told
