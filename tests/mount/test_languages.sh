#!/bin/sh
# The same two lives of processes, from making to removing, refusals in between, told by a program in each of several
# languages with nothing but that language's plain file calls. All tell the same.
. "$(dirname "$0")/lib.sh"

expected=$(cat "$here/languages/expected.txt")

# The expectation for a shell that cannot tell one errno from another; what mkdir and rmdir say is still known.
without_errno()
{
	printf '%s\n' "$expected" | sed '/^removed while\|^made again/!s/: E[A-Z]*$/: refused/'
}

# tells LANGUAGE EXPECTED COMMAND...
tells()
{
	language=$1
	telling=$2
	shift 2
	if ! command -v "$1" >/dev/null 2>&1; then
		skip "$language tells the two lives" "$1 is not installed"
		return
	fi
	"$@" >"$TEST_DIR/told" 2>"$TEST_DIR/told.err"
	told_status=$?
	[ ! -s "$TEST_DIR/told.err" ] || remark <"$TEST_DIR/told.err"
	claim "$language tells the two lives" equal "$(cat "$TEST_DIR/told")" "$telling"
	claim "the program in $language ends well" equal "$told_status" 0
	claim "$language has left no process" equal "$(cat "$MP/active_children")" ""
	rmdir "$MP/short" "$MP/long" 2>/dev/null
}

mount_it || exit
LC_ALL=C
export LC_ALL
tells dash "$(without_errno)" dash "$here/languages/life.sh" "$MP" no
tells bash "$expected" bash "$here/languages/life.sh" "$MP" yes
tells Python "$expected" python3 "$here/languages/life.py" "$MP"
tells Perl "$expected" perl "$here/languages/life.pl" "$MP"
tells Node "$expected" node "$here/languages/life.js" "$MP"
tells Tcl "$expected" tclsh "$here/languages/life.tcl" "$MP"
if command -v cc >/dev/null 2>&1; then
	claim "the program in C compiles" cc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -o life "$here/languages/life.c"
	tells C "$expected" ./life "$MP"
else
	skip "C tells the two lives" "cc is not installed"
fi
claim "no child was left unreaped" no_zombies_of "$keeper"
all_told
