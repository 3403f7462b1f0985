/*
 * many: one line of the root's ctl: a verb and the processes it is about, by `all`, names and globs.
 *
 * All are looked at before the first is touched: a name that is not there, another user's process or one in the wrong
 * state refuses the line, and the sentence names it. Must not know: FUSE.
 */
#ifndef PROCFS_MP_MANY_H
#define PROCFS_MP_MANY_H

#include "fs/ctl.h"

/* Those that one line waits for. */
struct gathering;

/* Splits the words behind step->verb and checks what can be told without the processes.
 * Result: 0; -EINVAL, -E2BIG, -ENOMEM, with a sentence. */
int many_parse(const struct view *view, struct step *step);

/* Does the line; `waiter` is told once, when all have come to what they are waited for, or one of them for `any`.
 * again: the line has begun already; a start that was asked for then is not asked for twice, and one that is RESENT is about
 * those in step->chosen still.
 * Result: 0 done; 1 and *out, and the waiter waits; -errno with a sentence. */
int many_run(const struct view *view, struct step *step, enum script_again again, struct waiter *waiter,
	     struct gathering **out);

/* The line that waited has come to `error` (0, -ETIME, ...). Result: error, with a sentence that names who is meant. */
int many_wake(const struct view *view, const struct step *step, struct gathering *gathering, int error);

/* True for `join any`, and then the names of those that have ended, a name a line. */
bool many_answer(const struct view *view, const struct step *step, struct text *out);

/* Nobody waits any more. NULL is allowed. */
void gathering_destroy(struct gathering *gathering);

/* show of the root's ctl: the verbs, a line each. */
int many_show(const struct view *view, struct text *out);

#endif
