/*
 * restart: whether and when a process runs again after a run has ended.
 *
 * Owns: the policy, the growing delay, the count and the reason. A run that was ended on purpose (a verb, or the end of
 * its main process or of the mount) is never followed by another. Must not know: how a launch is done, FUSE.
 */
#ifndef PROCFS_MP_RESTART_H
#define PROCFS_MP_RESTART_H

#include "core/manager.h"

enum restart_policy { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS };

enum {
	RESTART_FIRST_MS = 100,     /* the first delay; each is twice the one before */
	RESTART_LONGEST_MS = 30000,
	RESTART_GOOD_SECONDS = 60,  /* a run that took as long begins with the first delay again */
};

const char *restart_policy_name(enum restart_policy policy);
/* Result: 0 and *out, or -EINVAL. */
int restart_policy_parse(const char *word, enum restart_policy *out);

enum restart_policy restart_policy(const struct process *process);
/* At any time; RESTART_NO gives up a run that is due. Result: 0 or -ENOMEM. */
int restart_set_policy(struct manager *manager, struct process *process, enum restart_policy policy);

/* From one delay to the next, in milliseconds; 0 is before the first. */
unsigned restart_next_delay(unsigned before_ms);

/* What people are told: how often it was run again, why the last time (NULL: never), and in how many seconds the next
 * run is due, negative when none is. */
unsigned restart_count(const struct process *process);
const char *restart_reason(const struct process *process);
double restart_due(const struct process *process);

/* It was stopped on purpose: no run follows, and one that is due is given up (in the loop). */
void restart_forbid(struct process *process);

/* Whether another run will follow the one that has ended: what restart_after_end is going to do. */
bool restart_follows(const struct process *process);
/* For start.c. A run has ended; true when another will follow, and the process is BETWEEN then. */
bool restart_after_end(struct process *process);
/* The process is BETWEEN: its next run could not be executed. */
void restart_after_failure(struct process *process, const char *sentence);

/* Count, delay and reason begin anew; the policy stays. */
void restart_reset(struct process *process);
/* Puts behind a process's record what there is to keep of it, and takes it from there; the run that is due is due at the same
 * moment. Result: 0, -ENOMEM. */
struct record_reader;
void restart_pack(const struct process *process, struct text *out);
int restart_unpack(struct manager *manager, struct process *process, struct record_reader *from);

/* Before the process is destroyed. */
void restart_destroy(struct process *process);

#endif
