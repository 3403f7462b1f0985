# shellcheck shell=sh
# lib.sh: what every script here stands on; sourced as their first command.
#
# Gives: a directory of its own ($TEST_DIR), a private mount in it ($MP), claims told as TAP 13, a watchdog,
# and an end that leaves no mount, process or directory behind, however the script ends.
#
# From outside: PROCFS_MP_BIN, the program to test; TEST_SECONDS, when the watchdog loses patience;
# TEST_WRAP, a command that the script is run under (as "unshare --mount").

here=$(cd "$(dirname "$0")" && pwd)
PROCFS_MP_BIN=${PROCFS_MP_BIN:-$here/../../build/procfs-mp}
export PROCFS_MP_BIN
claims=0
failures=0
reached_the_end=
keeper=

# --- the watchdog: the script runs once more, below one that outlives it

# Ids of the processes that carry this test's mark. Only what was executed after the mark was set has it,
# so neither the script nor the watchdog is among them.
marked()
{
	(
		unset PROCFS_MP_TEST_MARK
		grep -lszxF -e "PROCFS_MP_TEST_MARK=$TEST_DIR" /proc/[0-9]*/environ 2>/dev/null |
			sed 's,^/proc/,,; s,/environ$,,'
	)
}

is_stale() { ! ls "$MP" >/dev/null 2>&1; }
no_marked() { [ -z "$(marked)" ]; }

# "MINOR PATH" of each mount below our directory. From mountinfo: looking at a wedged mount would hang.
mounts_below()
{
	awk -v base="$TEST_DIR/" 'index($5, base) == 1 { sub(/.*:/, "", $3); print $3, $5 }' /proc/self/mountinfo
}

# For what should not be there any more; true when there was nothing to do.
remove_by_force()
{
	clean=0
	for process in $(marked); do
		clean=1
		echo "# still running: $process $(tr '\0' ' ' 2>/dev/null <"/proc/$process/cmdline")"
		kill -KILL "$process" 2>/dev/null
	done
	mounts_below | while read -r minor path; do
		echo "# still mounted: $path"
		{ echo 1 >"/sys/fs/fuse/connections/$minor/abort"; } 2>/dev/null
		umount -l "$path" 2>/dev/null || fusermount3 -u -z "$path"
	done
	return "$clean"
}

supervise()
{
	if [ ! -x "$PROCFS_MP_BIN" ]; then
		echo "Bail out! No program to test at $PROCFS_MP_BIN"
		exit 1
	fi
	TEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/procfs-mp-test.XXXXXX") || exit 1
	chmod 755 "$TEST_DIR"
	shell="sh"
	[ -z "${BASH_VERSION-}" ] || shell=bash
	# shellcheck disable=SC2086 # TEST_WRAP is a command of several words
	PROCFS_MP_TEST_BASE=$TEST_DIR timeout --kill-after=10 "${TEST_SECONDS:-120}" \
		${TEST_WRAP-} "$shell" "$0" "$@" </dev/null &
	watched=$!
	trap 'kill -TERM "$watched"' TERM INT HUP
	wait "$watched"
	status=$?
	trap '' TERM INT HUP
	wait "$watched" 2>/dev/null
	[ "$status" -ne 124 ] || echo "# the watchdog ended it after ${TEST_SECONDS:-120} seconds"
	remove_by_force || status=1
	rm -rf --one-file-system "$TEST_DIR"
	exit "$status"
}

# --- telling what was found

# Lines for people; stdin, or the arguments.
remark()
{
	if [ $# -gt 0 ]; then printf '%s\n' "$*"; else cat; fi | sed 's/^/# /'
}

# claim NAME COMMAND...: holds when COMMAND succeeds. What it prints is shown only when it does not.
claim()
{
	claims=$((claims + 1))
	claim_name=$1
	shift
	if "$@" >"$TEST_DIR/claim.out" 2>&1; then
		echo "ok $claims - $claim_name"
		return 0
	fi
	failures=$((failures + 1))
	echo "not ok $claims - $claim_name"
	remark "$@"
	remark <"$TEST_DIR/claim.out"
	return 1
}

# skip NAME REASON: one claim that cannot be looked at here.
skip()
{
	claims=$((claims + 1))
	echo "ok $claims - $1 # SKIP $2"
}

# skip_all REASON: before the first claim.
skip_all()
{
	echo "1..0 # SKIP $1"
	reached_the_end=skipped
	exit 0
}

# The last line of every script: without it the end came too early, and that is a failure.
all_told() { reached_the_end=yes; }

# --- what claims are made of

equal()
{
	[ "$1" = "$2" ] && return 0
	printf 'found:\n%s\nexpected:\n%s\n' "$1" "$2"
	return 1
}

# contains TEXT PART: whatever the case of its letters.
contains()
{
	printf '%s\n' "$1" | grep -qiF -e "$2" && return 0
	printf 'found:\n%s\nwithout: %s\n' "$1" "$2"
	return 1
}

# matches TEXT EXTENDED-EXPRESSION: some line does, whatever the case of its letters.
matches()
{
	printf '%s\n' "$1" | grep -qiE -e "$2" && return 0
	printf 'found:\n%s\nnothing like: %s\n' "$1" "$2"
	return 1
}

not() { ! "$@"; }

# wait_until SECONDS COMMAND...: true as soon as COMMAND is; false when the time is over.
wait_until()
{
	deadline=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -le "$deadline" ] || return 1
		sleep 0.02
	done
}

