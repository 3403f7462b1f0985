/*
 * input: the standard input of a process that keeps it open: a pipe. What was written before the start goes in first,
 * then who writes while it runs, each as fast as the program reads.
 *
 * A callback must not remove the process.
 * Must not know: FUSE, who waits.
 */
#ifndef PROCFS_MP_INPUT_H
#define PROCFS_MP_INPUT_H

#include <uv.h>

#include "core/process.h"
#include "core/text.h"

struct input {
	uv_loop_t *loop;
	struct process *process;
	int fd;           /* to be written, never blocks; -1: closed */
	uv_poll_t *poll;  /* looks for room while somebody waits for it */
	bool polling;
	off_t sent;       /* of what was written before the start */
	bool ending;      /* closed when those who wait have written */
	void (*on_closed)(struct input *input); /* the pipe's end was closed; NULL: nobody is told */
	void *context;
	struct waiter_list writers; /* told when there is room, or nobody to read any more */
	struct observer_list observers; /* the same */
};

/* A new pipe for the next run. Result: the child's end (the caller closes it), or -errno. */
int input_open(uv_loop_t *loop, struct process *process);
/* Nobody may wait any more. NULL is allowed. */
void input_destroy(struct input *input);

/* In a new server: as it was left, but for the pipe. Result: 0, -ENOMEM. */
int input_take(uv_loop_t *loop, struct process *process, off_t sent, bool ending);
/* Then: its end of the pipe, if there is one. Result: 0; -ENOMEM or libuv's error, and fd stays the caller's. */
int input_adopt(struct input *input, int fd);

/* The program runs: it gets what was written before. */
void input_begin(struct process *process);
/* The program has ended, or never began: everybody is told. */
void input_end(struct process *process);

/* Before the first input_write of a write. Result: 0; -EPIPE with a sentence: eof came before it. */
int input_check(const struct input *input, struct refusal *why);
/* SIGPIPE is to be ignored by the process. Result: bytes taken; -EAGAIN: there is no room, wait; -EPIPE with a
 * sentence: nobody reads any more. */
ssize_t input_write(struct input *input, const char *bytes, size_t size, struct refusal *why);
void input_wait(struct input *input, struct waiter *waiter);
/* True when a write would not wait now; otherwise the observer is called when one may not. */
bool input_observe(struct input *input, struct observer *observer);

/* The verb: the program reads the end after what has been written. Again, or after its end: nothing.
 * Result: 0; -ESRCH before the start, -EINVAL when its input is not kept open, with a sentence. */
int input_finish(struct process *process, struct refusal *why);

#endif
