/*
 * What became of a launch: the keeper's answers, and what follows from a start that failed, a start that succeeded and an end.
 *
 * The table that keeper and server share is the truth; messages only say where to look.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/capture.h"
#include "core/input.h"
#include "core/manager_private.h"
#include "core/restart.h"
#include "core/stopping.h"
#include "core/terms.h"

void start_destroy(struct start *start)
{
	if (start->composed) {
		message_launch_finish(&start->message);
		invocation_finish(&start->invocation);
	}
	redirection_forget_writer(&start->writer);
	free(start->group);
	if (start->manager) {
		start->manager->sent -= start->is_sent;
		turns_leave(start);
	}
	free(start);
}

/* What could not be executed: only then the candidate is one of these. */
static const char *tried(const struct configuration *c, const struct launch_spec *spec, const struct ptable_entry *entry)
{
	if (spec->candidates)
		return spec->candidates[entry->candidate];
	return c->target.size ? c->target.bytes : "run";
}

static void describe(const struct start *start, const struct launch_spec *spec, const struct ptable_entry *entry,
		     struct refusal *why)
{
	const struct configuration *c = &start->process->configuration;
	const char *reason = entry->error ? strerror(entry->error) : "it was killed before it could";
	switch (entry->step) {
	case LAUNCH_STEP_USER:
		refuse(why, EPERM, "cannot become user %u: %s", (unsigned)spec->uid, reason);
		break;
	case LAUNCH_STEP_CWD:
		refuse(why, ENOENT, "cannot enter the directory %s: %s", spec->cwd ? spec->cwd : "of its own", reason);
		break;
	case LAUNCH_STEP_CGROUP:
		refuse(why, EPERM, "cannot enter the cgroup %s: %s",
		       spec->cgroups ? spec->cgroups[entry->candidate] : "of its own", reason);
		break;
	case LAUNCH_STEP_LIMITS:
		terms_describe_failure(start->process, entry, why);
		break;
	case LAUNCH_STEP_STDOUT:
	case LAUNCH_STEP_STDERR:
		redirection_describe(spec, entry->step == LAUNCH_STEP_STDERR, entry->error, why);
		break;
	case LAUNCH_STEP_EXEC:
		if (entry->error == ENOENT && c->target.size && !strchr(c->target.bytes, '/'))
			refuse(why, ENOENT, "cannot execute %s: it is in no directory of PATH (%s)", c->target.bytes, reason);
		else
			refuse(why, ENOENT, "cannot execute %s: %s", tried(c, spec, entry), reason);
		break;
	default:
		refuse(why, EAGAIN, "cannot make a process: %s", reason);
	}
}

/* A launch that a dead server sent is composed once more, for the words about it: the entry's candidate is one of these. What
 * needs an account would have to be awaited, and is told of in the words of its configuration. */
static void describe_failure(struct start *start, const struct ptable_entry *entry, struct refusal *why)
{
	const struct surroundings *surroundings = start->manager->config.surroundings;
	struct invocation again;
	bool is_again = !start->composed && !invocation_needs_account(start->process, surroundings) &&
			!invocation_init(&again, start->process, surroundings, NULL);
	struct launch_spec unknown = { .uid = terms_user(start->process),
				       .cwd = process_detail(start->process, DETAIL_CWD)->bytes };
	struct launch_spec *spec = start->composed ? &start->invocation.spec : is_again ? &again.spec : &unknown;
	if (!start->composed)
		redirection_apply(start->process, &start->writer, spec);
	describe(start, spec, entry, why);
	if (is_again)
		invocation_finish(&again);
}

/* Back to INITIAL: nothing is left behind, it can be corrected and started again. */
void start_fail(struct manager *manager, struct process *process, int error, const char *sentence)
{
	start_destroy(process->start);
	process->start = NULL;
	LIST_REMOVE(process, beginning);
	process_fail_start(process);
	start_leave_cgroups(manager, process);
	stopping_on_over(process);
	process->doomed = 0;
	process->start_error = error;
	process_set_error(process, sentence);
	input_end(process);
	if (process->state == PROCESS_BETWEEN) {
		restart_after_failure(process, sentence);
		return;
	}
	uint64_t id = process->id;
	waiters_tell(&process->starting, error);
	/* One of them may have removed it; then the joiners were told. */
	if (manager_by_id(manager, id))
		waiters_tell(&process->joining, -ESRCH);
	lineage_check_finished(manager);
}

static void on_failed(struct manager *manager, struct process *process)
{
	struct refusal why;
	const struct ptable_entry *entry = ptable_at(manager->config.table, process->launch.index);
	int error = entry->error ? -entry->error : -ECANCELED;
	describe_failure(process->start, entry, &why);
	manager_release(manager, process->launch);
	start_fail(manager, process, error, why.sentence);
}

static void on_started(struct manager *manager, struct process *process)
{
	const struct ptable_entry *entry = ptable_at(manager->config.table, process->launch.index);
	if (!process_succeed_start(process, ptable_pid(manager->config.table, process->launch), entry->started))
		return;
	start_destroy(process->start);
	process->start = NULL;
	LIST_REMOVE(process, beginning);
	manager->running++;
	LIST_INSERT_HEAD(pids_like(manager, process->pid), process, by_pid);
	process_set_error(process, NULL);
	stopping_on_started(manager, process);
	manager_raise(manager, process, MANAGER_STARTED, moment_time(process->started));
	if (manager->killing)
		manager_signal(manager, process, SIGKILL, NULL);
	else if (process->doomed == SIGTERM)
		lineage_terminate(manager, process);
	else if (process->doomed)
		manager_signal(manager, process, process->doomed, NULL);
	capture_begin(process);
	input_begin(process);
	waiters_tell(&process->starting, 0);
}

