/* Opens, reads, writes and polls. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	OPEN_STREAM = 1 << 4,
	OPEN_NOFLUSH = 1 << 5,
	OPEN_PARALLEL_DIRECT_WRITES = 1 << 6,
};

static bool is_writing(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* ---- who may ---- */

static int check_write(struct target *target)
{
	const struct row *row = target->row;
	bool owns = target->process ? manager_may(target->process, &target->caller) :
		    target->caller.uid == 0 || target->caller.uid == target->server->surroundings.uid;
	if (!row_is_writable(row))
		return refuse(&target->why, EACCES, "%s can be read, not written", row->name);
	if (!owns && !(row->flags & ROW_EVERYBODY))
		return refuse(&target->why, EACCES, "%s is not yours to write", row->name);
	return row->permit ? row->permit(&target->view) : 0;
}

static int check_open(struct target *target, int flags)
{
	if (!target->row || target->row->kind != ROW_FILE)
		return -EISDIR;
	if ((target->row->flags & ROW_SECRET) && !manager_may(target->process, &target->caller))
		return refuse(&target->why, EACCES, "%s is its owner's secret", target->row->name);
	return is_writing(flags) ? check_write(target) : 0;
}

/* ---- open and release ---- */

/* Under STREAM the kernel keeps no position, whose lock would let a join on a shared descriptor hold up a kill;
 * reads then all arrive at offset 0, and the handle counts for them. */
static bool is_stream(const struct row *row, int flags)
{
	return ((row->flags & ROW_CONTROL) && is_writing(flags)) || (row->flags & ROW_FOLLOWS);
}

static uint32_t open_flags(const struct row *row, int flags)
{
	uint32_t reply = OPEN_DIRECT_IO;
	if (!(row->flags & ROW_LEASE))
		reply |= OPEN_NOFLUSH;
	if (row->flags & (ROW_CONTROL | ROW_FRESH))
		reply |= OPEN_PARALLEL_DIRECT_WRITES;
	if (is_stream(row, flags))
		reply |= OPEN_STREAM;
	return reply;
}

static int open_row(struct target *target, struct handle *handle)
{
	if (!target->row->open)
		return 0;
	struct opened opened = {0};
	int error = target->row->open(&target->view, is_writing(handle->flags), &opened);
	handle->session = opened.session;
	if (opened.process)
		handle->process = opened.process->id;
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
	struct handle *handle = error ? NULL : handle_create(&target, info->flags);
	if (!error)
		error = handle ? open_row(&target, handle) : -ENOMEM;
	if (!error && target.row->captured)
		error = follow_open(handle, target.process);
	if (error) {
		handle_destroy(handle);
		refuse_request(request, &target, error);
		return;
	}
	struct open_reply reply = { .fh = (uintptr_t)handle, .flags = open_flags(target.row, info->flags) };
	if (fuse_reply_buf(request, (const char *)&reply, sizeof reply) == -ENOENT)
		undo_open(handle);
}

static struct emptied *find_emptied(const struct handle *handle)
{
	struct emptied *emptied;
	LIST_FOREACH(emptied, &handle->server->emptied, link)
		if (emptied->process == handle->process && emptied->of_root == handle->of_root &&
		    emptied->row_index == handle->row_index)
			return emptied;
	return NULL;
}

static void drop_emptied(struct emptied *emptied)
{
	if (!emptied)
		return;
	LIST_REMOVE(emptied, link);
	free(emptied->bytes);
	free(emptied);
}

void io_flush(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	struct handle *handle = handle_of(info);
	if (handle->session)
		manager_check_session(handle->server->manager, handle->session, fuse_req_ctx(request)->pid,
				      handle->server->session_path);
	fuse_reply_err(request, 0);
}

void io_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	struct handle *handle = handle_of(info);
	drop_emptied(find_emptied(handle));
	handle_destroy(handle);
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
	size_t size;
	off_t offset;
};

static void reply_stream(fuse_req_t request, int fd, size_t size, off_t offset)
{
	char *buffer = malloc(size);
	ssize_t got = fd >= 0 && buffer ? pread(fd, buffer, size, offset) : 0;
	if (!buffer || got < 0)
		fuse_reply_err(request, buffer ? errno : ENOMEM);
	else
		fuse_reply_buf(request, buffer, (size_t)got);
	free(buffer);
}

