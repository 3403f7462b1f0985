/*
 * What the capture's files share: capture.c (who is looked at and when, who is told) and capture_bound.c (how much is kept).
 */
#ifndef PROCFS_MP_CAPTURE_PRIVATE_H
#define PROCFS_MP_CAPTURE_PRIVATE_H

#include <stddef.h>

#include "core/capture.h"
#include "core/memory_file.h"
#include "core/memory_stock.h"

enum { WATCH_LISTS = 4096 };

LIST_HEAD(capture_list, capture);
SLIST_HEAD(stream_list, capture_stream);

struct captures {
	uv_loop_t *loop;
	struct porter *porter;
	uv_timer_t *timer;
	uv_poll_t *poll;
	int inotify_fd; /* -1: none to be had, the timer looks at all */
	struct memory_stock files;
	struct stream_list watched[WATCH_LISTS]; /* by the watch: to be on one needs no memory */
	struct capture_list busy;
	struct capture_list left; /* of those that are busy: still to be visited in this tick */
	unsigned uncut; /* streams; of those that are busy */
	uint64_t counted; /* the loop's time when what their owners have was counted last */
	uint64_t tick_ms;
	uint64_t grown; /* bytes, of all, since the last tick */
};

static inline bool capture_is_running(const struct capture *capture)
{
	return capture->process->state == PROCESS_RUNNING;
}

static inline uint64_t capture_size(const struct process *process, int which)
{
	return memory_file_size(process->output_fd[which]);
}

static inline struct capture *capture_with(struct capture_stream *stream)
{
	struct capture_stream *streams = stream - stream->which;
	return (struct capture *)(void *)((char *)streams - offsetof(struct capture, streams));
}

/* capture.c: the timer looks at it. */
void capture_make_busy(struct capture *capture);
/* capture.c: what the kernel tells of growth is taken now; those that have grown are looked at, and who waits is told, by the timer. */
void captures_take_events(struct captures *set);

/* capture_bound.c: of a stream of that size no more is kept than may be. */
void capture_bound(struct capture *capture, int which, uint64_t size);
/* The same: it is to be cut; no more. */
void capture_wish_cut(struct capture *capture, int which);
void capture_forget_cut(struct capture *capture, int which);

#endif