static void on_ended(struct manager *manager, struct process *process)
{
	on_started(manager, process);
	const struct ptable_end *end = ptable_end_at(manager->config.table, process->launch.index);
	process_end(process, ptable_at(manager->config.table, process->launch.index)->status, end->ended);
	process_set_usage(process, &end->usage);
	LIST_REMOVE(process, by_pid);
	manager->has_new_ends = true;
	stopping_on_over(process);
	manager_raise(manager, process, MANAGER_EXITED, moment_time(process->ended));
	if (--manager->running == 0 && LIST_EMPTY(&manager->beginning))
		manager->oldest = UINT64_MAX;
	manager_release(manager, process->launch);
	lineage_release(manager, &process->children, process->owner);
	bool over = !restart_after_end(process);
	cgroups_leave(manager->cgroups, process->id);
	if (over)
		manager_tell_end(manager, process);
}

void manager_tell_end(struct manager *manager, struct process *process)
{
	start_leave_cgroups(manager, process);
	observers_tell(&process->observers);
	uint64_t id = process->id;
	capture_end(process, 0);
	input_end(process);
	if (manager_by_id(manager, id)) {
		share_spare(process);
		waiters_tell(&process->joining, 0);
	}
	lineage_check_finished(manager);
}

static void tell_pause(struct manager *manager, struct process *process, bool paused)
{
	if (process_pause(process, paused))
		manager_raise_now(manager, process, paused ? MANAGER_PAUSED : MANAGER_CONTINUED);
}

/* What the entry says of it now. */
static void look_for_pause(struct manager *manager, struct process *process)
{
	struct ptable *table = manager->config.table;
	bool stopped = ptable_is_stopped(table, process->launch);
	enum ptable_state state = ptable_state(table, process->launch);
	/* Asked afterwards: one that has ended does not go on. */
	if (state == PTABLE_LAUNCHING || state == PTABLE_RUNNING)
		tell_pause(manager, process, stopped);
}

/* Acts on what the entry says now, so that messages may be lost, late or doubled: the table is the truth. */
static void take_entry(struct manager *manager, struct ptable_ref ref)
{
	struct process *process = manager_by_id(manager, ptable_at(manager->config.table, ref.index)->id);
	enum ptable_state state = ptable_state(manager->config.table, ref);
	if (!process || process->launch.index != ref.index || process->launch.generation != ref.generation)
		return;
	bool starting = process->state == PROCESS_STARTING;
	if (state == PTABLE_FAILED && starting)
		on_failed(manager, process);
	else if (state == PTABLE_RUNNING && starting) {
		on_started(manager, process);
		look_for_pause(manager, process);
	} else if (state == PTABLE_ENDED && (starting || process->state == PROCESS_RUNNING))
		on_ended(manager, process);
}

/* It has been executed, also when the launcher's word of it is still on its way. */
static void take_pause(struct manager *manager, struct ptable_ref ref, bool paused)
{
	struct process *process = manager_by_id(manager, ptable_at(manager->config.table, ref.index)->id);
	enum ptable_state state = ptable_state(manager->config.table, ref);
	if (!process || process->launch.index != ref.index || process->launch.generation != ref.generation ||
	    (state != PTABLE_RUNNING && state != PTABLE_LAUNCHING))
		return;
	on_started(manager, process);
	/* The message first: between two looks it may have been paused and gone on. */
	tell_pause(manager, process, paused);
	look_for_pause(manager, process);
}

static void on_command_ended(struct manager *manager)
{
	manager->command_runs = false;
	manager_end(manager);
	lineage_check_finished(manager);
}

void outcome_scan(struct manager *manager)
{
	struct ptable_ref ref;
	for (uint32_t cursor = 0; ptable_next_finished(manager->config.table, &cursor, &ref);) {
		if (ref.index != PTABLE_COMMAND)
			take_entry(manager, ref);
		else if (manager->command_runs)
			on_command_ended(manager);
	}
	struct process *process, *next;
	for (process = LIST_FIRST(&manager->beginning); process; process = next) {
		next = LIST_NEXT(process, beginning);
		if (process->launch.generation)
			take_entry(manager, process->launch);
	}
	for (int i = 0; i < PID_LISTS; i++)
		LIST_FOREACH(process, &manager->pids[i], by_pid)
			look_for_pause(manager, process);
}

/* CHANGE: whichever message it was, what the entry says now counts. */
void outcome_take(struct manager *manager, const struct message *message)
{
	if (message->kind == MESSAGE_SIGNAL)
		lineage_on_signal(manager, message->ref.generation);
	else if (message->kind == MESSAGE_PAUSED || message->kind == MESSAGE_CONTINUED)
		take_pause(manager, message->ref, message->kind == MESSAGE_PAUSED);
	else if (message->ref.index == PTABLE_COMMAND) {
		if (message->kind != MESSAGE_STARTED)
			on_command_ended(manager);
	} else
		take_entry(manager, message->ref);
}
