#!/bin/sh
# Two processes begin with the same empty list. What one puts into its own, the other does not find.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
list=
if [ "$1" = fill ]; then
	for i in 0 1 2 3 4; do list="${list:+$list, }$i"; done
fi
echo "$1: [$list]"
END

mount_it || exit
make mine sh "$TEST_DIR/child.sh fill"
make other sh "$TEST_DIR/child.sh look"
echo start >"$MP/mine/ctl"
echo join >"$MP/mine/ctl"
echo start >"$MP/other/ctl"
echo join >"$MP/other/ctl"
claim "one filled its list" equal "$(cat "$MP/mine/stdout")" "fill: [0, 1, 2, 3, 4]"
claim "the other's is empty, though it came later" equal "$(cat "$MP/other/stdout")" "look: []"
all_told
