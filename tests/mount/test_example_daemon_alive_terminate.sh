#!/bin/sh
# A daemonic process counts; main says a word of its own, sees that the process is alive and terminates it: after
# main's word nothing follows.
. "$(dirname "$0")/lib.sh"

mkfifo gate # nobody ever opens it for writing
cat >child.sh <<'END'
exec >>"$LOG"
for n in 0.2 0.4 0.6 0.8 1.0 1.2 1.4 1.6 1.8 2.0; do
	echo "$n"
	[ "$n" != 0.4 ] || read -r _ <"$TEST_DIR/gate"
done
END

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir mine
echo sh >mine/target
echo "$TEST_DIR/child.sh" >mine/args
echo 1 >mine/daemon
echo start >mine/ctl
await 0.4
echo over
if [ "$(cat mine/alive)" = 1 ]; then
	echo terminate >mine/ctl
	echo join >mine/ctl
	cat mine/alive mine/exitcode >"$TEST_DIR/afterwards"
fi
exit
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "nothing is said after main's word" equal "$(cat "$LOG")" "0.2
0.4
over"
claim "it was alive, and terminate ended it" equal "$(cat afterwards)" "0
-15"
all_told
