#!/bin/sh
# Three processes are started in a loop and joined in a second one: they run side by side, in any order, and main's
# last line comes after all of theirs.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
exec >>"$LOG"
echo "child $1 begins"
# Only children that run at the same time get past this.
await "child 0 begins" && await "child 1 begins" && await "child 2 begins" && echo "child $1 ends"
END

cat >main.sh <<'END'
echo "main begins"
cd "$PROCFS_MP" || exit
for i in 0 1 2; do
	mkdir "p$i"
	echo sh >"p$i/target"
	echo "$TEST_DIR/child.sh $i" >"p$i/args"
	echo start >"p$i/ctl"
done
for i in 0 1 2; do
	echo join >"p$i/ctl"
done
echo "main ends"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "main's first line is the first" equal "$(sed -n 1p "$LOG")" "main begins"
claim "then all three begin" equal "$(sed -n 2,4p "$LOG" | sort)" "child 0 begins
child 1 begins
child 2 begins"
claim "then all three end" equal "$(sed -n 5,7p "$LOG" | sort)" "child 0 ends
child 1 ends
child 2 ends"
claim "main's last line is the last" equal "$(sed -n '8,$p' "$LOG")" "main ends"
all_told
