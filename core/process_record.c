#include "core/process_record.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/terms.h"

/* ---- configuration ---- */

static void put_value(struct text *out, const struct value *value)
{
	record_put_bytes(out, value->bytes, value->size);
}

static void take_value(struct record_reader *from, struct value *value)
{
	value->bytes = record_copy(from, &value->size);
}

static void put_detail(struct text *out, const struct process *process, enum detail which)
{
	put_value(out, process_detail(process, which));
}

static void take_detail(struct record_reader *from, struct process *process, enum detail which)
{
	size_t size;
	const char *bytes = record_bytes(from, &size);
	from->bad |= process_set_detail(process, which, bytes, size) != 0;
}

static void put_terms(struct text *out, const struct terms *terms)
{
	record_put_number(out, terms != NULL);
	if (!terms)
		return;
	record_put_signed(out, terms->launch.nice);
	record_put_number(out, terms->launch.has_nice);
	record_put_number(out, terms->launch.limit_count);
	for (uint32_t i = 0; i < terms->launch.limit_count; i++) {
		record_put_number(out, terms->launch.limits[i].resource);
		record_put_number(out, terms->launch.limits[i].soft);
		record_put_number(out, terms->launch.limits[i].hard);
	}
	for (int kind = 0; kind < CGROUP_KINDS; kind++)
		record_put_number(out, terms->wish.limits[kind]);
	record_put_number(out, terms->wish.period);
	record_put_string(out, terms->user);
}

static int take_terms(struct process *process, struct record_reader *from)
{
	if (!record_number(from))
		return 0;
	struct terms *terms = terms_of(process);
	if (!terms)
		return -ENOMEM;
	terms->launch.nice = (int32_t)record_signed(from);
	terms->launch.has_nice = (uint32_t)record_number(from);
	terms->launch.limit_count = (uint32_t)record_number(from);
	if (terms->launch.limit_count > LAUNCH_LIMITS_MAX)
		return -EPROTO;
	for (uint32_t i = 0; i < terms->launch.limit_count; i++) {
		terms->launch.limits[i].resource = (uint32_t)record_number(from);
		terms->launch.limits[i].soft = record_number(from);
		terms->launch.limits[i].hard = record_number(from);
	}
	for (int kind = 0; kind < CGROUP_KINDS; kind++)
		terms->wish.limits[kind] = record_number(from);
	terms->wish.period = record_number(from);
	terms->user = record_copy(from, NULL);
	return 0;
}

void process_pack_configuration(const struct process *process, struct text *out)
{
	const struct configuration *c = &process->configuration;
	put_value(out, &c->target);
	record_put_bytes(out, c->args.bytes, c->args.size);
	record_put_number(out, c->args.count);
	put_detail(out, process, DETAIL_KWARGS);
	put_detail(out, process, DETAIL_ENV);
	put_detail(out, process, DETAIL_CWD);
	put_detail(out, process, DETAIL_RUN);
	record_put_signed(out, c->umask);
	record_put_number(out, c->start_method);
	put_detail(out, process, DETAIL_STDOUT_TO);
	put_detail(out, process, DETAIL_STDERR_TO);
	record_put_number(out, c->stdin_open);
	record_put_number(out, c->output_max == PROCESS_OUTPUT_MAX_DEFAULT ? 0 : c->output_max + 1);
	put_terms(out, process->terms);
}

static int said(const struct record_reader *from)
{
	return from->bad ? -EPROTO : 0;
}

int process_unpack_configuration(struct process *process, struct record_reader *from)
{
	struct configuration *c = &process->configuration;
	take_value(from, &c->target);
	c->args.bytes = record_copy(from, &c->args.size);
	c->args.count = record_number(from);
	take_detail(from, process, DETAIL_KWARGS);
	take_detail(from, process, DETAIL_ENV);
	take_detail(from, process, DETAIL_CWD);
	take_detail(from, process, DETAIL_RUN);
	c->umask = (int)record_signed(from);
	c->start_method = (enum start_method)record_number(from);
	take_detail(from, process, DETAIL_STDOUT_TO);
	take_detail(from, process, DETAIL_STDERR_TO);
	c->stdin_open = record_number(from);
	uint64_t most = record_number(from);
	c->output_max = most ? most - 1 : PROCESS_OUTPUT_MAX_DEFAULT;
	int error = take_terms(process, from);
	return error ? error : said(from);
}

