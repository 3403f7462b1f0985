#include "core/stopping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/manager_private.h"
#include "core/record.h"
#include "core/restart.h"

static const struct stop_plan DEFAULT_PLAN = { .signal = STOP_SIGNAL_DEFAULT, .patience = STOP_PATIENCE_DEFAULT };

/* A process that never asked for anything has none. */
struct stopping {
	struct manager *manager;
	struct process *process;
	struct stop_plan plan;
	uv_timer_t *timer; /* until it is too long, then until SIGKILL; NULL: none */
	uint64_t due;      /* of the timer: the loop's clock, which is CLOCK_MONOTONIC and the same in another process */
	bool kills;        /* what the timer is for */
	bool timed_out;
};

static int have(struct process *process)
{
	if (process->stopping)
		return 0;
	struct stopping *stopping = calloc(1, sizeof *stopping);
	if (!stopping)
		return -ENOMEM;
	stopping->process = process;
	stopping->plan = DEFAULT_PLAN;
	process->stopping = stopping;
	return 0;
}

struct stop_plan stopping_plan(const struct process *process)
{
	return process->stopping ? process->stopping->plan : DEFAULT_PLAN;
}

int stopping_set_plan(struct process *process, const struct stop_plan *plan)
{
	int error = have(process);
	process_touch(process);
	if (!error)
		process->stopping->plan = *plan;
	return error;
}

bool stopping_is_timed_out(const struct process *process)
{
	return process->stopping && process->stopping->timed_out;
}

/* ---- timers ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

static void drop_timer(struct stopping *stopping)
{
	process_touch(stopping->process);
	if (stopping->timer)
		uv_close((uv_handle_t *)stopping->timer, on_timer_closed);
	stopping->timer = NULL;
	stopping->kills = false;
}

static int set_timer(struct stopping *stopping, double seconds, uv_timer_cb on_time)
{
	uv_timer_t *timer = malloc(sizeof *timer);
	if (!timer)
		return -ENOMEM;
	uv_loop_t *loop = stopping->manager->config.loop;
	uv_timer_init(loop, timer);
	timer->data = stopping;
	uv_update_time(loop);
	/* Rounded up: nobody is stopped too early. */
	uint64_t milliseconds = (uint64_t)(seconds * 1000 + 0.999999);
	uv_timer_start(timer, on_time, milliseconds, 0);
	drop_timer(stopping);
	stopping->timer = timer;
	stopping->due = uv_now(loop) + milliseconds;
	return 0;
}

static void on_patience_over(uv_timer_t *timer)
{
	struct stopping *stopping = timer->data;
	drop_timer(stopping);
	manager_signal(stopping->manager, stopping->process, SIGKILL, NULL);
}

/* ---- stopping ---- */

static int stop_gently(struct manager *manager, struct process *process, struct refusal *why)
{
	struct stopping *stopping = process->stopping;
	bool paused = manager_is_paused(manager, process);
	stopping->manager = manager;
	if (!stopping->kills) {
		int error = set_timer(stopping, stopping->plan.patience, on_patience_over);
		if (error)
			return error;
		stopping->kills = true;
	}
	int error = manager_signal(manager, process, stopping->plan.signal, why);
	if (!error && paused)
		manager_signal(manager, process, SIGCONT, NULL);
	return error;
}

int manager_stop(struct manager *manager, struct process *process, struct refusal *why)
{
	bool runs = process->state != PROCESS_ENDED && manager_pid(manager, process);
	if (!runs || stopping_plan(process).patience == 0)
		return manager_end_with(manager, process, SIGKILL, why);
	int error = have(process);
	if (!error)
		error = stop_gently(manager, process, why);
	if (!error)
		restart_forbid(process);
	return error;
}

/* It may have ended in time, and the keeper's word of it still be on its way; or a server that died may have stopped it when the
 * limit was due, and not have kept that. */
static bool ran_too_long(const struct stopping *stopping)
{
	struct ptable *table = stopping->manager->config.table;
	struct ptable_ref launch = stopping->process->launch;
	enum ptable_state state = ptable_state(table, launch);
	if (state != PTABLE_ENDED)
		return state == PTABLE_RUNNING;
	struct timespec over = ptable_end_at(table, launch.index)->over;
	return (uint64_t)over.tv_sec * 1000 + (uint64_t)over.tv_nsec / 1000000 >= stopping->due;
}

static void on_limit(uv_timer_t *timer)
{
	struct stopping *stopping = timer->data;
	struct manager *manager = stopping->manager;
	stopping->timed_out = ran_too_long(stopping);
	drop_timer(stopping);
	/* Another run may follow, unlike after the verb. */
	if (stopping->plan.patience == 0)
		manager_signal(manager, stopping->process, SIGKILL, NULL);
	else
		stop_gently(manager, stopping->process, NULL);
}

void stopping_on_started(struct manager *manager, struct process *process)
{
	struct stopping *stopping = process->stopping;
	if (!stopping)
		return;
	process_touch(process);
	stopping->timed_out = false;
	stopping->manager = manager;
	if (stopping->plan.limit > 0 && !stopping->kills)
		set_timer(stopping, stopping->plan.limit, on_limit);
}

void stopping_on_over(struct process *process)
{
	struct stopping *stopping = process->stopping;
	if (!stopping)
		return;
	bool is_limit = stopping->timer && !stopping->kills;
	if (is_limit && process->state == PROCESS_ENDED)
		stopping->timed_out = ran_too_long(stopping);
	drop_timer(stopping);
}

void stopping_destroy(struct stopping *stopping)
{
	if (!stopping)
		return;
	drop_timer(stopping);
	free(stopping);
}

/* ---- keeping ---- */

/* Seconds are kept as what they are: the bits of a double. */
static void put_seconds(struct text *out, double seconds)
{
	record_put_bytes(out, &seconds, sizeof seconds);
}

static double take_seconds(struct record_reader *from)
{
	size_t size;
	double seconds = 0;
	const char *bytes = record_bytes(from, &size);
	if (bytes && size == sizeof seconds)
		memcpy(&seconds, bytes, size);
	return seconds;
}

void stopping_pack(const struct process *process, struct text *out)
{
	const struct stopping *stopping = process->stopping;
	record_put_number(out, stopping != NULL);
	if (!stopping)
		return;
	record_put_number(out, (unsigned)stopping->plan.signal);
	put_seconds(out, stopping->plan.patience);
	put_seconds(out, stopping->plan.limit);
	record_put_number(out, stopping->timed_out);
	record_put_number(out, stopping->kills);
	record_put_number(out, stopping->timer ? stopping->due + 1 : 0);
}

int stopping_unpack(struct manager *manager, struct process *process, struct record_reader *from)
{
	if (!record_number(from))
		return 0;
	int error = have(process);
	if (error)
		return error;
	struct stopping *stopping = process->stopping;
	stopping->manager = manager;
	stopping->plan.signal = (int)record_number(from);
	stopping->plan.patience = take_seconds(from);
	stopping->plan.limit = take_seconds(from);
	stopping->timed_out = record_number(from);
	bool kills = record_number(from);
	uint64_t due = record_number(from), now = uv_now(manager->config.loop);
	if (!due)
		return 0;
	double left = due - 1 > now ? (double)(due - 1 - now) / 1000 : 0;
	error = set_timer(stopping, left, kills ? on_patience_over : on_limit);
	if (!error)
		stopping->due = due - 1;
	stopping->kills = kills;
	return error;
}
