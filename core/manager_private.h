/*
 * What the manager's files share: manager.c (its life and the verbs), roster.c (the set), start.c, room.c, turns.c and outcome.c
 * (launches and what becomes of them), settling.c and hold.c (what the keeper is told and holds), users.c (what is kept of each), keeping.c
 * (what outlives a server), lineage.c (who is inside of whom, ends of main processes), session.c (programs that are main processes).
 */
#ifndef PROCFS_MP_MANAGER_PRIVATE_H
#define PROCFS_MP_MANAGER_PRIVATE_H

#include "core/callers.h"
#include "core/cgroup.h"
#include "core/hash.h"
#include "core/manager.h"
#include "core/message.h"
#include "core/redirection.h"

/* A row of the roster: ids only grow, so the roster is sorted and an id is found by bisection. A removed
 * process leaves a hole until the roster is packed. */
struct place {
	uint64_t id;
	struct process *process;
};

/* What the manager keeps of a user. */
struct user {
	uid_t uid;
	unsigned char *authkey;
	char *error;
	uint64_t kept; /* the hash of its record */
	unsigned turns; /* launches that are on their way */
	struct share share;
	UT_hash_handle hh;
};

/* A launch on its way: from the request until the keeper's answer. */
struct start {
	struct manager *manager;
	struct process *process;
	struct invocation invocation;
	struct message_launch message;
	struct writer writer; /* who wrote start */
	const char *cgroups[CGROUP_KINDS + 2]; /* that it enters */
	char *group; /* the first of them, when it is a tree */
	bool composed; /* invocation and message are to be finished */
	bool has_turn, waits_for_turn;
	bool is_sent; /* and counts among those */
	STAILQ_ENTRY(start) link; /* waiting to be sent */
	TAILQ_ENTRY(start) turn;  /* waiting for a turn */
};

/* A program that holds `session` open, however often. */
struct session {
	unsigned holders; /* opens that are not closed yet */
	struct manager *manager;
	pid_t pid;
	uid_t owner;
	uint64_t key;   /* never used again */
	uint64_t kept;  /* the hash of its record */
	uint64_t start; /* a lower bound, in kin_now()'s ticks */
	bool over;
	struct share *share; /* its owner's */
	struct share_cost held;
	uv_poll_t *exit;  /* readable when the program ends: its pidfd */
	int pid_fd;
	struct process_list children;
	struct session_search *search; /* whether its opener still has it; NULL: nobody asks */
	struct waiter_list closing;    /* who asks */
	LIST_ENTRY(session) link;
};

enum { PID_LISTS = 1024 };

struct manager {
	struct manager_config config;
	uv_poll_t *keeper;
	int keeper_events; /* what it listens for: setting them again costs two system calls */
	struct captures *captures;
	pid_t keeper_pid;
	struct cgroups *cgroups; /* NULL until somebody asks for one */
	LIST_HEAD(, tree_work) trees; /* core/tree */
	STAILQ_HEAD(, start) unsent;
	unsigned sent; /* launches that the keeper has to decide */
	TAILQ_HEAD(, start) turnless;
	unsigned turns; /* of all users but the mount's own */
	int spare_at; /* descriptor number from which on idle streams are looked for */
	bool has_new_ends; /* since they were, */
	uint64_t settled;  /* in the loop's time */

	struct place *roster;
	size_t used, room, holes;
	struct process **directories; /* as lists, by hash */
	uint32_t directories_room, directories_used; /* room: a power of two */
	struct process_list pids[PID_LISTS]; /* those that run, by their pid: to be on one needs no memory */
	struct process_list beginning;
	struct process_list children; /* the mount's */
	uint64_t last_id, made;
	unsigned running;
	struct callers callers;
	uint64_t oldest; /* no running process began before: kin_now()'s ticks */

	LIST_HEAD(, session) sessions;
	struct user *users;
	enum start_method start_method;

	/* core/keeping */
	struct process_list changed;
	uint64_t kept, last_session;
	bool are_users_changed, are_sessions_changed;

	/* Ends whose entries are released as soon as they are kept. Room for every claim is had before it is made. */
	struct ptable_ref *releases;
	size_t release_count, release_room, claims;
	struct hold_drop *drops; /* descriptors that are let go of as soon as that is kept */
	size_t drop_count, drop_room;
	LIST_HEAD(, input) moving; /* input that goes to programs as soon as it is kept */
	uv_prepare_t *before_waiting;
	uv_check_t *after_waiting;

	unsigned signals;
	bool command_runs, ending, killing, finished;
};

/* Tells of a change. */
void manager_raise(struct manager *manager, const struct process *process, enum manager_event event,
		   struct timespec when);

/* roster.c: room for one more process. Result: 0, -ENOMEM. */
int manager_reserve(struct manager *manager);
/* Its directory is known. Result: 0, -ENOMEM. */
int manager_enter(struct manager *manager, struct process *process);
/* It is in the set from now on, for which there is room; and out of it again, its directory too. */
void manager_insert(struct manager *manager, struct process *process);
void manager_take_out(struct manager *manager, struct process *process);