/* ---- the rest ---- */

enum flag {
	IS_DAEMONIC = 1 << 0,
	IS_RERUN = 1 << 1,
	IS_STOP_WANTED = 1 << 2,
	HAS_INPUT = 1 << 3,
	HAS_INPUT_ENDING = 1 << 4,
	HAS_RUN = 1 << 5, /* what a process that was never started has none of */
	HAS_USAGE = 1 << 6,
	HAS_WRITTEN = 1 << 7,
	IS_PAUSED = 1 << 8,
};

static bool has_run(const struct process *process, const struct process_ties *ties)
{
	return process->run_count || ties->output_dropped[0] || ties->output_dropped[1] || process->doomed ||
	       process->start_error;
}

static void put_time(struct text *out, const struct timeval *time)
{
	record_put_signed(out, time->tv_sec);
	record_put_number(out, (uint64_t)time->tv_usec);
}

static struct timeval take_time(struct record_reader *from)
{
	struct timeval time = { .tv_sec = (time_t)record_signed(from) };
	time.tv_usec = (suseconds_t)record_number(from);
	return time;
}

static int64_t *usage_counts(struct usage *usage, size_t index)
{
	int64_t *const counts[] = { &usage->maxrss_kib, &usage->minflt, &usage->majflt, &usage->inblock,
				    &usage->oublock,	&usage->nvcsw,	&usage->nivcsw };
	return index < sizeof counts / sizeof *counts ? counts[index] : NULL;
}

static void put_usage(struct text *out, const struct usage *usage)
{
	struct usage copy = *usage;
	put_time(out, &copy.utime);
	put_time(out, &copy.stime);
	int64_t *count;
	for (size_t i = 0; (count = usage_counts(&copy, i)); i++)
		record_put_signed(out, *count);
}

static int take_usage(struct process *process, struct record_reader *from)
{
	struct usage usage = { .utime = take_time(from) };
	usage.stime = take_time(from);
	int64_t *count;
	for (size_t i = 0; (count = usage_counts(&usage, i)); i++)
		*count = record_signed(from);
	int error = process_reserve_usage(process);
	if (!error)
		process_set_usage(process, &usage);
	return error;
}

static void put_run(struct text *out, const struct process *process, const struct process_ties *ties)
{
	record_put_number(out, process->run_count);
	record_put_number(out, process->resets);
	record_put_signed(out, process->doomed);
	record_put_signed(out, process->start_error);
	record_put_number(out, process->launch.index);
	record_put_number(out, process->launch.generation);
	record_put_signed(out, process->pid);
	record_put_signed(out, process->status);
	record_put_time(out, moment_time(process->started));
	record_put_time(out, moment_time(process->ended));
	record_put_number(out, ties->output_dropped[0]);
	record_put_number(out, ties->output_dropped[1]);
	record_put_number(out, ties->tree);
	record_put_number(out, process->terms ? (uint64_t)process->terms->runs_as + 1 : 0);
	record_put_signed(out, ties->writer);
	record_put_number(out, ties->writer_start);
}

static void take_run(struct process *process, struct process_ties *ties, struct record_reader *from)
{
	process->run_count = (uint32_t)record_number(from);
	process->resets = (uint32_t)record_number(from);
	process->doomed = (int)record_signed(from);
	process->start_error = (int)record_signed(from);
	process->launch.index = (uint32_t)record_number(from);
	process->launch.generation = record_number(from);
	process->pid = (pid_t)record_signed(from);
	process->status = (int)record_signed(from);
	process->started = moment_of(record_time(from));
	process->ended = moment_of(record_time(from));
	ties->output_dropped[0] = record_number(from);
	ties->output_dropped[1] = record_number(from);
	ties->tree = record_number(from);
	uint64_t runs_as = record_number(from);
	struct terms *terms = runs_as ? terms_of(process) : NULL;
	if (terms)
		terms->runs_as = (uid_t)(runs_as - 1);
	else
		from->bad |= runs_as != 0;
	ties->writer = (pid_t)record_signed(from);
	ties->writer_start = record_number(from);
}

