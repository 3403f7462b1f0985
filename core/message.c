#include "core/message.h"
#include "core/message_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/rights.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

enum { MESSAGE_FDS = MESSAGE_STREAMS + MESSAGE_HELD + 1 };

/* As struct message, without padding. */
struct message_wire {
	uint32_t kind;
	int32_t value;
	uint64_t generation;
	uint32_t index;
	uint32_t zero;
};

struct message_hold {
	uint32_t kind;
	uint32_t holding;
	uint64_t id;
};

union message_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
};

static int socket_error(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
	case ETOOMANYREFS:
		return -EAGAIN;
	case EPIPE:
	case ECONNRESET:
	case ECONNREFUSED:
	case ENOTCONN:
		return -EPIPE;
	default:
		return -error;
	}
}

int message_send(int socket_fd, const struct message *message)
{
	struct message_wire wire = {
		.kind = message->kind,
		.value = message->value,
		.generation = message->ref.generation,
		.index = message->ref.index,
	};
	ssize_t sent;

	do
		sent = send(socket_fd, &wire, sizeof(wire), MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? socket_error(errno) : 0;
}

void message_report(int socket_fd, struct ptable *table, const struct message *message)
{
	if (message_send(socket_fd, message) != -EAGAIN)
		return;
	ptable_set_overflow(table);
	/* Again, because the server may have emptied the socket and looked before the flag was set: either this one
	 * wakes it, or the socket was full after the flag was set, and it will look. */
	message_send(socket_fd, message);
}

int message_receive(int socket_fd, struct message *out)
{
	struct message_wire wire;
	ssize_t size;

	do
		size = recv(socket_fd, &wire, sizeof(wire), MSG_DONTWAIT | MSG_TRUNC);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return socket_error(errno);
	if (size == 0)
		return -EPIPE;
	if (size != sizeof(wire) || wire.kind < MESSAGE_STARTED || wire.kind > MESSAGE_SIGNAL ||
	    wire.index >= PTABLE_CAPACITY)
		return -EPROTO;
	out->kind = wire.kind;
	out->value = wire.value;
	out->ref = (struct ptable_ref){ wire.index, wire.generation };
	return 0;
}

static int move_to_memory(struct message_launch *launch)
{
	int memory_fd = memfd_create("launch", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (memory_fd < 0 && errno == EINVAL)
		memory_fd = memfd_create("launch", MFD_CLOEXEC);
	if (memory_fd < 0)
		return -errno;
	launch->memory_fd = memory_fd;
	for (size_t done = 0; done < launch->size;) {
		ssize_t written = pwrite(memory_fd, (char *)launch->bytes + done, launch->size - done, (off_t)done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return -ENOMEM;
		done += (size_t)written;
	}
	return 0;
}

static int duplicate_streams(struct message_launch *launch, const struct launch_spec *spec)
{
	const int fds[MESSAGE_STREAMS] = { spec->stdin_fd, spec->stdout_fd, spec->stderr_fd };

	for (int i = 0; i < MESSAGE_STREAMS; i++) {
		if (fds[i] == -1)
			continue;
		launch->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, MESSAGE_STREAMS);
		if (launch->fds[i] < 0)
			return -errno;
	}
	return 0;
}

int message_launch_init(struct message_launch *out, struct ptable_ref ref, const struct launch_spec *spec)
{
	struct message_launch launch = { .ref = ref, .memory_fd = -1, .fds = { -1, -1, -1 } };
	struct message_head head;
	int error = message_bytes_measure(&head, ref, spec);

	if (error)
		return error;
	launch.size = message_bytes_size(&head);
	launch.bytes = malloc(launch.size);
	if (!launch.bytes)
		return -ENOMEM;
	error = duplicate_streams(&launch, spec);
	if (error)
		goto finish;
	for (int i = 0; i < MESSAGE_STREAMS; i++)
		head.streams |= (uint32_t)(launch.fds[i] >= 0) << i;
	for (int i = 0; i < MESSAGE_HELD; i++) {
		launch.held_fds[i] = spec->held_fds[i];
		head.streams |= (uint32_t)(launch.held_fds[i] > 0) << (MESSAGE_STREAMS + i);
	}
	head.memory = launch.size > MESSAGE_INLINE_MAX;
	message_bytes_fill(launch.bytes, &head, spec);
	if (head.memory) {
		void *smaller;

		error = move_to_memory(&launch);
		if (error)
			goto finish;
		launch.size = sizeof(head);
		smaller = realloc(launch.bytes, launch.size);
		launch.bytes = smaller ? smaller : launch.bytes;
	}
	*out = launch;
	return 0;
finish:
	message_launch_finish(&launch);
	return error;
}

void message_launch_finish(struct message_launch *launch)
{
	free(launch->bytes);
	launch->bytes = NULL;
	for (int i = 0; i < MESSAGE_STREAMS; i++) {
		if (launch->fds[i] >= 0)
			close(launch->fds[i]);
		launch->fds[i] = -1;
	}
	if (launch->memory_fd >= 0)
		close(launch->memory_fd);
	launch->memory_fd = -1;
}

static int send_with(int socket_fd, struct iovec bytes, const int *fds, size_t count)
{
	int error = rights_send(socket_fd, bytes.iov_base, bytes.iov_len, fds, count);

	return error ? socket_error(-error) : 0;
}

int message_send_launch(int socket_fd, const struct message_launch *launch)
{
	int fds[MESSAGE_FDS];
	size_t count = 0;

	for (int i = 0; i < MESSAGE_STREAMS; i++)
		if (launch->fds[i] >= 0)
			fds[count++] = launch->fds[i];
	for (int i = 0; i < MESSAGE_HELD; i++)
		if (launch->held_fds[i] > 0)
			fds[count++] = launch->held_fds[i];
	if (launch->memory_fd >= 0)
		fds[count++] = launch->memory_fd;
	return send_with(socket_fd, (struct iovec){ launch->bytes, launch->size }, fds, count);
}

int message_send_hold(int socket_fd, const struct holding *holding)
{
	struct message_hold wire = { .kind = MESSAGE_HOLD, .holding = holding->kind, .id = holding->id };

	return send_with(socket_fd, (struct iovec){ &wire, sizeof(wire) }, &holding->fd, 1);
}

/* Descriptors in the order in which they came. */
struct received_fds {
	int fds[MESSAGE_FDS];
	size_t count;
};

static void close_received(struct received_fds *received)
{
	for (size_t i = 0; i < received->count; i++)
		close(received->fds[i]);
	received->count = 0;
}

static ssize_t receive_bytes(int socket_fd, void *bytes, struct received_fds *received, int *flags)
{
	union message_control control = { .bytes = { 0 } };
	struct iovec vector = { bytes, MESSAGE_INLINE_MAX };
	struct msghdr header = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t size = recvmsg(socket_fd, &header, MSG_CMSG_CLOEXEC);

	received->count = 0;
	if (size < 0)
		return socket_error(errno);
	*flags = header.msg_flags;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&header); at; at = CMSG_NXTHDR(&header, at)) {
		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		received->count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(received->fds, CMSG_DATA(at), received->count * sizeof(int));
	}
	return size;
}

