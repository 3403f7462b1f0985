/* How much is kept of an output: as much as its process may have, and its owner. */
#include <unistd.h>

#include "core/capture_private.h"
#include "core/memory_file.h"
#include "core/porter.h"
#include "core/share.h"

enum {
	LEAST_CUT = 64 << 10, /* while it runs: smaller ones are not worth their while */
	MOST_UNCUT = 1 << 20,
};

static void on_cut(void *context, const struct porter_wish *wish, const struct porter_result *result)
{
	struct capture_stream *stream = context;
	struct capture *capture = capture_with(stream);
	(void)wish;
	(void)result;
	stream->cut = NULL;
	capture_bound(capture, stream->which, capture_size(capture->process, stream->which));
}

void capture_wish_cut(struct capture *capture, int which)
{
	capture->set->uncut += !capture->streams[which].uncut;
	capture->streams[which].uncut = true;
	capture_make_busy(capture);
}

static void forget_wish(struct capture *capture, int which)
{
	capture->set->uncut -= capture->streams[which].uncut;
	capture->streams[which].uncut = false;
}

void capture_forget_cut(struct capture *capture, int which)
{
	forget_wish(capture, which);
	porter_forget(capture->streams[which].cut);
}

/* From the beginning: what was cut before costs nothing, and that it was is not kept.
 * Result: false when there is no memory or descriptor for it now. */
static bool begin_cut(struct capture *capture, int which)
{
	struct capture_stream *stream = &capture->streams[which];
	if (!stream->dropped || capture_size(capture->process, which) < stream->dropped)
		return true;
	int fd = memory_file_open_for_cutting(capture->process->output_fd[which]);
	const struct porter_wish wish = {
		.kind = PORTER_CUT, .fds = { fd, -1 }, .to = stream->dropped,
		.on_done = on_cut, .context = stream,
	};
	if (fd < 0)
		return false;
	int error = porter_begin(capture->set->porter, &wish, &stream->cut);
	close(fd);
	return !error;
}

void captures_cut(struct captures *set)
{
	struct capture *capture;
	if (!set->uncut)
		return;
	LIST_FOREACH(capture, &set->busy, link)
		for (int i = 0; i < 2; i++)
			if (capture->streams[i].uncut && !capture->streams[i].cut && begin_cut(capture, i))
				forget_wish(capture, i);
}

static void cut_to(struct capture *capture, int which, uint64_t first)
{
	process_touch(capture->process);
	capture->streams[which].dropped = first;
	capture_wish_cut(capture, which);
}

/* The excess that is left alone: none at the end. */
static uint64_t slack(const struct capture *capture)
{
	uint64_t quarter = capture->process->configuration.output_max / 4;
	if (!capture_is_running(capture))
		return 1;
	return quarter < LEAST_CUT ? LEAST_CUT : quarter > MOST_UNCUT ? MOST_UNCUT : quarter;
}

/* What a program has truncated is gone, whoever looks first. */
static void count_less(struct capture *capture)
{
	for (int i = 0; i < 2; i++) {
		struct capture_stream *stream = &capture->streams[i];
		uint64_t size = capture_size(capture->process, i), kept = size < stream->dropped ? size : size - stream->dropped;
		if (stream->counted > kept)
			stream->counted = kept;
	}
	share_recount(capture->process);
}

static void count_list(const struct capture_list *list, const struct share *share)
{
	struct capture *capture;
	LIST_FOREACH(capture, list, link)
		if (capture->process->share == share)
			count_less(capture);
}

/* Once in a turn of the loop, which looks at all that may have changed, as the timer does. */
static void count_others(struct capture *capture)
{
	struct captures *set = capture->set;
	if (set->counted == uv_now(set->loop))
		return;
	set->counted = uv_now(set->loop);
	captures_take_events(set);
	count_list(&set->busy, capture->process->share);
	count_list(&set->left, capture->process->share);
}

/* Of `kept` bytes. Nothing is cut for what another of the same owner has truncated meanwhile. */
static uint64_t most_of(struct capture *capture, uint64_t kept)
{
	struct process *process = capture->process;
	uint64_t most = share_keeps(process, kept);
	if (kept <= most || most == process->configuration.output_max)
		return most;
	count_others(capture);
	return share_keeps(process, kept);
}

void capture_bound(struct capture *capture, int which, uint64_t size)
{
	struct capture_stream *stream = &capture->streams[which];
	/* The program has truncated it, as `> /dev/stdout` does: what is there now is all. */
	if (size < stream->dropped) {
		process_touch(capture->process);
		stream->dropped = 0;
	}
	uint64_t kept = size - stream->dropped;
	stream->counted = kept;
	uint64_t most = most_of(capture, kept);
	if (kept <= most)
		return;
	if (!stream->cut && kept - most >= slack(capture))
		cut_to(capture, which, size - most);
	/* What is too much and left for a while is nothing that others should be cut for. */
	stream->counted = most;
	share_recount(capture->process);
}
