/*
 * launchers: the keeper's threads that launch.
 *
 * They take turns at the socket: each blocks in its own launch, and there is always one left that listens, so an
 * exec that hangs holds up its own start only. With LAUNCHERS_MAX of them hanging the next ones wait in the socket:
 * how many one user may have in flight is for the server to limit. They do not end before the server, because a
 * program's PR_SET_PDEATHSIG is about the thread that cloned it.
 *
 * Owns: the threads. Must not know: reaping, signals.
 */
#ifndef PROCFS_MP_LAUNCHERS_H
#define PROCFS_MP_LAUNCHERS_H

#include "core/launch.h"

enum { LAUNCHERS_MAX = 128 };

struct launchers;

struct launchers_setup {
	struct ptable *table;
	int socket_fd; /* where launches come from and go to be reported; stays the caller's */
	const struct launch_spec *command; /* run at once as entry PTABLE_COMMAND, or NULL */
	const char *badness; /* of every child (core/launch.h), or NULL; outlives the launchers */
};

/* Result: 0 and *out, -ENOMEM, -EAGAIN as pthread_create(3). The table must stay mapped until the process exits. */
int launchers_create(const struct launchers_setup *setup, struct launchers **out);

/* Shuts the socket down and begins no launch any more. A launch that hangs is waited for no longer than a second;
 * afterwards it touches nothing but its entry. NULL is allowed. */
void launchers_destroy(struct launchers *launchers);

#endif
