/*
 * handover: what the keeper tells a server that it executes, as bytes and back.
 *
 * Owns: its layout and the memory file that carries it, which nobody can write to any more (memfd_create(2),
 * F_SEAL_WRITE). Must not know: who executes whom.
 */
#ifndef PROCFS_MP_HANDOVER_H
#define PROCFS_MP_HANDOVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/share.h"
#include "core/text.h"

enum handover_fd {
	HANDOVER_FUSE,    /* /dev/fuse, of a mount that is there */
	HANDOVER_SOCKET,  /* the server's end of what keeper and server say to each other */
	HANDOVER_READY,   /* one byte is wanted here once INIT is answered */
	HANDOVER_TABLE,   /* core/ptable */
	HANDOVER_HOLDINGS, /* core/holdings; what is held comes under the numbers that the table tells */
	HANDOVER_JOURNAL, /* empty for the first server of a mount */
	HANDOVER_FDS,
};

struct handover {
	const char *mountpoint;     /* absolute, without symlinks */
	const char *base_directory; /* absolute */
	const char *options;        /* for libfuse's -o */
	const char *badness;        /* what the server's is to be (core/badness); empty: as it is */
	int fds[HANDOVER_FDS];
	mode_t umask;
	bool allow_other;
	bool debug;
	bool has_command;
	bool in_background;
	struct share_limits limits; /* of processes and bytes of each user */
	char *memory; /* what the strings point into after handover_read */
};

/* Result: 0 and *out, a close-on-exec descriptor that is the caller's; -ENOMEM, -EMFILE, -ENFILE. */
int handover_write(const struct handover *handover, int *out);

/* The way back, in the process that inherited the descriptor, which may be anything.
 * Result: 0 and *out (handover_finish frees); -EINVAL for what no keeper wrote and -EPROTO when what the keeper shares has
 * another layout (core/layout), both with a sentence; -ENOMEM. */
int handover_read(int fd, struct handover *out, struct refusal *why);
void handover_finish(struct handover *handover);

#endif
