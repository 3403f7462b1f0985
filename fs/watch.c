/* Reading and polling the root's events: like a pipe, but that every open begins at the first event still kept. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "fs/events.h"
#include "fs/private.h"

/* A read that waits for the next event. */
struct watching {
	struct parked parked;
	struct handle *handle;
	size_t size;
};

int watch_open(struct handle *handle)
{
	handle->watching = malloc(sizeof *handle->watching);
	if (!handle->watching)
		return -ENOMEM;
	events_begin(handle->server->events, handle->watching);
	return 0;
}

static void reply_events(fuse_req_t request, struct handle *handle, size_t size)
{
	char *bytes = malloc(size ? size : 1);
	if (!bytes) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	handle_touch(handle);
	size = events_read(handle->server->events, handle->watching, bytes, size);
	fuse_reply_buf(request, bytes, size);
	free(bytes);
}

static void on_watch_woken(struct parked *parked, int outcome)
{
	struct watching *watching = (struct watching *)parked;
	if (outcome)
		fuse_reply_err(parked->request, -outcome);
	else
		reply_events(parked->request, watching->handle, watching->size);
	free(watching);
}

static int park(fuse_req_t request, struct handle *handle, size_t size)
{
	struct watching *watching = malloc(sizeof *watching);
	if (!watching)
		return -ENOMEM;
	watching->handle = handle;
	watching->size = size;
	parked_init(&watching->parked, &handle->server->parking, request, on_watch_woken);
	waiter_wait(events_waiters(handle->server->events), &watching->parked.waiter);
	int error = parked_wait(&watching->parked, -1);
	if (error)
		free(watching);
	return error;
}

void watch_read(fuse_req_t request, struct handle *handle, const struct asked *asked)
{
	handle_touch(handle);
	events_seek(handle->server->events, handle->watching, (uint64_t)asked->offset);
	int error = 0;
	if (events_ready(handle->server->events, handle->watching) || !asked->size)
		reply_events(request, handle, asked->size);
	else
		error = asked->at_once ? -EAGAIN : park(request, handle, asked->size);
	if (error)
		fuse_reply_err(request, -error);
}

unsigned watch_poll(struct handle *handle)
{
	if (events_ready(handle->server->events, handle->watching))
		return POLLIN | POLLRDNORM;
	observer_watch(events_observers(handle->server->events), &handle->observer);
	return 0;
}
