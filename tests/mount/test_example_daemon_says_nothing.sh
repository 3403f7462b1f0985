#!/bin/sh
# Like the test of blocks, but daemonic and not joined: main ends, and nothing of the child is heard.
. "$(dirname "$0")/lib.sh"

mkfifo gate # nobody ever opens it for writing
cat >main.sh <<'END'
echo "main runs"
cd "$PROCFS_MP" || exit
mkdir p
cat >p/run <<'RUN'
exec >>"$LOG"
read -r _ <"$TEST_DIR/gate"
for i in 1 2 3; do
	echo "child runs, $*"
done
RUN
echo "rex 18" >p/args
echo key=value >p/kwargs
echo 1 >p/daemon
echo start >p/ctl
cat p/pid >"$TEST_DIR/pid"
echo "main is done"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "main's two lines only" equal "$(cat "$LOG")" "main runs
main is done"
claim "the child is gone" wait_until 10 vanished "$(cat pid)"
all_told
