/*
 * revival: whether a server that died is to be followed by another. Pure.
 *
 * A kill (SIGKILL) says nothing against a server that worked: any number is survived. One that dies of its own
 * fault would do so again and again, and so would one that can't even begin.
 *
 * Must not know: how servers are started.
 */
#ifndef PROCFS_MP_REVIVAL_H
#define PROCFS_MP_REVIVAL_H

#include <stdbool.h>
#include <time.h>

enum {
	REVIVAL_UNREADY_MAX = 3, /* so many in a row that die before they are ready are too many */
	REVIVAL_FAULTS_MAX = 5,  /* so many that die of their own fault */
	REVIVAL_FAULTS_SECONDS = 10, /* within this time are too many */
};

/* {0} is a server that never died. */
struct revival {
	unsigned unready;
	unsigned next;
	struct timespec faults[REVIVAL_FAULTS_MAX]; /* a ring, CLOCK_MONOTONIC, 0: none */
};

/* status: of a server that did not end in order, as waitpid(2) gives it. Result: false: one more is of no use. */
bool revival_allows(struct revival *revival, int status, bool was_ready, struct timespec now);

#endif