static unsigned flags_of(const struct process *process, const struct process_ties *ties)
{
	unsigned flags = has_run(process, ties) ? HAS_RUN : 0;
	flags |= process->daemonic ? IS_DAEMONIC : 0;
	flags |= process->rerun ? IS_RERUN : 0;
	flags |= process->stop_wanted ? IS_STOP_WANTED : 0;
	flags |= process->paused ? IS_PAUSED : 0;
	flags |= ties->has_input ? HAS_INPUT : 0;
	flags |= ties->input.ending ? HAS_INPUT_ENDING : 0;
	flags |= process->has_usage ? HAS_USAGE : 0;
	flags |= ties->written ? HAS_WRITTEN : 0;
	return flags;
}

void process_pack(const struct process *process, const struct process_ties *ties, struct text *out)
{
	record_put_string(out, process->directory);
	record_put_string(out, process_identity(process));
	record_put_number(out, flags_of(process, ties));
	record_put_number(out, process->state);
	record_put_string(out, process->name);
	record_put_number(out, process->owner);
	record_put_number(out, process->group);
	record_put_bytes(out, process->authkey, process->authkey ? PROCESS_AUTHKEY_SIZE : 0);
	record_put_number(out, ties->parent);
	record_put_number(out, ties->session);
	record_put_number(out, process->children_made);
	record_put_time(out, moment_time(process->created));
	record_put_string(out, process->error);
	if (ties->has_input) {
		record_put_signed(out, ties->input.sent);
		record_put_signed(out, ties->input.end);
	}
	if (ties->written)
		record_put_number(out, ties->written);
	if (has_run(process, ties))
		put_run(out, process, ties);
	if (process->has_usage)
		put_usage(out, process->usage);
}

static int take_authkey(struct process *process, struct record_reader *from)
{
	size_t size;
	process->authkey = (unsigned char *)record_copy(from, &size);
	return process->authkey && size != PROCESS_AUTHKEY_SIZE ? -EPROTO : 0;
}

static int take_rest(struct process *process, struct process_ties *ties, struct record_reader *from)
{
	unsigned flags = (unsigned)record_number(from);
	process->daemonic = flags & IS_DAEMONIC;
	process->rerun = flags & IS_RERUN;
	process->stop_wanted = flags & IS_STOP_WANTED;
	process->paused = flags & IS_PAUSED;
	*ties = (struct process_ties){ .has_input = flags & HAS_INPUT, .input.ending = flags & HAS_INPUT_ENDING };
	uint64_t state = record_number(from);
	if (state > PROCESS_BETWEEN)
		return -EPROTO;
	process->state = (enum process_state)state;
	process->name = record_copy(from, NULL);
	process->owner = (uid_t)record_number(from);
	process->group = (gid_t)record_number(from);
	int error = take_authkey(process, from);
	ties->parent = record_number(from);
	ties->session = record_number(from);
	process->children_made = record_number(from);
	process->created = moment_of(record_time(from));
	process->error = record_copy(from, NULL);
	if (flags & HAS_INPUT) {
		ties->input.sent = record_signed(from);
		ties->input.end = record_signed(from);
	}
	if (flags & HAS_WRITTEN)
		ties->written = record_number(from);
	if (flags & HAS_RUN)
		take_run(process, ties, from);
	if (!error && flags & HAS_USAGE)
		error = take_usage(process, from);
	return error ? error : said(from);
}

int process_unpack(uint64_t id, struct record_reader *from, struct process **out, struct process_ties *ties)
{
	char *directory = record_copy(from, NULL), *identity = record_copy(from, NULL);
	bool named = directory && *directory && identity && strlen(directory) <= NAME_MAX;
	struct process *process = named ? process_create(directory, identity) : NULL;
	int error = process ? 0 : named ? -ENOMEM : -EPROTO;
	free(directory);
	free(identity);
	if (error)
		return error;
	process->id = id;
	error = take_rest(process, ties, from);
	if (error)
		process_destroy(process);
	else
		*out = process;
	return error;
}
