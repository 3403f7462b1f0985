/*
 * terms: what a process may use and whose it is: its limits, its priority, its user.
 *
 * Owns: their values, as text and back, and what can be told of them before the start. A process that never asked for
 * anything has none. Must not know: files, how a launch is done.
 */
#ifndef PROCFS_MP_TERMS_CORE_H
#define PROCFS_MP_TERMS_CORE_H

#include <stdbool.h>

#include "core/account.h"
#include "core/cgroup.h"
#include "core/launch.h"
#include "core/process.h"
#include "core/text.h"

struct terms {
	struct launch_terms launch;
	struct cgroup_wish wish;
	char *user;    /* a name or a number; NULL: whoever made the directory */
	uid_t runs_as; /* since the last start, when there is a user */
};

/* The process's terms, made when missing. Result: NULL without memory. */
struct terms *terms_of(struct process *process);
/* NULL is allowed. */
void terms_destroy(struct terms *terms);

/* A name or a number. Nothing is whoever made the directory. Only its form is looked at: a look-up may take long.
 * Result: 0; -EINVAL with a sentence; -ENOMEM. check: nothing is changed. */
int terms_set_user(struct process *process, const char *word, bool check, struct refusal *why);
/* Whom to look up at the start; false when it runs as whoever made it. */
bool terms_asked_user(const struct process *process, struct account *out);

/* Whom it runs as, once it has been started. */
uid_t terms_user(const struct process *process);

/* Lines of `NAME SOFT:HARD` or `NAME BOTH`; the last about a name wins. Replaces the limits in *out.
 * Result: 0; -EINVAL with a sentence, and *out unchanged. */
int limits_parse(const char *bytes, size_t size, struct launch_terms *out, struct refusal *why);
/* As setrlimit(2) names it, without RLIMIT_ and in lower case. */
const char *limit_name(unsigned resource);
void limits_show(const struct launch_terms *terms, struct text *out);

/* What is sure to be refused at the start, which raises hard limits for the superuser's own processes alone and when it
 * can. Result: 0, -EPERM with a sentence. */
int limits_check(const struct launch_terms *terms, bool superusers, struct refusal *why);
/* The same for a priority. */
int nice_check(int nice, bool superusers, struct refusal *why);

/* Why a launch failed at LAUNCH_STEP_LIMITS, as a sentence. */
void terms_describe_failure(const struct process *process, const struct ptable_entry *entry, struct refusal *why);

#endif
