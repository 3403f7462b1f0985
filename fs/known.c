#include "fs/known.h"
#include "fs/terms.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "core/capture.h"
#include "core/columns.h"
#include "core/json.h"
#include "core/restart.h"
#include "fs/show.h"

/* ---- pieces ---- */

void add_stamp(struct text *out, struct timespec when)
{
	struct tm tm;
	char stamp[32];
	if (!when.tv_sec || !gmtime_r(&when.tv_sec, &tm))
		return;
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	text_printf(out, "%s.%06ldZ", stamp, when.tv_nsec / 1000);
}

static struct timespec ended_of(const struct process *process)
{
	return process->state == PROCESS_ENDED ? moment_time(process->ended) : (struct timespec){0};
}

int add_ending_signal(struct text *out, const struct process *process, bool *dumped)
{
	*dumped = false;
	if (process->state != PROCESS_ENDED || !WIFSIGNALED(process->status))
		return 0;
	int number = WTERMSIG(process->status);
	const char *name = sigabbrev_np(number);
	*dumped = WCOREDUMP(process->status);
	if (name)
		text_printf(out, "SIG%s", name);
	else if (number > SIGRTMIN)
		text_printf(out, "SIGRTMIN+%d", number - SIGRTMIN);
	else
		text_printf(out, number == SIGRTMIN ? "SIGRTMIN" : "SIG%d", number);
	return number;
}

/* ---- of one process ---- */

static int show_stamp(struct timespec when, struct text *out)
{
	add_stamp(out, when);
	if (out->size)
		text_add(out, "\n");
	return text_status(out);
}

int started_show(const struct view *view, struct text *out)
{
	return show_stamp(manager_started(view->manager, view->process), out);
}

int ended_show(const struct view *view, struct text *out)
{
	return show_stamp(ended_of(view->process), out);
}

static void add_seconds(struct text *out, const char *key, struct timeval time)
{
	text_printf(out, "%s %jd.%06ld\n", key, (intmax_t)time.tv_sec, (long)time.tv_usec);
}

int rusage_show(const struct view *view, struct text *out)
{
	struct usage usage;
	int error = manager_usage(view->manager, view->process, &usage);
	if (error)
		return error == -ENODATA ? 0 : error;
	add_seconds(out, "utime", usage.utime);
	add_seconds(out, "stime", usage.stime);
	for (unsigned i = 0; usage_count_name(i); i++) {
		int64_t count = usage_count(&usage, i);
		if (count == USAGE_UNKNOWN)
			text_printf(out, "%s unknown\n", usage_count_name(i));
		else
			text_printf(out, "%s %" PRId64 "\n", usage_count_name(i), count);
	}
	return text_status(out);
}

/* ---- for programs ---- */

static void add_member(struct json *json, const char *key, const char *value)
{
	json_key(json, key);
	json_string(json, value);
}

static void add_number(struct json *json, const char *key, int64_t number, bool known)
{
	json_key(json, key);
	if (known)
		json_integer(json, number);
	else
		json_null(json);
}

static void add_boolean(struct json *json, const char *key, bool value)
{
	json_key(json, key);
	json_boolean(json, value);
}

/* The bytes of a text without the newline behind them; an empty one is null. Takes the text. */
static void add_text(struct json *json, const char *key, struct text *value)
{
	json_key(json, key);
	if (value->failed)
		json->out->failed = true;
	if (value->size && value->data[value->size - 1] == '\n')
		value->size--;
	if (value->size)
		json_bytes(json, value->data, value->size);
	else
		json_null(json);
	text_finish(value);
}

static void add_time(struct json *json, const char *key, struct timespec when)
{
	struct text stamp = {0};
	add_stamp(&stamp, when);
	add_text(json, key, &stamp);
}

static void add_ending(struct json *json, const struct process *process)
{
	int code = 0;
	bool dumped;
	struct text name = {0};
	bool ended = process_exitcode(process, &code);
	add_number(json, "exitcode", code, ended);
	add_ending_signal(&name, process, &dumped);
	add_text(json, "signal", &name);
	add_boolean(json, "core_dumped", dumped);
}

