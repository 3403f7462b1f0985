#include "core/capture_private.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/share.h"

enum {
	TICK_MS = 10,
	SHORT_TICK_MS = 3, /* while so much comes that it would take too much memory by the next */
	MUCH_PER_MS = 256 << 10,
	READS_A_TURN = 8, /* of a few hundred events: more are told in the next turn */
};

static void wake(struct capture *capture);

/* ---- watches ---- */

static struct stream_list *watched_like(struct captures *set, int watch)
{
	return &set->watched[(unsigned)watch % WATCH_LISTS];
}

static void forget_watch(struct captures *set, struct capture_stream *stream)
{
	SLIST_REMOVE(watched_like(set, stream->watch), stream, capture_stream, link);
	stream->watch = 0;
}

static void disarm(struct capture *capture, int which)
{
	struct capture_stream *stream = &capture->streams[which];
	if (!stream->watch)
		return;
	inotify_rm_watch(capture->set->inotify_fd, stream->watch);
	forget_watch(capture->set, stream);
}

/* Result: false when growth of the stream can't be told by the kernel. */
static bool arm(struct capture *capture, int which)
{
	struct captures *set = capture->set;
	struct capture_stream *stream = &capture->streams[which];
	int fd = capture->process->output_fd[which];
	if (fd < 0 || stream->watch)
		return true;
	int watch = set->inotify_fd < 0 ? -1 : memory_file_watch(set->inotify_fd, fd);
	if (watch < 0)
		return false;
	stream->watch = watch;
	SLIST_INSERT_HEAD(watched_like(set, watch), stream, link);
	return true;
}

static bool arm_both(struct capture *capture)
{
	return arm(capture, 0) && arm(capture, 1);
}

/* Events were lost: each stream may have grown. The timer looks and tells, since who is told for nothing has it watched again. */
static void fire_all(struct captures *set)
{
	for (size_t i = 0; i < WATCH_LISTS; i++) {
		while (!SLIST_EMPTY(&set->watched[i])) {
			struct capture *capture = capture_with(SLIST_FIRST(&set->watched[i]));
			disarm(capture, 0);
			disarm(capture, 1);
			capture_make_busy(capture);
		}
	}
}

static struct capture_stream *find_watched(struct captures *set, int watch)
{
	struct capture_stream *stream;
	SLIST_FOREACH(stream, watched_like(set, watch), link)
		if (stream->watch == watch)
			break;
	return stream;
}

static void on_event(struct captures *set, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		fire_all(set);
		return;
	}
	struct capture_stream *stream = find_watched(set, event->wd);
	if (!stream)
		return;
	forget_watch(set, stream);
	if (event->mask & IN_MODIFY)
		wake(capture_with(stream));
}

/* The timer will look, if nobody does before. */
static struct capture_stream *note_event(struct captures *set, const struct inotify_event *event)
{
	struct capture_stream *stream = find_watched(set, event->wd);
	if (stream && event->mask & IN_MODIFY)
		capture_make_busy(capture_with(stream));
	return stream;
}

static void on_inotify(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	struct captures *set = poll->data;
	struct memory_events found;
	const struct inotify_event *event;
	for (int reads = 0; reads < READS_A_TURN && memory_events_read(set->inotify_fd, &found); reads++) {
		for (size_t at = 0; (event = memory_events_next(&found, &at));)
			note_event(set, event);
		for (size_t at = 0; (event = memory_events_next(&found, &at));)
			on_event(set, event);
	}
}

void captures_take_events(struct captures *set)
{
	struct memory_events found;
	const struct inotify_event *event;
	while (memory_events_read(set->inotify_fd, &found))
		for (size_t at = 0; (event = memory_events_next(&found, &at));) {
			struct capture_stream *stream = note_event(set, event);
			if (stream)
				forget_watch(set, stream);
			else if (event->mask & IN_Q_OVERFLOW)
				fire_all(set);
		}
}

/* ---- the timer ---- */

/* Result: whether either stream has changed since the last look. */
static bool look(struct capture *capture)
{
	bool changed = false;
	for (int i = 0; i < 2; i++) {
		struct capture_stream *stream = &capture->streams[i];
		uint64_t size = capture_size(capture->process, i);
		if (size == 0 && stream->seen == 0 && stream->dropped == 0)
			continue;
		changed |= size != stream->seen;
		if (size > stream->seen)
			capture->set->grown += size - stream->seen;
		stream->seen = size;
		capture_bound(capture, i, size);
	}
	return changed;
}