/* settling.c: the loop's settling begins and ends. Result: 0, -ENOMEM. */
int settling_begin(struct manager *manager);
void settling_stop(struct manager *manager);
int manager_reserve_release(struct manager *manager);
/* Claims an entry, whose release is sure to find room. Result: 0 and *out; -EAGAIN, -ENOMEM. */
int manager_claim(struct manager *manager, const struct process *process, struct ptable_ref *out);
/* The entry of a launch that is decided: free once that is kept. */
void manager_release(struct manager *manager, struct ptable_ref ref);
/* hold.c: the input of a launch is held. Result: as manager_hold(). */
int hold_input(struct manager *manager, struct process *process);
/* An output is announced, which goes to the keeper with the launch. Result: 0; as holdings_expect(). */
int hold_output(struct manager *manager, const struct process *process, int which);
/* What is not to be held any more, once that is kept: what was written to stdin before the start stays through a reset. */
enum hold_part { HOLD_ALL, HOLD_OF_RUNS };
void hold_forget(struct manager *manager, uint64_t id, enum hold_part part);
void hold_release(struct manager *manager);
/* Input that is kept goes to the programs. */
void hold_move(struct manager *manager);
/* A new server: takes what is held to where it belongs. Result: 0; -ENOMEM or libuv's error: another server may. */
int hold_take(struct manager *manager);
/* room.c: whether there are descriptors for the streams of a process that is to be started. Result: 0; -EMFILE, -EDQUOT with a
 * sentence. */
int room_check(struct manager *manager, const struct process *process, struct refusal *why);
/* newest: a descriptor that was just made. Where there are many, those that nobody needs go. */
void room_spare(struct manager *manager, int newest);
/* start.c: launches that were begun go to the keeper. */
void start_send(struct manager *manager);
/* A new server, of a process that is STARTING: whether the keeper has taken its launch. */
bool start_is_taken(const struct manager *manager, const struct process *process);
/* One that the keeper has already. */
void start_count_sent(struct start *start);
/* Now. */
void manager_raise_now(struct manager *manager, const struct process *process, enum manager_event event);
/* The list that a running process with that pid is on. */
static inline struct process_list *pids_like(struct manager *manager, pid_t pid)
{
	return &manager->pids[(unsigned)pid % PID_LISTS];
}

/* Result: the user's record, made when missing; NULL without memory. */
struct user *manager_user(struct manager *manager, uid_t uid);

/* start.c: the next run of a process that is BETWEEN. Result: 0, and it is STARTING; -errno with a sentence. */
int start_again(struct manager *manager, struct process *process, struct refusal *why);
/* Everybody who waits for the end of a process that has ended is told. */
void manager_tell_end(struct manager *manager, struct process *process);

/* start.c: begins and ends the conversation with the keeper. Result: 0 or libuv's error. */
int start_listen(struct manager *manager);
void start_stop_listening(struct manager *manager);
void start_destroy(struct start *start);
/* A run has ended, or could not be started; its descendants keep the groups while they live. */
void start_leave_cgroups(struct manager *manager, struct process *process);
/* Back to INITIAL, and whoever waits for the start is told. */
void start_fail(struct manager *manager, struct process *process, int error, const char *sentence);

/* outcome.c: acts on a message of the keeper; on every entry of the table, when messages were lost. */
void outcome_take(struct manager *manager, const struct message *message);
void outcome_scan(struct manager *manager);

/* Goes on with a start that has got its turn. */
void start_proceed(struct start *start);
/* Begins anew with one that never reached the keeper. */
void start_resume(struct start *start);

/* turns.c: whether a launch for another user may be begun now; if not, start_proceed() is called when it may. */
bool turns_take(struct start *start);
/* The launch is decided or given up: the turn is the next one's. */
void turns_leave(struct start *start);

/* session.c: of a program that holds it open. NULL: it holds none. */
struct session *session_by_pid(struct manager *manager, pid_t pid);
/* After a restart: a session that nobody holds any more, or whose program has ended meanwhile, ends. */
void session_resume(struct manager *manager, struct session *session);

/* lineage.c: the main process `of` (NULL: a session's list) is gone: daemonic processes of its owner (of
 * all when the mount is ending) are terminated, all pass to the mount. */
void lineage_release(struct manager *manager, struct process_list *children, uid_t owner);
/* The list of its main process: what manager_find_inside has found of who makes it. */
void lineage_adopt(struct manager *manager, struct process *process, struct process *parent, struct session *session);
/* Ends the mount when nothing is left to wait for. */
void lineage_check_finished(struct manager *manager);
/* which: the how-manieth that ends the mount, from 1. One that the dead server has kept does nothing. */
void lineage_on_signal(struct manager *manager, uint64_t which);
/* SIGTERM, and SIGCONT so that a stopped process gets it. */
void lineage_terminate(struct manager *manager, struct process *process);

#endif
