/*
 * whom: the words of a line of the root's ctl that say which processes it is about.
 *
 * `all` and globs choose among those that the writer may control and that have started; for a verb that starts, among
 * those that have not. A plain name is that process, whatever its state. Must not know: what is done with them.
 */
#ifndef PROCFS_MP_WHOM_H
#define PROCFS_MP_WHOM_H

#include "fs/ctl.h"

/* Patterns in a line, `all` among them: each is held against all that the writer may control. */
enum { WHOM_PATTERNS_MOST = 64 };

/* Each once, the oldest first. */
struct process_ids {
	size_t count;
	uint64_t id[];
};

/* True for `join any`. */
bool whom_is_any(const struct step *step);

/* True for `terminate tree` and `kill tree`. */
bool whom_is_tree(const struct step *step);

/* The first word that says who: NULL without one. */
const char *whom_first(const struct step *step);

/* The last word of a join is SECONDS unless it names a process. Result: that word, and step->seconds; or NULL, and it
 * is -1. */
const char *whom_take_seconds(const struct view *view, struct step *step);

/* Whether the words can say who. Result: 0; -EINVAL (nobody is meant), -E2BIG (too many or too long patterns), with a
 * sentence. */
int whom_check(const struct view *view, struct step *step);

/* Its exec has succeeded, or it could be signalled all the same. */
bool whom_is_started(const struct view *view, const struct process *process);

/* again: the line was interrupted and is sent once more; what it has started meanwhile is still meant.
 * Result: 0 and *out, never empty (free() frees); -ENOENT, -EACCES, or as whom_check(), with a sentence; -ENOMEM. */
int whom_choose(const struct view *view, struct step *step, bool again, struct process_ids **out);

#endif
