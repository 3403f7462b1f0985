#!/bin/sh
# Three processes, each with two arguments, are started before the first of them is joined: each gets to its second
# line while the others are at theirs, and main goes on after all three.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
exec >>"$LOG"
echo "$1"
await ann && await ben && await eve && echo "$1 1"
await "ann 1" && await "ben 1" && await "eve 1" && echo "$1 2 of $2"
END

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir p p1 p2
echo sh | tee p/target p1/target p2/target >/dev/null
echo "$TEST_DIR/child.sh ann 1" >p/args
echo "$TEST_DIR/child.sh ben 2" >p1/args
echo "$TEST_DIR/child.sh eve 3" >p2/args
echo start >p/ctl
echo start >p1/ctl
echo start >p2/ctl
echo join >p/ctl
echo join >p1/ctl
echo join >p2/ctl
echo main
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "all begin" equal "$(sed -n 1,3p "$LOG" | sort)" "ann
ben
eve"
claim "all go on" equal "$(sed -n 4,6p "$LOG" | sort)" "ann 1
ben 1
eve 1"
claim "all end" equal "$(sed -n 7,9p "$LOG" | sort)" "ann 2 of 1
ben 2 of 2
eve 2 of 3"
claim "main is last" equal "$(sed -n '10,$p' "$LOG")" main
all_told
