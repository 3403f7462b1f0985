/*
 * feed: writes to the input of a process that runs and keeps it open: they wait for room, as at a pipe.
 *
 * Must not know: file names, what was written before the start.
 */
#ifndef PROCFS_MP_FEED_H
#define PROCFS_MP_FEED_H

#include "fs/private.h"

/* Whether what is written now goes to the program itself. */
bool feed_goes_through(const struct process *process);

struct fed {
	const char *bytes;
	size_t size;
	bool at_once; /* O_NONBLOCK */
};

/* Replies at once or later: the count, a short one when it is interrupted after some bytes. */
void feed_write(fuse_req_t request, struct handle *handle, struct target *target, struct fed fed);

/* Result: whether a write would not wait; otherwise the handle's observer is called. */
bool feed_poll(struct handle *handle, struct process *process);

#endif
