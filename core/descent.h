/*
 * descent: all that descends from a managed process, found in /proc and signalled.
 *
 * A descendant is found by the chain of parents; one whose parent has ended is the keeper's child by then and is found by its
 * session, or by $PROCFS_MP_ID in its environment when it runs as the same user; and whoever is in the process's own cgroups is one.
 * It can take a while: for a thread of the pool, not for the loop. Must not know: processes as users see them, files.
 */
#ifndef PROCFS_MP_DESCENT_H
#define PROCFS_MP_DESCENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct descent {
	pid_t root;          /* 0: it has ended, only what it left behind is looked for */
	uint64_t root_start; /* kin.start of the root */
	uint64_t id;         /* its number in the environment */
	uid_t uid;           /* whom it runs as */
	pid_t keeper;
	pid_t *others;       /* where other families begin: their pids, in ascending order; owned by whoever made it */
	size_t other_count;
	char *const *cgroups; /* cgroup.procs files whose members belong; NULL: none; NULL ends */
	const char *kill;     /* cgroup.kill of the whole, or NULL */
};

/* Sends the signal to the root and to every descendant, again until nobody new is found (a bounded number of times). For
 * SIGKILL all are stopped first, so that none escapes by a fork. Each is held by a pidfd while it is signalled: a reused pid is
 * never hit.
 * Result: 0; -EPERM and *denied, the pid of one that may not be signalled, after the others were; -ENOMEM; the errno of
 * reading /proc. */
int descent_signal(const struct descent *descent, int signal_number, pid_t *denied);

#endif
