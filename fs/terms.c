#include "fs/terms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/signals.h"
#include "core/stopping.h"
#include "core/terms.h"

enum { WORD_ROOM = 80 };

/* At most WORD_ROOM - 1 bytes, ended by a NUL. */
static int copy_word(const struct view *view, const char *bytes, size_t size, char word[static WORD_ROOM])
{
	if (memchr(bytes, '\0', size))
		return refuse(view->caller->why, EINVAL, "the value cannot hold a NUL byte");
	if (size >= WORD_ROOM)
		return refuse(view->caller->why, EINVAL, "'%.60s...' is too long for a value of this file", bytes);
	memcpy(word, bytes, size);
	word[size] = '\0';
	return 0;
}

/* ---- stopping ---- */

int stop_signal_show(const struct view *view, struct text *out)
{
	signal_add_name(out, stopping_plan(view->process).signal);
	text_add(out, "\n");
	return text_status(out);
}

int stop_timeout_show(const struct view *view, struct text *out)
{
	text_printf(out, "%.15g\n", stopping_plan(view->process).patience);
	return text_status(out);
}

int timeout_show(const struct view *view, struct text *out)
{
	double limit = stopping_plan(view->process).limit;
	if (limit > 0)
		text_printf(out, "%.15g\n", limit);
	return text_status(out);
}

/* Nothing is the default again. */
int stop_signal_store(const struct view *view, const char *bytes, size_t size)
{
	char word[WORD_ROOM];
	int error = copy_word(view, bytes, size, word);
	if (error)
		return error;
	struct stop_plan plan = stopping_plan(view->process);
	plan.signal = size ? signal_parse(word) : STOP_SIGNAL_DEFAULT;
	if (plan.signal <= 0)
		return signal_refuse(view->caller->why, word);
	return view->check ? 0 : stopping_set_plan(view->process, &plan);
}

static int parse_seconds(const struct view *view, const char *bytes, size_t size, double *out)
{
	char word[WORD_ROOM], *end;
	int error = copy_word(view, bytes, size, word);
	if (error)
		return error;
	double seconds = strtod(word, &end);
	if (!size || strspn(word, "0123456789.eE-") != size || *word == '-' || *end || !(seconds <= STOP_SECONDS_MAX))
		return refuse(view->caller->why, EINVAL, "'%s' is no number of seconds; valid are 0 to %d, also with a fraction",
			      word, STOP_SECONDS_MAX);
	*out = seconds;
	return 0;
}

int stop_timeout_store(const struct view *view, const char *bytes, size_t size)
{
	struct stop_plan plan = stopping_plan(view->process);
	plan.patience = STOP_PATIENCE_DEFAULT;
	int error = size ? parse_seconds(view, bytes, size, &plan.patience) : 0;
	if (error || view->check)
		return error;
	return stopping_set_plan(view->process, &plan);
}

/* Nothing, or 0 as for timeout(1), is no limit. */
int timeout_store(const struct view *view, const char *bytes, size_t size)
{
	struct stop_plan plan = stopping_plan(view->process);
	plan.limit = 0;
	int error = size ? parse_seconds(view, bytes, size, &plan.limit) : 0;
	if (error || view->check)
		return error;
	return stopping_set_plan(view->process, &plan);
}

/* ---- limits ---- */

/* The superuser in a directory of its own: nobody else's limits and priorities can be raised. */
static bool is_superusers(const struct view *view)
{
	return view->process->owner == 0 && manager_surroundings(view->manager)->uid == 0;
}

int limits_show_lines(const struct view *view, struct text *out)
{
	if (view->process->terms)
		limits_show(&view->process->terms->launch, out);
	return text_status(out);
}

int limits_former(const struct view *view, const char *bytes, size_t size, struct text *out)
{
	(void)bytes;
	(void)size;
	return limits_show_lines(view, out);
}

int limits_store(const struct view *view, const char *bytes, size_t size)
{
	struct launch_terms parsed = {0};
	int error = limits_parse(bytes, size, &parsed, view->caller->why);
	if (!error)
		error = limits_check(&parsed, is_superusers(view), view->caller->why);
	if (error || view->check)
		return error;
	struct terms *terms = terms_of(view->process);
	return terms ? limits_parse(bytes, size, &terms->launch, view->caller->why) : -ENOMEM;
}

int nice_show(const struct view *view, struct text *out)
{
	const struct terms *terms = view->process->terms;
	text_printf(out, "%d\n", terms && terms->launch.has_nice ? terms->launch.nice : getpriority(PRIO_PROCESS, 0));
	return text_status(out);
}

