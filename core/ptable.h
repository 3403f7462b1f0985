/*
 * ptable: the process table that keeper and server share, one entry a launch.
 *
 * Owns: the shared mapping and the legal steps of an entry. The server claims
 * and releases entries; the keeper (and the child before its exec) fills them.
 * An exit stays in its entry until the server has released it, so a message
 * about it may be lost without harm: ptable_next_finished() finds it again.
 *
 * Must not know: processes as users see them, sockets, FUSE.
 */
#ifndef PROCFS_MP_PTABLE_H
#define PROCFS_MP_PTABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "core/usage.h"

/* Entry 0 is never claimed by the server: it is the main command's. */
enum { PTABLE_COMMAND = 0, PTABLE_CAPACITY = 1 << 20 };

enum ptable_state {
	PTABLE_FREE,      /* nobody's */
	PTABLE_CLAIMED,   /* the server's, to be sent; no launcher has taken it */
	PTABLE_LAUNCHING, /* taken by exactly one launcher; the child may exist, exec has not succeeded yet */
	PTABLE_RUNNING,   /* exec succeeded */
	PTABLE_FAILED,    /* final: no exec; error and step say why; reaped or about to be */
	PTABLE_ENDED,     /* final: reaped or about to be; status and its ptable_end are set */
};

/* What the child was doing when it failed: told to the user as a sentence. */
enum launch_step {
	LAUNCH_STEP_CLONE,
	LAUNCH_STEP_USER,
	LAUNCH_STEP_CWD,
	LAUNCH_STEP_STREAMS,
	LAUNCH_STEP_EXEC,
	LAUNCH_STEP_LIMITS, /* entry.candidate: which limit, -1: the nice value */
	LAUNCH_STEP_CGROUP, /* entry.candidate: which one */
	LAUNCH_STEP_STDOUT, /* opening or taking what stdout or stderr leads to */
	LAUNCH_STEP_STDERR,
};

struct ptable_entry {
	/* generation << 8 | enum ptable_state: one word, so that a late writer can
	 * never touch the launch that reused its entry. */
	_Atomic uint64_t word;
	_Atomic int32_t pid; /* set by the kernel before the child runs; 0: none yet */
	uint32_t run;        /* which run of that process */
	uint64_t id;         /* the managed process */
	int32_t error;       /* FAILED: errno, 0 when the child was killed before exec */
	int16_t step;        /* FAILED: enum launch_step */
	atomic_bool stopped; /* RUNNING: by a signal, as the keeper has heard last; also before a launcher says RUNNING */
	int32_t status;      /* ENDED: as waitpid(2) gives it */
	int32_t candidate;   /* FAILED at exec: which candidate the error is about */
	struct timespec started; /* CLOCK_REALTIME, when exec was begun; set by the child: no end can come before it */
};

/* ENDED: the rest of it, elsewhere, so that what runs takes no memory for it. What is there before is of another launch. */
struct ptable_end {
	struct timespec ended; /* CLOCK_REALTIME */
	struct timespec over;  /* the same moment, CLOCK_MONOTONIC: for who has set a limit */
	struct usage usage;    /* from the kernel's rusage */
};

struct ptable;

/* A handle on one launch: names it for ever, unlike its index alone. */
struct ptable_ref {
	uint32_t index;
	uint64_t generation;
};

/* Keeper: makes and maps a new table. Result: 0 and *out (ptable_destroy unmaps it and closes its descriptor), or
 * -errno as shared_create() and shared_map(). */
int ptable_create(struct ptable **out);
void ptable_destroy(struct ptable *table);

/* The descriptor of the process that made the table, close-on-exec: for a server to inherit. */
int ptable_fd(const struct ptable *table);

/* Of the whole of it, which programs that share it must agree on. */
size_t ptable_size(void);

/* A server that was exec'd: maps the table; the descriptor stays the caller's.
 * Result: 0 and *out (ptable_unmap unmaps), or -errno as shared_map(). */
int ptable_map(int fd, struct ptable **out);
void ptable_unmap(struct ptable *table);

