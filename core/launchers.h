/*
 * launchers: the keeper's threads that launch.
 *
 * They take turns at the socket: each blocks in its own launch, and there is always one left that listens, so an
 * exec that hangs holds up its own start only. With LAUNCHERS_MAX of them hanging the next ones wait in the socket:
 * how many may be in flight, of one user and of all, is for the server to limit. They do not end before the mount, whatever becomes
 * of servers, because a program's PR_SET_PDEATHSIG is about the thread that cloned it: without a server they pause.
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
	const struct launch_origin *origin; /* for every launch, copied; NULL: nothing */
	struct holdings *holdings; /* what comes to be held; NULL: nothing is */
};

/* Result: 0 and *out, -ENOMEM, -EAGAIN as pthread_create(3). The table must stay mapped until the process exits. */
int launchers_create(const struct launchers_setup *setup, struct launchers **out);

/* After the server died: shuts the socket down, and returns when nothing that it sent is to be read any more:
 * descriptors to be held are held, launches are taken or never will be (their entries stay CLAIMED). Those under way go on,
 * and what they come to is told by the table alone until launchers_resume. No launcher uses the socket any more. */
void launchers_pause(struct launchers *launchers);

/* After launchers_pause, and before there is a server that looks at the table: from now on on this socket. */
void launchers_resume(struct launchers *launchers, int socket_fd);

/* Shuts the socket down and begins no launch any more. A launch that hangs is waited for no longer than a second;
 * afterwards it touches nothing but its entry. NULL is allowed. */
void launchers_destroy(struct launchers *launchers);

#endif
