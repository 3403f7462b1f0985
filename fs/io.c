/* Opens, reads, writes and polls. What a write does to a value is in value.c, to a control file in control.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/terms.h"
#include "fs/cache.h"
#include "fs/feed.h"
#include "fs/follow.h"
#include "fs/private.h"

/* struct fuse_open_out of the kernel's include/uapi/linux/fuse.h: libfuse 3.14 cannot say the last two flags. */
struct open_reply {
	uint64_t fh;
	uint32_t flags;
	uint32_t padding;
};

enum open_flag {
	OPEN_DIRECT_IO = 1 << 0,
	OPEN_KEEP_CACHE = 1 << 1,
	OPEN_STREAM = 1 << 4,
	OPEN_NOFLUSH = 1 << 5,
	OPEN_PARALLEL_DIRECT_WRITES = 1 << 6,
};

enum { FREE_CONTENT = 4096 }; /* so much can be read by who has no bytes left */

/* ---- who may ---- */

/* What is written from inside belongs to the process's user too, when the superuser chose one. */
static bool owns_row(const struct target *target)
{
	return manager_may(target->process, &target->caller) ||
	       (target->row->permit && target->caller.uid == terms_user(target->process));
}

int io_check_write(struct target *target)
{
	const struct row *row = target->row;
	bool owns = target->process ? owns_row(target) :
		    target->caller.uid == 0 || target->caller.uid == target->server->surroundings.uid;
	if (!row_is_writable(row))
		return refuse(&target->why, EACCES, "%s can be read, not written", row->name);
	if (!owns && !(row->flags & ROW_EVERYBODY))
		return refuse(&target->why, EACCES, "%s is not yours to write", row->name);
	return row->permit ? row->permit(&target->view) : 0;
}

static int check_share(struct target *target)
{
	struct share *share;
	int error = manager_share(target->server->manager, target->caller.uid, &share);
	return error ? error : share_check_open(share, &target->why);
}

static int check_open(struct target *target, int flags)
{
	if (!target->row || target->row->kind != ROW_FILE)
		return -EISDIR;
	if ((target->row->flags & ROW_SECRET) && !owns_row(target))
		return refuse(&target->why, EACCES, "%s is its owner's secret", target->row->name);
	return is_writing(flags) ? io_check_write(target) : 0;
}

/* ---- open and release ---- */

/* Under STREAM the kernel keeps no position, whose lock would let a join on a shared descriptor hold up a kill;
 * reads then all arrive at offset 0, and the handle counts for them. */
static bool is_stream(const struct row *row, int flags)
{
	return ((row->flags & ROW_CONTROL) && is_writing(flags)) || (row->flags & ROW_FOLLOWS);
}

static uint32_t open_flags(const struct handle *handle)
{
	const struct row *row = handle->row;
	uint32_t reply = handle->cached ? OPEN_KEEP_CACHE : OPEN_DIRECT_IO;
	if (!(row->flags & ROW_LEASE))
		reply |= OPEN_NOFLUSH;
	if (row->flags & (ROW_CONTROL | ROW_FRESH))
		reply |= OPEN_PARALLEL_DIRECT_WRITES;
	if (is_stream(row, handle->flags))
		reply |= OPEN_STREAM;
	return reply;
}

static int open_row(struct target *target, struct handle *handle)
{
	if (target->row->flags & ROW_EVENTS)
		return watch_open(handle);
	if (!target->row->open)
		return 0;
	struct opened opened = {0};
	int error = target->row->open(&target->view, is_writing(handle->flags), &opened);
	handle_touch(handle);
	handle->session = opened.session;
	if (opened.process)
		handle->process = opened.process->id;
	if (opened.process || opened.session)
		forget_refusal(target);
	return error;
}

/* An opener that has gone meanwhile sends no RELEASE, and what its open made was asked for by nobody. */
static void undo_open(struct handle *handle)
{
	struct process *made = handle->of_root ? manager_by_id(handle->server->manager, handle->process) : NULL;
	if (made) {
		manager_remove(handle->server->manager, made, NULL);
		names_changed(handle->server);
	}
	handle_destroy(handle);
}

void io_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct target target;
	int error = target_find(request, ino, &target);
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	error = check_open(&target, info->flags);
	if (!error)
		error = check_share(&target);
	struct handle *handle = error ? NULL : handle_create(&target, info->flags);
	if (!error)
		error = handle ? open_row(&target, handle) : -ENOMEM;
	if (!error)
		cache_open(&target, handle);
	if (!error && target.row->captured)
		error = follow_open(handle, target.process);
	if (error) {
		handle_destroy(handle);
		refuse_request(request, &target, error);
		return;
	}
	struct open_reply reply = { .fh = handle->number, .flags = open_flags(handle) };
	if (fuse_reply_buf(request, (const char *)&reply, sizeof reply) == -ENOENT)
		undo_open(handle);
}

/* What it waits for comes about by itself, whoever waits. */
static void on_close_woken(struct parked *parked, int outcome)
{
	(void)outcome;
	fuse_reply_err(parked->request, 0);
	free(parked);
}

