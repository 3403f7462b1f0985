#!/bin/sh
# A process that is terminated as soon as it was started says nothing, and main, though it is not daemonic, has
# nothing to wait for.
. "$(dirname "$0")/lib.sh"

mkfifo gate # nobody ever opens it for writing
cat >main.sh <<'END'
echo "main runs"
cd "$PROCFS_MP" || exit
mkdir p q
tee p/run >q/run <<'RUN'
exec >>"$LOG"
read -r _ <"$TEST_DIR/gate"
for i in 1 2 3; do
	echo "child runs, $*"
done
RUN
echo "rex 18" | tee p/args >q/args
echo start >p/ctl
echo terminate >p/ctl
printf 'start\nterminate\njoin\n' >q/ctl
cat q/exitcode >"$TEST_DIR/exitcode"
cat p/pid >"$TEST_DIR/pid"
echo "main is done"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "main's two lines only" equal "$(cat "$LOG")" "main runs
main is done"
claim "the child is gone" wait_until 10 vanished "$(cat pid)"
claim "start, terminate and join may come in one write" equal "$(cat exitcode)" -15
all_told
