#include "core/porter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/detached.h"
#include "core/memory_file.h"
#include "core/rights.h"
#include "core/servant.h"

enum { CHANNEL_FD = STDERR_FILENO + 1, SPARE_THREADS = 2, STACK = 128 << 10 };

/* ---- what is said: both sides are one program ---- */

struct porter_load {
	struct porter_wish wish;
	LIST_ENTRY(porter_load) link;
	STAILQ_ENTRY(porter_load) wait; /* fds are its own, and it was not sent yet */
};

struct order {
	struct porter_load *load;
	enum porter_kind kind;
	uint64_t to;
	int fds[PORTER_FDS];
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

static atomic_int idle;

static bool take_descriptors(const struct msghdr *message, int *fds)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);
	if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len <= CMSG_LEN(0))
		return false;
	memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	return !(message->msg_flags & MSG_CTRUNC);
}

/* Result: 1, 0 at the end; *complete: whether its descriptors are there. */
static int receive(struct order *out, bool *complete)
{
	union descriptors descriptors;
	struct iovec part = { out, sizeof *out };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &descriptors, .msg_controllen = sizeof descriptors };
	ssize_t size;
	do
		size = recvmsg(CHANNEL_FD, &message, MSG_CMSG_CLOEXEC);
	while (size < 0 && (errno == EINTR || errno == ENOMEM || errno == ENOBUFS));
	out->fds[0] = out->fds[1] = -1;
	*complete = size > 0 && take_descriptors(&message, out->fds);
	return size == sizeof *out;
}

/* A thread of a porter whose server was killed may be in the middle of this, and is not done with it while it waits for the pipe. The
 * lock is its table of descriptors'; it ends with it. */
static void wait_for_the_one_before(int file_fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	while (fcntl(file_fd, F_SETLKW, &whole) && errno == EINTR)
		continue;
}

