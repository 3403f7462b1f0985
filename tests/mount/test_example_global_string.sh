#!/bin/sh
# A process gives a new value to a name that main has too; main's stays.
. "$(dirname "$0")/lib.sh"

cat >main.sh <<'END'
name=ann
export name
cd "$PROCFS_MP" || exit
mkdir p
echo "name=$name" >p/env
cat >p/run <<'RUN'
before=$name
name=ben
echo "child: $before, then $name"
RUN
echo start >p/ctl
echo join >p/ctl
cat p/stdout
echo "main: $name"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "the child's value changed, main's did not" equal "$(cat "$LOG")" "child: ann, then ben
main: ann"
all_told
