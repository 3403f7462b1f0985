#include "core/revival.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "core/lack.h"

static bool is_within(struct timespec from, struct timespec to)
{
	time_t seconds = to.tv_sec - from.tv_sec;

	return from.tv_sec != 0 && (seconds < REVIVAL_FAULTS_SECONDS ||
				    (seconds == REVIVAL_FAULTS_SECONDS && to.tv_nsec <= from.tv_nsec));
}

static bool was_killed(const struct revival_death *death)
{
	return !death->was_late && WIFSIGNALED(death->status) && WTERMSIG(death->status) == SIGKILL;
}

static bool has_lacked(const struct revival_death *death)
{
	return WIFEXITED(death->status) && WEXITSTATUS(death->status) == REVIVAL_LACKS;
}

static bool allows_fault(struct revival *revival, struct timespec when)
{
	const struct timespec *oldest;

	revival->faults[revival->next] = when;
	revival->next = (revival->next + 1) % REVIVAL_FAULTS_MAX;
	oldest = &revival->faults[revival->next];
	return !is_within(*oldest, when);
}

bool revival_allows(struct revival *revival, const struct revival_death *death)
{
	if (death->was_ready) {
		revival->unready = revival->killed = 0;
		return was_killed(death) || allows_fault(revival, death->when);
	}
	if (was_killed(death) || has_lacked(death))
		return ++revival->killed < REVIVAL_KILLS_MAX;
	return ++revival->unready < REVIVAL_UNREADY_MAX;
}

unsigned revival_pause(const struct revival *revival)
{
	return revival->killed > REVIVAL_KILLS_AT_ONCE ? REVIVAL_PAUSE_MS : 0;
}

int revival_status(int error)
{
	return is_lack(error) ? REVIVAL_LACKS : EXIT_FAILURE;
}
