#!/bin/sh
# The plain way to make a process: a target and its argument. Main has said its line before the child says one.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
exec >>"$LOG"
await main
echo "$1"
for i in 1 2 3; do
	sleep 0.05
	echo "$i"
done
END

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir p
echo sh >p/target
echo "$TEST_DIR/child.sh ann" >p/args
echo start >p/ctl
echo main
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "main's line, then the child's" equal "$(cat "$LOG")" "main
ann
1
2
3"
all_told
