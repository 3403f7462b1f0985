#!/bin/sh
# Main comes to its end without a join, in the middle of its child's work. The whole still waits for the child:
# every line of it is said, with main's between them.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
exec >>"$LOG"
for n in 0.2 0.4 0.6 0.8 1.0 1.2 1.4 1.6 1.8 2.0; do
	echo "$n"
	[ "$n" != 0.4 ] || await over
done
END

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir mine
echo sh >mine/target
echo "$TEST_DIR/child.sh" >mine/args
echo start >mine/ctl
await 0.4
echo over
exit
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "all ten lines are there, with main's in between" equal "$(cat "$LOG")" "0.2
0.4
over
0.6
0.8
1.0
1.2
1.4
1.6
1.8
2.0"
all_told
