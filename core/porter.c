#include "core/porter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/detached.h"
#include "core/memory_file.h"
#include "core/rights.h"
#include "core/servant.h"

enum { LISTENERS = 4, STACK = 128 << 10, TICK_MS = 20, REPLIES_AT_ONCE = 64 };

/* ---- what is said: both sides are one program ---- */

struct porter_load {
	struct porter_wish wish;
	LIST_ENTRY(porter_load) link;
	STAILQ_ENTRY(porter_load) wait; /* fds are its own, and it was not sent yet */
};

/* Without padding. */
struct order {
	struct porter_load *load;
	uint64_t kind;
	uint64_t to;
};

struct reply {
	struct porter_load *load;
	struct porter_result result;
};

union descriptors {
	char bytes[CMSG_SPACE(PORTER_FDS * sizeof(int))];
	struct cmsghdr align;
};

/* ---- the other process ---- */

/* What each thread has; behind these is what it was sent. */
enum { ORDERS_FD = STDERR_FILENO + 1, REPLIES_FD, OWN_FD };

static sem_t taken; /* an order, by a thread that listened */

static bool take_descriptors(const struct msghdr *message, int *fds)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);
	if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len <= CMSG_LEN(0))
		return false;
	memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	return !(message->msg_flags & MSG_CTRUNC);
}

struct load {
	struct order order;
	int fds[PORTER_FDS];
	bool complete; /* its descriptors are there */
};

/* Result: false at the end. */
static bool receive(struct load *out)
{
	union descriptors descriptors;
	struct iovec part = { &out->order, sizeof out->order };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &descriptors, .msg_controllen = sizeof descriptors };
	ssize_t size;
	do
		size = recvmsg(ORDERS_FD, &message, MSG_CMSG_CLOEXEC);
	while (size < 0 && (errno == EINTR || errno == ENOMEM || errno == ENOBUFS));
	out->fds[0] = out->fds[1] = -1;
	out->complete = size > 0 && take_descriptors(&message, out->fds);
	return size == sizeof out->order;
}

/* A thread of a porter whose server was killed may be in the middle of this, and is not done with it while it waits for the pipe. The
 * lock is its table of descriptors'; it ends with it. Result: 0; -ENOLCK, -ENOMEM: the two would move the same bytes. */
