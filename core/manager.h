/*
 * manager: the set of managed processes and every verb.
 *
 * Owns: the processes by id, directory and pid; who is whose parent; sessions; authentication keys; the conversation
 * with the keeper; the end of the mount. The only core header that fs/ needs for work.
 * Must not know: FUSE, file names.
 *
 * One thread: the loop's. Callbacks come from the loop, never from inside the call that asked.
 */
#ifndef PROCFS_MP_MANAGER_H
#define PROCFS_MP_MANAGER_H

#include <stdbool.h>
#include <uv.h>

#include "core/holdings.h"
#include "core/invocation.h"
#include "core/porter.h"
#include "core/process.h"
#include "core/ptable.h"
#include "core/share.h"
#include "core/text.h"

struct manager;

/* Who asks: pid is the kernel's thread id of the caller, 0 when it is in another pid namespace. `why` takes the
 * sentence of a refusal and may be NULL. */
struct caller {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	struct refusal *why;
};

/* What has changed. */
enum manager_event { MANAGER_CREATED, MANAGER_STARTED, MANAGER_EXITED, MANAGER_REMOVED, MANAGER_RESET, MANAGER_PAUSED,
		     MANAGER_CONTINUED,
		     MANAGER_GAVE_UP /* no run follows, after it had ended and others were to */ };

struct manager_config {
	uv_loop_t *loop;
	struct porter *porter; /* NULL only where nothing has stdin_open and no output is ever too much */
	struct ptable *table;
	struct holdings *holdings; /* what the keeper holds for us; NULL: nothing */
	int socket_fd; /* to the keeper; the manager closes it */
	const struct surroundings *surroundings;
	bool groups;                       /* each process is in a control group of its own, where one can be made */
	const struct share_limits *limits; /* of each user but the superuser and the mount's own; NULL: none */
	bool has_command;                  /* its end is the end of the mount */
	/* Once: the mount has ended and nothing runs; or the keeper is gone (-EPIPE). */
	void (*on_finished)(void *context, int error);
	/* After the change (MANAGER_REMOVED: before), or NULL. It may not call the manager. */
	void (*on_event)(void *context, const struct process *process, enum manager_event event, struct timespec when);
	/* Around every wait of the loop: what has changed is to be kept, and manager_tell() called; NULL: there is no journal. */
	void (*on_settle)(void *context);
	struct journal *journal; /* where removals are noted at once; NULL: none */
	void *context;
};

/* Result: 0 and *out, -ENOMEM or libuv's error. */
int manager_create(const struct manager_config *config, struct manager **out);
/* What has changed is kept: the keeper may know of it. */
void manager_tell(struct manager *manager);
/* Nothing may be waiting. NULL is allowed. */
void manager_destroy(struct manager *manager);

/* ---- the set ---- */

/* Makes a process in state INITIAL, owned by the caller and a child of the process that it runs inside. directory NULL:
 * Process-N, N counting every construction.
 * Result: 0 and *out; -EEXIST, -EINVAL (a word that verbs need), -ENAMETOOLONG, -EPERM (a caller that can't own one
 * here), -EDQUOT (it has as many as it may), -ENOMEM. */
int manager_make(struct manager *manager, const struct caller *caller, const char *directory, struct process **out);

/* Result: 0; -EBUSY while it is starting or running. */
int manager_remove(struct manager *manager, struct process *process, struct refusal *why);
/* Whether that would be refused. */
int manager_check_remove(const struct process *process, struct refusal *why);

struct process *manager_by_id(struct manager *manager, uint64_t id);
struct process *manager_by_directory(struct manager *manager, const char *directory);
/* The process with the lowest id above `id`; NULL at the end. */
struct process *manager_after(struct manager *manager, uint64_t id);

/* The process that the caller runs inside: by session id, by the chain of parents, by the environment of an orphan.
 * NULL outside of all, and then *session is the open session whose program is or is an ancestor of the caller, or
 * NULL. session may be NULL. */
struct session;
struct process *manager_inside(struct manager *manager, const struct caller *caller, struct session **session);
/* The same. Result: 0 and *out; -ENOMEM, -EMFILE, -ENFILE with a sentence: it can't be known now, where manager_inside says NULL. */
int manager_find_inside(struct manager *manager, const struct caller *caller, struct process **out, struct session **session);

/* Owner or superuser. */
bool manager_may(const struct process *process, const struct caller *caller);

/* ---- verbs; each checks the state, not the right ---- */

/* Asks for a start; the waiter is told 0 or exec's errno.
 * Result: 0, and the waiter waits; -EALREADY, -EINVAL (nothing to run), -EPERM (inside a daemonic process, or
 * unidentified), -ESHUTDOWN (the mount is ending), -EAGAIN, -ENOMEM, -EMFILE, -E2BIG. */
int manager_start(struct manager *manager, struct process *process, const struct caller *caller, struct waiter *waiter);

/* Adds a waiter to a start that is under way. Result: 0; -EALREADY when none is. */
int manager_await_start(struct process *process, struct waiter *waiter);