/* Result: true when it waits until it is known whether its program still has the session. */
static bool park_close(fuse_req_t request, struct handle *handle)
{
	struct parked *parked = malloc(sizeof *parked);
	if (!parked)
		return false;
	parked_init(parked, &handle->server->parking, request, on_close_woken);
	if (manager_check_session(handle->session, fuse_req_ctx(request)->pid, handle->row->name, &parked->waiter) &&
	    !parked_wait(parked, -1))
		return true;
	free(parked);
	return false;
}

void io_flush(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	struct handle *handle = handle_of(request, info);
	if (!handle)
		return;
	if (!handle->session || !park_close(request, handle))
		fuse_reply_err(request, 0);
}

void io_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	handle_destroy(handle_by_number(fuse_req_userdata(request), info->fh));
	fuse_reply_err(request, 0);
}

void target_of(fuse_req_t request, struct handle *handle, struct target *out)
{
	*out = (struct target){ .server = handle->server, .row = handle->row };
	out->why.sentence[0] = '\0';
	out->caller = (struct caller){ .pid = fuse_req_ctx(request)->pid, .uid = handle->uid, .gid = handle->gid,
				       .why = &out->why };
	if (handle->process)
		out->process = manager_by_id(handle->server->manager, handle->process);
	out->view = (struct view){ .manager = out->server->manager, .process = out->process, .caller = &out->caller };
}

static int find_process(fuse_req_t request, struct handle *handle, struct target *out)
{
	target_of(request, handle, out);
	if (handle->process && !out->process)
		return refuse(&out->why, ESTALE, "process object is closed");
	return 0;
}

/* ---- read ---- */

struct reading {
	struct parked parked;
	struct handle *handle;
	struct asked asked;
	struct turn turn; /* of what is costly */
};

static void reply_stream(fuse_req_t request, int fd, struct asked asked)
{
	char *buffer = malloc(asked.size);
	ssize_t got = fd >= 0 && buffer ? pread(fd, buffer, asked.size, asked.offset) : 0;
	if (!buffer || got < 0)
		fuse_reply_err(request, buffer ? errno : ENOMEM);
	else
		fuse_reply_buf(request, buffer, (size_t)got);
	free(buffer);
}

static int take_content(struct handle *handle, struct target *target)
{
	struct text text = {0};
	int error = 0;
	if (handle->row->flags & ROW_COSTLY)
		costly_begin(&handle->server->costly, handle->uid);
	if (handle->answer)
		text_append(&text, handle->answer, handle->answer_size);
	else if (handle->row->show)
		error = handle->row->show(&target->view, &text);
	const struct share_cost cost = { .bytes = text.size > FREE_CONTENT ? text.size : 0 };
	if (!error)
		error = share_check(handle->share, &cost, &target->why);
	if (error) {
		text_finish(&text);
		return error;
	}
	/* What the kernel keeps is not asked for piece by piece. */
	if (!handle->cached)
		handle_touch(handle);
	free(handle->content);
	handle->content_size = 0;
	handle->content = text_take(&text, &handle->content_size);
	handle->has_content = handle->content;
	handle_recount(handle);
	return handle->content ? 0 : -ENOMEM;
}

static void reply_content(fuse_req_t request, struct handle *handle, struct asked asked)
{
	size_t size = asked.size;
	off_t offset = asked.offset;
	if ((size_t)offset >= handle->content_size)
		size = 0;
	else if (size > handle->content_size - (size_t)offset)
		size = handle->content_size - (size_t)offset;
	off_t position = size ? offset + (off_t)size : 0;
	if (position != handle->position && is_stream(handle->row, handle->flags)) {
		handle_touch(handle);
		handle->position = position;
	}
	fuse_reply_buf(request, size ? handle->content + offset : NULL, size);
}

static void on_read_woken(struct parked *parked, int outcome)
{
	struct reading *reading = (struct reading *)parked;
	struct target target;
	costly_leave(&reading->handle->server->costly, &reading->turn);
	int error = outcome ? outcome : find_process(parked->request, reading->handle, &target);
	if (!error)
		error = take_content(reading->handle, &target);
	if (error)
		fuse_reply_err(parked->request, -error);
	else
		reply_content(parked->request, reading->handle, reading->asked);
	free(reading);
}

static int park_read(fuse_req_t request, struct handle *handle, struct target *target, struct asked asked)
{
	struct server *server = handle->server;
	struct reading *reading = malloc(sizeof *reading);
	if (!reading)
		return -ENOMEM;
	reading->handle = handle;
	reading->asked = asked;
	reading->turn = (struct turn){ .uid = handle->uid, .waiter = &reading->parked.waiter };
	parked_init(&reading->parked, &server->parking, request, on_read_woken);
	if (handle->row->flags & ROW_COSTLY)
		costly_wait(&server->costly, &reading->turn);
	else
		waiter_wait(&target->process->joining, &reading->parked.waiter);
	int error = parked_wait(&reading->parked, -1);
	if (error) {
		costly_leave(&server->costly, &reading->turn);
		free(reading);
	}
	return error;
}