static int wait_for_the_one_before(int file_fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	while (fcntl(file_fd, F_SETLKW, &whole))
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* The kernel moves the description's offset with the bytes: whoever dies, what is before it is in the pipe. */
static void move(const struct load *load, struct porter_result *out)
{
	int from = load->fds[0], to = load->fds[1], unread = 0, size;
	off_t at, end = (off_t)load->order.to;
	out->error = wait_for_the_one_before(from);
	if (out->error)
		return;
	while ((at = lseek(from, 0, SEEK_CUR)) < end) {
		ssize_t moved = splice(from, NULL, to, NULL, (size_t)(end - at), SPLICE_F_NONBLOCK);
		if (moved < 0 && errno == EAGAIN)
			break;
		if (moved <= 0)
			lseek(from, end, SEEK_SET);
	}
	size = fcntl(to, F_GETPIPE_SZ);
	if (ioctl(to, FIONREAD, &unread))
		unread = 0;
	*out = (struct porter_result){ .at = (uint64_t)at, .unread = (uint64_t)unread, .size = size < 0 ? 0 : (uint64_t)size };
}

/* What begins anew after a truncation is not to be cut. When it fails more is kept than was asked for, and nothing else is to be
 * done. */
static void cut(const struct load *load, struct porter_result *out)
{
	struct stat st;
	(void)out;
	if (!fstat(load->fds[0], &st) && (uint64_t)st.st_size >= load->order.to)
		(void)memory_file_cut(load->fds[0], 0, load->order.to);
}

static void wait_to_be_last(const struct load *load, struct porter_result *out)
{
	struct pollfd others = { .fd = load->fds[1] };
	(void)out;
	while (poll(&others, 1, -1) < 0 && errno == EINTR)
		continue;
}

static void (*const WORK[PORTER_KINDS])(const struct load *load, struct porter_result *out) = {
	[PORTER_MOVE] = move,
	[PORTER_CUT] = cut,
	[PORTER_CLOSE] = wait_to_be_last,
};

static void work(const struct load *load)
{
	struct reply reply = { .load = load->order.load };
	if (load->complete)
		WORK[load->order.kind](load, &reply.result);
	else
		reply.result.error = -EMFILE;
	for (int i = 0; i < PORTER_FDS; i++)
		if (load->fds[i] >= 0)
			close(load->fds[i]);
	while (write(REPLIES_FD, &reply, sizeof reply) < 0 && (errno == EINTR || errno == ENOMEM))
		continue;
}

/* Each has its own table of descriptors: what one holds while it waits has nothing to do with the end of another. Nor has it the
 * channel then: it would keep, whoever is killed, what nobody has taken from there, the pipes of others. So it takes no second order. */
static void *take_and_work(void *unused)
{
	struct load load;
	(void)unused;
	while (close_range(OWN_FD, ~0U, CLOSE_RANGE_UNSHARE) && errno == ENOMEM)
		continue;
	if (!receive(&load))
		_exit(0);
	close(ORDERS_FD);
	sem_post(&taken);
	work(&load);
	return NULL;
}

/* Result: false after a moment in which none was. */
static bool wait_until_taken(void)
{
	struct timespec limit;
	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_nsec += TICK_MS * 1000000;
	if (limit.tv_nsec >= 1000000000) {
		limit.tv_sec++;
		limit.tv_nsec -= 1000000000;
	}
	return sem_clockwait(&taken, CLOCK_MONOTONIC, &limit) == 0;
}

/* Where threads lack there may be some in a moment. */
static _Noreturn void keep_listeners(void)
{
	for (int listening = 0;;) {
		while (listening < LISTENERS && detached_begin(STACK, take_and_work, NULL) == 0)
			listening++;
		bool one = listening < LISTENERS ? wait_until_taken() : sem_wait(&taken) == 0;
		listening -= one;
	}
}

enum { LIFE, REPLIES };

/* This thread never waits for anything else: what its table alone has, the life, is closed when the process is killed, whatever the
 * others are held by. */
static void serve(int channel_fd, const int *fds)
{
	int life_fd = fcntl(fds[LIFE], F_DUPFD_CLOEXEC, OWN_FD);
	int replies_fd = fcntl(fds[REPLIES], F_DUPFD_CLOEXEC, OWN_FD);
	if (life_fd < 0 || replies_fd < 0 || dup2(channel_fd, ORDERS_FD) < 0 || dup2(replies_fd, REPLIES_FD) < 0)
		return;
	sem_init(&taken, 0, 0);
	keep_listeners();
}

/* ---- this one ---- */

struct porter {
	struct servant servant;
	int replies_fd, life_fd; /* life: hung up when it has died */
	uv_poll_t replies, life, room;
	void (*on_gone)(void *context);
	void *context;
	unsigned under_way;
	LIST_HEAD(, porter_load) loads;
	STAILQ_HEAD(, porter_load) waiting; /* for room in the channel */
};

static void close_both(const int *ends)
{
	close(ends[0]);
	close(ends[1]);
}

int porter_create(char *word, struct porter **out)
{
	int life[2], replies[2];
	struct porter *porter = calloc(1, sizeof *porter);
	if (!porter)
		return -ENOMEM;
	int error = pipe2(life, O_CLOEXEC) ? -errno : 0;
	if (error)
		goto free_porter;
	error = pipe2(replies, O_CLOEXEC) ? -errno : 0;
	if (error)
		goto close_life;
	const struct servant_wish wish = {
		.name = "procfs-mp-port", .word = word, .fds = { [LIFE] = life[1], [REPLIES] = replies[1] }, .serve = serve,
	};
	error = servant_begin(&wish, &porter->servant);
	if (error)
		goto close_replies;
	close(life[1]);
	close(replies[1]);
	porter->life_fd = life[0];
	porter->replies_fd = replies[0];
	LIST_INIT(&porter->loads);
	STAILQ_INIT(&porter->waiting);
	*out = porter;
	return 0;
close_replies:
	close_both(replies);
close_life:
	close_both(life);
free_porter:
	free(porter);
	return error;
}

/* Result: 0, -EAGAIN: there is no room; -EPIPE. */
static int send_order(const struct porter *porter, struct porter_load *load)
{
	const struct porter_wish *wish = &load->wish;
	const struct order order = { .load = load, .kind = wish->kind, .to = wish->to };
	size_t count = wish->fds[1] < 0 ? 1 : PORTER_FDS;
	int error = rights_send(porter->servant.channel_fd, &order, sizeof order, wish->fds, count);
	return !error ? 0 : error == -EPIPE || error == -ECONNRESET ? -EPIPE : -EAGAIN;
}

static void close_own(struct porter_load *load)
{
	for (int i = 0; i < PORTER_FDS; i++)
		if (load->wish.fds[i] >= 0)
			close(load->wish.fds[i]);
}

static int duplicate(struct porter_load *load)
{
	struct porter_wish *wish = &load->wish;
	int theirs[PORTER_FDS], error = 0;
	memcpy(theirs, wish->fds, sizeof theirs);
	for (int i = 0; i < PORTER_FDS; i++) {
		wish->fds[i] = theirs[i] < 0 || error ? -1 : fcntl(theirs[i], F_DUPFD_CLOEXEC, 0);
		if (theirs[i] >= 0 && wish->fds[i] < 0)
			error = -EMFILE;
	}
	if (error)
		close_own(load);
	return error;
}

static void on_room(uv_poll_t *poll, int status, int events)
{
	struct porter *porter = poll->data;
	struct porter_load *load;
	(void)status;
	(void)events;
	while ((load = STAILQ_FIRST(&porter->waiting)) && send_order(porter, load) != -EAGAIN) {
		STAILQ_REMOVE_HEAD(&porter->waiting, wait);
		close_own(load);
	}
	if (!load)
		uv_poll_stop(poll);
}

static void take_reply(struct porter *porter, const struct reply *reply)
{
	struct porter_load *load = reply->load;
	LIST_REMOVE(load, link);
	porter->under_way--;
	if (load->wish.on_done)
		load->wish.on_done(load->wish.context, &load->wish, &reply->result);
	free(load);
}

static void on_replies(uv_poll_t *poll, int status, int events)
{
	struct porter *porter = poll->data;
	struct reply replies[REPLIES_AT_ONCE];
	(void)status;
	(void)events;
	/* None is divided: each was one write to a pipe. */
	ssize_t size = read(porter->replies_fd, replies, sizeof replies);
	for (size_t i = 0; size > 0 && i < (size_t)size / sizeof *replies; i++)
		take_reply(porter, &replies[i]);
	if (size == 0)
		uv_poll_stop(poll); /* on_life() tells */
}

static void on_life(uv_poll_t *poll, int status, int events)
{
	struct porter *porter = poll->data;
	(void)status;
	(void)events;
	uv_poll_stop(poll);
	porter->on_gone(porter->context);
}

static void close_poll(uv_poll_t *poll)
{
	if (poll->data)
		uv_close((uv_handle_t *)poll, NULL);
	poll->data = NULL;
}

static int open_poll(struct porter *porter, uv_loop_t *loop, uv_poll_t *poll, int fd)
{
	int error = uv_poll_init(loop, poll, fd);
	poll->data = error ? NULL : porter;
	return error;
}

int porter_attach(struct porter *porter, uv_loop_t *loop, void (*on_gone)(void *context), void *context)
{
	porter->on_gone = on_gone;
	porter->context = context;
	int error = open_poll(porter, loop, &porter->replies, porter->replies_fd);
	if (!error)
		error = open_poll(porter, loop, &porter->life, porter->life_fd);
	if (!error)
		error = open_poll(porter, loop, &porter->room, porter->servant.channel_fd);
	if (!error)
		error = uv_poll_start(&porter->replies, UV_READABLE, on_replies);
	if (!error)
		error = uv_poll_start(&porter->life, UV_READABLE, on_life);
	if (error)
		porter_detach(porter);
	return error;
}

void porter_detach(struct porter *porter)
{
	close_poll(&porter->replies);
	close_poll(&porter->life);
	close_poll(&porter->room);
}

void porter_destroy(struct porter *porter)
{
	struct porter_load *load;
	if (!porter)
		return;
	servant_end(&porter->servant, porter->under_way);
	close(porter->life_fd);
	close(porter->replies_fd);
	STAILQ_FOREACH(load, &porter->waiting, wait)
		close_own(load);
	while ((load = LIST_FIRST(&porter->loads))) {
		LIST_REMOVE(load, link);
		free(load);
	}
	free(porter);
}

int porter_begin(struct porter *porter, const struct porter_wish *wish, struct porter_load **out)
{
	struct porter_load *load = malloc(sizeof *load);
	if (!load)
		return -ENOMEM;
	load->wish = *wish;
	bool waits = !STAILQ_EMPTY(&porter->waiting) || send_order(porter, load) == -EAGAIN;
	if (waits && duplicate(load)) {
		free(load);
		return -EMFILE;
	}
	if (waits) {
		STAILQ_INSERT_TAIL(&porter->waiting, load, wait);
		uv_poll_start(&porter->room, UV_WRITABLE, on_room);
	}
	LIST_INSERT_HEAD(&porter->loads, load, link);
	porter->under_way++;
	if (out)
		*out = load;
	return 0;
}

void porter_forget(struct porter_load *load)
{
	if (load)
		load->wish.on_done = NULL;
}
