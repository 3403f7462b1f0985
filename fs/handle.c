/* Open files, and what of them outlives the server. */
#include <errno.h>
#include <stdlib.h>

#include "fs/cache.h"
#include "fs/events.h"
#include "fs/follow.h"
#include "fs/lock.h"
#include "fs/notify.h"
#include "fs/private.h"
#include "fs/recovery.h"

void handle_notify(struct handle *handle)
{
	if (!handle->poll)
		return;
	notify_poll(handle->server->config.session, handle->poll);
	handle->poll = 0;
	handle_touch(handle);
}

static void on_ended(struct observer *observer)
{
	handle_notify((struct handle *)((char *)observer - offsetof(struct handle, observer)));
}

void handle_touch(struct handle *handle)
{
	if (handle->is_changed)
		return;
	handle->is_changed = true;
	LIST_INSERT_HEAD(&handle->server->changed, handle, change);
}

static void count_control(struct handle *handle, int change)
{
	struct control *last = &handle->server->control[!handle->of_root];
	if (handle->ino == last->ino)
		last->handles += (unsigned)change;
}

static void release(struct handle *handle)
{
	share_settle(handle->share, &handle->held, &(struct share_cost){0});
	if (handle->server)
		share_count_close(handle->share);
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

/* From now on it can be found, and handle_destroy is due. Result: 0; -ENOMEM, and it was released. */
static int enter(struct server *server, struct handle *handle)
{
	HASH_ADD(by_number, server->numbers, number, sizeof handle->number, handle);
	if (!handle->by_number.tbl) {
		release(handle);
		return -ENOMEM;
	}
	handle->server = server;
	share_count_open(handle->share);
	handle->observer.on_ended = on_ended;
	if (handle->lock)
		locks_open(handle->lock);
	if (handle->cached)
		cache_hold(handle);
	count_control(handle, 1);
	if (handle->number > server->last_handle)
		server->last_handle = handle->number;
	LIST_INSERT_HEAD(&server->handles, handle, link);
	return 0;
}

struct handle *handle_create(struct target *target, int flags)
{
	struct handle *handle = calloc(1, sizeof *handle);
	if (!handle)
		return NULL;
	handle->number = target->server->last_handle + 1;
	handle->row = target->row;
	handle->row_index = target->node.row - NODE_FIRST_ROW;
	handle->of_root = !target->process;
	handle->process = target->process ? target->process->id : 0;
	handle->lock = target->lock;
	handle->flags = flags;
	handle->opener = target->caller.pid;
	handle->ino = node_encode(target->node);
	handle->uid = target->caller.uid;
	handle->gid = target->caller.gid;
	manager_share(target->server->manager, handle->uid, &handle->share);
	if (enter(target->server, handle))
		return NULL;
	handle_touch(handle);
	return handle;
}

void handle_recount(struct handle *handle)
{
	const struct share_cost cost = { .bytes = handle->content_size + handle->answer_size + handle->draft.size +
						  handle->emptied.size };
	share_settle(handle->share, &handle->held, &cost);
}

void handle_destroy(struct handle *handle)
{
	if (!handle)
		return;
	struct server *server = handle->server;
	LIST_REMOVE(handle, link);
	recovery_forget(handle->server, RECORD_HANDLE, handle->number);
	if (handle->is_changed)
		LIST_REMOVE(handle, change);
	HASH_DELETE(by_number, server->numbers, handle);
	cache_close(handle);
	count_control(handle, -1);
	observer_stop(&handle->observer);
	if (handle->session)
		manager_close_session(server->manager, handle->session);
	if (handle->lock)
		locks_close(&server->locks, handle->lock);
	release(handle);
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

/* ---- as bytes ---- */

/* What there is besides what every open file has, in this order. Numbers mean the same for ever. */
enum part {
	PART_OF_ROOT = 1 << 0,
	PART_PROCESS = 1 << 1,
	PART_LOCK = 1 << 2,
	PART_SESSION = 1 << 3,
	PART_POSITION = 1 << 4,
	PART_POLL = 1 << 5,
	PART_CONTENT = 1 << 6,
	PART_ANSWER = 1 << 7,
	PART_DRAFT = 1 << 8,
	PART_EMPTIED = 1 << 9,
	PART_READER = 1 << 10,
	PART_WATCHING = 1 << 11,
	PART_INTERRUPTED = 1 << 12,
	PART_WAITING = 1 << 13,
	PART_CACHED = 1 << 14,
};

static unsigned parts_of(const struct handle *handle)
{
	return (handle->of_root ? PART_OF_ROOT : 0) |
	       (handle->process ? PART_PROCESS : 0) |
	       (handle->lock ? PART_LOCK : 0) |
	       (handle->session ? PART_SESSION : 0) |
	       (handle->position ? PART_POSITION : 0) |
	       (handle->poll ? PART_POLL : 0) |
	       (handle->has_content && !handle->cached ? PART_CONTENT : 0) |
	       (handle->cached ? PART_CACHED : 0) |
	       (handle->answer ? PART_ANSWER : 0) |
	       (handle->has_draft ? PART_DRAFT : 0) |
	       (handle->emptied.size ? PART_EMPTIED : 0) |
	       (handle->reader ? PART_READER : 0) |
	       (handle->watching ? PART_WATCHING : 0) |
	       (handle->resumes ? PART_INTERRUPTED : 0) |
	       (LIST_EMPTY(&handle->waiting) && LIST_EMPTY(&handle->resent) ? 0 : PART_WAITING);
}

/* Those that wait here, and those that have not come again yet. */
static void pack_waiting(const struct handle *handle, struct text *out)
{
	const struct resumption *at;
	uint64_t count = 0;
	LIST_FOREACH(at, &handle->waiting, link)
		count++;
	LIST_FOREACH(at, &handle->resent, link)
		count++;
	record_put_number(out, count);
	LIST_FOREACH(at, &handle->waiting, link)
		resumption_pack(at, out);
	LIST_FOREACH(at, &handle->resent, link)
		resumption_pack(at, out);
}

static void pack_numbers(const struct handle *handle, unsigned parts, struct text *out)
{
	if (parts & PART_PROCESS)
		record_put_number(out, handle->process);
	if (parts & PART_LOCK)
		record_put_number(out, handle->lock->id);
	if (parts & PART_SESSION)
		record_put_number(out, manager_session_key(handle->session));
	if (parts & PART_POSITION)
		record_put_signed(out, handle->position);
	if (parts & PART_POLL)
		record_put_number(out, handle->poll);
}

void handle_pack(const struct handle *handle, struct text *out)
{
	unsigned parts = parts_of(handle);
	record_put_number(out, handle->row_index);
	record_put_number(out, parts);
	record_put_number(out, (unsigned)handle->flags);
	record_put_number(out, handle->ino);
	record_put_signed(out, handle->opener);
	record_put_number(out, handle->uid);
	record_put_number(out, handle->gid);
	pack_numbers(handle, parts, out);
	if (parts & PART_CONTENT)
		record_put_bytes(out, handle->content, handle->content_size);
	if (parts & PART_ANSWER)
		record_put_bytes(out, handle->answer, handle->answer_size);
	if (parts & PART_DRAFT)
		record_put_bytes(out, handle->draft.data, handle->draft.size);
	if (parts & PART_EMPTIED)
		record_put_bytes(out, handle->emptied.data, handle->emptied.size);
	if (parts & PART_READER)
		follow_pack(handle->reader, out);
	if (parts & PART_WATCHING)
		events_pack_reader(handle->watching, out);
	if (parts & PART_INTERRUPTED)
		resumption_pack(&handle->interrupted, out);
	if (parts & PART_WAITING)
		pack_waiting(handle, out);
}

static int unpack_waiting(struct handle *handle, struct record_reader *from)
{
	int error = 0;
	for (uint64_t left = record_number(from); left && !error; left--) {
		struct resumption *at = NULL;
		error = resumption_unpack(from, &at);
		if (!error)
			LIST_INSERT_HEAD(&handle->resent, at, link);
	}
	return error;
}

static int unpack_interrupted(struct handle *handle, struct record_reader *from)
{
	struct resumption *at = NULL;
	int error = resumption_unpack(from, &at);
	if (error)
		return error;
	handle->resumes = true;
	handle->interrupted = (struct resumption){ .state = at->state, .deadline = at->deadline };
	resumption_destroy(at);
	return 0;
}

static int unpack_watching(struct handle *handle, struct record_reader *from)
{
	handle->watching = malloc(sizeof *handle->watching);
	return handle->watching ? events_unpack_reader(handle->watching, from) : -ENOMEM;
}

static int unpack_text(struct text *text, struct record_reader *from)
{
	size_t size;
	const char *bytes = record_bytes(from, &size);
	if (bytes)
		text_append(text, bytes, size);
	return text_status(text);
}

/* Of a session that is over there is nothing left to hold. */
static int unpack_numbers(struct server *server, struct handle *handle, unsigned parts, struct record_reader *from)
{
	handle->process = parts & PART_PROCESS ? record_number(from) : 0;
	handle->lock = parts & PART_LOCK ? locks_by_id(&server->locks, record_number(from)) : NULL;
	handle->session = parts & PART_SESSION ? manager_session(server->manager, record_number(from)) : NULL;
	handle->position = parts & PART_POSITION ? record_signed(from) : 0;
	handle->poll = parts & PART_POLL ? record_number(from) : 0;
	handle->row = parts & PART_LOCK ? lock_row() : files_row(handle->of_root, handle->row_index);
	return !handle->row || (parts & PART_LOCK && !handle->lock) ? -EPROTO : 0;
}

static int unpack_parts(struct handle *handle, unsigned parts, struct record_reader *from)
{
	if (parts & PART_CONTENT)
		handle->content = record_copy(from, &handle->content_size);
	handle->has_content = handle->content;
	if (parts & PART_ANSWER)
		handle->answer = record_copy(from, &handle->answer_size);
	int error = parts & PART_DRAFT ? unpack_text(&handle->draft, from) : 0;
	handle->has_draft = parts & PART_DRAFT;
	if (!error && parts & PART_EMPTIED)
		error = unpack_text(&handle->emptied, from);
	if (!error && parts & PART_READER)
		error = follow_unpack(from, &handle->reader);
	if (!error && parts & PART_WATCHING)
		error = unpack_watching(handle, from);
	if (!error && parts & PART_INTERRUPTED)
		error = unpack_interrupted(handle, from);
	if (!error && parts & PART_WAITING)
		error = unpack_waiting(handle, from);
	return error;
}

/* Reads and writes go by the row: what that says is there must be, and what it has not can't be asked of it. */
static bool fits_row(const struct handle *handle)
{
	const struct row *row = handle->row;
	return row->kind == ROW_FILE &&
	       (handle->of_root || handle->process) &&
	       (!is_writing(handle->flags) || row_is_writable(row)) &&
	       (!handle->cached || row->flags & (ROW_KEPT | ROW_KEPT_ONCE)) &&
	       !row->captured == !handle->reader &&
	       !(row->flags & ROW_EVENTS) == !handle->watching;
}

int handle_unpack(struct server *server, uint64_t number, struct record_reader *from, struct handle **out)
{
	struct handle *handle = calloc(1, sizeof *handle);
	if (!handle)
		return -ENOMEM;
	handle->number = number;
	handle->row_index = (unsigned)record_number(from);
	unsigned parts = (unsigned)record_number(from);
	handle->of_root = parts & PART_OF_ROOT;
	handle->cached = parts & PART_CACHED;
	handle->flags = (int)record_number(from);
	handle->ino = record_number(from);
	handle->opener = (pid_t)record_signed(from);
	handle->uid = (uid_t)record_number(from);
	handle->gid = (gid_t)record_number(from);
	int error = unpack_numbers(server, handle, parts, from);
	if (!error)
		error = unpack_parts(handle, parts, from);
	if (!error)
		error = manager_share(server->manager, handle->uid, &handle->share);
	if (!error && (from->bad || !fits_row(handle) || !number || handle_by_number(server, number)))
		error = -EPROTO;
	if (error) {
		release(handle);
		return error;
	}
	if (enter(server, handle))
		return -ENOMEM;
	if (handle->session)
		manager_hold_session(handle->session);
	handle_recount(handle);
	if (out)
		*out = handle;
	return 0;
}
