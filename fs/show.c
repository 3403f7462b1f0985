#include "fs/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/known.h"

#include "fs/terms.h"
#include "core/capture.h"
#include "core/restart.h"
#include "fs/streams.h"

/* ---- the root's ---- */

int active_children_show(const struct view *view, struct text *out)
{
	struct process *process = NULL;
	while ((process = manager_after(view->manager, process ? process->id : 0))) {
		if (!manager_is_alive(view->manager, process))
			continue;
		text_add_name(out, process->directory);
		text_add(out, "\n");
	}
	return text_status(out);
}

int default_start_method_show(const struct view *view, struct text *out)
{
	text_printf(out, "%s\n", start_method_name(manager_start_method(view->manager)));
	return text_status(out);
}

int root_error_show(const struct view *view, struct text *out)
{
	const char *sentence = manager_error(view->manager, view->caller->uid);
	if (sentence)
		text_printf(out, "%s\n", sentence);
	return text_status(out);
}

int self_show(const struct view *view, struct text *out)
{
	struct process *process;
	int error = manager_find_inside(view->manager, view->caller, &process, NULL);
	if (error || !process)
		return error ? error : -ENOENT;
	text_add(out, process->directory);
	return text_status(out);
}

int session_show(const struct view *view, struct text *out)
{
	(void)view;
	return text_status(out);
}

int version_show(const struct view *view, struct text *out)
{
	text_add(out, "procfs-mp " PROCFS_MP_VERSION "\n");
	text_printf(out, "keeper %d\nserver %d\n", (int)manager_keeper_pid(view->manager), (int)getpid());
	return text_status(out);
}

/* ---- a process's configuration ---- */

static int show_line(const struct value *value, struct text *out)
{
	if (value->size) {
		text_append(out, value->bytes, value->size);
		text_add(out, "\n");
	}
	return text_status(out);
}

int target_show(const struct view *view, struct text *out)
{
	return show_line(&view->process->configuration.target, out);
}

int args_show(const struct view *view, struct text *out)
{
	const struct words *args = &view->process->configuration.args;
	char *text;
	size_t size;
	if (!args->count)
		return 0;
	int error = words_join(args, &text, &size);
	if (error)
		return error;
	text_append(out, text, size);
	text_add(out, "\n");
	free(text);
	return text_status(out);
}

int kwargs_show(const struct view *view, struct text *out)
{
	return show_line(process_detail(view->process, DETAIL_KWARGS), out);
}

int env_show(const struct view *view, struct text *out)
{
	return show_line(process_detail(view->process, DETAIL_ENV), out);
}

int cwd_show(const struct view *view, struct text *out)
{
	return show_line(process_detail(view->process, DETAIL_CWD), out);
}

/* A script is shown as it was written, to the byte. */
int run_show(const struct view *view, struct text *out)
{
	const struct value *run = process_detail(view->process, DETAIL_RUN);
	text_append(out, run->bytes, run->size);
	return text_status(out);
}

size_t run_size(const struct view *view)
{
	return process_detail(view->process, DETAIL_RUN)->size;
}

int umask_show(const struct view *view, struct text *out)
{
	text_printf(out, "%04o\n", (unsigned)invocation_umask(view->process, manager_surroundings(view->manager)));
	return text_status(out);
}

int name_show(const struct view *view, struct text *out)
{
	text_printf(out, "%s\n", process_name(view->process));
	return text_status(out);
}

int daemon_show(const struct view *view, struct text *out)
{
	text_printf(out, "%d\n", view->process->daemonic);
	return text_status(out);
}

int start_method_show(const struct view *view, struct text *out)
{
	text_printf(out, "%s\n", start_method_name(view->process->configuration.start_method));
	return text_status(out);
}

int authkey_show(const struct view *view, struct text *out)
{
	unsigned char key[PROCESS_AUTHKEY_SIZE];
	int error = manager_authkey(view->manager, view->process, key);
	if (error)
		return error;
	for (size_t i = 0; i < sizeof key; i++)
		text_printf(out, "%02x", key[i]);
	text_add(out, "\n");
	return text_status(out);
}

int restart_show(const struct view *view, struct text *out)
{
	text_printf(out, "%s\n", restart_policy_name(restart_policy(view->process)));
	return text_status(out);
}

/* ---- what is known of it ---- */

int clone_show(const struct view *view, struct text *out)
{
	if (view->process)
		text_printf(out, "%s\n", view->process->directory);
	return text_status(out);
}

int pid_show(const struct view *view, struct text *out)
{
	pid_t pid = manager_pid(view->manager, view->process);
	if (pid)
		text_printf(out, "%d\n", (int)pid);
	return text_status(out);
}

int ppid_show(const struct view *view, struct text *out)
{
	if (manager_pid(view->manager, view->process))
		text_printf(out, "%d\n", (int)manager_keeper_pid(view->manager));
	return text_status(out);
}

int alive_show(const struct view *view, struct text *out)
{
	text_printf(out, "%d\n", manager_is_alive(view->manager, view->process));
	return text_status(out);
}

int exitcode_show(const struct view *view, struct text *out)
{
	int code;
	if (process_exitcode(view->process, &code))
		text_printf(out, "%d\n", code);
	return text_status(out);
}

int wait_show(const struct view *view, struct text *out)
{
	if (view->process->state == PROCESS_ENDED)
		return exitcode_show(view, out);
	if (manager_is_alive(view->manager, view->process))
		return -EAGAIN;
	return refuse(view->caller->why, ESRCH, "can only join a started process");
}

