#!/bin/sh
# What tools/examples says about many processes and restarts is what happens.
. "$(dirname "$0")/lib.sh"

examples=$here/../../tools/examples

claim "the first that ends says its word, and the others are ended" \
	equal "$("$PROCFS_MP_BIN" -- "$examples/first-done" 'exec sleep 1000' 'echo fast' 'exec sleep 1000')" fast
claim "a command is kept running until it succeeds" \
	equal "$(cd "$TEST_DIR" && "$PROCFS_MP_BIN" -- "$examples/keep-running" job 'echo x >>count; test $(wc -l <count) -ge 3')" \
	"job created 
job started 
job exited 1
job started 
job exited 1
job started 
job exited 0
after 2 restarts"
all_told
