#!/bin/sh
# A process that has ended is reaped at once, asked for or not, and what was known of it stays. A process whose
# parent ended before it goes on, with a new parent that reaps it too.
. "$(dirname "$0")/lib.sh"

parent_of() { sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f2; }

mount_it || exit
make short true
echo start >"$MP/short/ctl"
claim "it ends by itself" wait_until 20 test -s "$MP/short/exitcode"
claim "nobody has joined it, and it is no zombie" wait_until 20 vanished "$(cat "$MP/short/pid")"
claim "its exit code is kept" equal "$(cat "$MP/short/exitcode")" 0

make family sh "-c 'sleep 1000 & echo \$!; wait'"
echo start >"$MP/family/ctl"
claim "the grandchild is there" wait_until 20 lines_in 1 "$MP/family/stdout"
orphan=$(cat "$MP/family/stdout")
claim "terminate and join of its parent" sh -c "printf 'terminate\njoin\n' >'$MP/family/ctl'"
claim "the parent ended by signal 15" equal "$(cat "$MP/family/exitcode")" -15
claim "the grandchild goes on" not gone "$orphan"
claim "its parent is the mount now" equal "$(parent_of "$orphan")" "$keeper"
kill "$orphan"
claim "it is reaped when it ends" wait_until 20 vanished "$orphan"
claim "the mount has no zombie" no_zombies_of "$keeper"
all_told
