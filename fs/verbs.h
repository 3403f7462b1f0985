/*
 * verbs: the row of a verb, which ctl.c (one process) and many.c (the root's ctl) share.
 *
 * Must not know: FUSE.
 */
#ifndef PROCFS_MP_VERBS_H
#define PROCFS_MP_VERBS_H

#include "fs/ctl.h"

enum words_wanted { NO_WORD, MAY_SECONDS, MUST_SIGNAL, MAY_TREE };

/* Whether the root's ctl takes the verb, and in which state each process it is about has to be. `all` and globs
 * choose among those that have been started, for MANY_NOT_STARTED among those that have not. */
enum verb_many {
	NOT_FOR_MANY,
	MANY_STARTED,     /* terminate, kill, signal */
	MANY_TO_JOIN,     /* started, and the caller not inside */
	MANY_NOT_RUNNING, /* close */
	MANY_TO_RESET,    /* reset */
	MANY_NOT_STARTED, /* start */
};

struct verb {
	const char *word;
	const char *usage;
	const char *help;
	enum words_wanted wanted;
	/* Result: 0 done; 1 the waiter waits; -errno with a sentence. */
	int (*run)(const struct view *view, const struct step *step, struct waiter *waiter);
	enum script_state waits;
	enum verb_many many;
};

/* Row `index` of the table of verbs; NULL behind the last. */
const struct verb *verb_row(size_t index);

/* A line that has begun already, for one process: as verb.run, but that what is under way is only awaited, and that for RESENT
 * what is decided is told. */
int verb_resume(const struct view *view, const struct step *step, enum script_again again, struct waiter *waiter);

/* Words behind a verb, in step->value: a number of seconds into step->seconds, a signal's name into
 * step->signal_number. Result: 0; -EINVAL with a sentence. */
int verb_parse_seconds(const struct view *view, struct step *step);
int verb_parse_signal(const struct view *view, struct step *step);

#endif
