#include "core/share.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "core/capture.h"
#include "core/input.h"

enum {
	PROCESS_BYTES = 1024, /* of a directory with nothing in it */
	RESERVED_PART = 8,    /* output leaves one of so many parts to what is written here */
};

static bool fits(uint64_t used, uint64_t more, uint64_t limit)
{
	return !more || (used <= limit && more <= limit - used);
}

int share_check(const struct share *share, const struct share_cost *more, struct refusal *why)
{
	if (!share)
		return 0;
	const struct share_cost *used = &share->used;
	const struct share_limits *limits = share->limits;
	if (!fits(used->processes, more->processes, limits->processes))
		return refuse(why, EDQUOT, "you have %" PRIu64 " processes here, and max_processes of this mount is %" PRIu64
			      " for each user: remove some", used->processes, limits->processes);
	if (!fits(used->locks, more->locks, limits->locks))
		return refuse(why, EDQUOT, "you have %" PRIu64 " locks here already: remove some that nobody needs", used->locks);
	if (!fits(used->bytes, more->bytes, limits->bytes))
		return refuse(why, EDQUOT, "%" PRIu64 " bytes are kept for its owner, and with %" PRIu64 " more it would be above "
			      "max_bytes of this mount, %" PRIu64 " for each user", used->bytes, more->bytes, limits->bytes);
	if (!fits(used->descriptors, more->descriptors, limits->descriptors))
		return refuse(why, EDQUOT, "%" PRIu64 " open files of this mount hold what its owner's processes read and wrote, "
			      "as many as one user may have: remove processes that have ended", used->descriptors);
	return 0;
}

int share_check_open(const struct share *share, struct refusal *why)
{
	if (!share || share->opens < SHARE_OPENS_MOST)
		return 0;
	return refuse(why, EDQUOT, "you have %u files of this mount open, as many as one user may have: close some", share->opens);
}

void share_count_open(struct share *share)
{
	if (share)
		share->opens++;
}

void share_count_close(struct share *share)
{
	if (share)
		share->opens--;
}

void share_settle(struct share *share, struct share_cost *held, const struct share_cost *now)
{
	if (!share)
		return;
	share->used.processes += now->processes - held->processes;
	share->used.locks += now->locks - held->locks;
	share->used.bytes += now->bytes - held->bytes;
	share->used.descriptors += now->descriptors - held->descriptors;
	*held = *now;
}

static void add_file(struct share_cost *cost, int fd)
{
	struct stat st;
	if (fd < 0)
		return;
	cost->descriptors++;
	if (!fstat(fd, &st) && st.st_size > 0)
		cost->bytes += (uint64_t)st.st_size;
}

static void add_output(struct share_cost *cost, const struct process *process, int which)
{
	if (process->output_fd[which] < 0)
		return;
	cost->descriptors++;
	cost->bytes += process->capture ? process->capture->streams[which].counted : 0;
}

void share_recount(struct process *process)
{
	if (!process->share)
		return;
	const struct configuration *c = &process->configuration;
	struct share_cost cost = { .processes = 1, .bytes = PROCESS_BYTES };
	cost.bytes += c->target.size + c->args.size + c->kwargs.size + c->env.size + c->cwd.size + c->run.size;
	for (int i = 0; i < 2; i++) {
		cost.bytes += c->output_to[i] ? strlen(c->output_to[i]) : 0;
		add_output(&cost, process, i);
	}
	cost.bytes += process->name ? strlen(process->name) : 0;
	add_file(&cost, process->stdin_fd);
	add_file(&cost, process->result_fd);
	if (process->input && process->input->fd >= 0)
		cost.descriptors += INPUT_DESCRIPTORS;
	share_settle(process->share, &process->held, &cost);
}

void share_spare(struct process *process)
{
	const struct share *share = process->share;
	if (!share || process->state != PROCESS_ENDED || share->used.descriptors <= share->limits->descriptors / 2)
		return;
	capture_settle(process);
	share_recount(process);
}

uint64_t share_keeps(struct process *process, uint64_t kept)
{
	share_recount(process);
	const struct share *share = process->share;
	uint64_t most = process->configuration.output_max;
	uint64_t limit = share ? share->limits->bytes - share->limits->bytes / RESERVED_PART : 0;
	if (!share || share->used.bytes <= limit)
		return most;
	uint64_t excess = share->used.bytes - limit, left = kept > excess ? kept - excess : 0;
	return left < most ? left : most;
}
