/* What status.json says of the terms on which a process runs. */
#include <inttypes.h>
#include <stdio.h>

#include "core/signals.h"
#include "core/stopping.h"
#include "core/terms.h"
#include "fs/terms.h"

static void add_amount(struct json *json, uint64_t amount)
{
	char number[24];
	snprintf(number, sizeof number, "%" PRIu64, amount);
	if (amount == UINT64_MAX)
		json_null(json);
	else
		json_value(json, number);
}

static void add_seconds(struct json *json, const char *key, double seconds, bool known)
{
	char number[40];
	snprintf(number, sizeof number, "%.15g", seconds);
	json_key(json, key);
	if (known)
		json_value(json, number);
	else
		json_null(json);
}

static void add_stopping(struct json *json, const struct process *process)
{
	struct stop_plan plan = stopping_plan(process);
	struct text name = {0};
	signal_add_name(&name, plan.signal);
	json_key(json, "stop_signal");
	json_bytes(json, name.data ? name.data : "", name.size);
	text_finish(&name);
	add_seconds(json, "stop_timeout", plan.patience, true);
	add_seconds(json, "timeout", plan.limit, plan.limit > 0);
	json_key(json, "timed_out");
	json_boolean(json, stopping_is_timed_out(process));
}

/* Each as [soft, hard]; null is unlimited. */
static void add_limits(struct json *json, const struct terms *terms)
{
	json_key(json, "limits");
	json_open(json, '{');
	for (uint32_t i = 0; terms && i < terms->launch.limit_count; i++) {
		const struct launch_limit *limit = &terms->launch.limits[i];
		json_key(json, limit_name(limit->resource));
		json_open(json, '[');
		add_amount(json, limit->soft);
		add_amount(json, limit->hard);
		json_close(json, ']');
	}
	json_close(json, '}');
}

/* max is null; cpu_max is [quota, period]. */
static void add_wishes(struct json *json, const struct terms *terms)
{
	struct cgroup_wish wish;
	cgroup_wish_init(&wish);
	if (terms)
		wish = terms->wish;
	for (enum cgroup_kind kind = 0; kind < CGROUP_KINDS; kind++) {
		json_key(json, cgroup_kind_name(kind));
		if (kind == CGROUP_CPU)
			json_open(json, '[');
		add_amount(json, wish.limits[kind]);
		if (kind != CGROUP_CPU)
			continue;
		add_amount(json, wish.period);
		json_close(json, ']');
	}
}

void terms_add_json(const struct view *view, struct json *json)
{
	const struct terms *terms = view->process->terms;
	add_stopping(json, view->process);
	json_key(json, "user");
	json_string(json, terms ? terms->user : NULL);
	json_key(json, "nice");
	if (terms && terms->launch.has_nice)
		json_integer(json, terms->launch.nice);
	else
		json_null(json);
	add_limits(json, terms);
	add_wishes(json, terms);
}
