/*
 * keeper: the small parent of every managed process: launches, reaps, reports, and follows a server that died by another.
 *
 * Owns: the launchers, the reaping loop, the signals that end the mount, and which server is the present one.
 *
 * Must not know: configuration, FUSE requests, names, how a server is executed.
 */
#ifndef PROCFS_MP_KEEPER_H
#define PROCFS_MP_KEEPER_H

#include "core/holdings.h"
#include "core/launch.h"
#include "core/ptable.h"

/* Which program becomes a server. */
enum keeper_program {
	KEEPER_SAME,      /* the one that the server before was */
	KEEPER_INSTALLED, /* the one that is installed now: an upgrade */
};

/* What is told of servers, each time it happens. */
enum keeper_event {
	KEEPER_RESTARTED,      /* the server died, another one is ready, `milliseconds` later */
	KEEPER_UPGRADED,       /* the same, on purpose: the installed program is the server now */
	KEEPER_UPGRADE_FAILED, /* the installed one could not be executed (`error`), or did not become ready: the one before follows */
	KEEPER_LATE,           /* one that was executed does not become ready: it is killed, after so long */
	KEEPER_GAVE_UP,        /* the server died, and another one is of no use or could not be executed (`error`) */
};

struct keeper_news {
	enum keeper_event event;
	int status; /* of the server that died, as waitpid(2) gives it */
	int error;  /* -errno, 0: none */
	unsigned milliseconds;
};

struct keeper {
	struct ptable *table;
	int socket_fd;  /* the keeper's end, CLOEXEC. The server's end must not be open here: that it is closed
	                 * everywhere is how the launchers know that the server is gone, and the other way round */
	pid_t server;   /* its child */
	const struct launch_spec *command; /* run at once as entry PTABLE_COMMAND, or NULL */
	struct holdings *holdings; /* NULL: nothing is held */
	unsigned patience_ms; /* in which a server has to be ready after the one before died; 0: a minute */
	struct launch_origin *origin; /* what it was before the keeper guarded itself: for its children; NULL: it doesn't */

	/* Executes a server, which gets server_socket_fd and what is held; the descriptor stays the keeper's.
	 * Result: 0 and *out, or -errno; after -ENOMEM, -EAGAIN, -EMFILE and -ENFILE it is called again. NULL: a server that dies
	 * ends the mount. */
	int (*spawn)(void *context, enum keeper_program program, int server_socket_fd, pid_t *out);
	void (*on_news)(void *context, const struct keeper_news *news); /* with spawn never NULL */
	void *context;
};

/* To be called first of all, before any thread and before the server is forked: makes this process the
 * subreaper (prctl(2) PR_SET_CHILD_SUBREAPER), blocks the signals that the keeper takes by sigwaitinfo (SIGCHLD,
 * SIGTERM, SIGHUP, SIGINT, SIGUSR2: a forked server inherits that), and sets dispositions that were inherited as ignored
 * back to default, so that children need no work. SIGHUP, SIGINT and SIGQUIT stay ignored, as nohup(1) and a shell's & mean
 * them: the keeper does not take them then. Result: 0 or -errno. */
int keeper_prepare(void);

/* Runs until a server has ended by exit(0), or has died and no other is to follow; every orphan and managed process
 * that has ended by then is reaped. keeper->server and keeper->socket_fd are those of the present server; the
 * first one is ready already (ptable_set_ready), and how many may die is in core/revival. A later one that is not
 * ready in time, and not stopped by a signal or a debugger either, is killed.
 * SIGUSR2 kills the server and lets the installed program follow it; when that does not become ready, the one before.
 * SIGTERM and SIGHUP (and SIGINT, when there is no command: a terminal's is left to it) go to the server as messages, and
 * SIGTERM and SIGHUP to the command too. With a command, SIGINT and SIGQUIT stay blocked.
 * The table must stay mapped until the process exits: a launch that hangs outlives this (it is waited for no longer
 * than a second), touching nothing but its entry.
 * Result: 0 and *status, the last server's wait status; -errno when it could not begin. */
int keeper_run(struct keeper *keeper, int *status);

/* After the server died without ending the mount: SIGKILL for all that still run, and waits for them, 5 seconds at
 * most (nothing ends a process that the kernel holds). After keeper_run. */
void keeper_kill_all(struct ptable *table);

#endif
