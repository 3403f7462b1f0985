/*
 * process: one managed process: its configuration, its state and the legal steps
 * between them, and who waits for it.
 *
 * Must not know: system calls, files, who asks.
 */
#ifndef PROCFS_MP_PROCESS_H
#define PROCFS_MP_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include "core/ptable.h"
#include "core/text.h"
#include "core/words.h"

enum process_state {
	PROCESS_INITIAL,  /* may be configured */
	PROCESS_STARTING, /* the keeper has been asked; back to INITIAL when exec fails */
	PROCESS_RUNNING,
	PROCESS_ENDED,    /* final, but for reset */
	PROCESS_BETWEEN,  /* a run has ended and another will follow: seen from outside it goes on */
};

enum start_method { START_SPAWN, START_FORK, START_FORKSERVER };

enum { PROCESS_AUTHKEY_SIZE = 32, PROCESS_UMASK_DEFAULT = -1, PROCESS_OUTPUT_MAX_DEFAULT = 16 << 20 };

/* A piece of configuration: bytes, ended by a NUL that size does not count; {0} is None. */
struct value {
	char *bytes;
	size_t size;
};

/* What most processes are not told: there is memory for it only where one of them is. */
enum detail {
	DETAIL_KWARGS, /* key=value lines */
	DETAIL_ENV,    /* KEY=value and -KEY lines */
	DETAIL_CWD,
	DETAIL_RUN,
	DETAIL_STDOUT_TO, /* core/redirection.h; None: captured */
	DETAIL_STDERR_TO,
	DETAILS,
};

/* What is asked of the program that will run. Frozen once the process has started. */
struct configuration {
	struct value target;
	struct words args;
	struct value *details; /* DETAILS of them; NULL: all are None */
	uint64_t output_max; /* bytes kept of each stream that is captured */
	int umask;
	enum start_method start_method : 8;
	bool stdin_open; /* its input goes on after the start */
};

/* Somebody who waits for a start to be decided or for the end. on_done is called once, from the loop, after the
 * waiter has been taken off its list: `error` is 0 or a negative errno, for starts only. */
struct waiter {
	LIST_ENTRY(waiter) link;
	bool waiting;
	void (*on_done)(struct waiter *waiter, int error);
};
LIST_HEAD(waiter_list, waiter);

/* Somebody who is told of the end, or that there is nothing to observe any more (a poll handle). */
struct observer {
	LIST_ENTRY(observer) link;
	bool observing;
	void (*on_ended)(struct observer *observer);
};
LIST_HEAD(observer_list, observer);

LIST_HEAD(process_list, process);

/* What a process was when it was last kept, and whether it has changed since (core/keeping). */
struct kept {
	struct process_list *changed; /* the list of those that have; NULL: nobody keeps it */
	LIST_ENTRY(process) link; /* is_changed */
	union {
		uint64_t state; /* a hash, as the next */
		uint64_t written; /* taken over, until its descriptors are: bytes of stdin_fd (INITIAL) or result_fd that were told of */
	};
	uint64_t configuration;
};

/* A time of CLOCK_REALTIME, to the year 2242. */
struct moment {
	int64_t tv_sec : 34;
	uint64_t tv_nsec : 30;
};

/* What something takes of its owner's share (core/share.h). */
struct share_cost {
	uint64_t processes, locks, bytes, descriptors;
};

struct process {
	uint64_t id; /* never used again */
	char *name;  /* NULL: the directory's */
	uid_t owner;
	gid_t group;
	enum process_state state : 8;
	bool daemonic;
	bool rerun; /* STARTING: not for the first time */
	bool paused; /* RUNNING: what whoever is told of changes was told last */
	bool has_usage;
	bool stop_wanted; /* it was told to end: no run follows */
	bool is_changed; /* since it was last kept */
	bool is_frozen; /* its configuration was kept after its start: it is what it will be */
	int doomed; /* STARTING: the signal that will end it as soon as it runs */
	int start_error; /* why the last start that was asked for failed, with its sentence in error; 0: it did not */
	struct configuration configuration;
	unsigned char *authkey; /* NULL: the one of its owner */

	struct process *parent; /* NULL: made outside of any managed process, or passed to the mount */
	struct session *session; /* the program whose lease it was made under, or NULL */
	struct process_list children;
	LIST_ENTRY(process) sibling; /* on the list of its main process */
	union {
		LIST_ENTRY(process) beginning; /* STARTING: on the manager's list */
		LIST_ENTRY(process) by_pid; /* RUNNING */
	};
	struct process *next_alike; /* in the set: of a directory with a like hash */
	uint64_t children_made;

