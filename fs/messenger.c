#include "fs/messenger.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/kin.h"
#include "core/servant.h"
#include "core/text.h"

/* How many bytes of notifications go in one message. */
enum { MESSAGE_ROOM = 16384 };

/* What can be wanted at once also when there is no memory: a thousand notifications. */
enum { WANTED_ROOM = 65536, WANTED_MOST = 1 << 20 };

struct messenger {
	struct servant servant;
	struct text wanted; /* whole notifications, one behind the other; each begins with its length */
	size_t sent;        /* how much of it went out */
	unsigned under_way; /* messages that are not done */
};

/* ---- the other process ---- */

/* One that the kernel holds ends when the server that waits for this one has answered what it is held for. */
static void wait_for_the_one_before(int turn_fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	while (fcntl(turn_fd, F_SETLKW, &whole) && errno == EINTR)
		continue;
}

static size_t length_at(const char *notifications, size_t at)
{
	struct fuse_out_header header;
	memcpy(&header, notifications + at, sizeof header);
	return header.len;
}

/* The kernel knows nothing of many of the inodes, which is an error to it and none to us. */
static void tell(int fuse_fd, const char *notifications, size_t size)
{
	size_t length;
	for (size_t at = 0; at < size; at += length) {
		length = length_at(notifications, at);
		(void)!write(fuse_fd, notifications + at, length);
	}
}

enum { FUSE, TURN };

static void serve(int channel_fd, const int *fds)
{
	static char message[MESSAGE_ROOM];
	ssize_t size;
	wait_for_the_one_before(fds[TURN]);
	while ((size = recv(channel_fd, message, sizeof message, 0)) > 0) {
		tell(fds[FUSE], message, (size_t)size);
		if (send(channel_fd, "", 1, MSG_NOSIGNAL) < 0)
			break;
	}
}

/* ---- this one ---- */

/* Room for what is wanted also when there is no memory. Result: 0, -ENOMEM. */
static int reserve(struct messenger *messenger)
{
	static const char ROOM[WANTED_ROOM];
	text_append(&messenger->wanted, ROOM, sizeof ROOM);
	messenger->wanted.size = 0;
	return text_status(&messenger->wanted);
}

int messenger_create(int fuse_fd, int turn_fd, char *word, struct messenger **out)
{
	const struct servant_wish wish = {
		.name = "procfs-mp-msg", .word = word, .fds = { [FUSE] = fuse_fd, [TURN] = turn_fd }, .serve = serve,
	};
	struct messenger *messenger = calloc(1, sizeof *messenger);
	if (!messenger)
		return -ENOMEM;
	int error = reserve(messenger);
	if (!error)
		error = servant_begin(&wish, &messenger->servant);
	if (!error) {
		*out = messenger;
		return 0;
	}
	text_finish(&messenger->wanted);
	free(messenger);
	return error;
}

void messenger_destroy(struct messenger *messenger)
{
	if (!messenger)
		return;
	servant_end(&messenger->servant, messenger->under_way);
	text_finish(&messenger->wanted);
	free(messenger);
}

int messenger_fd(const struct messenger *messenger)
{
	return messenger->servant.channel_fd;
}

static int add(struct messenger *messenger, const struct iovec *parts, int count)
{
	struct text *wanted = &messenger->wanted;
	size_t before = wanted->size;
	for (int i = 0; i < count; i++)
		text_append(wanted, parts[i].iov_base, parts[i].iov_len);
	if (!text_status(wanted))
		return 0;
	wanted->failed = false;
	wanted->size = before;
	return -ENOMEM;
}

int messenger_drop(struct messenger *messenger, uint64_t inode)
{
	struct fuse_notify_inval_inode_out body = { .ino = inode };
	struct fuse_out_header header = { .len = sizeof header + sizeof body, .error = FUSE_NOTIFY_INVAL_INODE };
	return add(messenger, (struct iovec[]){ { &header, sizeof header }, { &body, sizeof body } }, 2);
}

int messenger_store(struct messenger *messenger, uint64_t inode, const char *bytes, size_t size)
{
	struct fuse_notify_store_out body = { .nodeid = inode, .size = (uint32_t)size };
	struct fuse_out_header header = { .len = (uint32_t)(sizeof header + sizeof body + size), .error = FUSE_NOTIFY_STORE };
	return add(messenger, (struct iovec[]){ { &header, sizeof header }, { &body, sizeof body },
						{ (char *)(uintptr_t)bytes, size } }, 3);
}

/* As many whole ones as fit. Result: 0, -EAGAIN, -EPIPE. */
static int send_some(struct messenger *messenger)
{
	const char *from = messenger->wanted.data + messenger->sent;
	size_t left = messenger->wanted.size - messenger->sent, size = 0;
	while (size < left && size + length_at(from, size) <= MESSAGE_ROOM)
		size += length_at(from, size);
	if (send(messenger->servant.channel_fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : -EPIPE;
	messenger->sent += size;
	messenger->under_way++;
	return 0;
}

int messenger_go_on(struct messenger *messenger)
{
	char done;
	ssize_t got;
	while ((got = recv(messenger->servant.channel_fd, &done, 1, MSG_DONTWAIT)) > 0)
		messenger->under_way--;
	int error = got == 0 || errno != EAGAIN ? -EPIPE : 0;
	while (!error && messenger->sent < messenger->wanted.size)
		error = send_some(messenger);
	if (error == -EPIPE)
		return error;
	if (messenger->sent == messenger->wanted.size) {
		messenger->wanted.size = messenger->sent = 0;
		if (messenger->wanted.room > WANTED_MOST) {
			text_finish(&messenger->wanted);
			(void)!reserve(messenger);
			messenger->wanted.failed = false;
		}
	}
	return messenger->under_way || messenger->wanted.size ? -EAGAIN : 0;
}

bool messenger_is_stopped(const struct messenger *messenger)
{
	return kin_is_stopped(messenger->servant.pid);
}
