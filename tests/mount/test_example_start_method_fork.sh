#!/bin/sh
# A start method can be chosen for all processes that are made afterwards. fork is taken, and `status` says both what
# was asked for and what was used.
. "$(dirname "$0")/lib.sh"

mount_it || exit
claim "spawn is the default" equal "$(cat "$MP/start_method")" spawn
make before echo "hello bob"
claim "fork can be chosen" sh -c "echo fork >'$MP/start_method'"
claim "and reads back" equal "$(cat "$MP/start_method")" fork
make p echo "hello bob"
claim "what is made now has it" equal "$(cat "$MP/p/start_method")" fork
claim "what was made before keeps its own" equal "$(cat "$MP/before/start_method")" spawn
claim "it starts" sh -c "echo start >'$MP/p/ctl'"
claim "it is joined" sh -c "echo join >'$MP/p/ctl'"
claim "it greets" equal "$(cat "$MP/p/stdout")" "hello bob"
claim "status names the method asked for" matches "$(cat "$MP/p/status")" 'fork'
claim "and the one that was used" matches "$(cat "$MP/p/status")" 'spawn'
claim "forkserver can be chosen for one" sh -c "echo forkserver >'$MP/before/start_method'"
claim "an unknown one is refused" refused EINVAL "$MP/start_method" bogus
claim "the sentence quotes it" says_why "$MP" bogus
claim "and says what there is" says_why "$MP" forkserver
claim "the method stays" equal "$(cat "$MP/start_method")" fork
all_told