static int take_content(struct handle *handle, struct target *target)
{
	struct text text = {0};
	int error = handle->row->show ? handle->row->show(&target->view, &text) : 0;
	if (error) {
		text_finish(&text);
		return error;
	}
	free(handle->content);
	handle->content = text_take(&text, &handle->content_size);
	handle->has_content = handle->content;
	return handle->content ? 0 : -ENOMEM;
}

static void reply_content(fuse_req_t request, struct handle *handle, size_t size, off_t offset)
{
	if ((size_t)offset >= handle->content_size)
		size = 0;
	else if (size > handle->content_size - (size_t)offset)
		size = handle->content_size - (size_t)offset;
	handle->position = size ? offset + (off_t)size : 0;
	fuse_reply_buf(request, size ? handle->content + offset : NULL, size);
}

static void on_read_woken(struct parked *parked, int outcome)
{
	struct reading *reading = (struct reading *)parked;
	struct target target;
	int error = outcome ? outcome : find_process(parked->request, reading->handle, &target);
	if (!error)
		error = take_content(reading->handle, &target);
	if (error)
		fuse_reply_err(parked->request, -error);
	else
		reply_content(parked->request, reading->handle, reading->size, reading->offset);
	free(reading);
}

static int park_read(fuse_req_t request, struct handle *handle, struct target *target, struct reading asked)
{
	struct reading *reading = malloc(sizeof *reading);
	if (!reading)
		return -ENOMEM;
	*reading = asked;
	reading->handle = handle;
	parked_init(&reading->parked, &handle->server->parking, request, on_read_woken);
	waiter_wait(&target->process->joining, &reading->parked.waiter);
	int error = parked_wait(&reading->parked, -1);
	if (error)
		free(reading);
	return error;
}

void io_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
	(void)ino;
	struct handle *handle = handle_of(info);
	struct target target;
	int error = find_process(request, handle, &target);
	if (is_stream(handle->row, handle->flags))
		offset = handle->position;
	if (!error && handle->row->captured) {
		follow_read(request, handle, target.process, (struct asked){ size, offset, info->flags & O_NONBLOCK });
		return;
	}
	if (!error && handle->row->stream) {
		reply_stream(request, handle->row->stream(target.process), size, offset);
		return;
	}
	if (!error && (offset == 0 || !handle->has_content))
		error = take_content(handle, &target);
	if (error == -EAGAIN && !(info->flags & O_NONBLOCK)) {
		error = park_read(request, handle, &target, (struct reading){ .size = size, .offset = offset });
		if (!error)
			return;
	}
	if (error)
		fuse_reply_err(request, -error);
	else
		reply_content(request, handle, size, offset);
}

/* ---- write ---- */

/* What the value would be with this write: a new one at offset 0, else the former and the bytes behind it. */
static int compose(struct handle *handle, struct target *target, off_t offset, bool append, struct text *out)
{
	bool continues = !append && offset > 0 && handle->has_draft && (size_t)offset == handle->draft.size;
	if (continues)
		text_append(out, handle->draft.data, handle->draft.size);
	else if (append || offset > 0)
		handle->row->show(&target->view, out);
	if (!append && offset > 0 && (size_t)offset != out->size)
		return refuse(&target->why, EINVAL, "%s is written from its beginning or at its end, not at offset %lld",
			      handle->row->name, (long long)offset);
	return text_status(out);
}

static void restore_emptied(struct handle *handle, struct target *target)
{
	struct emptied *emptied = find_emptied(handle);
	if (!emptied)
		return;
	struct caller silent = target->caller;
	silent.why = NULL;
	struct view view = target->view;
	view.caller = &silent;
	row_store(handle->row, &view, emptied->bytes, emptied->size);
	drop_emptied(emptied);
}

static int write_value(struct handle *handle, struct target *target, const struct fuse_bufvec *bytes, off_t offset,
		       bool append)
{
	struct text text = {0};
	int error = compose(handle, target, offset, append, &text);
	text_append(&text, bytes->buf[0].mem, bytes->buf[0].size);
	if (!error)
		error = text_status(&text);
	if (!error)
		error = row_store(handle->row, &target->view, text.data, text.size);
	if (error) {
		text_finish(&text);
		restore_emptied(handle, target);
		return error;
	}
	text_finish(&handle->draft);
	handle->draft = text;
	handle->has_draft = true;
	drop_emptied(find_emptied(handle));
	return 0;
}

static int feed(struct handle *handle, struct target *target, const struct fuse_bufvec *bytes, off_t offset)
{
	if (handle->row->flags & ROW_FROZEN) {
		int error = manager_check_initial(target->process, &target->why);
		if (error)
			return error;
	}
	return handle->row->feed(&target->view, bytes->buf[0].mem, bytes->buf[0].size, offset);
}