/* The capture may be gone afterwards. */
static void tell(struct capture *capture, int error)
{
	observers_tell(&capture->observers);
	waiters_tell(&capture->readers, error);
}

static void on_tick(uv_timer_t *timer);

static void set_pace(struct captures *set, uint64_t tick_ms)
{
	set->tick_ms = tick_ms;
	set->grown = 0;
	uv_timer_start(set->timer, on_tick, tick_ms, tick_ms);
}

void capture_make_busy(struct capture *capture)
{
	struct captures *set = capture->set;
	if (capture->busy)
		return;
	capture->busy = true;
	if (LIST_EMPTY(&set->busy))
		set_pace(set, TICK_MS);
	LIST_INSERT_HEAD(&set->busy, capture, link);
}

static void make_idle(struct capture *capture)
{
	if (!capture->busy)
		return;
	capture->busy = false;
	LIST_REMOVE(capture, link);
	if (LIST_EMPTY(&capture->set->busy))
		uv_timer_stop(capture->set->timer);
}

static bool may_be_written(const struct process *process, int which)
{
	return process->output_fd[which] >= 0 && memory_file_may_be_written(process->output_fd[which]);
}

/* What a process left behind may write after its end: that is bounded too. */
static bool is_wanted(const struct capture *capture)
{
	return capture_is_running(capture) || !LIST_EMPTY(&capture->readers) || !LIST_EMPTY(&capture->observers) ||
	       may_be_written(capture->process, 0) || may_be_written(capture->process, 1);
}

static bool is_uncut(const struct capture *capture)
{
	return capture->streams[0].uncut || capture->streams[1].uncut;
}

static void wake(struct capture *capture)
{
	look(capture);
	capture_make_busy(capture);
	tell(capture, 0);
}

static void visit(struct capture *capture)
{
	if (!look(capture)) {
		/* Growth between the look and the watch is seen by the second look. */
		if (!is_uncut(capture) && (!is_wanted(capture) || arm_both(capture)))
			make_idle(capture);
		if (!look(capture)) {
			share_spare(capture->process);
			return;
		}
		capture_make_busy(capture);
	}
	tell(capture, 0);
}

/* A callback may remove processes: what is still to be visited is on a list of its own, which they leave. */
static void on_tick(uv_timer_t *timer)
{
	struct captures *set = timer->data;
	struct capture *capture;
	while ((capture = LIST_FIRST(&set->busy))) {
		LIST_REMOVE(capture, link);
		LIST_INSERT_HEAD(&set->left, capture, link);
	}
	while ((capture = LIST_FIRST(&set->left))) {
		LIST_REMOVE(capture, link);
		LIST_INSERT_HEAD(&set->busy, capture, link);
		visit(capture);
	}
	if (LIST_EMPTY(&set->busy))
		uv_timer_stop(set->timer);
	else
		set_pace(set, set->grown > MUCH_PER_MS * set->tick_ms ? SHORT_TICK_MS : TICK_MS);
}

/* ---- all ---- */

static void on_handle_closed(uv_handle_t *handle)
{
	free(handle);
}

/* Without inotify everything works, by the timer. */
static void listen_to_inotify(struct captures *set)
{
	set->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	set->poll = set->inotify_fd < 0 ? NULL : malloc(sizeof *set->poll);
	if (set->poll && !uv_poll_init(set->loop, set->poll, set->inotify_fd)) {
		set->poll->data = set;
		uv_poll_start(set->poll, UV_READABLE, on_inotify);
		return;
	}
	free(set->poll);
	set->poll = NULL;
	if (set->inotify_fd >= 0)
		close(set->inotify_fd);
	set->inotify_fd = -1;
}

