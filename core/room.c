/* Whether there are descriptors for the streams of what is started: the server's, its owner's part of them, and the keeper's. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>

#include "core/capture.h"
#include "core/input.h"
#include "core/manager_private.h"
#include "core/share.h"

enum { SETTLED_MS = 1000 };

/* What its owner's part has let go of (share_spare) is held until here. Result: how many descriptors are gone. */
static int settle(struct manager *manager, struct process *process)
{
	int gone = 0;
	bool had[] = { process->output_fd[0] >= 0, process->output_fd[1] >= 0 };
	capture_settle(process);
	for (int i = 0; i < 2; i++)
		if (process->output_fd[i] < 0) {
			holdings_drop(manager->config.holdings, process->id, i ? HOLDING_STDERR : HOLDING_STDOUT);
			gone += had[i];
		}
	if (gone)
		share_recount(process);
	return gone;
}

/* Result: as settle(). */
static int settle_ended(struct manager *manager)
{
	struct process *process = NULL;
	int gone = 0;
	while ((process = manager_after(manager, process ? process->id : 0)))
		if (process->state == PROCESS_ENDED)
			gone += settle(manager, process);
	manager->has_new_ends = false;
	manager->settled = uv_now(manager->config.loop);
	return gone;
}

/* Streams of ended processes that nobody has written to are let go when descriptors become few: looking at each end would
 * cost every process what only ten thousand need. Numbers are given lowest first, so the newest says how many there are. */
void room_spare(struct manager *manager, int newest)
{
	struct rlimit limit;
	if (newest < manager->spare_at || getrlimit(RLIMIT_NOFILE, &limit))
		return;
	int many = limit.rlim_cur < INT_MAX ? (int)limit.rlim_cur / 2 : INT_MAX / 2;
	manager->spare_at = many;
	if (newest < many)
		return;
	/* Nearly all are needed: looking again at the very next start would find no more. */
	if (settle_ended(manager) < many / 16)
		manager->spare_at = newest + many / 16;
}

/* Where there is no room, and no more has ended since, looking again would hardly find more: what a process left behind may have ended
 * too, of which nobody hears. */
static int check_room(struct manager *manager, const struct process *process, struct refusal *why)
{
	struct holdings *holdings = manager->config.holdings;
	unsigned kinds = process->configuration.stdin_open ? 1U << HOLDING_STDIN_PIPE | 1U << HOLDING_STDIN_QUEUE : 0;
	for (int i = 0; i < 2; i++)
		kinds |= process_output_to(process, i) ? 0 : 1U << (i ? HOLDING_STDERR : HOLDING_STDOUT);
	if (!holdings || holdings_has_room(holdings, process->id, kinds))
		return 0;
	if (manager->has_new_ends || uv_now(manager->config.loop) - manager->settled >= SETTLED_MS)
		settle_ended(manager);
	if (holdings_has_room(holdings, process->id, kinds))
		return 0;
	return refuse(why, EMFILE, "cannot keep its streams: %s: %u of them hold what processes here read and wrote; remove processes "
				   "that have ended", strerror(EMFILE), holdings_count(holdings));
}

int room_check(struct manager *manager, const struct process *process, struct refusal *why)
{
	bool opens_input = process->configuration.stdin_open && !process->input;
	struct share_cost cost = { .descriptors = opens_input ? INPUT_DESCRIPTORS : 0 };
	for (int i = 0; i < 2; i++)
		cost.descriptors += !process_output_to(process, i) && process->output_fd[i] < 0;
	int error = share_check(process->share, &cost, why);
	return error ? error : check_room(manager, process, why);
}
