/*
 * input: the standard input of a process that keeps it open: a pipe. What was written before the start goes in first,
 * then who writes while it runs, each as fast as the program reads.
 *
 * Bytes go into a queue, a file in memory, at an end that is kept with what their writer is told. Once it is kept they
 * are moved into the pipe; how far is told by the offset of the queue's description, which the keeper holds too: so none
 * is lost or moved twice when the server dies. Nothing is asked of the pipe here but whether it can be written, which needs no
 * lock: all else is the porter's, since the program can hold the pipe for as long as it likes.
 *
 * A callback must not remove the process.
 * Must not know: FUSE, who waits.
 */
#ifndef PROCFS_MP_INPUT_H
#define PROCFS_MP_INPUT_H

#include <uv.h>

#include "core/porter.h"
#include "core/process.h"
#include "core/text.h"

enum { INPUT_DESCRIPTORS = 2 }; /* of ours, while it is open */

struct input {
	uv_loop_t *loop;
	struct porter *porter;
	struct process *process;
	int fd;           /* to be written, by the porter; -1: closed */
	uv_poll_t *poll;  /* looks for room while somebody waits for it */
	bool polling;
	off_t sent;       /* of what was written before the start */
	int queue_fd;     /* from its description's offset on: to be moved into the pipe; -1: closed with it */
	off_t end;        /* of the queue */
	off_t kept;       /* as far may be moved */
	off_t moved, unread, size; /* the offset; bytes in the pipe; how many there may be: as the porter has found them last */
	struct porter_load *load;  /* moves */
	bool full;        /* the pipe was then: poll tells when it is not any more */
	off_t cut;        /* memory before it was given back */
	bool waited_for;  /* who writes now waits behind those who do */
	bool ending;      /* closed when those who wait have written */
	void (*on_closing)(struct input *input, int fd); /* it closes the pipe's end; NULL: we do */
	/* input_move() is to be called, once what is in the queue is kept; NULL: it is moved at once */
	void (*on_queued)(struct input *input);
	void *context;
	LIST_ENTRY(input) moving; /* for on_queued; left when the pipe is closed */
	bool is_moving;
	struct waiter_list writers; /* told when there is room, or nobody to read any more */
	struct observer_list observers; /* the same */
};

/* A new pipe for the next run. Result: the child's end (the caller closes it), or -errno. */
int input_open(uv_loop_t *loop, struct porter *porter, struct process *process);
/* Nobody may wait any more. NULL is allowed. */
void input_destroy(struct input *input);

/* What is kept of it. */
struct input_past {
	off_t sent, end;
	bool ending;
};

/* In a new server: as it was left, but for pipe and queue. Result: 0, -ENOMEM. */
int input_take(uv_loop_t *loop, struct porter *porter, struct process *process, const struct input_past *past);
/* Then: its end of the pipe, if there is one; queue_fd is set by the caller. Result: 0; -ENOMEM or libuv's error, and fd
 * stays the caller's. */
int input_adopt(struct input *input, int fd);

/* What is in the queue goes into the pipe, soon or when there is room. */
void input_move(struct input *input);

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
