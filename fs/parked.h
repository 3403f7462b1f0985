/*
 * parked: a request that waits; its interrupt, its deadline; the one place that answers late.
 *
 * A parked request is woken exactly once: by what it waits for (0 or an errno), by its deadline (-ETIME), by an
 * interrupt (-EINTR) or by the end of the mount (-ENODEV). Must not know: file names.
 */
#ifndef PROCFS_MP_PARKED_H
#define PROCFS_MP_PARKED_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <uv.h>

#include "core/process.h"
#include "fs/request.h"
#include "fs/underway.h"

struct parked;
LIST_HEAD(parked_list, parked);

struct parking {
	uv_loop_t *loop;
	const struct request_facts *current; /* of the request that is being answered; NULL: nobody says */
	struct underway underway;
	struct parked_list waiting;
	struct parked_list interrupted; /* marked by the kernel's word, woken by parking_sweep() */
};

struct parked {
	struct waiter waiter; /* for the manager */
	struct parking *parking;
	fuse_req_t request;
	uint64_t unique; /* the kernel's name of it */
	uint32_t place;  /* in underway */
	uv_timer_t *timer;
	void (*on_woken)(struct parked *parked, int outcome); /* answers the request, or waits again */
	LIST_ENTRY(parked) link;
};

void parking_init(struct parking *parking, uv_loop_t *loop);

/* Wakes what the request just processed has interrupted. */
void parking_sweep(struct parking *parking);

/* Wakes all with the error. */
void parking_wake_all(struct parking *parking, int error);

/* Before the manager is asked: on_woken is not called until parked_wait(). */
void parked_init(struct parked *parked, struct parking *parking, fuse_req_t request,
		 void (*on_woken)(struct parked *, int));

/* The manager keeps the waiter: from now on the request can be woken. `milliseconds` is the time until its deadline,
 * negative for none. Result: 0; -EINTR when it has been interrupted already, -ENOMEM: it waits no more and is the
 * caller's to answer. */
int parked_wait(struct parked *parked, int64_t milliseconds);

#endif