void io_write(fuse_req_t request, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	      struct fuse_file_info *info)
{
	(void)ino;
	struct handle *handle = handle_of(info);
	struct target target;
	bool append = info->flags & O_APPEND;
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(size);
	bytes.buf[0].mem = (void *)(uintptr_t)data;
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
	if (!error && handle->row->put)
		error = handle->row->put(&target.view, data, size, append ? -1 : offset);
	else if (!error && handle->row->feed)
		error = feed(handle, &target, &bytes, append ? -1 : offset);
	else if (!error)
		error = write_value(handle, &target, &bytes, offset, append);
	if (error) {
		refuse_request(request, &target, error);
		return;
	}
	forget_refusal(&target);
	fuse_reply_write(request, size);
}

/* ---- truncation ---- */

static int remember_emptied(struct target *target, struct text *old)
{
	struct handle key = { .server = target->server, .process = target->node.process, .of_root = !target->process,
			      .row_index = target->node.row - NODE_FIRST_ROW };
	drop_emptied(find_emptied(&key));
	if (!old->size)
		return 0;
	struct emptied *emptied = calloc(1, sizeof *emptied);
	if (!emptied)
		return -ENOMEM;
	emptied->process = key.process;
	emptied->of_root = key.of_root;
	emptied->row_index = key.row_index;
	emptied->bytes = text_take(old, &emptied->size);
	if (!emptied->bytes) {
		free(emptied);
		return -ENOMEM;
	}
	LIST_INSERT_HEAD(&target->server->emptied, emptied, link);
	return 0;
}

/* A shell's `>` asks for size 0 before it writes. A value that may be empty is emptied; one that may not stays, since
 * the write that follows will replace it. */
static int empty_value(struct target *target, struct text *old)
{
	struct view checking = target->view;
	checking.check = true;
	if (row_store(target->row, &checking, "", 0)) {
		target->why.sentence[0] = '\0';
		return 0;
	}
	int error = remember_emptied(target, old);
	return error ? error : row_store(target->row, &target->view, "", 0);
}

static int truncate_stream(struct target *target, off_t size)
{
	int fd = target->row->stream(target->process);
	struct stat st = {0};
	if (fd >= 0 && fstat(fd, &st))
		return -errno;
	if (size > st.st_size)
		return refuse(&target->why, EINVAL, "%s cannot be made longer but by writing to it", target->row->name);
	return fd >= 0 && ftruncate(fd, size) ? -errno : 0;
}

int io_truncate(struct target *target, off_t size)
{
	if (!target->row || target->row->kind != ROW_FILE)
		return -EISDIR;
	int error = check_write(target);
	if (error || (target->row->flags & ROW_CONTROL) || (target->row->feed && feed_goes_through(target->process)))
		return error;
	if (target->row->flags & ROW_FROZEN)
		error = manager_check_initial(target->process, &target->why);
	if (error || target->row->feed || target->row->put)
		return error ? error : truncate_stream(target, size);
	struct text old = {0};
	error = target->row->show(&target->view, &old);
	if (!error && size == 0)
		error = empty_value(target, &old);
	else if (!error && (size_t)size != old.size)
		error = refuse(&target->why, EINVAL, "%s can be emptied, not cut to %lld bytes", target->row->name,
			       (long long)size);
	text_finish(&old);
	return error;
}

/* ---- poll ---- */

void io_poll(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info, struct fuse_pollhandle *poll)
{
	(void)ino;
	struct handle *handle = handle_of(info);
	struct target target;
	unsigned events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
	bool waits = handle->row->flags & ROW_WAITS;
	if (find_process(request, handle, &target))
		events = POLLIN | POLLRDNORM | POLLHUP | POLLERR;
	else if (waits)
		events = target.process->state == PROCESS_ENDED ? POLLIN | POLLRDNORM | POLLHUP : 0;
	else if (handle->row->flags & ROW_FOLLOWS)
		events = 0;
	bool feeds = target.process && handle->row->feed && feed_goes_through(target.process);
	if (poll) {
		if (handle->poll)
			fuse_pollhandle_destroy(handle->poll);
		handle->poll = poll;
	}
	if (waits && !events)
		observer_watch(&target.process->observers, &handle->observer);
	if (!events && !waits)
		events = follow_poll(handle, target.process);
	if (feeds && !feed_poll(handle, target.process))
		events = POLLIN | POLLRDNORM;
	fuse_reply_poll(request, events);
}
