/* Open files. */
#include <errno.h>
#include <stdlib.h>

#include "fs/notify.h"
#include "fs/private.h"

/* The kernel asks again by itself: it only has to be told that something changed. */
static void on_ended(struct observer *observer)
{
	struct handle *handle = (struct handle *)((char *)observer - offsetof(struct handle, observer));
	if (!handle->poll)
		return;
	notify_poll(handle->server->config.session, handle->poll);
	handle->poll = 0;
	handle_touch(handle);
}

void handle_touch(struct handle *handle)
{
	if (handle->is_changed)
		return;
	handle->is_changed = true;
	LIST_INSERT_HEAD(&handle->server->changed, handle, change);
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
	if (handle->ino == handle->server->control)
		handle->server->control_handles++;
	handle->uid = target->caller.uid;
	handle->gid = target->caller.gid;
	handle->observer.on_ended = on_ended;
	handle->number = ++handle->server->last_handle;
	LIST_INSERT_HEAD(&handle->server->handles, handle, link);
	HASH_ADD(by_number, handle->server->numbers, number, sizeof handle->number, handle);
	handle_touch(handle);
	return handle;
}

void handle_destroy(struct handle *handle)
{
	if (!handle)
		return;
	LIST_REMOVE(handle, link);
	if (handle->is_changed)
		LIST_REMOVE(handle, change);
	HASH_DELETE(by_number, handle->server->numbers, handle);
	if (handle->ino == handle->server->control)
		handle->server->control_handles--;
	observer_stop(&handle->observer);
	if (handle->session)
		manager_close_session(handle->server->manager, handle->session);
	if (handle->lock)
		locks_close(&handle->server->locks, handle->lock);
	struct resumption *at;
	while ((at = LIST_FIRST(&handle->resent))) {
		LIST_REMOVE(at, link);
		resumption_destroy(at);
	}
	text_finish(&handle->draft);
	text_finish(&handle->emptied);
	free(handle->content);
	free(handle->answer);
	free(handle->reader);
	free(handle->watching);
	free(handle);
}

struct handle *handle_by_number(struct server *server, uint64_t number)
{
	struct handle *handle;
	HASH_FIND(by_number, server->numbers, &number, sizeof number, handle);
	return handle;
}

struct handle *handle_of(fuse_req_t request, const struct fuse_file_info *info)
{
	struct handle *handle = handle_by_number(fuse_req_userdata(request), info->fh);
	if (!handle)
		fuse_reply_err(request, EBADF);
	return handle;
}
