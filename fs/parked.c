#include "fs/parked.h"

#include <errno.h>
#include <stdlib.h>

void parking_init(struct parking *parking, uv_loop_t *loop)
{
	parking->loop = loop;
	LIST_INIT(&parking->waiting);
	LIST_INIT(&parking->interrupted);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

/* Takes the request off everything that could wake it. */
static void unpark(struct parked *parked)
{
	waiter_cancel(&parked->waiter);
	LIST_REMOVE(parked, link);
	underway_leave(&parked->parking->underway, parked->place);
	if (parked->timer)
		uv_close((uv_handle_t *)parked->timer, on_timer_closed);
	parked->timer = NULL;
	fuse_req_interrupt_func(parked->request, NULL, NULL);
}

static void wake(struct parked *parked, int outcome)
{
	unpark(parked);
	parked->on_woken(parked, outcome);
}

static void on_waiter_done(struct waiter *waiter, int error)
{
	struct parked *parked = (struct parked *)((char *)waiter - offsetof(struct parked, waiter));
	wake(parked, error);
}

static void on_deadline(uv_timer_t *timer)
{
	wake(timer->data, -ETIME);
}

/* libfuse calls this with its lock held, from inside the INTERRUPT request or even from the registering
 * call: no reply may be sent here. */
static void on_interrupt(fuse_req_t request, void *data)
{
	(void)request;
	struct parked *parked = data;
	LIST_REMOVE(parked, link);
	LIST_INSERT_HEAD(&parked->parking->interrupted, parked, link);
}

void parking_sweep(struct parking *parking)
{
	struct parked *parked;
	while ((parked = LIST_FIRST(&parking->interrupted)))
		wake(parked, -EINTR);
}

void parking_wake_all(struct parking *parking, int error)
{
	struct parked *parked;
	while ((parked = LIST_FIRST(&parking->waiting)))
		wake(parked, error);
}

void parked_init(struct parked *parked, struct parking *parking, fuse_req_t request,
		 void (*on_woken)(struct parked *, int))
{
	*parked = (struct parked){
		.waiter.on_done = on_waiter_done,
		.parking = parking,
		.request = request,
		.unique = parking->current ? parking->current->unique : 0,
		.on_woken = on_woken,
	};
}

static int set_deadline(struct parked *parked, int64_t milliseconds)
{
	if (milliseconds < 0)
		return 0;
	parked->timer = malloc(sizeof *parked->timer);
	if (!parked->timer)
		return -ENOMEM;
	uv_timer_init(parked->parking->loop, parked->timer);
	parked->timer->data = parked;
	uv_update_time(parked->parking->loop);
	return uv_timer_start(parked->timer, on_deadline, (uint64_t)milliseconds, 0);
}

int parked_wait(struct parked *parked, int64_t milliseconds)
{
	int error = fuse_req_interrupted(parked->request) ? -EINTR : set_deadline(parked, milliseconds);
	if (error) {
		waiter_cancel(&parked->waiter);
		return error;
	}
	LIST_INSERT_HEAD(&parked->parking->waiting, parked, link);
	parked->place = parked->unique ? underway_enter(&parked->parking->underway, parked->unique) : 0;
	fuse_req_interrupt_func(parked->request, on_interrupt, parked);
	return 0;
}
