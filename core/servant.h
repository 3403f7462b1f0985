/*
 * servant: a child process of the server, for what the kernel may keep waiting uninterruptibly.
 *
 * Not a thread: while the kernel lets one wait it can't be killed, so that a killed server would never be dead, nor followed by
 * the next. A servant has nothing of the server's but a channel and what it is given, and ends with the server, or as soon as
 * the kernel lets it.
 *
 * Must not know: what it does.
 */
#ifndef PROCFS_MP_SERVANT_H
#define PROCFS_MP_SERVANT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { SERVANT_FDS = 2 };

struct servant {
	pid_t pid;
	int channel_fd; /* SOCK_SEQPACKET; its end is the servant's end, and the other way round */
};

struct servant_wish {
	const char *name; /* of its main thread (prctl(2), PR_SET_NAME) */
	char *word;       /* of this process's argv, what ps(1) shows: the servant overwrites its own; NULL: none */
	int fds[SERVANT_FDS]; /* for the servant, in this order; -1: none */
	/* In the servant, until the channel says the end; it does not return to who began it. */
	void (*serve)(int channel_fd, const int *fds);
};

/* While there is one thread and little memory. Result: 0 and *out, or socketpair's and fork's -errno. */
int servant_begin(const struct servant_wish *wish, struct servant *out);
/* Closes the channel. held: it may be waiting in the kernel, and ends by itself; if not it is killed, in whatever it is doing, and its
 * end waited for. */
void servant_end(const struct servant *servant, bool held);

#endif
