#!/bin/sh
# Starting waits for nothing: main starts one process with a single argument and one with two, comes to its own end
# while both are still at work, and both finish their work after it.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
exec >>"$LOG"
await "main ends"
echo "child with $#: $*"
END

cat >main.sh <<'END'
echo "main begins"
cd "$PROCFS_MP" || exit
mkdir single several
echo sh >single/target
echo "$TEST_DIR/child.sh 1" >single/args
echo start >single/ctl

echo sh >several/target
echo "$TEST_DIR/child.sh 1 2" >several/args
echo start >several/ctl
echo "main ends"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "main comes to its end before either child does" equal "$(head -n 2 "$LOG")" "main begins
main ends"
claim "both children finish, each with its arguments" equal "$(tail -n +3 "$LOG" | sort)" "child with 1: 1
child with 2: 1 2"
all_told
