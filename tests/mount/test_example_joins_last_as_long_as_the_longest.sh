#!/bin/sh
# Joining a list lasts as long as the longest of it: joins of those that have ended meanwhile return at once, and
# nothing but the last end holds main up.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
exec >>"$LOG"
echo "ann begins $1"
# The second ends after the first, and the third, the longest, after the second; none before all have begun.
await "ann begins 1" && await "ann begins 2" && await "ann begins 3" || exit
case $1 in
2) await "ends 1" ;;
3) await "ends 2" ;;
esac
echo "ends $1"
END

cat >main.sh <<'END'
cd "$PROCFS_MP" || exit
for i in 1 2 3; do
	mkdir "p$i"
	echo sh >"p$i/target"
	echo "$TEST_DIR/child.sh $i" >"p$i/args"
	echo start >"p$i/ctl"
done
for i in 3 1 2; do
	echo join >"p$i/ctl"
	echo "joined $i"
done
echo main
END

run_main main.sh
claim "main ends well" equal "$main_status" 0
claim "all begin before one ends" equal "$(sed -n 1,3p "$LOG" | sort)" "ann begins 1
ann begins 2
ann begins 3"
claim "the join of the longest returns after its end, the others then at once" equal "$(sed -n '4,$p' "$LOG")" "ends 1
ends 2
ends 3
joined 3
joined 1
joined 2
main"
all_told
