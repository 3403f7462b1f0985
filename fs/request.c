#include "fs/request.h"

#include <string.h>

#include <fuse_lowlevel.h>

/* struct fuse_in_header of the kernel's include/uapi/linux/fuse.h. */
struct header {
	uint32_t length, opcode;
	uint64_t unique, node;
	uint32_t uid, gid, pid, padding;
};

/* struct fuse_poll_in. */
struct poll_body {
	uint64_t handle, poll;
	uint32_t flags, events;
};

enum { OPCODE_POLL = 40, POLL_SCHEDULE_NOTIFY = 1 << 0 };

/* FUSE_UNIQUE_RESEND (Linux 6.9). */
static const uint64_t RESENT = UINT64_C(1) << 63;

void request_look(const struct fuse_buf *buffer, struct request_facts *out)
{
	struct header header;
	struct poll_body body;
	*out = (struct request_facts){0};
	if ((buffer->flags & FUSE_BUF_IS_FD) || buffer->size < sizeof header)
		return;
	memcpy(&header, buffer->mem, sizeof header);
	out->opcode = header.opcode;
	out->unique = header.unique & ~RESENT;
	out->resent = header.unique & RESENT;
	if (header.opcode != OPCODE_POLL || buffer->size < sizeof header + sizeof body)
		return;
	memcpy(&body, (const char *)buffer->mem + sizeof header, sizeof body);
	out->poll = body.flags & POLL_SCHEDULE_NOTIFY ? body.poll : 0;
}
