/*
 * callers: when those who ask again and again began, so that /proc is read once for each of them.
 *
 * Owns: a pidfd of each of the last few. As long as it says that its process lives, the pid is nobody else's.
 *
 * Must not know: managed processes, what is asked.
 */
#ifndef PROCFS_MP_CALLERS_H
#define PROCFS_MP_CALLERS_H

#include <stdint.h>
#include <sys/types.h>

enum { CALLERS_MOST = 16 };

/* All 0: none is known. */
struct callers {
	struct callers_one {
		pid_t pid; /* 0: nobody's place */
		int fd;
		uint64_t start;
	} known[CALLERS_MOST];
	unsigned next; /* whose place is given away next */
};

/* *start: as kin_read gives it. A thread that leads no process is asked for each time (pidfd_open(2) has none of it).
 * Result: 0, or -errno as kin_read. */
int callers_start(struct callers *callers, pid_t pid, uint64_t *start);

/* Forgets all. */
void callers_finish(struct callers *callers);

#endif
