#!/bin/sh
# A daemonic process does not outlive main: whatever it was about to say, only main's line is heard.
. "$(dirname "$0")/lib.sh"

mkfifo gate # nobody ever opens it for writing
cat >child.sh <<'END'
exec >>"$LOG"
read -r _ <"$TEST_DIR/gate"
echo "child begins"
echo "child ends"
END

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir p
echo sh >p/target
echo "$TEST_DIR/child.sh" >p/args
echo 1 >p/daemon
echo start >p/ctl
cat p/pid >"$TEST_DIR/pid"
cat p/alive >"$TEST_DIR/alive"
echo "main ends"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "the child was there" equal "$(cat alive)" 1
claim "only main is heard" equal "$(cat "$LOG")" "main ends"
claim "the child is gone" wait_until 10 vanished "$(cat pid)"
all_told
