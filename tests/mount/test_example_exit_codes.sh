#!/bin/sh
# How a process ended can be read from its exit code: 0 when all went well, its own number when it gave one, and a
# signal's number below zero.
. "$(dirname "$0")/lib.sh"

# ends_with CODE WORDS: a shell that does WORDS
ends_with()
{
	number=$((number + 1))
	make "p$number" sh "-c '$2'"
	claim "no exit code before: $2" equal "$(cat "$MP/p$number/exitcode")" ""
	claim "started and joined: $2" sh -c "printf 'start\njoin\n' >'$MP/p$number/ctl'"
	claim "$1 after: $2" equal "$(cat "$MP/p$number/exitcode")" "$1"
	claim "and again" equal "$(cat "$MP/p$number/exitcode")" "$1"
	claim "wait tells the same" equal "$(cat "$MP/p$number/wait")" "$1"
}

number=0
mount_it || exit
ends_with 0 "exit 0"
ends_with 1 "exit 1"
ends_with 7 "exit 7"
ends_with 255 "exit 255"
ends_with 127 "/no/such/program"
ends_with -9 "kill -KILL \$\$"
ends_with -15 "kill -TERM \$\$"
ends_with -1 "kill -HUP \$\$"
claim "no child was left unreaped" no_zombies_of "$keeper"
all_told
