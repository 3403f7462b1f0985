/*
 * follow: reads of what is captured of a process's output: of a stream as a file, of both as a pipe.
 *
 * Each open has a place of its own. As a file, offset 0 is the first byte that was kept when it was opened; what is cut
 * off behind its back is skipped. As a pipe, a read waits for more, until the process has ended.
 *
 * Must not know: file names, how growth is noticed.
 */
#ifndef PROCFS_MP_FOLLOW_H
#define PROCFS_MP_FOLLOW_H

#include "fs/private.h"

/* Result: 0 or -ENOMEM. */
int follow_open(struct handle *handle, const struct process *process);
/* Replies at once or later. */
void follow_read(fuse_req_t request, struct handle *handle, struct process *process, struct asked asked);
/* Result: poll(2)'s events; 0: the handle's observer is called when there are some. */
unsigned follow_poll(struct handle *handle, struct process *process);

struct reader;
void follow_pack(const struct reader *reader, struct text *out);
/* Result: 0 and *out (free() frees); -EPROTO, -ENOMEM. */
int follow_unpack(struct record_reader *from, struct reader **out);

/* What stat shows: bytes kept, and when they were last added to (unchanged before). */
off_t follow_size(const struct process *process, const struct row *row);
void follow_time(const struct process *process, const struct row *row, struct timespec *out);

#endif
