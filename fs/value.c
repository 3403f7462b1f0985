/*
 * Writes to values.
 *
 * A shell's `> file` comes as OPEN, SETATTR of size 0 and WRITE, as one thread's doing. The SETATTR empties the value at once, since
 * nothing more may come; but a write that is refused must leave the value as it was before the `>`. So the open
 * handle keeps what was emptied until a write was accepted. The SETATTR carries no handle (fs/fuse/dir.c,
 * fuse_do_setattr() of the kernel): it is the newest that this thread has opened for writing. Where there is none it
 * was truncate(2), and nothing is kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/feed.h"
#include "fs/private.h"

/* What an append goes on from: what is shown, without the newline that showing adds to a single value. */
static int add_former(const struct row *row, struct target *target, const struct written *written, struct text *out)
{
	if (row->former)
		return row->former(&target->view, written->bytes, written->size, out);
	int error = row->show(&target->view, out);
	if (!(row->flags & ROW_EXACT) && out->size && out->data[out->size - 1] == '\n')
		out->size--;
	return error;
}

/* What the value would be with this write: a new one at offset 0, else the former and the bytes behind it. */
static int compose(struct handle *handle, struct target *target, const struct written *written, struct text *out)
{
	off_t offset = written->offset;
	bool append = offset < 0;
	int error = 0;
	if (append)
		error = add_former(handle->row, target, written, out);
	else if (offset > 0 && handle->has_draft && (size_t)offset == handle->draft.size)
		text_append(out, handle->draft.data, handle->draft.size);
	else if (offset > 0)
		error = handle->row->show(&target->view, out);
	if (!error)
		error = text_status(out);
	if (!error && offset > 0 && (size_t)offset != out->size)
		return refuse(&target->why, EINVAL, "%s is written from its beginning or at its end, not at offset %lld",
			      handle->row->name, (long long)offset);
	text_append(out, written->bytes, written->size);
	return error ? error : text_status(out);
}

static void restore_emptied(struct handle *handle, struct target *target)
{
	if (!handle->emptied.size)
		return;
	struct caller silent = target->caller;
	silent.why = NULL;
	struct view view = target->view;
	view.caller = &silent;
	handle_touch(handle);
	/* What it gives back was counted until now: nobody else can have taken its place. */
	struct text emptied = handle->emptied;
	handle->emptied = (struct text){0};
	handle_recount(handle);
	row_store(handle->row, &view, emptied.data, emptied.size);
	handle->emptied = emptied;
	text_finish(&handle->emptied);
	handle_recount(handle);
}

int value_write(struct handle *handle, struct target *target, const struct written *written)
{
	struct text text = {0};
	int error = compose(handle, target, written, &text);
	if (!error)
		error = row_store(handle->row, &target->view, text.data, text.size);
	if (error) {
		text_finish(&text);
		restore_emptied(handle, target);
		return error;
	}
	handle_touch(handle);
	text_finish(&handle->emptied);
	text_finish(&handle->draft);
	handle->draft = text;
	handle->has_draft = true;
	handle_recount(handle);
	return 0;
}

static struct handle *find_opener(struct target *target)
{
	struct handle *handle;
	fuse_ino_t ino = node_encode(target->node);
	LIST_FOREACH(handle, &target->server->handles, link)
		if (handle->ino == ino && handle->opener == target->caller.pid && is_writing(handle->flags))
			return handle;
	return NULL;
}

/* A value that may be empty is emptied; one that may not stays, since the write that follows will replace it. */
static int empty_value(struct target *target, struct text *old)
{
	struct view checking = target->view;
	checking.check = true;
	if (row_store(target->row, &checking, "", 0)) {
		target->why.sentence[0] = '\0';
		return 0;
	}
	int error = row_store(target->row, &target->view, "", 0);
	struct handle *handle = error ? NULL : find_opener(target);
	if (handle) {
		handle_touch(handle);
		text_finish(&handle->emptied);
		handle->emptied = *old;
		*old = (struct text){0};
		handle_recount(handle);
	}
	return error;
}

static int truncate_stream(struct target *target, off_t size)
{
	int fd = target->row->stream(target->process);
	struct stat st = {0};
	if (fd >= 0 && fstat(fd, &st))
		return -errno;
	if (size > st.st_size)
		return refuse(&target->why, EINVAL, "%s cannot be made longer but by writing to it", target->row->name);
	int error = fd >= 0 && ftruncate(fd, size) ? -errno : 0;
	process_touch(target->process);
	share_recount(target->process);
	return error;
}

int value_truncate(struct target *target, off_t size)
{
	if (!target->row || target->row->kind != ROW_FILE)
		return -EISDIR;
	int error = io_check_write(target);
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