int captures_create(uv_loop_t *loop, struct porter *porter, struct captures **out)
{
	struct captures *set = calloc(1, sizeof *set);
	uv_timer_t *timer = malloc(sizeof *timer);
	if (!set || !timer) {
		free(set);
		free(timer);
		return -ENOMEM;
	}
	set->loop = loop;
	set->porter = porter;
	set->timer = timer;
	uv_timer_init(loop, timer);
	timer->data = set;
	LIST_INIT(&set->busy);
	LIST_INIT(&set->left);
	memory_stock_begin(&set->files);
	listen_to_inotify(set);
	*out = set;
	return 0;
}

void captures_destroy(struct captures *set)
{
	if (!set)
		return;
	uv_timer_stop(set->timer);
	uv_close((uv_handle_t *)set->timer, on_handle_closed);
	if (set->poll) {
		uv_poll_stop(set->poll);
		uv_close((uv_handle_t *)set->poll, on_handle_closed);
		close(set->inotify_fd);
	}
	memory_stock_finish(&set->files);
	free(set);
}

void captures_prepare(struct captures *set)
{
	memory_stock_fill(&set->files);
}

/* ---- one ---- */

struct capture *capture_of(struct captures *set, struct process *process)
{
	if (process->capture)
		return process->capture;
	struct capture *capture = calloc(1, sizeof *capture);
	if (!capture)
		return NULL;
	capture->set = set;
	capture->process = process;
	capture->streams[1].which = 1;
	LIST_INIT(&capture->readers);
	LIST_INIT(&capture->observers);
	process->capture = capture;
	return capture;
}

void capture_destroy(struct capture *capture)
{
	if (!capture)
		return;
	for (int i = 0; i < 2; i++) {
		disarm(capture, i);
		capture_forget_cut(capture, i);
	}
	if (capture->busy)
		LIST_REMOVE(capture, link);
	free(capture);
}

int capture_open(struct process *process, int which)
{
	return memory_stock_open(&process->capture->set->files, which ? "stderr" : "stdout", &process->output_fd[which]);
}

void capture_begin(struct process *process)
{
	if (process->capture && (process->output_fd[0] >= 0 || process->output_fd[1] >= 0))
		capture_make_busy(process->capture);
}

void capture_end(struct process *process, int error)
{
	struct capture *capture = process->capture;
	if (!capture)
		return;
	look(capture);
	disarm(capture, 0);
	disarm(capture, 1);
	capture_make_busy(capture);
	tell(capture, error);
}

void capture_settle(struct process *process)
{
	for (int i = 0; i < 2; i++) {
		if (process->output_fd[i] < 0 || capture_size(process, i) || memory_file_may_be_written(process->output_fd[i]))
			continue;
		close(process->output_fd[i]);
		process->output_fd[i] = -1;
	}
}

static uint64_t dropped(const struct process *process, int which)
{
	return process->capture ? process->capture->streams[which].dropped : 0;
}

/* To the byte, though the cut comes later and in larger pieces. */
struct capture_window capture_window(const struct process *process, int which)
{
	struct capture_window window = { .end = capture_size(process, which) };
	uint64_t most = process->configuration.output_max;
	if (window.end >= dropped(process, which))
		window.first = dropped(process, which);
	if (window.end - window.first > most)
		window.first = window.end - most;
	return window;
}

void capture_resume(struct captures *set, struct process *process)
{
	struct capture *capture = process->output_fd[0] >= 0 || process->output_fd[1] >= 0 ? capture_of(set, process) : NULL;
	for (int i = 0; capture && i < 2; i++) {
		struct capture_window window = capture_window(process, i);
		capture->streams[i].counted = window.end - window.first;
		/* Who dropped it may not have cut it any more. */
		if (capture->streams[i].dropped)
			capture_wish_cut(capture, i);
	}
	if (process->state == PROCESS_RUNNING)
		capture_begin(process);
}

ssize_t capture_read(const struct process *process, int which, uint64_t *position, struct value *room)
{
	uint64_t size = capture_size(process, which), least = dropped(process, which);
	if (*position < least && least <= size)
		*position = least;
	if (*position >= size)
		return 0;
	ssize_t got = pread(process->output_fd[which], room->bytes, room->size, (off_t)*position);
	if (got < 0)
		return -errno;
	*position += (uint64_t)got;
	return got;
}

void capture_expect(struct capture *capture)
{
	if (capture->process->state == PROCESS_ENDED)
		return;
	if (!arm_both(capture))
		capture_make_busy(capture);
}
