/*
 * replies: what requests were answered, held back until what it tells is kept.
 *
 * A reply that was sent and not kept would be a promise that a new server does not know of; one that was kept and not sent is sent
 * again by the new server, when the kernel asks again. Must not know: what replies say.
 */
#ifndef PROCFS_MP_REPLIES_H
#define PROCFS_MP_REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/text.h"

/* Whole messages of the kernel's protocol, one behind the other; each begins with its length. */
struct replies {
	struct text queue;
	const struct iovec *urgent; /* the parts of one that found no memory in there, while it is kept and sent */
	int urgent_count;
	bool dropped; /* nobody wants them: the connection has had its INIT already */
};

/* Adds one that was gathered. Result: 0, -ENOMEM: it is to be sent at once. */
int replies_add(struct replies *replies, const struct iovec *parts, int count);

/* Sends all to the kernel. One that it does not want any more is nobody's. */
void replies_send(struct replies *replies, int fuse_fd);
/* The same of those behind the first bytes; the others are still held back. */
void replies_send_from(struct replies *replies, size_t first, int fuse_fd);

/* Sends the one with that unique again, if it is among them; asked_as: the unique by which the kernel asks now.
 * Result: whether it was. */
bool replies_repeat(const struct text *replies, uint64_t unique, uint64_t asked_as, int fuse_fd);

#endif
