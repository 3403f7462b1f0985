/*
 * launch: the one place with clone and exec.
 *
 * Owns: credentials, session, descriptors, directory, mask and dispositions of a child,
 * and the report of why it could not be.
 *
 * Must not know: processes as users see them, who asked, sockets.
 */
#ifndef PROCFS_MP_LAUNCH_H
#define PROCFS_MP_LAUNCH_H

#include <sys/resource.h>

#include "core/badness.h"
#include "core/ptable.h"

enum {
	/* Become uid, gid and groups, with no_new_privs and a memory of its own: another user
	 * could stop a child that shares ours and so hold its creator. */
	LAUNCH_AS_USER = 1 << 0,
	/* The main command: keeps descriptors 0 to 2, session and process group. */
	LAUNCH_FOREGROUND = 1 << 1,
	/* Its terms are the superuser's: they are prepared before it becomes another user. */
	LAUNCH_RAISES = 1 << 2,
	/* The first of its cgroups is a directory that it begins in when it can, and else nowhere special. */
	LAUNCH_INTO_GROUP = 1 << 3,
};

enum { LAUNCH_LIMITS_MAX = 16 };
#define LAUNCH_UNLIMITED UINT64_MAX

struct launch_limit {
	uint32_t resource, zero; /* setrlimit(2)'s */
	uint64_t soft, hard;
};

struct launch_terms {
	int32_t nice;
	uint32_t has_nice;
	uint32_t limit_count;
	uint32_t zero;
	struct launch_limit limits[LAUNCH_LIMITS_MAX];
};

/* Where the child's stdout or stderr leads. */
enum launch_to {
	LAUNCH_TO_FD,        /* the spec's descriptor */
	LAUNCH_TO_FILE,      /* `path`, relative to the child's cwd, opened as its user; made when missing */
	LAUNCH_TO_OTHER,     /* where the other one leads */
	LAUNCH_TO_INHERITED, /* descriptor `number` of a program; the spec's descriptor is its pidfd */
	LAUNCH_TO_COUNT,
};

struct launch_output {
	uint32_t to;
	int32_t number;
	const char *path;
};

/* What the caller has changed of itself and no child shall have. */
struct launch_origin {
	char badness[BADNESS_ROOM]; /* empty: unchanged */
	struct rlimit nofile;
};

struct launch_spec {
	uint32_t flags;
	uid_t uid;
	gid_t gid;
	uint32_t group_count;
	const gid_t *groups;
	mode_t umask;
	const char *cwd;                /* entered after the child has become its user; NULL: the caller's */
	const char *const *candidates;  /* tried in turn, as execvp(3) tries PATH, but ENOEXEC is an error; NULL ends */
	const char *const *argv;        /* NULL ends */
	const char *const *envp;        /* NULL ends */
	const struct launch_terms *terms; /* NULL: none */
	const char *const *cgroups;     /* files it writes 0 to, before it becomes its user; NULL ends, NULL: none */
	int stdin_fd, stdout_fd, stderr_fd; /* -1: /dev/null; stay the caller's */
	int held_fds[2]; /* not for the child: what the keeper is to hold of its stdout and stderr (core/holdings); 0: none */
	struct launch_output outputs[2]; /* stdout, stderr; never both to the other */
	const char *badness;    /* for badness_restore(); NULL: it stays as it is */
	pid_t inherit_pid;      /* of the program that INHERITED is about */
	const struct launch_origin *origin; /* NULL: nothing */
	uint64_t mount_device;  /* nothing is inherited that lies there: -EINVAL; 0: none */
};

/*
 * Without LAUNCH_RAISES the limits are set when the child has become its user, which then can't get more than it may.
 *
 * Runs the program in a new child of the calling process and blocks the calling thread until exec
 * has succeeded or failed (clone(2), CLONE_VFORK): call it from a thread that nobody waits for and that does
 * not end before its children: they are killed when the thread that cloned them ends (PR_SET_PDEATHSIG).
 * The entry of `ref` must be LAUNCHING; it is RUNNING, FAILED or already ENDED afterwards.
 *
 * The child is cloned with exit signal 0: until its exec, which sets SIGCHLD (clone(2), de_thread() in
 * fs/exec.c), only a wait with __WCLONE sees it, so a failed launch is reaped here and nowhere else.
 *
 * The child: its own session, cwd and umask; the streams as descriptors 0 to 2 and no other, from before it becomes its user
 * and opens a path; no signal blocked.
 * SIGPIPE, SIGHUP, SIGINT and SIGQUIT are at their default, in the main command SIGPIPE only (so nohup(1) reaches
 * it); what else the caller ignores stays ignored, and keeper_prepare() sees that it is nothing.
 *
 * Result: 0 when exec succeeded; -errno as recorded in the entry (-ECANCELED for a child killed before);
 * -EINVAL, with nothing done, when the entry is not LAUNCHING.
 */
int launch_run(const struct launch_spec *spec, struct ptable *table, struct ptable_ref ref);

#endif
