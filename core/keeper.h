/*
 * keeper: the small parent of every managed process: launches, reaps, reports.
 *
 * Owns: the launchers, the reaping loop and the signals that end the mount.
 *
 * Must not know: configuration, FUSE requests, names.
 */
#ifndef PROCFS_MP_KEEPER_H
#define PROCFS_MP_KEEPER_H

#include "core/ptable.h"

struct keeper {
	struct ptable *table;
	int socket_fd;  /* the keeper's end, CLOEXEC. The server's end must not be open here: that it is closed
	                 * everywhere is how the launchers know that the server is gone, and the other way round */
	pid_t server;   /* its child */
	const char *badness; /* what its children get back: see core/badness.h */
	const struct launch_spec *command; /* run at once as entry PTABLE_COMMAND, or NULL */
};

/* To be called first of all, before any thread and before the server is forked: makes this process the
 * subreaper (prctl(2) PR_SET_CHILD_SUBREAPER), blocks the signals that the keeper takes by sigwaitinfo (SIGCHLD,
 * SIGTERM, SIGHUP, SIGINT: a forked server inherits that), and sets dispositions that were inherited as ignored
 * back to default, so that children need no work. SIGHUP, SIGINT and SIGQUIT stay ignored, as nohup(1) and a shell's & mean
 * them: the keeper does not take them then. Result: 0 or -errno. */
int keeper_prepare(void);

/* Runs until the server has ended; every orphan and managed process that has ended by then is reaped.
 * SIGTERM and SIGHUP (and SIGINT, when there is no command: a terminal's is left to it) go to the server as messages, and
 * SIGTERM and SIGHUP to the command too. With a command, SIGINT and SIGQUIT stay blocked.
 * The table must stay mapped until the process exits: a launch that hangs outlives this (it is waited for no longer
 * than a second), touching nothing but its entry.
 * Result: 0 and *status, the server's wait status; -errno when it could not begin. */
int keeper_run(struct keeper *keeper, int *status);

/* After the server died without ending the mount: SIGKILL for all that still run, and waits for them, 5 seconds at
 * most (nothing ends a process that the kernel holds). After keeper_run. */
void keeper_kill_all(struct ptable *table);

#endif
