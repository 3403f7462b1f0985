#!/bin/sh
# The same child as in the test of blocks, with a join: now main's second line comes after all of the child's.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
#!/bin/sh
exec >>"$LOG"
name=$1
age=$2
shift 2
args= kwargs=
for argument; do
	case $argument in
	--*) kwargs="$kwargs ${argument#--}" ;;
	*) args="$args <$argument>" ;;
	esac
done
for i in 1 2 3; do
	echo "child runs, pid $$"
	echo "$name is $age"
	echo "args:$args, kwargs:$kwargs"
	echo "parent is $PPID"
	echo
	sleep 0.05
done
END
chmod +x child.sh

cat >main.sh <<'END'
echo "main runs"
cd "$PROCFS_MP" || exit
mkdir p
echo "$TEST_DIR/child.sh" >p/target
echo "rex 18 'one more' another..." >p/args
echo key=value >p/kwargs
echo start >p/ctl
echo join >p/ctl
cat p/pid >"$TEST_DIR/pid"
cat p/ppid >"$TEST_DIR/ppid"
echo "main is done"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
block="child runs, pid $(cat pid)
rex is 18
args: <one more> <another...>, kwargs: key=value
parent is $(cat ppid)
"
claim "main, three blocks, main" equal "$(cat "$LOG")" "$(printf '%s\n' "main runs" "$block" "$block" "$block" "main is done")"
all_told