/* Read, not mapped: what the other side still holds could be cut off under a mapping. */
static int decode_memory(int memory_fd, struct message_received_launch *out)
{
	struct stat stat;
	size_t size, done = 0;
	char *bytes;
	int error = -EPROTO;

	if (fstat(memory_fd, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_size > MESSAGE_LAUNCH_MAX)
		return -EPROTO;
	size = (size_t)stat.st_size;
	bytes = malloc(size ? size : 1);
	if (!bytes)
		return -ENOMEM;
	while (done < size) {
		ssize_t got = pread(memory_fd, bytes + done, size - done, (off_t)done);

		if (got <= 0)
			goto free_bytes;
		done += (size_t)got;
	}
	error = message_decode_launch(bytes, size, out);
free_bytes:
	free(bytes);
	return error;
}

static size_t count_fds(const struct message_head *head)
{
	return (size_t)__builtin_popcount(head->streams) + head->memory;
}

static void take_fds(struct launch_spec *spec, const struct message_head *head, const struct received_fds *received)
{
	int *const streams[MESSAGE_STREAMS] = { &spec->stdin_fd, &spec->stdout_fd, &spec->stderr_fd };
	size_t next = 0;

	for (int i = 0; i < MESSAGE_STREAMS; i++)
		if (head->streams & 1U << i)
			*streams[i] = received->fds[next++];
	for (int i = 0; i < MESSAGE_HELD; i++)
		if (head->streams & 1U << (MESSAGE_STREAMS + i))
			spec->held_fds[i] = received->fds[next++];
}

/* Result: 0 and what is to be held, -EPROTO. */
static int take_hold(const void *bytes, size_t size, const struct received_fds *received, struct holding *out)
{
	struct message_hold wire;

	if (size != sizeof(wire) || received->count != 1)
		return -EPROTO;
	memcpy(&wire, bytes, sizeof(wire));
	if (wire.holding >= HOLDING_KINDS)
		return -EPROTO;
	*out = (struct holding){ wire.id, (enum holding_kind)wire.holding, received->fds[0] };
	return 0;
}

static int take_launch(const char *bytes, size_t size, struct received_fds *received, struct message_received_launch *out)
{
	struct message_head head;
	int error;

	if (size < sizeof(head))
		return -EPROTO;
	memcpy(&head, bytes, sizeof(head));
	if (head.memory > 1 || head.streams >= 1U << (MESSAGE_STREAMS + MESSAGE_HELD) || count_fds(&head) != received->count)
		return -EPROTO;
	if (head.memory) {
		error = decode_memory(received->fds[--received->count], out);
		close(received->fds[received->count]);
	} else {
		error = message_decode_launch(bytes, size, out);
	}
	if (!error)
		take_fds(&out->spec, &head, received);
	return error;
}

/* Which launch it is about, in whatever state the rest is. */
static struct ptable_ref ref_in(const char *bytes, size_t size)
{
	struct message_head head;

	if (size < sizeof(head))
		return (struct ptable_ref){ PTABLE_COMMAND, 0 };
	memcpy(&head, bytes, sizeof(head));
	if (head.kind != MESSAGE_LAUNCH || head.index >= PTABLE_CAPACITY)
		return (struct ptable_ref){ PTABLE_COMMAND, 0 };
	return (struct ptable_ref){ head.index, head.generation };
}

static bool is_hold(const char *bytes, size_t size)
{
	uint32_t kind = 0;

	if (size >= sizeof(kind))
		memcpy(&kind, bytes, sizeof(kind));
	return kind == MESSAGE_HOLD;
}

int message_receive_launch(int socket_fd, struct message_received_launch *out)
{
	char bytes[MESSAGE_INLINE_MAX];
	struct received_fds received;
	int flags = 0, error;
	ssize_t size;

	*out = (struct message_received_launch){
		.ref = { PTABLE_COMMAND, 0 }, .hold.fd = -1, .spec = { .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1 },
	};
	size = receive_bytes(socket_fd, bytes, &received, &flags);
	if (size <= 0)
		return size < 0 ? (int)size : -EPIPE;
	out->is_hold = is_hold(bytes, (size_t)size);
	if (flags & (MSG_CTRUNC | MSG_TRUNC))
		error = flags & MSG_CTRUNC ? -EMFILE : -EPROTO;
	else if (out->is_hold)
		error = take_hold(bytes, (size_t)size, &received, &out->hold);
	else
		error = take_launch(bytes, (size_t)size, &received, out);
	if (!error)
		return 0;
	out->ref = ref_in(bytes, (size_t)size);
	close_received(&received);
	return error;
}

void message_received_launch_finish(struct message_received_launch *launch)
{
	int *const fds[MESSAGE_STREAMS] = { &launch->spec.stdin_fd, &launch->spec.stdout_fd, &launch->spec.stderr_fd };

	for (int i = 0; i < MESSAGE_STREAMS; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	for (int i = 0; i < MESSAGE_HELD; i++) {
		if (launch->spec.held_fds[i] > 0)
			close(launch->spec.held_fds[i]);
		launch->spec.held_fds[i] = 0;
	}
	if (launch->hold.fd >= 0)
		close(launch->hold.fd);
	launch->hold.fd = -1;
	free(launch->memory);
	launch->memory = NULL;
}
