#include "core/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory_file.h"

enum { PIECE = 64 << 10, CUT_PIECES = 4 };

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void close_queue(struct input *input)
{
	if (input->is_moving)
		LIST_REMOVE(input, moving);
	input->is_moving = false;
	if (input->queue_fd >= 0)
		close(input->queue_fd);
	input->queue_fd = -1;
}

static void close_input(struct input *input)
{
	int fd = input->fd;
	porter_forget(input->load);
	input->load = NULL;
	close_queue(input);
	if (fd < 0)
		return;
	uv_poll_stop(input->poll);
	uv_close((uv_handle_t *)input->poll, on_poll_closed);
	input->polling = input->full = false;
	input->fd = -1;
	if (input->on_closing)
		input->on_closing(input, fd);
	else
		close(fd);
}

static void tell(struct input *input)
{
	observers_tell(&input->observers);
	waiters_tell(&input->writers, 0);
}

/* ---- the queue ---- */

static int make_queue(struct input *input)
{
	input->end = input->kept = input->moved = input->unread = input->cut = 0;
	input->queue_fd = memfd_create("input", MFD_CLOEXEC);
	return input->queue_fd < 0 ? -errno : 0;
}

/* As many bytes wait in pipe and queue as the pipe alone would take in large writes: moving them changes nothing of that. What is
 * known of the pipe may be old: the program has read as much, or more; a pipe that can be written has room for a page at least.
 * Result: how many more may; -EPIPE: nobody reads. */
static ssize_t room_of(const struct input *input)
{
	struct pollfd pipe = { .fd = input->fd, .events = POLLOUT };
	short found = poll(&pipe, 1, 0) > 0 ? pipe.revents : 0;
	if (found & POLLERR)
		return -EPIPE;
	off_t waiting = input->unread + input->end - input->moved;
	off_t room = input->size > waiting ? input->size - waiting : 0;
	bool has_page = found & POLLOUT && input->moved == input->end;
	return has_page && room < PIPE_BUF ? PIPE_BUF : room;
}

/* As a pipe: what is not larger than PIPE_BUF is not divided. */
static bool is_room_enough(ssize_t room, size_t size)
{
	return (size_t)room >= (size < PIPE_BUF ? size : PIPE_BUF);
}

/* What is in the pipe is never written again: its pages are the queue's. Behind the end is nothing yet that was moved. */
static ssize_t append(struct input *input, const char *bytes, size_t size)
{
	ssize_t written = pwrite(input->queue_fd, bytes, size, input->end);
	if (written < 0)
		return -errno;
	process_touch(input->process);
	input->end += written;
	return written;
}

/* Only what the program has read: a cut may clear pages in the pipe, when they are part of a larger one. */
static void cut(struct input *input)
{
	off_t to = (input->moved - input->unread) & ~(off_t)(PIECE - 1);
	if (to - input->cut < CUT_PIECES * PIECE)
		return;
	memory_file_cut(input->queue_fd, (uint64_t)input->cut, (uint64_t)to);
	input->cut = to;
}

static void on_room(uv_poll_t *poll, int status, int events);

static void look_for_room(struct input *input)
{
	if (input->fd >= 0 && !input->polling)
		input->polling = !uv_poll_start(input->poll, UV_WRITABLE, on_room);
}

static void on_moved(void *context, const struct porter_wish *wish, const struct porter_result *result);

/* Also when there is nothing to be moved: how much the program has read is known then. */
static void begin_move(struct input *input)
{
	const struct porter_wish wish = {
		.kind = PORTER_MOVE, .fds = { input->queue_fd, input->fd }, .to = (uint64_t)input->kept,
		.on_done = on_moved, .context = input,
	};
	if (input->fd < 0 || input->queue_fd < 0 || input->load || input->full)
		return;
	if (porter_begin(input->porter, &wish, &input->load))
		look_for_room(input);
}

void input_move(struct input *input)
{
	input->kept = input->end;
	begin_move(input);
}

static void want_move(struct input *input)
{
	if (input->on_queued && input->fd >= 0)
		input->on_queued(input);
	else
		input_move(input);
}

/* Who looks for room has more to do before the end. */
static void end_if_over(struct input *input)
{
	if (input->ending && !input->polling && !input->load && LIST_EMPTY(&input->writers) && input->moved >= input->end)
		close_input(input);
}

/* ---- what was written before the start ---- */

/* Result: true when all of it is on its way, or nobody will read it. */
static bool send_first(struct input *input)
{
	char piece[PIECE];
	while (input->fd >= 0 && memory_file_size(input->process->stdin_fd) > (uint64_t)input->sent) {
		ssize_t room = room_of(input);
		if (room >= 0 && !is_room_enough(room, PIPE_BUF))
			return false;
		size_t most = room < PIECE ? (size_t)room : PIECE;
		ssize_t got = room < 0 ? 0 : pread(input->process->stdin_fd, piece, most, input->sent);
		ssize_t queued = got > 0 ? append(input, piece, (size_t)got) : 0;
		if (queued <= 0)
			return true;
		input->sent += queued;
	}
	return true;
}

/* Goes on with what waits, in this order: the first bytes, the writers, the end. */
static void proceed(struct input *input)
{
	bool first_sent = send_first(input);
	if (first_sent) {
		input->waited_for = false;
		tell(input);
	} else {
		look_for_room(input);
	}
	if (input->moved < input->end)
		want_move(input);
	if (first_sent)
		end_if_over(input);
}