# No such process, or only its entry, which its parent has not looked at yet.
gone()
{
	process_stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	process_stat=${process_stat##*) }
	case $process_stat in
	Z* | X*) return 0 ;;
	esac
	return 1
}

vanished() { [ ! -e "/proc/$1" ]; }

# The ids of the children of PID that have ended and were not waited for.
zombies_of()
{
	for zombie_stat in /proc/[0-9]*/stat; do
		process_stat=$(cat "$zombie_stat" 2>/dev/null) || continue
		case ${process_stat##*) } in
		"Z $1 "*) echo "${process_stat%% *}" ;;
		esac
	done
}

no_zombies_of() { [ -z "$(zombies_of "$1")" ]; }

lines_in() { [ "$(wc -l <"$2" 2>/dev/null)" -eq "$1" ]; }

# says_why DIRECTORY SENTENCE: what its `error` tells contains that.
says_why() { contains "$(cat "$1/error")" "$2"; }

# --- mounting

mounted() { grep -qF -e " $1 " /proc/self/mountinfo; }

answering() { mounted "$1" && [ -f "$1/version" ]; }

ready_or_ended() { answering "$MP" || gone "$keeper"; }

# A mount in the foreground, behind the script; $keeper is its process.
mount_it()
{
	mkdir -p "$MP"
	"$PROCFS_MP_BIN" -f "$@" "$MP" >>"$TEST_DIR/mount.out" 2>&1 &
	keeper=$!
	wait_until 20 ready_or_ended
	answering "$MP" && return 0
	remark "not mounted:"
	remark <"$TEST_DIR/mount.out"
	! gone "$keeper" || keeper=
	return 1
}

detach() { if [ "$(id -u)" -eq 0 ]; then umount "$1"; else fusermount3 -u "$1"; fi; }

# Waits for its end too; the mount's exit status.
unmount_it()
{
	detach "$MP" || return 1
	wait_until 30 gone "$keeper" || return 1
	wait "$keeper"
	keeper_status=$?
	keeper=
	return "$keeper_status"
}

# run_main SCRIPT [OPTION...]: the script becomes the main process of a mount and speaks into $LOG, behind
# whatever its processes say there. The exit status goes to $main_status.
run_main()
{
	main_script=$1
	shift
	mkdir -p "$MP"
	"$PROCFS_MP_BIN" "$@" "$MP" -- sh "$main_script" >>"$LOG" 2>"$TEST_DIR/main.err"
	# shellcheck disable=SC2034 # for the scripts
	main_status=$?
	[ ! -s "$TEST_DIR/main.err" ] || remark <"$TEST_DIR/main.err"
}

# make NAME TARGET [ARGS]: a directory with its program.
make()
{
	mkdir "$MP/$1" && echo "$2" >"$MP/$1/target" || return 1
	if [ $# -gt 2 ]; then echo "$3" >"$MP/$1/args"; fi
}

# --- the beginning and the end

finish()
{
	trap - EXIT
	trap '' TERM INT HUP
	[ "$reached_the_end" != skipped ] || exit 0
	before_finish
	if [ -n "$keeper" ]; then
		claim "the mount ends when it is unmounted" unmount_it
	fi
	claim "no process is left behind" wait_until 10 no_marked || marked | while read -r process; do
		tr '\0' ' ' <"/proc/$process/cmdline" | remark
	done
	claim "no mount is left behind" equal "$(mounts_below)" ""
	claim "the script has reached its end" equal "$reached_the_end" yes
	echo "1..$claims"
	[ "$failures" -eq 0 ] || exit 1
	exit 0
}

# For a script that has more to undo; it defines its own.
before_finish() { :; }

[ -n "${PROCFS_MP_TEST_BASE-}" ] || supervise "$@"

TEST_DIR=$PROCFS_MP_TEST_BASE
MP=$TEST_DIR/mp
LOG=$TEST_DIR/log
PROCFS_MP_TEST_MARK=$TEST_DIR
PATH=$here/bin:$PATH
export TEST_DIR MP LOG PROCFS_MP_TEST_MARK PATH
: >"$LOG"
cd "$TEST_DIR" || exit 1
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP
echo "TAP version 13"
[ -c /dev/fuse ] || skip_all "/dev/fuse is missing"
