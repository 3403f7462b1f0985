#include "fs/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/input.h"

struct feeding {
	struct parked parked;
	struct handle *handle;
	struct resumption at; /* on the handle's list while it waits */
	size_t size, done;
	bool at_once;
	struct share_cost held; /* of who opened the file */
	char bytes[];
};

bool feed_goes_through(const struct process *process)
{
	return process->input && process->configuration.stdin_open && process->state != PROCESS_INITIAL;
}

static void finish(struct feeding *feeding, struct target *target, int error)
{
	fuse_req_t request = feeding->parked.request;
	share_settle(feeding->handle->share, &feeding->held, &(struct share_cost){0});
	if (feeding->done) {
		fuse_reply_write(request, feeding->done);
	} else if (error == -EINTR || error == -EAGAIN || error == -ENODEV) {
		fuse_reply_err(request, -error);
	} else if (error) {
		refuse_request(request, target, error);
	} else {
		fuse_reply_write(request, 0);
	}
	free(feeding);
}

/* The start that the write waited for has failed: the bytes are kept for the next. */
static int keep(struct feeding *feeding, struct target *target)
{
	int error = feeding->handle->row->feed(&target->view, feeding->bytes + feeding->done, feeding->size - feeding->done, -1);
	if (!error)
		feeding->done = feeding->size;
	return error;
}

static int write_some(struct feeding *feeding, struct target *target)
{
	if (!feed_goes_through(target->process))
		return keep(feeding, target);
	while (feeding->done < feeding->size) {
		ssize_t written = input_write(target->process->input, feeding->bytes + feeding->done,
					      feeding->size - feeding->done, &target->why);
		if (written < 0)
			return (int)written;
		feeding->done += (size_t)written;
	}
	return 0;
}

static void proceed(struct feeding *feeding, struct target *target)
{
	int error = write_some(feeding, target);
	if (error == -EAGAIN && !feeding->at_once) {
		input_wait(target->process->input, &feeding->parked.waiter);
		error = parked_wait(&feeding->parked, -1);
		if (!error) {
			feeding->at.done = feeding->done;
			LIST_INSERT_HEAD(&feeding->handle->waiting, &feeding->at, link);
			handle_touch(feeding->handle);
			return;
		}
	}
	if (!error)
		forget_refusal(target);
	finish(feeding, target, error);
}

static void on_room(struct parked *parked, int outcome)
{
	struct feeding *feeding = (struct feeding *)parked;
	struct target target;
	target_of(parked->request, feeding->handle, &target);
	LIST_REMOVE(&feeding->at, link);
	handle_touch(feeding->handle);
	if (!outcome && !target.process)
		outcome = refuse(&target.why, ESTALE, "process object is closed");
	if (outcome)
		finish(feeding, &target, outcome);
	else
		proceed(feeding, &target);
}

/* Bytes that the program got from this write through a server that is gone. */
static size_t taken_before(struct handle *handle, size_t size)
{
	struct resumption *resent = resumption_take(&handle->resent, handle->server->current.unique);
	size_t done = resent && resent->done <= size ? (size_t)resent->done : 0;
	resumption_destroy(resent);
	return done;
}

void feed_write(fuse_req_t request, struct handle *handle, struct target *target, struct fed fed)
{
	const struct share_cost cost = { .bytes = fed.size };
	int error = share_check(handle->share, &cost, &target->why);
	if (error) {
		refuse_request(request, target, error);
		return;
	}
	struct feeding *feeding = malloc(sizeof *feeding + fed.size);
	if (!feeding) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	feeding->held = (struct share_cost){0};
	share_settle(handle->share, &feeding->held, &cost);
	parked_init(&feeding->parked, &handle->server->parking, request, on_room);
	feeding->handle = handle;
	feeding->at = (struct resumption){ .unique = handle->server->current.unique };
	feeding->size = fed.size;
	feeding->done = taken_before(handle, fed.size);
	feeding->at_once = fed.at_once;
	memcpy(feeding->bytes, fed.bytes, fed.size);
	error = input_check(target->process->input, &target->why);
	if (error)
		finish(feeding, target, error);
	else
		proceed(feeding, target);
}

bool feed_poll(struct handle *handle, struct process *process)
{
	return input_observe(process->input, &handle->observer);
}
