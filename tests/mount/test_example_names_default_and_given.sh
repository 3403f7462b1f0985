#!/bin/sh
# One process has a name of its own, another the default one, which counts every process made before it. Both work
# at the same time: their lines come by turns.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
exec >>"$LOG"
name=$(cat "$PROCFS_MP/self/name")
for i in 1 2 3 4 5; do
	echo "$name $i"
	await "$1 $i"
done
END

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir mine
exec 3<>clone
read -r other <&3
echo "$other" >"$TEST_DIR/other"

echo sh >mine/target
echo "$TEST_DIR/child.sh $other" >mine/args
echo sh >"$other/target"
echo "$TEST_DIR/child.sh mine" >"$other/args"
echo start >mine/ctl
echo start >&3
cat mine/name "$other/name" >"$TEST_DIR/names"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "the default name counts the process before it" equal "$(cat other)" Process-2
claim "name tells it" equal "$(cat names)" "mine
Process-2"
for i in 1 2 3 4 5; do
	claim "turn $i has a line of each" equal "$(sed -n "$((2 * i - 1)),$((2 * i))p" "$LOG" | sort)" "Process-2 $i
mine $i"
done
claim "and nothing more is said" lines_in 10 "$LOG"
all_told