static void on_moved(void *context, const struct porter_wish *wish, const struct porter_result *result)
{
	struct input *input = context;
	input->load = NULL;
	if (result->error) {
		look_for_room(input);
		return;
	}
	input->moved = (off_t)result->at;
	input->unread = (off_t)result->unread;
	input->size = (off_t)result->size;
	input->full = result->at < wish->to;
	if (input->full)
		look_for_room(input);
	cut(input);
	proceed(input);
}

static void on_room(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	struct input *input = poll->data;
	uv_poll_stop(poll);
	input->polling = input->full = false;
	want_move(input);
}

/* ---- the pipe ---- */

int input_adopt(struct input *input, int fd)
{
	int error = fcntl(fd, F_SETFL, O_NONBLOCK) ? -errno : 0;
	uv_poll_t *poll = error ? NULL : malloc(sizeof *poll);
	if (!error && !poll)
		error = -ENOMEM;
	if (!error)
		error = uv_poll_init(input->loop, poll, fd);
	if (error) {
		free(poll);
		return error;
	}
	poll->data = input;
	input->poll = poll;
	input->fd = fd;
	return 0;
}

/* Nobody else has it yet: its size can be asked for. */
static int make_pipe(struct input *input)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	int error = input_adopt(input, ends[1]);
	input->size = fcntl(ends[1], F_GETPIPE_SZ);
	if (!error)
		return ends[0];
	close(ends[0]);
	close(ends[1]);
	return error;
}

static struct input *input_of(uv_loop_t *loop, struct porter *porter, struct process *process)
{
	struct input *input = process->input;
	if (input)
		return input;
	input = calloc(1, sizeof *input);
	if (!input)
		return NULL;
	input->loop = loop;
	input->porter = porter;
	input->process = process;
	input->fd = input->queue_fd = -1;
	LIST_INIT(&input->writers);
	LIST_INIT(&input->observers);
	process->input = input;
	return input;
}

int input_open(uv_loop_t *loop, struct porter *porter, struct process *process)
{
	struct input *input = input_of(loop, porter, process);
	if (!input)
		return -ENOMEM;
	close_input(input);
	input->sent = 0;
	input->ending = input->waited_for = false;
	int error = make_queue(input);
	return error ? error : make_pipe(input);
}

int input_take(uv_loop_t *loop, struct porter *porter, struct process *process, const struct input_past *past)
{
	struct input *input = input_of(loop, porter, process);
	if (!input)
		return -ENOMEM;
	input->sent = past->sent;
	input->end = past->end;
	input->ending = past->ending;
	return 0;
}

void input_destroy(struct input *input)
{
	if (!input)
		return;
	close_input(input);
	free(input);
}

void input_begin(struct process *process)
{
	struct input *input = process->input;
	if (!input)
		return;
	/* A keeper that had no descriptor left for the queue has lost what was in it. */
	if (input->fd >= 0 && input->queue_fd < 0)
		make_queue(input);
	proceed(input);
}

void input_end(struct process *process)
{
	if (!process->input)
		return;
	close_input(process->input);
	tell(process->input);
}

/* ---- who writes ---- */

static int refuse_closed(const struct input *input, struct refusal *why)
{
	if (input->process->state == PROCESS_ENDED)
		return refuse(why, EPIPE, "the process has ended: nobody reads its input any more");
	if (input->fd < 0 || input->ending)
		return refuse(why, EPIPE, "its input was ended by eof");
	return refuse(why, EPIPE, "the process has closed its input");
}

int input_check(const struct input *input, struct refusal *why)
{
	return input->ending ? refuse_closed(input, why) : 0;
}

static bool is_first_sent(struct input *input)
{
	if (input->process->state != PROCESS_RUNNING || input->waited_for)
		return false;
	bool sent = send_first(input);
	if (input->moved < input->end)
		want_move(input);
	return sent;
}

ssize_t input_write(struct input *input, const char *bytes, size_t size, struct refusal *why)
{
	if (input->process->state == PROCESS_ENDED || (input->fd < 0 && input->process->state == PROCESS_RUNNING))
		return refuse_closed(input, why);
	if (!is_first_sent(input))
		return -EAGAIN;
	ssize_t room = room_of(input);
	if (room < 0)
		return refuse_closed(input, why);
	if (!is_room_enough(room, size))
		return -EAGAIN;
	ssize_t queued = append(input, bytes, size < (size_t)room ? size : (size_t)room);
	if (queued < 0)
		return refuse(why, (int)-queued, "cannot write to its input: %s", strerror((int)-queued));
	want_move(input);
	return queued;
}

/* While it is starting, input_begin or input_end will tell. */
void input_wait(struct input *input, struct waiter *waiter)
{
	waiter_wait(&input->writers, waiter);
	input->waited_for = true;
	if (input->process->state == PROCESS_RUNNING)
		look_for_room(input);
}

bool input_observe(struct input *input, struct observer *observer)
{
	if (input->fd < 0)
		return true;
	bool first_sent = is_first_sent(input);
	ssize_t room = room_of(input);
	if (first_sent && (room < 0 || is_room_enough(room, PIPE_BUF)))
		return true;
	observer_watch(&input->observers, observer);
	if (input->process->state == PROCESS_RUNNING)
		look_for_room(input);
	return false;
}

int input_finish(struct process *process, struct refusal *why)
{
	if (process->state == PROCESS_INITIAL)
		return refuse(why, ESRCH, "can only end the input of a started process");
	if (process->state == PROCESS_ENDED)
		return 0;
	if (!process->input || !process->configuration.stdin_open)
		return refuse(why, EINVAL, "its input has its end already: it is kept open when stdin_open is 1 before start");
	process_touch(process);
	process->input->ending = true;
	if (process->state == PROCESS_RUNNING)
		proceed(process->input);
	return 0;
}