/* What can be told of every process of many. */
static void add_common(struct json *json, const struct view *view)
{
	const struct process *process = view->process;
	const struct value *target = &process->configuration.target;
	pid_t pid = manager_pid(view->manager, process);
	add_member(json, "directory", process->directory);
	add_member(json, "name", process_name(process));
	add_number(json, "id", (int64_t)process->id, true);
	add_member(json, "state", state_word(view));
	add_number(json, "pid", pid, pid);
	add_number(json, "ppid", manager_keeper_pid(view->manager), pid);
	add_boolean(json, "alive", manager_is_alive(view->manager, process));
	add_ending(json, process);
	add_boolean(json, "daemon", process->daemonic);
	add_member(json, "start_method", start_method_name(process->configuration.start_method));
	json_key(json, "target");
	if (target->size)
		json_bytes(json, target->bytes, target->size);
	else
		json_null(json);
	add_number(json, "run_bytes", (int64_t)process_detail(process, DETAIL_RUN)->size, true);
	add_number(json, "owner", process->owner, true);
	add_member(json, "parent", process->parent ? process->parent->directory : NULL);
	add_time(json, "created", moment_time(process->created));
	add_time(json, "started", manager_started(view->manager, process));
	add_time(json, "ended", ended_of(process));
}

static void add_args(struct json *json, const struct words *args)
{
	json_key(json, "args");
	json_open(json, '[');
	for (const char *word = words_next(args, NULL); word; word = words_next(args, word))
		json_string(json, word);
	json_close(json, ']');
}

static void add_kwargs(struct json *json, const struct value *kwargs)
{
	json_key(json, "kwargs");
	json_open(json, '[');
	for (size_t at = 0; at < kwargs->size;) {
		const char *line = kwargs->bytes + at;
		const char *newline = memchr(line, '\n', kwargs->size - at);
		size_t size = newline ? (size_t)(newline - line) : kwargs->size - at;
		if (size)
			json_bytes(json, line, size);
		at += size + 1;
	}
	json_close(json, ']');
}

static void add_seconds_member(struct json *json, const char *key, struct timeval time)
{
	char seconds[40];
	snprintf(seconds, sizeof seconds, "%jd.%06ld", (intmax_t)time.tv_sec, (long)time.tv_usec);
	json_key(json, key);
	json_value(json, seconds);
}

static void add_usage(struct json *json, const struct view *view)
{
	struct usage usage;
	json_key(json, "rusage");
	if (manager_usage(view->manager, view->process, &usage)) {
		json_null(json);
		return;
	}
	json_open(json, '{');
	add_seconds_member(json, "utime", usage.utime);
	add_seconds_member(json, "stime", usage.stime);
	for (unsigned i = 0; usage_count_name(i); i++)
		add_number(json, usage_count_name(i), usage_count(&usage, i), usage_count(&usage, i) != USAGE_UNKNOWN);
	json_close(json, '}');
}

static void add_streams(struct json *json, const struct view *view)
{
	const struct process *process = view->process;
	static const char *const TO[] = { "stdout_to", "stderr_to" }, *const DROPPED[] = { "stdout_dropped", "stderr_dropped" };
	for (int i = 0; i < 2; i++)
		add_member(json, TO[i], process_output_to(process, i));
	add_number(json, "output_max", (int64_t)process->configuration.output_max, true);
	for (int i = 0; i < 2; i++)
		add_number(json, DROPPED[i], (int64_t)capture_window(process, i).first, manager_may(process, view->caller));
	add_boolean(json, "stdin_open", process->configuration.stdin_open);
}

static void add_restart(struct json *json, const struct process *process)
{
	double due = restart_due(process);
	char seconds[40];
	add_member(json, "restart", restart_policy_name(restart_policy(process)));
	add_number(json, "restarts", restart_count(process), true);
	add_member(json, "restart_reason", restart_reason(process));
	json_key(json, "restart_in");
	snprintf(seconds, sizeof seconds, "%.3f", due);
	if (due >= 0)
		json_value(json, seconds);
	else
		json_null(json);
}

