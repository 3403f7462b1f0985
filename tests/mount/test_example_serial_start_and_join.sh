#!/bin/sh
# Start and join in the same turn of a loop: each process begins only after the one before it has ended.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
exec >>"$LOG"
echo "$1 $2"
sleep 0.05
echo "$2"
END

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
for i in 1 2 3; do
	mkdir "p$i"
	echo sh >"p$i/target"
	echo "$TEST_DIR/child.sh ann $i" >"p$i/args"
	echo start >"p$i/ctl"
	echo join >"p$i/ctl"
done
echo main
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "one after another" equal "$(cat "$LOG")" "ann 1
1
ann 2
2
ann 3
3
main"
all_told