/* A new server, before its first claim: what the one before left half done when it was killed in a claim or a
 * release is put in order: every FREE entry can be claimed again. All others are left alone. */
void ptable_recover(struct ptable *table);

/* Server: that it answers requests from now on, `pid` being its own. */
void ptable_set_ready(struct ptable *table, pid_t pid);
/* Keeper: the server that was ready last, and since when (CLOCK_MONOTONIC). Result: its pid, 0: none was. */
pid_t ptable_ready(const struct ptable *table, struct timespec *since);

/* The entry itself; the index must be below PTABLE_CAPACITY. */
struct ptable_entry *ptable_at(struct ptable *table, uint32_t index);
struct ptable_end *ptable_end_at(struct ptable *table, uint32_t index);

/* Server: takes a free entry for run `run` of process `id` and sets it to CLAIMED.
 * Result: 0 and *out, or -EAGAIN when all are taken. */
int ptable_claim(struct ptable *table, uint64_t id, uint32_t run, struct ptable_ref *out);

/* Server: gives a final entry back. A ref of an older generation does nothing, nor does one that is not
 * final: a claim that was never sent is stepped from CLAIMED to FAILED first. */
void ptable_release(struct ptable *table, struct ptable_ref ref);

/* The state of that launch now; PTABLE_FREE when the entry has moved on to another. */
enum ptable_state ptable_state(struct ptable *table, struct ptable_ref ref);

/* The ref for what lies at index now (for messages and scans). */
struct ptable_ref ptable_ref_at(struct ptable *table, uint32_t index);

/* The child's pid: 0 before it exists. Kept in a final entry until release. */
pid_t ptable_pid(struct ptable *table, struct ptable_ref ref);

/* Moves `ref` from one state to the next. False when it was not in `from`, or is of an older generation. */
bool ptable_step(struct ptable *table, struct ptable_ref ref, enum ptable_state from, enum ptable_state to);

/* The child, before exec, in shared memory: pid belongs to entry index. */
void ptable_bind_pid(struct ptable *table, pid_t pid, uint32_t index);

/* Keeper: which entry a child that is about to be reaped has.
 * Result: true and *out, or false for an orphan that came to the subreaper. */
bool ptable_find_pid(struct ptable *table, pid_t pid, struct ptable_ref *out);
/* Keeper: forgets the pid; before the reaping call, since it may be reused at once. */
void ptable_unbind_pid(struct ptable *table, pid_t pid);

/* Keeper: a child that is not reaped was stopped by a signal, or goes on. */
void ptable_set_stopped(struct ptable *table, struct ptable_ref ref, bool stopped);
/* What was said last of a launch that is LAUNCHING or RUNNING; false of any other. */
bool ptable_is_stopped(struct ptable *table, struct ptable_ref ref);

/* Sends a signal to the process of that launch; race-free against reuse of its pid, because
 * the keeper marks an entry final before it reaps (pidfd_open(2) before the state is read).
 * A child that has not reached its exec is signalled too, so an exec that hangs can be killed.
 * Result: 0; -ESRCH when it has ended, failed or has no child yet; -EPERM, -EINVAL as pidfd_send_signal(2);
 * -EMFILE, -ENFILE, -ENOMEM as pidfd_open(2). */
int ptable_signal(struct ptable *table, struct ptable_ref ref, int signal_number);

/* Every entry that is FAILED or ENDED, in index order from *cursor (0 at first).
 * Result: true and *out, or false at the end. */
bool ptable_next_finished(struct ptable *table, uint32_t *cursor, struct ptable_ref *out);

/* The same for every entry that is CLAIMED, LAUNCHING or RUNNING. */
bool ptable_next_live(struct ptable *table, uint32_t *cursor, struct ptable_ref *out);

/* Set by a sender whose message found no room, taken by the server, which then scans. The sender tries once more
 * after setting it and the server takes it after the socket has run dry, so it can't be overlooked. */
void ptable_set_overflow(struct ptable *table);
bool ptable_take_overflow(struct ptable *table);

#endif