int status_json_show(const struct view *view, struct text *out)
{
	struct json json = { .out = out };
	struct text cwd = {0}, umask = {0};
	json_open(&json, '{');
	add_common(&json, view);
	add_args(&json, &view->process->configuration.args);
	add_kwargs(&json, process_detail(view->process, DETAIL_KWARGS));
	cwd_show(view, &cwd);
	add_text(&json, "cwd", &cwd);
	umask_show(view, &umask);
	add_text(&json, "umask", &umask);
	terms_add_json(view, &json);
	add_streams(&json, view);
	add_usage(&json, view);
	add_restart(&json, view->process);
	add_boolean(&json, "exact", !json.replaced);
	json_close(&json, '}');
	text_add(out, "\n");
	return text_status(out);
}

int all_status_json_show(const struct view *view, struct text *out)
{
	struct json json = { .out = out };
	struct view each = *view;
	json_open(&json, '[');
	text_add(out, "\n");
	while ((each.process = manager_after(view->manager, each.process ? each.process->id : 0))) {
		json.replaced = false;
		json_open(&json, '{');
		add_common(&json, &each);
		add_boolean(&json, "exact", !json.replaced);
		json_close(&json, '}');
	}
	text_add(out, "\n");
	json_close(&json, ']');
	text_add(out, "\n");
	return text_status(out);
}

/* ---- for people ---- */

static const char *const HEADINGS[] = { "NAME", "STATE", "PID", "EXITCODE", "SIGNAL", "DAEMON", "OWNER", "STARTED", "ENDED", "TARGET" };

enum { HEADING_COUNT = sizeof HEADINGS / sizeof *HEADINGS };

static void add_cell_number(struct columns *columns, intmax_t number, bool known)
{
	char cell[24] = "";
	if (known)
		snprintf(cell, sizeof cell, "%jd", number);
	columns_add(columns, cell);
}

/* So much of a name or a target is enough for people. */
enum { A_CELL = 200 };

static void add_cell_name(struct columns *columns, const char *name)
{
	struct text cell = {0};
	text_add_name_up_to(&cell, name, A_CELL);
	columns_take(columns, &cell);
}

static void add_cell_signal(struct columns *columns, const struct process *process)
{
	struct text cell = {0};
	bool dumped;
	add_ending_signal(&cell, process, &dumped);
	if (dumped)
		text_add(&cell, "+core");
	columns_take(columns, &cell);
}

/* Seconds are enough for people. */
static void add_cell_time(struct columns *columns, struct timespec when)
{
	struct text cell = {0};
	add_stamp(&cell, when);
	if (cell.size > 8) {
		cell.size -= strlen(".000000Z");
		text_add(&cell, "Z");
	}
	columns_take(columns, &cell);
}

static void add_line(struct columns *columns, const struct view *view)
{
	const struct process *process = view->process;
	const struct value *target = &process->configuration.target;
	pid_t pid = manager_pid(view->manager, process);
	int code = 0;
	bool ended = process_exitcode(process, &code);
	add_cell_name(columns, process->directory);
	columns_add(columns, state_word(view));
	add_cell_number(columns, pid, pid);
	add_cell_number(columns, code, ended);
	add_cell_signal(columns, process);
	add_cell_number(columns, process->daemonic, true);
	add_cell_number(columns, process->owner, true);
	add_cell_time(columns, manager_started(view->manager, process));
	add_cell_time(columns, ended_of(process));
	add_cell_name(columns, target->size ? target->bytes : process_detail(process, DETAIL_RUN)->size ? "(run)" : "");
}

int all_status_show(const struct view *view, struct text *out)
{
	struct columns columns = { .count = HEADING_COUNT };
	struct view each = *view;
	for (unsigned i = 0; i < HEADING_COUNT; i++)
		columns_add(&columns, HEADINGS[i]);
	while ((each.process = manager_after(view->manager, each.process ? each.process->id : 0)))
		add_line(&columns, &each);
	int error = columns_write(&columns, out);
	columns_finish(&columns);
	return error;
}