	uint32_t run_count;
	uint32_t resets;
	struct ptable_ref launch; /* generation 0: not claimed yet */
	pid_t pid;      /* 0: none yet; kept after the end */
	int status;     /* ended: as waitpid(2) gives it */
	struct moment created, started, ended;
	struct usage *usage; /* what it has used, once has_usage; reserved by the start, so that an end needs no memory */

	int stdin_fd;   /* what was written to stdin before start, -1: nothing */
	int result_fd;  /* what it left for others, -1: nothing */
	int output_fd[2]; /* what came to stdout and stderr, -1: nothing */
	struct input *input; /* when it is kept open (core/input.h); NULL: none yet */
	struct capture *capture; /* its bounds and readers (core/capture.h); NULL: none yet */

	struct waiter_list starting; /* told when exec has succeeded or failed */
	struct waiter_list joining;  /* told when it has ended */
	struct observer_list observers;
	char *error; /* the last refusal, NULL: none */
	struct start *start; /* STARTING: the manager's */
	struct cgroup_tree *tree; /* core/cgroup_tree: it and its descendants; NULL: none */
	struct terms *terms; /* core/terms; NULL: none */
	struct stopping *stopping; /* core/stopping; NULL: as usual */
	struct restart *restart; /* NULL: it is not to be run again */
	struct kept kept;
	struct share *share; /* its owner's; NULL: it has no limits */
	struct share_cost *held; /* of that, which has it */

	char directory[]; /* the key of the set; behind its NUL the identity */
};

/* Result: a process in state INITIAL that owns copies of both strings, or NULL without memory. */
struct process *process_create(const char *directory, const char *identity);
/* Nobody may wait or observe any more. Closes its descriptors. NULL is allowed. */
void process_destroy(struct process *process);

/* It has changed, or is about to: it will be kept anew. The functions below say so themselves. */
void process_touch(struct process *process);

struct moment moment_of(struct timespec time);
struct timespec moment_time(struct moment moment);

/* The last refusal; NULL: none. Without memory for the sentence, none is kept. */
void process_set_error(struct process *process, const char *sentence);

const char *process_name(const struct process *process);
/* "2" or "2:1": whose how manieth it is, as default names say it. */
const char *process_identity(const struct process *process);
/* From here on its owner's share is the less by what it takes; NULL: no share is. Result: 0 or -ENOMEM, and unchanged. */
int process_set_share(struct process *process, struct share *share);
bool process_is_started(const struct process *process);  /* running or ended, or between two runs */
/* Its next run is due or on its way. */
bool process_runs_again(const struct process *process);
bool process_is_running(const struct process *process);

/* The legal steps. Each returns false and changes nothing when it isn't legal now. */
bool process_begin_start(struct process *process);
bool process_fail_start(struct process *process);
bool process_succeed_start(struct process *process, pid_t pid, struct timespec when);
/* RUNNING: from going on to being paused, and back. */
bool process_pause(struct process *process, bool paused);
bool process_end(struct process *process, int status, struct timespec when);
/* From ENDED to BETWEEN, and back with the end that it had. */
bool process_await_run(struct process *process);
bool process_give_up(struct process *process, struct timespec ended);
/* From ENDED to INITIAL: its configuration stays, what came of its runs is gone. */
bool process_reset(struct process *process);

/* Before a start. Result: 0 or -ENOMEM. */
int process_reserve_usage(struct process *process);
/* Keeps what the process that has ended used; only in what was reserved. */
void process_set_usage(struct process *process, const struct usage *usage);

/* Python's exit code: 0 to 255, or -N after signal N. False before the end. */
bool process_exitcode(const struct process *process, int *out);

/* Puts a waiter on one of a process's lists; takes it off whichever it is on (idempotent). */
void waiter_wait(struct waiter_list *list, struct waiter *waiter);
void waiter_cancel(struct waiter *waiter);

/* Moves everybody off the list first and calls then: a callback may wait anew, cancel others that
 * have not been called yet, or remove the process. */
void waiters_tell(struct waiter_list *list, int error);

/* Idempotent both. An observer is called once and is off the list then. */
void observer_watch(struct observer_list *list, struct observer *observer);
void observer_stop(struct observer *observer);
void observers_tell(struct observer_list *list);

/* One of the configuration's, never NULL. */
const struct value *process_detail(const struct process *process, enum detail which);
/* Where stdout (0) or stderr (1) leads; NULL: it is captured. */
const char *process_output_to(const struct process *process, int which);
/* Result: as value_set(). */
int process_set_detail(struct process *process, enum detail which, const void *bytes, size_t size);

/* Replaces the value by a copy of the bytes; size 0 is None. Result: 0 or -ENOMEM, and unchanged. */
int value_set(struct value *value, const void *bytes, size_t size);
void value_clear(struct value *value);

const char *start_method_name(enum start_method method);
/* Result: 0 and *out, or -EINVAL. */
int start_method_parse(const char *word, enum start_method *out);

#endif