/* The sentence of a start that failed is in process->error, before its waiters are told. */

/* Result: 1 when it has ended already, 0 when the waiter waits; -ESRCH before start; -EDEADLK when the caller runs
 * inside of it. */
int manager_join(struct manager *manager, struct process *process, const struct caller *caller, struct waiter *waiter);

/* The same for who has checked that it may be joined. Result: 1, or 0 when the waiter waits. */
int manager_await_end(struct process *process, struct waiter *waiter);

/* What manager_start() would refuse at once. Result: 0, or its errno. */
int manager_check_start(struct manager *manager, const struct process *process, const struct caller *caller);

/* Result: 0, also after the end; -ESRCH before start; kill(2)'s errno. */
int manager_signal(struct manager *manager, struct process *process, int signal_number, struct refusal *why);

/* A signal that is meant to end it, after which no further run follows. Between two runs the next is given up.
 * Result: as manager_signal's. */
int manager_end_with(struct manager *manager, struct process *process, int signal_number, struct refusal *why);

/* Makes an ended process startable again. Result: 0, also before start; -EBUSY until it has ended. */
int manager_reset(struct manager *manager, struct process *process, struct refusal *why);
int manager_check_reset(const struct process *process, struct refusal *why);

/* The process's pid, also before exec, when its own launch asks; 0: none. */
pid_t manager_pid(struct manager *manager, const struct process *process);
/* True from exec on to the end. */
bool manager_is_alive(struct manager *manager, const struct process *process);
/* True when it is stopped by a signal now. */
bool manager_is_paused(struct manager *manager, const struct process *process);
/* When it was started, also before the keeper's word of its exec; tv_sec 0: not yet. */
struct timespec manager_started(struct manager *manager, const struct process *process);
/* What it and the children that it has waited for have used, so far or in all; between two runs, in the last one.
 * Result: 0 and *out; -ENODATA before start; -ENOMEM when there was no memory to keep it. */
int manager_usage(struct manager *manager, const struct process *process, struct usage *out);
pid_t manager_keeper_pid(const struct manager *manager);

/* ---- configuration ---- */

/* Result: 0; -EBUSY after start. For every setter of the constructor's parameters. */
int manager_check_initial(const struct process *process, struct refusal *why);

enum start_method manager_start_method(const struct manager *manager);
void manager_set_start_method(struct manager *manager, enum start_method method);

/* The key of the process: its own, or the one drawn once for its owner.
 * Result: 0 and PROCESS_AUTHKEY_SIZE bytes; -ENOMEM; getrandom(2)'s errno. */
int manager_authkey(struct manager *manager, const struct process *process, unsigned char *out);

/* The descriptor is to outlive us: before anything in it is promised. It stays the process's.
 * Result: 0; -EMFILE, -ENOSPC, -EAGAIN, -EPIPE: it can't be held. */
int manager_hold(struct manager *manager, const struct process *process, enum holding_kind kind, int fd);

/* For core/capture: what is kept of the output, and who waits for more. */
struct captures *manager_captures(struct manager *manager);

/* Where a relative path begins, and so on. */
const struct surroundings *manager_surroundings(const struct manager *manager);

/* The last refusal that belongs to no process, per user; sentence NULL: a success. */
void manager_set_error(struct manager *manager, uid_t uid, const char *sentence);
const char *manager_error(struct manager *manager, uid_t uid);

/* What a user takes of the mount; NULL: it has no limits. Result: 0 and *out, or -ENOMEM. */
int manager_share(struct manager *manager, uid_t uid, struct share **out);

/* Where control groups can be made, looked for once. Result: NULL without memory or without /proc. */
struct cgroups;
struct cgroups *manager_cgroups(struct manager *manager);

/* ---- main processes ---- */

/* The caller's program becomes a main process; opening again is the same session. Result: 0 and *out, -EPERM for an
 * unidentified caller, -ESRCH, -ENOMEM. */
int manager_open_session(struct manager *manager, const struct caller *caller, struct session **out);
/* For who outlives the server: a session by the key that it has for ever, and one more open of it. NULL: it is over. */
uint64_t manager_session_key(const struct session *session);
struct session *manager_session(struct manager *manager, uint64_t key);
void manager_hold_session(struct session *session);
/* One of the opens of a session is closed. With the last, its daemonic processes are terminated, the others pass to the mount. */
void manager_close_session(struct manager *manager, struct session *session);
/* A descriptor was closed by `thread`: ends the session when its opener has no other whose path ends in `name`, which stays the
 * caller's until then. In doubt the session goes on: the opener's exit and the last close end it for sure.
 * Result: 1, and the waiter is told (0) when that is known; 0: it is now. */
int manager_check_session(struct session *session, pid_t thread, const char *name, struct waiter *waiter);

/* The mount is ending: daemonic processes are terminated, the others joined; nothing starts any more.
 * on_finished follows, or comes from inside. Idempotent. */
void manager_end(struct manager *manager);
bool manager_is_ending(const struct manager *manager);

#endif
