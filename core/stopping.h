/*
 * stopping: how a process is asked to end: its signal, the time it then has, and the time that it may run at all.
 *
 * Owns: the timers. Must not know: files, words.
 */
#ifndef PROCFS_MP_STOPPING_H
#define PROCFS_MP_STOPPING_H

#include <signal.h>
#include <stdbool.h>

#include "core/manager.h"

enum { STOP_SIGNAL_DEFAULT = SIGTERM, STOP_PATIENCE_DEFAULT = 10, STOP_SECONDS_MAX = 1000000000 };

struct stop_plan {
	int signal;
	double patience; /* seconds from the signal to SIGKILL; 0: SIGKILL at once */
	double limit;    /* seconds that it may run; 0: for ever */
};

/* SIGTERM, 10 seconds, for ever, unless something else was set. */
struct stop_plan stopping_plan(const struct process *process);
/* Result: 0, -ENOMEM. */
int stopping_set_plan(struct process *process, const struct stop_plan *plan);

/* The verb: the signal now (and SIGCONT to one that is paused), SIGKILL when its patience is over. Returns at once. A
 * second stop sends the signal again and does not change when SIGKILL comes.
 * Result: 0, also after the end; -ESRCH before start; kill(2)'s errno; -ENOMEM. */
int manager_stop(struct manager *manager, struct process *process, struct refusal *why);

/* True when it was stopped because it ran longer than its limit. */
bool stopping_is_timed_out(const struct process *process);

/* The process runs: its time begins. */
void stopping_on_started(struct manager *manager, struct process *process);
/* It runs no more, or could not be started. */
void stopping_on_over(struct process *process);
/* Puts behind a process's record what there is to keep of it, and takes it from there; what is to happen happens at the same
 * moment. Result: 0, -ENOMEM. */
struct record_reader;
void stopping_pack(const struct process *process, struct text *out);
int stopping_unpack(struct manager *manager, struct process *process, struct record_reader *from);

/* NULL is allowed. */
void stopping_destroy(struct stopping *stopping);

#endif