/* Nothing is the mount's own again. */
int nice_store(const struct view *view, const char *bytes, size_t size)
{
	char word[WORD_ROOM], *end;
	int error = copy_word(view, bytes, size, word);
	if (error)
		return error;
	long nice = strtol(word, &end, 10);
	if (size && (!strchr("-0123456789", *word) || *end || end == word || nice < -20 || nice > 19))
		return refuse(view->caller->why, EINVAL, "'%s' is no nice value; valid are -20 to 19", word);
	if (size)
		error = nice_check((int)nice, is_superusers(view), view->caller->why);
	if (error || view->check)
		return error;
	struct terms *terms = terms_of(view->process);
	if (!terms)
		return -ENOMEM;
	terms->launch.has_nice = size > 0;
	terms->launch.nice = (int)nice;
	return 0;
}

/* ---- control groups ---- */

static int show_wish(const struct view *view, enum cgroup_kind kind, struct text *out)
{
	struct cgroup_wish wish;
	cgroup_wish_init(&wish);
	cgroup_wish_show(view->process->terms ? &view->process->terms->wish : &wish, kind, out);
	return text_status(out);
}

/* What can't be had is refused now, not ignored later. */
static int store_wish(const struct view *view, enum cgroup_kind kind, const char *bytes, size_t size)
{
	char word[WORD_ROOM];
	struct cgroup_wish wish;
	struct refusal *why = view->caller->why;
	int error = copy_word(view, bytes, size, word);
	cgroup_wish_init(&wish);
	if (!error)
		error = cgroup_wish_parse(&wish, kind, word, why);
	if (!error && wish.limits[kind] != CGROUP_MAX) {
		struct cgroups *cgroups = manager_cgroups(view->manager);
		error = cgroups ? cgroups_check(cgroups, kind, why) : -ENOMEM;
	}
	if (error || view->check)
		return error;
	struct terms *terms = terms_of(view->process);
	return terms ? cgroup_wish_parse(&terms->wish, kind, word, why) : -ENOMEM;
}

int memory_max_show(const struct view *view, struct text *out)
{
	return show_wish(view, CGROUP_MEMORY, out);
}

int memory_max_store(const struct view *view, const char *bytes, size_t size)
{
	return store_wish(view, CGROUP_MEMORY, bytes, size);
}

int cpu_max_show(const struct view *view, struct text *out)
{
	return show_wish(view, CGROUP_CPU, out);
}

int cpu_max_store(const struct view *view, const char *bytes, size_t size)
{
	return store_wish(view, CGROUP_CPU, bytes, size);
}

int pids_max_show(const struct view *view, struct text *out)
{
	return show_wish(view, CGROUP_PIDS, out);
}

int pids_max_store(const struct view *view, const char *bytes, size_t size)
{
	return store_wish(view, CGROUP_PIDS, bytes, size);
}

/* ---- whose it is ---- */

int user_show(const struct view *view, struct text *out)
{
	const struct terms *terms = view->process->terms;
	if (terms && terms->user)
		text_printf(out, "%s\n", terms->user);
	return text_status(out);
}

int user_store(const struct view *view, const char *bytes, size_t size)
{
	char word[WORD_ROOM];
	int error = copy_word(view, bytes, size, word);
	if (error)
		return error;
	if (!is_superusers(view) || view->caller->uid != 0)
		return refuse(view->caller->why, EPERM, "only the superuser can choose a user, in a directory of its own making");
	return terms_set_user(view->process, word, view->check, view->caller->why);
}

/* ---- status ---- */

static void add_line(const struct view *view, struct text *out, const char *key,
		     int (*show)(const struct view *, struct text *))
{
	size_t before = out->size;
	text_printf(out, "%s: ", key);
	size_t begun = out->size;
	show(view, out);
	if (out->size == begun)
		out->size = before;
}

/* One line: a separator instead of each newline but the last. */
static void add_limits(const struct view *view, struct text *out)
{
	size_t before = out->size;
	add_line(view, out, "limits", limits_show_lines);
	for (size_t i = before; i + 1 < out->size; i++)
		if (out->data[i] == '\n')
			out->data[i] = ',';
}

static void add_wishes(const struct view *view, struct text *out)
{
	static int (*const SHOWS[])(const struct view *, struct text *) = { memory_max_show, cpu_max_show, pids_max_show };
	for (enum cgroup_kind kind = 0; kind < CGROUP_KINDS; kind++)
		if (view->process->terms->wish.limits[kind] != CGROUP_MAX)
			add_line(view, out, cgroup_kind_name(kind), SHOWS[kind]);
}

void terms_add_status(const struct view *view, struct text *out)
{
	add_line(view, out, "timeout", timeout_show);
	if (stopping_is_timed_out(view->process))
		text_add(out, "timed_out: 1\n");
	add_line(view, out, "user", user_show);
	if (view->process->terms) {
		add_limits(view, out);
		add_wishes(view, out);
		if (view->process->terms->launch.has_nice)
			add_line(view, out, "nice", nice_show);
	}
	if (view->process->stopping) {
		add_line(view, out, "stop_signal", stop_signal_show);
		add_line(view, out, "stop_timeout", stop_timeout_show);
	}
}
