#!/bin/sh
# A process receives main's value, by argument and by environment, and changes only its own copy of it.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
echo "child has $tickets"
tickets=$((tickets - $1))
echo "child has $tickets left"
END

cat >main.sh <<'END'
export tickets=10
cd "$PROCFS_MP" || exit
mkdir p
echo sh >p/target
echo "$TEST_DIR/child.sh 3" >p/args
echo "tickets=$tickets" >p/env
echo start >p/ctl
echo join >p/ctl
cat p/stdout
echo "main still has $tickets"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "ten, seven, and ten in main" equal "$(cat "$LOG")" "child has 10
child has 7 left
main still has 10"
all_told
