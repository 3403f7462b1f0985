#include "fs/follow.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/capture.h"

/* Where an open is: offsets into the streams as they were written. */
struct reader {
	uint64_t position[2];
	int which;      /* of both: the one that is read now */
	uint64_t limit; /* up to here, then the other has its turn */
	uint32_t resets; /* that the process had seen: of both, what comes after another is not for this open */
	int64_t base;   /* of one: what the file's offset 0 is */
};

struct following {
	struct parked parked;
	struct handle *handle;
	struct asked asked;
};

static int only_stream(const struct row *row)
{
	return row->captured >> 1;
}

int follow_open(struct handle *handle, const struct process *process)
{
	struct reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return -ENOMEM;
	for (int i = 0; i < 2; i++)
		reader->position[i] = capture_window(process, i).first;
	reader->resets = process->resets;
	reader->base = (int64_t)reader->position[only_stream(handle->row) & 1];
	handle->reader = reader;
	return 0;
}

void follow_pack(const struct reader *reader, struct text *out)
{
	record_put_number(out, reader->position[0]);
	record_put_number(out, reader->position[1]);
	record_put_number(out, (unsigned)reader->which);
	record_put_number(out, reader->limit);
	record_put_signed(out, reader->base);
	record_put_number(out, reader->resets);
}

int follow_unpack(struct record_reader *from, struct reader **out)
{
	struct reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return -ENOMEM;
	reader->position[0] = record_number(from);
	reader->position[1] = record_number(from);
	reader->which = record_number(from) & 1;
	reader->limit = record_number(from);
	reader->base = record_signed(from);
	reader->resets = (uint32_t)record_number(from);
	if (from->bad) {
		free(reader);
		return -EPROTO;
	}
	*out = reader;
	return 0;
}

static ssize_t read_one(const struct handle *handle, const struct process *process, off_t offset, struct value *room)
{
	struct reader *reader = handle->reader;
	uint64_t wanted = (uint64_t)(reader->base + offset), position = wanted;
	ssize_t got = capture_read(process, only_stream(handle->row), &position, room);
	if (got > 0)
		reader->base += (int64_t)(position - (uint64_t)got - wanted);
	return got;
}

/* Takes from the stream that has its turn what was there when the turn began, so that neither starves the other. */
static ssize_t read_both(struct reader *reader, const struct process *process, struct value *room)
{
	for (int turns = 0; turns < 3; turns++) {
		uint64_t *position = &reader->position[reader->which];
		uint64_t end = capture_window(process, reader->which).end;
		/* The program has truncated it: what is there now was never read. */
		if (*position > end)
			*position = 0;
		if (*position < reader->limit) {
			struct value part = *room;
			if (part.size > reader->limit - *position)
				part.size = reader->limit - *position;
			ssize_t got = capture_read(process, reader->which, position, &part);
			if (got)
				return got;
		}
		reader->which ^= 1;
		reader->limit = capture_window(process, reader->which).end;
	}
	return 0;
}

static bool has_more(const struct reader *reader, const struct process *process)
{
	for (int i = 0; i < 2; i++)
		if (capture_window(process, i).end != reader->position[i])
			return true;
	return false;
}

static struct capture *capture_of_handle(const struct handle *handle, struct process *process)
{
	return capture_of(manager_captures(handle->server->manager), process);
}

/* Result: the count, 0 at the end; -EAGAIN: what comes from now on will be told. */
static ssize_t take(struct handle *handle, struct process *process, const struct asked *asked, char *buffer)
{
	struct value room = { buffer, asked->size };
	handle_touch(handle);
	if (!(handle->row->flags & ROW_FOLLOWS))
		return read_one(handle, process, asked->offset, &room);
	if (handle->reader->resets != process->resets)
		return 0;
	bool ended = process->state == PROCESS_ENDED;
	ssize_t got = read_both(handle->reader, process, &room);
	if (got || ended)
		return got;
	struct capture *capture = capture_of_handle(handle, process);
	if (!capture)
		return -ENOMEM;
	capture_expect(capture);
	got = read_both(handle->reader, process, &room);
	return got ? got : -EAGAIN;
}

static void on_more(struct parked *parked, int outcome);

static int park(fuse_req_t request, struct handle *handle, struct process *process, const struct asked *asked)
{
	struct following *following = malloc(sizeof *following);
	if (!following)
		return -ENOMEM;
	following->handle = handle;
	following->asked = *asked;
	parked_init(&following->parked, &handle->server->parking, request, on_more);
	following->parked.unique = asked->unique;
	waiter_wait(&process->capture->readers, &following->parked.waiter);
	int error = parked_wait(&following->parked, -1);
	if (error)
		free(following);
	return error;
}

void follow_read(fuse_req_t request, struct handle *handle, struct process *process, struct asked asked)
{
	char *buffer = malloc(asked.size);
	ssize_t got = buffer ? take(handle, process, &asked, buffer) : -ENOMEM;
	if (got == -EAGAIN && !asked.at_once) {
		got = park(request, handle, process, &asked);
		if (!got) {
			free(buffer);
			return;
		}
	}
	if (got < 0)
		fuse_reply_err(request, (int)-got);
	else
		fuse_reply_buf(request, buffer, (size_t)got);
	free(buffer);
}

/* Told of a removal: there is nothing more to come. */
static void on_more(struct parked *parked, int outcome)
{
	struct following *following = (struct following *)parked;
	struct handle *handle = following->handle;
	struct asked asked = following->asked;
	fuse_req_t request = parked->request;
	free(following);
	struct process *process = outcome ? NULL : manager_by_id(handle->server->manager, handle->process);
	if (process)
		follow_read(request, handle, process, asked);
	else if (!outcome || outcome == -ESRCH)
		fuse_reply_buf(request, NULL, 0);
	else
		fuse_reply_err(request, -outcome);
}

unsigned follow_poll(struct handle *handle, struct process *process)
{
	struct capture *capture = capture_of_handle(handle, process);
	if (!capture)
		return POLLERR;
	if (process->state == PROCESS_ENDED || handle->reader->resets != process->resets)
		return POLLIN | POLLRDNORM | POLLHUP;
	capture_expect(capture);
	if (has_more(handle->reader, process))
		return POLLIN | POLLRDNORM;
	observer_watch(&capture->observers, &handle->observer);
	return 0;
}

off_t follow_size(const struct process *process, const struct row *row)
{
	uint64_t size = 0;
	for (int i = 0; i < 2; i++) {
		struct capture_window window = capture_window(process, i);
		if (row->captured & 1U << i)
			size += window.end - window.first;
	}
	return (off_t)size;
}

void follow_time(const struct process *process, const struct row *row, struct timespec *out)
{
	struct stat st;
	for (int i = 0; i < 2; i++)
		if (row->captured & 1U << i && process->output_fd[i] >= 0 && !fstat(process->output_fd[i], &st) && st.st_size &&
		    (st.st_mtim.tv_sec > out->tv_sec ||
		     (st.st_mtim.tv_sec == out->tv_sec && st.st_mtim.tv_nsec > out->tv_nsec)))
			*out = st.st_mtim;
}
