/*
 * capture: what processes write to stdout and stderr and nobody took elsewhere: kept in memory files, the newest of it,
 * and followed by readers that wait for more.
 *
 * A child writes to its memory file without our help, so its growth has to be noticed: by a one-shot inotify watch
 * while it is silent, by a timer while it grows (a faster one while it grows fast), by nothing once it has ended. What
 * is too much is cut off at the front, by the porter: a write holds the file's lock.
 *
 * Must not know: FUSE, who waits.
 */
#ifndef PROCFS_MP_CAPTURE_H
#define PROCFS_MP_CAPTURE_H

#include <uv.h>

#include "core/process.h"

/* Those of all processes: the loop's watches and timer. */
struct captures;
struct porter;
struct porter_load;

struct capture_stream {
	uint64_t dropped; /* bytes cut off at the front: offsets below are holes, or soon will be */
	uint64_t counted; /* of what is kept: not what is too much and left for a while, nor what nobody has looked at */
	uint64_t seen;    /* the size when somebody last looked */
	struct porter_load *cut; /* under way */
	SLIST_ENTRY(capture_stream) link; /* while it is watched */
	int watch; /* inotify's number; 0: none */
	uint8_t which;
	bool uncut; /* to be cut, once that it was dropped is kept */
};

/* That of one process, of both streams. */
struct capture {
	struct captures *set;
	struct process *process;
	struct capture_stream streams[2];
	struct waiter_list readers;      /* told once there is more, or the end */
	struct observer_list observers;  /* the same */
	bool busy; /* looked at by the timer, and until it is cut */
	LIST_ENTRY(capture) link;
};

/* Offsets into a stream as it was written: the first that is kept, and behind the last. */
struct capture_window {
	uint64_t first, end;
};

/* Result: 0 and *out (captures_destroy frees), -ENOMEM or libuv's error. */
int captures_create(uv_loop_t *loop, struct porter *porter, struct captures **out);
/* No process may have a capture any more. NULL is allowed. */
void captures_destroy(struct captures *set);

/* What is kept as dropped is cut off: a new server would take holes for output if they came first. */
void captures_cut(struct captures *set);

/* What the next start takes is made ready, while another has to wait for something else. */
void captures_prepare(struct captures *set);

/* Result: the process's, made when missing; NULL without memory. */
struct capture *capture_of(struct captures *set, struct process *process);
/* Nobody may wait any more. NULL is allowed. */
void capture_destroy(struct capture *capture);

/* Of a process that has a capture: a descriptor of the stream for a child (the caller closes it): it appends, and what it writes can
 * be watched. Makes the memory file when there is none. Result: the descriptor, or -errno. */
int capture_open(struct process *process, int which);

/* The child runs: from now on its output is bounded. */
void capture_begin(struct process *process);
/* A new server has taken it over, with its descriptors and with what was dropped of it. Without memory its output is not bounded. */
void capture_resume(struct captures *set, struct process *process);
/* The process has ended (error 0) or is removed: everybody is told. */
void capture_end(struct process *process, int error);
/* After the end: a stream that is empty and that no descendant can write to any more keeps no descriptor. */
void capture_settle(struct process *process);

struct capture_window capture_window(const struct process *process, int which);

/* Bytes from *position on; one that is not kept any more is moved to the first that is.
 * Result: as pread(2), or -errno. */
ssize_t capture_read(const struct process *process, int which, uint64_t *position, struct value *room);

/* Before one waits: growth from now on will be noticed. Look once more afterwards. */
void capture_expect(struct capture *capture);

#endif
