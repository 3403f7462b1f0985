#!/bin/sh
# join counts for more than daemon: a daemonic process that is joined comes to its own end, and main goes on after it.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
exec >>"$LOG"
echo "child begins"
sleep 0.2
echo "child ends"
END

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir p
echo sh >p/target
echo "$TEST_DIR/child.sh" >p/args
echo 1 >p/daemon
echo start >p/ctl
echo join >p/ctl
cat p/exitcode >"$TEST_DIR/exitcode"
echo "main ends"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "the child's lines come first, all of them" equal "$(cat "$LOG")" "child begins
child ends
main ends"
claim "the child was not terminated" equal "$(cat exitcode)" 0
all_told
