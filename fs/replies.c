#include "fs/replies.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

int replies_add(struct replies *replies, const struct iovec *parts, int count)
{
	size_t before = replies->queue.size;
	for (int i = 0; i < count; i++)
		text_append(&replies->queue, parts[i].iov_base, parts[i].iov_len);
	if (!text_status(&replies->queue))
		return 0;
	replies->queue.failed = false;
	replies->queue.size = before;
	return -ENOMEM;
}

/* Result: the one at *at, and *at behind it; NULL at the end. */
static const char *next(const struct text *replies, size_t *at, struct fuse_out_header *header)
{
	if (replies->size - *at < sizeof *header)
		return NULL;
	const char *reply = replies->data + *at;
	memcpy(header, reply, sizeof *header);
	if (header->len < sizeof *header || header->len > replies->size - *at)
		return NULL;
	*at += header->len;
	return reply;
}

void replies_send_from(struct replies *replies, size_t first, int fuse_fd)
{
	struct fuse_out_header header;
	const char *reply;
	for (size_t at = first; (reply = next(&replies->queue, &at, &header));)
		(void)!write(fuse_fd, reply, header.len);
	replies->queue.size = first;
}

void replies_send(struct replies *replies, int fuse_fd)
{
	replies_send_from(replies, 0, fuse_fd);
}

bool replies_repeat(const struct text *replies, uint64_t unique, uint64_t asked_as, int fuse_fd)
{
	struct fuse_out_header header;
	const char *reply;
	for (size_t at = 0; (reply = next(replies, &at, &header));) {
		if ((header.unique & ~(UINT64_C(1) << 63)) != unique)
			continue;
		header.unique = asked_as;
		struct iovec parts[] = { { &header, sizeof header },
					 { (char *)(uintptr_t)reply + sizeof header, header.len - sizeof header } };
		(void)!writev(fuse_fd, parts, 2);
		return true;
	}
	return false;
}
