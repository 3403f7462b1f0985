#!/bin/sh
# A process asks which one it is (`self`) and finds the pid that it has. It is alive until it is terminated, and has
# another pid and another parent than whoever made it.
. "$(dirname "$0")/lib.sh"

mkfifo gate # nobody ever opens it for writing
cat >child.sh <<'END'
echo "self $(cat "$PROCFS_MP/self/pid")"
echo "pid $$"
echo "ppid $PPID"
read -r _ <"$TEST_DIR/gate"
END

self_is_enoent()
{
	perl -e 'use Errno; exit(!defined(readlink($ARGV[0])) && $!{ENOENT} ? 0 : 1)' "$MP/self"
}

mount_it || exit
make p sh "$TEST_DIR/child.sh"
claim "no pid before the start" equal "$(cat "$MP/p/pid")" ""
claim "not alive before the start" equal "$(cat "$MP/p/alive")" 0
echo start >"$MP/p/ctl"
claim "alive" equal "$(cat "$MP/p/alive")" 1
claim "its lines can be read while it runs" wait_until 20 lines_in 3 "$MP/p/stdout"
pid=$(cat "$MP/p/pid")
claim "it finds itself, with the pid that it has" equal "$(cat "$MP/p/stdout")" "self $pid
pid $pid
ppid $keeper"
claim "outside of every process self is ENOENT" self_is_enoent
claim "it is another process than this one" not equal "$pid" "$$"
claim "with another parent" not equal "$(cat "$MP/p/ppid")" "$PPID"
claim "no exit code while it runs" not test -s "$MP/p/exitcode"
claim "terminate is taken" sh -c "echo terminate >'$MP/p/ctl'"
claim "join returns" sh -c "echo join >'$MP/p/ctl'"
claim "not alive after it" equal "$(cat "$MP/p/alive")" 0
claim "the exit code tells the signal" equal "$(cat "$MP/p/exitcode")" -15
claim "there is no exit code file of size 0 now" test -s "$MP/p/exitcode"
claim "terminate after the end does nothing" sh -c "echo terminate >'$MP/p/ctl'"
claim "the exit code stays" equal "$(cat "$MP/p/exitcode")" -15
all_told
