/*
 * badness: oom_score_adj of proc(5): how gladly the kernel ends a process when there is no memory.
 *
 * The keeper makes itself the last to be ended, as far as it may; what it forks and launches gets back what it had.
 */
#ifndef PROCFS_MP_BADNESS_H
#define PROCFS_MP_BADNESS_H

#include <stddef.h>

/* {""}: nothing was changed. */
struct badness {
	char before[16]; /* as it is written to the file */
};

/* Makes the calling process as hard to end as it may: -1000 for who has CAP_SYS_RESOURCE, else 0 where it was more. Where
 * nothing is allowed nothing happens. */
void badness_lower(struct badness *out);

/* In a child: what badness_lower() found. Before it becomes another user, who could not. Safe between clone and exec.
 * Result: 0, or -errno. */
int badness_restore(const char *before);

#endif