static bool has_to_wait(const struct handle *handle)
{
	return handle->row->flags & ROW_COSTLY && !costly_is_free(&handle->server->costly);
}

void io_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
	(void)ino;
	struct handle *handle = handle_of(request, info);
	if (!handle)
		return;
	struct asked asked = { size, offset, info->flags & O_NONBLOCK, handle->server->current.unique };
	if (handle->watching) {
		watch_read(request, handle, &asked);
		return;
	}
	struct target target;
	int error = find_process(request, handle, &target);
	if (is_stream(handle->row, handle->flags))
		asked.offset = handle->position;
	if (!error && handle->row->captured) {
		follow_read(request, handle, target.process, asked);
		return;
	}
	/* Whose it is may have changed since the open: the superuser chose another user. */
	if (!error && handle->row->permit && !owns_row(&target))
		error = refuse(&target.why, EACCES, "%s is its owner's secret", handle->row->name);
	if (!error && handle->row->stream) {
		reply_stream(request, handle->row->stream(target.process), asked);
		return;
	}
	if (!error && handle->cached)
		error = cache_read(handle, target.process);
	if (!error && (asked.offset == 0 || !handle->has_content))
		error = has_to_wait(handle) ? -EAGAIN : take_content(handle, &target);
	/* A regular file makes nobody wait who polls: under O_NONBLOCK a turn is awaited all the same. */
	if (error == -EAGAIN && (!asked.at_once || handle->row->flags & ROW_COSTLY)) {
		error = park_read(request, handle, &target, asked);
		if (!error)
			return;
	}
	if (error)
		fuse_reply_err(request, -error);
	else
		reply_content(request, handle, asked);
}

/* ---- write ---- */

static int put(struct handle *handle, struct target *target, const struct written *written)
{
	return handle->row->put(&target->view, written->bytes, written->size, written->offset);
}

static int feed(struct handle *handle, struct target *target, const struct written *written)
{
	if (handle->row->flags & ROW_FROZEN) {
		int error = manager_check_initial(target->process, &target->why);
		if (error)
			return error;
	}
	return handle->row->feed(&target->view, written->bytes, written->size, written->offset);
}

/* What is written over is counted twice by the check, and once by the count. */
static int write_stream(struct handle *handle, struct target *target, const struct written *written)
{
	struct process *process = target->process;
	const struct share_cost cost = { .bytes = written->size, .descriptors = handle->row->stream(process) < 0 };
	int error = share_check(process->share, &cost, &target->why);
	if (!error)
		error = handle->row->put ? put(handle, target, written) : feed(handle, target, written);
	share_recount(process);
	return error;
}

void io_write(fuse_req_t request, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	      struct fuse_file_info *info)
{
	(void)ino;
	struct handle *handle = handle_of(request, info);
	if (!handle)
		return;
	struct target target;
	bool append = info->flags & O_APPEND;
	struct written written = { .bytes = data, .size = size, .offset = append ? -1 : offset };
	int error = find_process(request, handle, &target);
	if (!error && (handle->row->flags & ROW_CONTROL)) {
		control_write(request, handle, &target, &(struct text){ .data = (char *)(uintptr_t)data, .size = size });
		return;
	}
	if (!error && handle->row->permit)
		error = handle->row->permit(&target.view);
	if (!error && handle->row->feed && feed_goes_through(target.process)) {
		feed_write(request, handle, &target, (struct fed){ data, size, info->flags & O_NONBLOCK });
		return;
	}
	if (!error && (handle->row->put || handle->row->feed))
		error = write_stream(handle, &target, &written);
	else if (!error)
		error = value_write(handle, &target, &written);
	if (error) {
		refuse_request(request, &target, error);
		return;
	}
	forget_refusal(&target);
	fuse_reply_write(request, size);
}

/* ---- poll ---- */

/* What is ready now; else the handle's observer waits for it. */
static unsigned poll_events(struct handle *handle, struct process *process)
{
	const struct row *row = handle->row;
	if (handle->watching)
		return watch_poll(handle);
	if (row->flags & ROW_FOLLOWS)
		return follow_poll(handle, process);
	if (row->flags & ROW_WAITS) {
		if (process->state == PROCESS_ENDED)
			return POLLIN | POLLRDNORM | POLLHUP;
		observer_watch(&process->observers, &handle->observer);
		return 0;
	}
	if (row->feed && feed_goes_through(process) && !feed_poll(handle, process))
		return POLLIN | POLLRDNORM;
	return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
}

void io_poll(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info, struct fuse_pollhandle *poll)
{
	(void)ino;
	struct handle *handle = handle_of(request, info);
	if (!handle)
		return;
	struct target target;
	bool gone = find_process(request, handle, &target);
	/* libfuse's is lost with this process; the number it holds is not. */
	if (poll) {
		fuse_pollhandle_destroy(poll);
		handle_touch(handle);
		handle->poll = handle->server->current.poll;
	}
	fuse_reply_poll(request, gone ? POLLIN | POLLRDNORM | POLLHUP | POLLERR : poll_events(handle, target.process));
}
