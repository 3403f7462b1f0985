#include "core/restart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/manager_private.h"
#include "core/record.h"

struct restart {
	struct manager *manager;
	struct process *process;
	enum restart_policy policy;
	unsigned count;
	unsigned delay_ms; /* the last; 0: none yet */
	struct timespec last_end; /* BETWEEN: of the run before */
	char *reason;
	uv_timer_t *timer;
};

static const char *const NAMES[] = {
	[RESTART_NO] = "no",
	[RESTART_ON_FAILURE] = "on-failure",
	[RESTART_ALWAYS] = "always",
};

const char *restart_policy_name(enum restart_policy policy)
{
	return NAMES[policy];
}

int restart_policy_parse(const char *word, enum restart_policy *out)
{
	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
		if (!strcmp(NAMES[i], word)) {
			*out = (enum restart_policy)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* ---- what it is ---- */

enum restart_policy restart_policy(const struct process *process)
{
	return process->restart ? process->restart->policy : RESTART_NO;
}

unsigned restart_count(const struct process *process)
{
	return process->restart ? process->restart->count : 0;
}

const char *restart_reason(const struct process *process)
{
	return process->restart ? process->restart->reason : NULL;
}

double restart_due(const struct process *process)
{
	if (process->state != PROCESS_BETWEEN)
		return -1;
	return (double)uv_timer_get_due_in(process->restart->timer) / 1000;
}

static int create(struct manager *manager, struct process *process)
{
	struct restart *restart = calloc(1, sizeof *restart);
	uv_timer_t *timer = malloc(sizeof *timer);
	if (!restart || !timer) {
		free(restart);
		free(timer);
		return -ENOMEM;
	}
	restart->manager = manager;
	restart->process = process;
	restart->timer = timer;
	uv_timer_init(manager->config.loop, timer);
	timer->data = restart;
	process->restart = restart;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

void restart_reset(struct process *process)
{
	struct restart *restart = process->restart;
	if (!restart)
		return;
	process_touch(process);
	restart->count = restart->delay_ms = 0;
	free(restart->reason);
	restart->reason = NULL;
}

void restart_destroy(struct process *process)
{
	struct restart *restart = process->restart;
	if (!restart)
		return;
	uv_close((uv_handle_t *)restart->timer, on_timer_closed);
	free(restart->reason);
	free(restart);
	process->restart = NULL;
}

/* ---- what happens ---- */

static bool may_run_again(const struct restart *restart)
{
	return restart->policy != RESTART_NO && !restart->process->stop_wanted && !restart->manager->ending;
}

/* It has ended, with its last run. */
static void give_up(struct restart *restart)
{
	struct manager *manager = restart->manager;
	struct process *process = restart->process;
	process_give_up(process, restart->last_end);
	manager_raise(manager, process, MANAGER_GAVE_UP, moment_time(process->ended));
	manager_tell_end(manager, process);
}

static void on_due(uv_timer_t *timer)
{
	struct restart *restart = timer->data;
	struct process *process = restart->process;
	struct refusal why;
	if (process->state != PROCESS_BETWEEN)
		return;
	if (!may_run_again(restart)) {
		give_up(restart);
		return;
	}
	process_touch(process);
	restart->count++;
	if (start_again(restart->manager, process, &why))
		restart_after_failure(process, why.sentence);
}

unsigned restart_next_delay(unsigned before_ms)
{
	unsigned delay_ms = before_ms ? before_ms * 2 : RESTART_FIRST_MS;
	return delay_ms < RESTART_LONGEST_MS ? delay_ms : RESTART_LONGEST_MS;
}

static void schedule(struct restart *restart)
{
	process_touch(restart->process);
	restart->delay_ms = restart_next_delay(restart->delay_ms);
	uv_update_time(restart->manager->config.loop);
	uv_timer_start(restart->timer, on_due, restart->delay_ms, 0);
}

static void set_reason(struct restart *restart, char *reason)
{
	free(restart->reason);
	restart->reason = reason;
}

static char *describe_end(int status)
{
	struct text text = {0};
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
	if (name)
		text_printf(&text, "SIG%s", name);
	else if (WIFSIGNALED(status))
		text_printf(&text, "signal %d", WTERMSIG(status));
	else
		text_printf(&text, "exited %d", WEXITSTATUS(status));
	return text_take(&text, NULL);
}

bool restart_follows(const struct process *process)
{
	const struct restart *restart = process->restart;
	bool failed = !WIFEXITED(process->status) || WEXITSTATUS(process->status);
	return restart && may_run_again(restart) && (failed || restart->policy != RESTART_ON_FAILURE);
}

bool restart_after_end(struct process *process)
{
	struct restart *restart = process->restart;
	if (!restart_follows(process))
		return false;
	if (process->ended.tv_sec - process->started.tv_sec >= RESTART_GOOD_SECONDS)
		restart->delay_ms = 0;
	set_reason(restart, describe_end(process->status));
	restart->last_end = moment_time(process->ended);
	process_await_run(process);
	schedule(restart);
	return true;
}

void restart_after_failure(struct process *process, const char *sentence)
{
	struct restart *restart = process->restart;
	set_reason(restart, strdup(sentence));
	schedule(restart);
	if (!may_run_again(restart))
		uv_timer_start(restart->timer, on_due, 0, 0);
}

/* Whoever waits is told from the loop: the one who forbids may be walking through a list that they change. */
static void hurry(struct process *process)
{
	if (process->state == PROCESS_BETWEEN)
		uv_timer_start(process->restart->timer, on_due, 0, 0);
}

void restart_forbid(struct process *process)
{
	process_touch(process);
	process->stop_wanted = true;
	hurry(process);
}

int restart_set_policy(struct manager *manager, struct process *process, enum restart_policy policy)
{
	int error = process->restart || policy == RESTART_NO ? 0 : create(manager, process);
	if (error || !process->restart)
		return error;
	process_touch(process);
	process->restart->policy = policy;
	if (policy == RESTART_NO)
		hurry(process);
	return 0;
}

/* ---- keeping ---- */

/* The loop's clock is CLOCK_MONOTONIC: it means the same in another process. */
static uint64_t due_at(const struct restart *restart)
{
	uint64_t left = uv_timer_get_due_in(restart->timer);
	return uv_is_active((const uv_handle_t *)restart->timer) ? uv_now(restart->manager->config.loop) + left : 0;
}

void restart_pack(const struct process *process, struct text *out)
{
	const struct restart *restart = process->restart;
	record_put_number(out, restart != NULL);
	if (!restart)
		return;
	record_put_number(out, restart->policy);
	record_put_number(out, restart->count);
	record_put_number(out, restart->delay_ms);
	record_put_time(out, restart->last_end);
	record_put_string(out, restart->reason);
	record_put_number(out, due_at(restart));
}

int restart_unpack(struct manager *manager, struct process *process, struct record_reader *from)
{
	if (!record_number(from))
		return 0;
	int error = create(manager, process);
	if (error)
		return error;
	struct restart *restart = process->restart;
	restart->policy = (enum restart_policy)record_number(from);
	restart->count = (unsigned)record_number(from);
	restart->delay_ms = (unsigned)record_number(from);
	restart->last_end = record_time(from);
	restart->reason = record_copy(from, NULL);
	uint64_t due = record_number(from), now = uv_now(manager->config.loop);
	if (process->state == PROCESS_BETWEEN)
		uv_timer_start(restart->timer, on_due, due > now ? due - now : 0, 0);
	return 0;
}