int sentinel_show(const struct view *view, struct text *out)
{
	int error = wait_show(view, out);
	text_finish(out);
	return error;
}

const char *state_word(const struct view *view)
{
	if (view->process->state == PROCESS_ENDED)
		return "ended";
	if (manager_is_paused(view->manager, view->process))
		return "paused";
	return manager_is_alive(view->manager, view->process) ? "running" : "initial";
}

int state_show(const struct view *view, struct text *out)
{
	text_printf(out, "%s\n", state_word(view));
	return text_status(out);
}

/* Not asked about: a process may have been refused something by its owner only. */
int error_show(const struct view *view, struct text *out)
{
	if (view->process->error)
		text_printf(out, "%s\n", view->process->error);
	return text_status(out);
}

int parent_show(const struct view *view, struct text *out)
{
	if (!view->process->parent)
		return -ENOENT;
	text_printf(out, "../%s", view->process->parent->directory);
	return text_status(out);
}

/* ---- status ---- */

static void add_time(struct text *out, const char *key, struct timespec when)
{
	if (!when.tv_sec)
		return;
	text_printf(out, "%s: ", key);
	add_stamp(out, when);
	text_add(out, "\n");
}

static void add_signal(struct text *out, const struct process *process)
{
	struct text name = {0};
	bool dumped;
	if (add_ending_signal(&name, process, &dumped))
		text_printf(out, "signal: %.*s%s\n", (int)name.size, name.data ? name.data : "", dumped ? " (core dumped)" : "");
	text_finish(&name);
}

/* "key value" lines become "key: value" lines. */
static void add_usage(struct text *out, const struct view *view)
{
	struct text usage = {0};
	if (rusage_show(view, &usage) || !usage.size) {
		text_finish(&usage);
		return;
	}
	for (size_t i = 0; i < usage.size; i++) {
		if (usage.data[i] == ' ')
			text_add(out, ":");
		text_append(out, usage.data + i, 1);
	}
	text_finish(&usage);
}

/* A line of a file that is nobody's secret; none when the file is empty. */
static void add_shown(struct text *out, const char *key, const struct view *view,
		      int (*show)(const struct view *, struct text *))
{
	struct text value = {0};
	if (show(view, &value) || !value.size) {
		text_finish(&value);
		return;
	}
	char *line = text_take(&value, NULL);
	if (!line) {
		out->failed = true;
		return;
	}
	size_t length = strlen(line);
	if (line[length - 1] == '\n')
		line[length - 1] = '\0';
	text_printf(out, "%s: ", key);
	text_add_name(out, line);
	text_add(out, "\n");
	free(line);
}

/* How long an output was is a part of the secret that it is. */
static void add_dropped(const struct view *view, struct text *out)
{
	static const char *const KEYS[] = { "stdout_dropped", "stderr_dropped" };
	for (int i = 0; i < 2 && manager_may(view->process, view->caller); i++) {
		uint64_t first = capture_window(view->process, i).first;
		if (first)
			text_printf(out, "%s: %" PRIu64 "\n", KEYS[i], first);
	}
}

/* Nothing, for one that never was and will not be run again. */
static void add_restart(struct text *out, const struct process *process)
{
	if (restart_policy(process) == RESTART_NO && !restart_count(process))
		return;
	text_printf(out, "restart: %s\n", restart_policy_name(restart_policy(process)));
	text_printf(out, "restarts: %u\n", restart_count(process));
	if (restart_reason(process)) {
		text_add(out, "restart_reason: ");
		text_add_name(out, restart_reason(process));
		text_add(out, "\n");
	}
	if (restart_due(process) >= 0)
		text_printf(out, "restart_in: %.3f\n", restart_due(process));
}

int status_show(const struct view *view, struct text *out)
{
	const struct process *process = view->process;
	add_shown(out, "name", view, name_show);
	text_printf(out, "state: %s\n", state_word(view));
	add_shown(out, "pid", view, pid_show);
	add_shown(out, "ppid", view, ppid_show);
	add_shown(out, "alive", view, alive_show);
	add_shown(out, "exitcode", view, exitcode_show);
	add_signal(out, process);
	add_shown(out, "daemon", view, daemon_show);
	enum start_method method = process->configuration.start_method;
	text_printf(out, "start_method: %s%s\n", start_method_name(method),
		    method == START_SPAWN ? "" : " (carried out as spawn)");
	add_shown(out, "target", view, target_show);
	add_shown(out, "args", view, args_show);
	add_shown(out, "kwargs", view, kwargs_show);
	size_t run_size = process_detail(process, DETAIL_RUN)->size;
	if (run_size)
		text_printf(out, "run: %zu bytes%s\n", run_size,
			    process->configuration.target.size ? " (not used: there is a target)" : "");
	add_shown(out, "cwd", view, cwd_show);
	add_shown(out, "umask", view, umask_show);
	terms_add_status(view, out);
	text_printf(out, "owner: %u\n", (unsigned)process->owner);
	if (process->parent) {
		text_add(out, "parent: ");
		text_add_name(out, process->parent->directory);
		text_add(out, "\n");
	}
	add_shown(out, "stdout_to", view, stdout_to_show);
	add_shown(out, "stderr_to", view, stderr_to_show);
	add_dropped(view, out);
	add_time(out, "created", moment_time(process->created));
	add_shown(out, "started", view, started_show);
	add_shown(out, "ended", view, ended_show);
	add_usage(out, view);
	add_restart(out, process);
	return text_status(out);
}

/* ---- streams ---- */

int stdin_stream(const struct process *process)
{
	return process->stdin_fd;
}
