#include "core/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 << 10 };

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void close_input(struct input *input)
{
	if (input->fd < 0)
		return;
	uv_poll_stop(input->poll);
	uv_close((uv_handle_t *)input->poll, on_poll_closed);
	input->polling = false;
	close(input->fd);
	input->fd = -1;
	if (input->on_closed)
		input->on_closed(input);
}

static void tell(struct input *input)
{
	observers_tell(&input->observers);
	waiters_tell(&input->writers, 0);
}

/* ---- what was written before the start ---- */

/* Result: true when all of it is in the pipe, or nobody will read it. */
static bool send_first(struct input *input)
{
	char piece[PIECE];
	while (input->fd >= 0 && input->process->stdin_fd >= 0) {
		ssize_t got = pread(input->process->stdin_fd, piece, sizeof piece, input->sent);
		if (got <= 0)
			return true;
		ssize_t written = write(input->fd, piece, (size_t)got);
		if (written < 0)
			return errno != EAGAIN;
		input->sent += written;
		process_touch(input->process);
	}
	return true;
}

static void on_room(uv_poll_t *poll, int status, int events);

static void look_for_room(struct input *input)
{
	if (input->fd >= 0 && !input->polling)
		input->polling = !uv_poll_start(input->poll, UV_WRITABLE, on_room);
}

/* Goes on with what waits, in this order: the first bytes, the writers, the end. */
static void proceed(struct input *input)
{
	if (!send_first(input)) {
		look_for_room(input);
		return;
	}
	tell(input);
	if (input->ending && LIST_EMPTY(&input->writers))
		close_input(input);
}

static void on_room(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	struct input *input = poll->data;
	uv_poll_stop(poll);
	input->polling = false;
	proceed(input);
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

static int make_pipe(struct input *input)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	int error = input_adopt(input, ends[1]);
	if (!error)
		return ends[0];
	close(ends[0]);
	close(ends[1]);
	return error;
}

static struct input *input_of(uv_loop_t *loop, struct process *process)
{
	struct input *input = process->input;
	if (input)
		return input;
	input = calloc(1, sizeof *input);
	if (!input)
		return NULL;
	input->loop = loop;
	input->process = process;
	input->fd = -1;
	LIST_INIT(&input->writers);
	LIST_INIT(&input->observers);
	process->input = input;
	return input;
}

int input_open(uv_loop_t *loop, struct process *process)
{
	struct input *input = input_of(loop, process);
	if (!input)
		return -ENOMEM;
	close_input(input);
	input->sent = 0;
	input->ending = false;
	return make_pipe(input);
}

int input_take(uv_loop_t *loop, struct process *process, off_t sent, bool ending)
{
	struct input *input = input_of(loop, process);
	if (!input)
		return -ENOMEM;
	input->sent = sent;
	input->ending = ending;
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
	if (process->input)
		proceed(process->input);
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
	return input->process->state == PROCESS_RUNNING && !input->polling && send_first(input);
}

ssize_t input_write(struct input *input, const char *bytes, size_t size, struct refusal *why)
{
	if (input->process->state == PROCESS_ENDED || (input->fd < 0 && input->process->state == PROCESS_RUNNING))
		return refuse_closed(input, why);
	if (!is_first_sent(input))
		return -EAGAIN;
	ssize_t written = write(input->fd, bytes, size);
	if (written >= 0)
		return written;
	if (errno == EAGAIN)
		return -EAGAIN;
	return errno == EPIPE ? refuse_closed(input, why) : refuse(why, errno, "cannot write to its input: %s", strerror(errno));
}

/* While it is starting, input_begin or input_end will tell. */
void input_wait(struct input *input, struct waiter *waiter)
{
	waiter_wait(&input->writers, waiter);
	if (input->process->state == PROCESS_RUNNING)
		look_for_room(input);
}

bool input_observe(struct input *input, struct observer *observer)
{
	struct pollfd pipe = { .fd = input->fd, .events = POLLOUT };
	if (input->fd < 0 || (is_first_sent(input) && poll(&pipe, 1, 0) > 0))
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
