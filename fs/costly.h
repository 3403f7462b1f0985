/*
 * costly: what takes long for one holds up others no longer than itself.
 *
 * Owns: whose turn it is. Something costly is begun at once when nothing like it was done a moment ago; else it waits until as much
 * time has passed as the last one took, and there is one after the other, of another user before of the same user again: all of it
 * together takes at most half of the loop. Must not know: FUSE, what is costly.
 */
#ifndef PROCFS_MP_COSTLY_H
#define PROCFS_MP_COSTLY_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "core/process.h"

/* Somebody who waits. */
struct turn {
	uid_t uid;
	struct waiter *waiter; /* on no list; told once, from the loop, and then it may be begun */
	bool waits;
	uint64_t round;
	TAILQ_ENTRY(turn) link;
};

enum { COSTLY_SERVED_MOST = 64 };

struct costly {
	uv_timer_t timer;
	TAILQ_HEAD(turns, turn) turns; /* by round; of a round the oldest first */
	uint64_t round; /* in each a user has one turn */
	uid_t served[COSTLY_SERVED_MOST]; /* who had theirs in this one */
	unsigned served_count;
	bool is_begun;
	uint64_t began, free; /* nanoseconds of uv_hrtime(3): of what is under way; from when on there may be another */
};

/* costly_close() is due. */
void costly_init(struct costly *costly, uv_loop_t *loop);
/* Nobody may wait. The loop goes on until it is closed. */
void costly_close(struct costly *costly);

/* Whether it may be begun now. */
bool costly_is_free(const struct costly *costly);
/* Else turn->waiter waits, for turn->uid. */
void costly_wait(struct costly *costly, struct turn *turn);
/* It waits no more; harmless when it does not. */
void costly_leave(struct costly *costly, struct turn *turn);

/* It begins: costly_end() follows in the same turn of the loop, as soon as all that it brings about is done. */
void costly_begin(struct costly *costly, uid_t uid);
/* Harmless when nothing has begun. */
void costly_end(struct costly *costly);

#endif
