#!/bin/sh
# A process sees the pid and the parent's pid that its directory shows. One that kills itself with signal 9 has the
# exit code -9, and nobody else is harmed.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
echo "pid $$"
echo "ppid $PPID"
kill -9 $$
echo "never said"
END

mount_it || exit
for p in mine other; do
	make "$p" sh "$TEST_DIR/child.sh"
	echo start >"$MP/$p/ctl"
done
for p in mine other; do
	claim "join of $p returns" sh -c "echo join >'$MP/$p/ctl'"
	claim "$p was ended by signal 9" equal "$(cat "$MP/$p/exitcode")" -9
	claim "$p is not alive" equal "$(cat "$MP/$p/alive")" 0
	claim "$p saw the pids that are shown outside, and nothing after its end" \
		equal "$(cat "$MP/$p/stdout")" "pid $(cat "$MP/$p/pid")
ppid $(cat "$MP/$p/ppid")"
	claim "the parent of $p is the mount" equal "$(cat "$MP/$p/ppid")" "$keeper"
done
claim "they were two processes" not equal "$(cat "$MP/mine/pid")" "$(cat "$MP/other/pid")"
make after echo "still here"
claim "the mount goes on" sh -c "echo start >'$MP/after/ctl'; echo join >'$MP/after/ctl'"
claim "and starts others" equal "$(cat "$MP/after/stdout")" "still here"
all_told
