#!/bin/sh
# The smallest example there is: a process that greets whom it was given.
. "$(dirname "$0")/lib.sh"

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir p
echo echo >p/target
echo "hello bob" >p/args
echo start >p/ctl
echo join >p/ctl
cat p/stdout
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "it greets" equal "$(cat "$LOG")" "hello bob"
all_told
