/* Open files. */
#include <errno.h>
#include <stdlib.h>

#include "fs/cache.h"
#include "fs/private.h"

/* The kernel asks again by itself: it only has to be told that something changed. */
static void on_ended(struct observer *observer)
{
	struct handle *handle = (struct handle *)((char *)observer - offsetof(struct handle, observer));
	if (!handle->poll)
		return;
	fuse_lowlevel_notify_poll(handle->poll);
	fuse_pollhandle_destroy(handle->poll);
	handle->poll = NULL;
}

static void count_control(struct handle *handle, int change)
{
	struct control *last = &handle->server->control[!handle->of_root];
	if (handle->ino == last->ino)
		last->handles += (unsigned)change;
}

struct handle *handle_create(struct target *target, int flags)
{
	struct handle *handle = calloc(1, sizeof *handle);
	if (!handle)
		return NULL;
	handle->server = target->server;
	handle->row = target->row;
	handle->row_index = target->node.row - NODE_FIRST_ROW;
	handle->of_root = !target->process;
	handle->process = target->process ? target->process->id : 0;
	handle->lock = target->lock;
	if (handle->lock)
		locks_open(handle->lock);
	handle->flags = flags;
	handle->opener = target->caller.pid;
	handle->ino = node_encode(target->node);
	count_control(handle, 1);
	handle->uid = target->caller.uid;
	handle->gid = target->caller.gid;
	handle->observer.on_ended = on_ended;
	LIST_INSERT_HEAD(&handle->server->handles, handle, link);
	return handle;
}

void handle_destroy(struct handle *handle)
{
	if (!handle)
		return;
	LIST_REMOVE(handle, link);
	cache_close(handle);
	count_control(handle, -1);
	observer_stop(&handle->observer);
	if (handle->poll)
		fuse_pollhandle_destroy(handle->poll);
	if (handle->session)
		manager_close_session(handle->server->manager, handle->session);
	if (handle->lock)
		locks_close(&handle->server->locks, handle->lock);
	text_finish(&handle->draft);
	text_finish(&handle->emptied);
	free(handle->content);
	free(handle->answer);
	free(handle->reader);
	free(handle->watching);
	free(handle);
}

struct handle *handle_of(const struct fuse_file_info *info)
{
	return (struct handle *)(uintptr_t)info->fh;
}
