/*
 * messenger: a process that tells the kernel what the kernel may let it wait for: that pages are to be dropped or replaced.
 *
 * Not the loop, which alone answers the reads that are being waited for, and not a thread of it (core/servant). The next server's
 * messenger begins after the end of the one before, so that no word of a dead server comes late. Must not know: which files, or why.
 */
#ifndef PROCFS_MP_MESSENGER_H
#define PROCFS_MP_MESSENGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct messenger;

/* While there is one thread and little memory. turn_fd: any file that all servers of a mount share, on which nobody else sets
 * locks (fcntl(2)). word: of this process's argv, what ps(1) shows: the messenger overwrites its own. Result: 0 and *out; -errno. */
int messenger_create(int fuse_fd, int turn_fd, char *word, struct messenger **out);
/* Waits for its end, unless the kernel holds it. NULL is allowed. */
void messenger_destroy(struct messenger *messenger);

/* Readable when something has been done. */
int messenger_fd(const struct messenger *messenger);

/* What is to be told next, in this order: that an inode's pages and attributes are no longer right; what it holds now. Nothing
 * is sent yet. Result: 0, -ENOMEM. */
int messenger_drop(struct messenger *messenger, uint64_t inode);
int messenger_store(struct messenger *messenger, uint64_t inode, const char *bytes, size_t size);

/* Sends what can be sent. Never waits. Result: 0: all has been done; -EAGAIN: not yet; -EPIPE: the messenger is gone, and what
 * it was to tell may have been told or not. */
int messenger_go_on(struct messenger *messenger);
/* By a signal, for as long as somebody likes: nothing is done meanwhile. */
bool messenger_is_stopped(const struct messenger *messenger);

#endif
