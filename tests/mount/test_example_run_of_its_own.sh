#!/bin/sh
# The other way to make a process: instead of naming a target, it brings what it runs, as a script in its directory.
. "$(dirname "$0")/lib.sh"

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
mkdir p q
cat >p/run <<'RUN'
exec >>"$LOG"
await main
echo ann
for i in 1 2; do
	sleep 0.05
	echo "$i"
done
RUN
echo start >p/ctl
echo main
echo join >p/ctl

printf '#!/usr/bin/perl\nprint "@ARGV in perl\\n";\n' >q/run
echo "a 'b c'" >q/args
echo start >q/ctl
echo join >q/ctl
cat q/stdout
cat p/target p/exitcode q/exitcode >"$TEST_DIR/afterwards"
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "main's line, then the child's, then what another interpreter says" equal "$(cat "$LOG")" "main
ann
1
2
a b c in perl"
claim "no target was needed" equal "$(cat afterwards)" "0
0"
all_told
