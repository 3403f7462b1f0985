#include "core/revival.h"

#include <signal.h>
#include <sys/wait.h>

static bool is_within(struct timespec from, struct timespec to)
{
	time_t seconds = to.tv_sec - from.tv_sec;

	return from.tv_sec != 0 && (seconds < REVIVAL_FAULTS_SECONDS ||
				    (seconds == REVIVAL_FAULTS_SECONDS && to.tv_nsec <= from.tv_nsec));
}

bool revival_allows(struct revival *revival, int status, bool was_ready, struct timespec now)
{
	const struct timespec *oldest;

	if (!was_ready)
		return ++revival->unready < REVIVAL_UNREADY_MAX;
	revival->unready = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	revival->faults[revival->next] = now;
	revival->next = (revival->next + 1) % REVIVAL_FAULTS_MAX;
	oldest = &revival->faults[revival->next];
	return !is_within(*oldest, now);
}