/* The kernel moves the description's offset with the bytes: whoever dies, what is before it is in the pipe. */
static void move(const struct order *order, struct porter_result *out)
{
	int from = order->fds[0], to = order->fds[1], unread = 0, size;
	off_t at, end = (off_t)order->to;
	wait_for_the_one_before(from);
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
static void cut(const struct order *order, struct porter_result *out)
{
	struct stat st;
	(void)out;
	if (!fstat(order->fds[0], &st) && (uint64_t)st.st_size >= order->to)
		(void)memory_file_cut(order->fds[0], 0, order->to);
}

static void wait_to_be_last(const struct order *order, struct porter_result *out)
{
	struct pollfd others = { .fd = order->fds[1] };
	(void)out;
	while (poll(&others, 1, -1) < 0 && errno == EINTR)
		continue;
}

static void (*const WORK[PORTER_KINDS])(const struct order *order, struct porter_result *out) = {
	[PORTER_MOVE] = move,
	[PORTER_CUT] = cut,
	[PORTER_CLOSE] = wait_to_be_last,
};

static void work(const struct order *order, bool complete)
{
	struct reply reply = { .load = order->load };
	if (complete)
		WORK[order->kind](order, &reply.result);
	else
		reply.result.error = -EMFILE;
	for (int i = 0; i < PORTER_FDS; i++)
		if (order->fds[i] >= 0)
			close(order->fds[i]);
	while (send(CHANNEL_FD, &reply, sizeof reply, MSG_NOSIGNAL) < 0 && (errno == EINTR || errno == ENOMEM || errno == ENOBUFS))
		continue;
}

static int add_thread(void);

/* Whoever takes an order sees that somebody listens for the next. Each has its own table of descriptors: what one holds while it waits
 * has nothing to do with the end of another. */
static void *listen_and_work(void *unused)
{
	struct order order;
	bool complete;
	(void)unused;
	close_range(CHANNEL_FD + 1, ~0U, CLOSE_RANGE_UNSHARE);
	while (receive(&order, &complete)) {
		if (atomic_fetch_sub(&idle, 1) == 1)
			(void)add_thread();
		work(&order, complete);
		/* Who leaves was never counted: whoever takes the last order that there is a listener for must see it. */
		if (atomic_load(&idle) >= SPARE_THREADS)
			return NULL;
		atomic_fetch_add(&idle, 1);
	}
	_exit(0);
}

static int add_thread(void)
{
	atomic_fetch_add(&idle, 1);
	int error = detached_begin(STACK, listen_and_work, NULL);
	if (error)
		atomic_fetch_sub(&idle, 1);
	return error;
}

/* This thread never waits for anything else: what its table alone has, fds[0], is closed when the process is killed, whatever the
 * others are held by. */
static void serve(int channel_fd, const int *fds)
{
	int life_fd = fcntl(fds[0], F_DUPFD_CLOEXEC, CHANNEL_FD + 1);
	dup2(channel_fd, CHANNEL_FD);
	if (life_fd < 0 || add_thread())
		return;
	for (;;)
		pause();
}

/* ---- this one ---- */

struct porter {
	struct servant servant;
	int life_fd; /* hung up when it has died */
	uv_poll_t poll, life;
	bool attached;
	void (*on_gone)(void *context);
	void *context;
	unsigned under_way;
	LIST_HEAD(, porter_load) loads;
	STAILQ_HEAD(, porter_load) waiting; /* for room in the channel */
};

int porter_create(char *word, struct porter **out)
{
	int ends[2];
	struct porter *porter = calloc(1, sizeof *porter);
	if (!porter)
		return -ENOMEM;
	int error = pipe2(ends, O_CLOEXEC) ? -errno : 0;
	if (error)
		goto free_porter;
	const struct servant_wish wish = { .name = "procfs-mp-port", .word = word, .fds = { ends[1], -1 }, .serve = serve };
	error = servant_begin(&wish, &porter->servant);
	close(ends[1]);
	if (error)
		goto close_life;
	porter->life_fd = ends[0];
	LIST_INIT(&porter->loads);
	STAILQ_INIT(&porter->waiting);
	*out = porter;
	return 0;
close_life:
	close(ends[0]);
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

static void on_channel(uv_poll_t *poll, int status, int events);

static int look(struct porter *porter)
{
	int events = UV_READABLE | (STAILQ_EMPTY(&porter->waiting) ? 0 : UV_WRITABLE);
	return uv_poll_start(&porter->poll, events, on_channel);
}

static void send_waiting(struct porter *porter)
{
	struct porter_load *load;
	while ((load = STAILQ_FIRST(&porter->waiting)) && send_order(porter, load) != -EAGAIN) {
		STAILQ_REMOVE_HEAD(&porter->waiting, wait);
		close_own(load);
	}
	if (STAILQ_EMPTY(&porter->waiting))
		look(porter);
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

static void on_channel(uv_poll_t *poll, int status, int events)
{
	struct porter *porter = poll->data;
	struct reply reply;
	ssize_t size;
	(void)status;
	while ((size = recv(porter->servant.channel_fd, &reply, sizeof reply, MSG_DONTWAIT)) == sizeof reply)
		take_reply(porter, &reply);
	if (size >= 0 || errno != EAGAIN)
		uv_poll_stop(poll); /* on_life() tells */
	else if (events & UV_WRITABLE)
		send_waiting(porter);
}

static void on_life(uv_poll_t *poll, int status, int events)
{
	struct porter *porter = poll->data;
	(void)status;
	(void)events;
	uv_poll_stop(poll);
	porter->on_gone(porter->context);
}

int porter_attach(struct porter *porter, uv_loop_t *loop, void (*on_gone)(void *context), void *context)
{
	int error = uv_poll_init(loop, &porter->poll, porter->servant.channel_fd);
	if (error)
		return error;
	error = uv_poll_init(loop, &porter->life, porter->life_fd);
	if (error) {
		uv_close((uv_handle_t *)&porter->poll, NULL);
		return error;
	}
	porter->attached = true;
	porter->poll.data = porter->life.data = porter;
	porter->on_gone = on_gone;
	porter->context = context;
	error = uv_poll_start(&porter->life, UV_READABLE, on_life);
	return error ? error : look(porter);
}

void porter_detach(struct porter *porter)
{
	if (porter->attached) {
		uv_close((uv_handle_t *)&porter->poll, NULL);
		uv_close((uv_handle_t *)&porter->life, NULL);
	}
	porter->attached = false;
}

void porter_destroy(struct porter *porter)
{
	struct porter_load *load;
	if (!porter)
		return;
	servant_end(&porter->servant, porter->under_way);
	close(porter->life_fd);
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
		look(porter);
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
