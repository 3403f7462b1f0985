#!/bin/sh
# A daemonic process with an argument by name, joined: it lives and dies before main's line. The flag can be given
# before the start only.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
#!/bin/sh
exec >>"$LOG"
name=eve
for argument; do
	case $argument in
	--name=*) name=${argument#--name=} ;;
	esac
done
echo "$name is alive"
await "main has tried"
echo "$name is dead"
END
chmod +x child.sh

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir p
echo "$TEST_DIR/child.sh" >p/target
echo name=ann >p/kwargs
echo 1 >p/daemon
echo start >p/ctl
await "ann is alive"
refused EBUSY p/daemon 0 >"$TEST_DIR/refusal" && cat p/error >"$TEST_DIR/sentence"
cat p/daemon >"$TEST_DIR/daemon"
echo "main has tried"
echo join >p/ctl
refused EBUSY p/daemon 0 >>"$TEST_DIR/refusal" || echo "not refused after the end" >>"$TEST_DIR/refusal"
echo main
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "alive, dead, main" equal "$(cat "$LOG")" "ann is alive
main has tried
ann is dead
main"
claim "daemon is refused after the start, EBUSY" equal "$(cat refusal)" ""
claim "the sentence says why" contains "$(cat sentence)" "process has already started"
claim "daemon is what it was" equal "$(cat daemon)" 1
all_told
