/*
 * revival: whether a server that died is to be followed by another. Pure.
 *
 * A kill (SIGKILL) says nothing against a server: of those that worked any number is survived. One that dies of its own
 * fault would do so again and again, and so would one that can't even begin. Those that are killed before they are ready may have
 * met somebody who kills at random, or a lack of memory, which passes or does not: many are survived, the later ones with pauses.
 *
 * Must not know: how servers are started.
 */
#ifndef PROCFS_MP_REVIVAL_H
#define PROCFS_MP_REVIVAL_H

#include <stdbool.h>
#include <time.h>

enum {
	REVIVAL_UNREADY_MAX = 3, /* so many in a row that fail before they are ready are too many */
	REVIVAL_KILLS_MAX = 100, /* so many in a row that are killed before they are ready */
	REVIVAL_KILLS_AT_ONCE = 10, /* so many of them are followed at once, */
	REVIVAL_PAUSE_MS = 200,     /* each other one after so long */
	REVIVAL_LACKS = 75, /* exit status of a server that can't begin for a lack (core/lack), which is as good as a kill */
	REVIVAL_FAULTS_MAX = 5,  /* so many that die of their own fault */
	REVIVAL_FAULTS_SECONDS = 10, /* within this time are too many */
};

/* {0} is a server that never died. */
struct revival {
	unsigned unready, killed; /* in a row */
	unsigned next;
	struct timespec faults[REVIVAL_FAULTS_MAX]; /* a ring, CLOCK_MONOTONIC, 0: none */
};

/* Of a server that did not end in order. */
struct revival_death {
	int status;     /* as waitpid(2) gives it */
	bool was_ready;
	bool was_late;  /* killed by the keeper, because it did not become ready */
	struct timespec when; /* CLOCK_MONOTONIC */
};

/* Result: false: one more is of no use. */
bool revival_allows(struct revival *revival, const struct revival_death *death);
/* Then: milliseconds before there is to be one more. */
unsigned revival_pause(const struct revival *revival);

/* A server: the exit status that says that it could not begin, by the -errno. */
int revival_status(int error);

#endif
