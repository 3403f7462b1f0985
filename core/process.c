#include "core/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/stopping.h"
#include "core/terms.h"
#include "core/capture.h"
#include "core/input.h"
#include "core/share.h"

struct process *process_create(const char *directory, const char *identity)
{
	size_t size = strlen(directory) + 1;
	struct process *process = calloc(1, sizeof *process + size + strlen(identity) + 1);
	if (!process)
		return NULL;
	strcpy(process->directory, directory);
	strcpy(process->directory + size, identity);
	process->configuration.umask = PROCESS_UMASK_DEFAULT;
	process->configuration.output_max = PROCESS_OUTPUT_MAX_DEFAULT;
	process->stdin_fd = process->output_fd[0] = process->output_fd[1] = -1;
	process->result_fd = -1;
	LIST_INIT(&process->children);
	LIST_INIT(&process->observers);
	LIST_INIT(&process->starting);
	LIST_INIT(&process->joining);
	return process;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void process_destroy(struct process *process)
{
	if (!process)
		return;
	share_settle(process->share, process->held, &(struct share_cost){0});
	free(process->held);
	if (process->is_changed)
		LIST_REMOVE(process, kept.link);
	process->kept.changed = NULL;
	struct configuration *c = &process->configuration;
	value_clear(&c->target);
	words_finish(&c->args);
	for (int i = 0; c->details && i < DETAILS; i++)
		value_clear(&c->details[i]);
	free(c->details);
	capture_destroy(process->capture);
	input_destroy(process->input);
	close_if_open(process->stdin_fd);
	close_if_open(process->output_fd[0]);
	close_if_open(process->output_fd[1]);
	close_if_open(process->result_fd);
	terms_destroy(process->terms);
	stopping_destroy(process->stopping);
	free(process->authkey);
	free(process->usage);
	free(process->error);
	free(process->name);
	free(process);
}

void process_touch(struct process *process)
{
	struct kept *kept = &process->kept;
	if (process->is_changed || !kept->changed)
		return;
	process->is_changed = true;
	LIST_INSERT_HEAD(kept->changed, process, kept.link);
}

struct moment moment_of(struct timespec time)
{
	return (struct moment){ time.tv_sec, (uint64_t)time.tv_nsec };
}

struct timespec moment_time(struct moment moment)
{
	return (struct timespec){ moment.tv_sec, (long)moment.tv_nsec };
}

void process_set_error(struct process *process, const char *sentence)
{
	process_touch(process);
	free(process->error);
	process->error = sentence ? strdup(sentence) : NULL;
}

const char *process_name(const struct process *process)
{
	return process->name ? process->name : process->directory;
}

const char *process_identity(const struct process *process)
{
	return process->directory + strlen(process->directory) + 1;
}

int process_set_share(struct process *process, struct share *share)
{
	struct share_cost *held = share ? calloc(1, sizeof *held) : NULL;
	if (share && !held)
		return -ENOMEM;
	share_settle(process->share, process->held, &(struct share_cost){0});
	free(process->held);
	process->share = share;
	process->held = held;
	share_recount(process);
	return 0;
}

bool process_is_started(const struct process *process)
{
	return process->state == PROCESS_RUNNING || process->state == PROCESS_ENDED || process_runs_again(process);
}

bool process_runs_again(const struct process *process)
{
	return process->state == PROCESS_BETWEEN || (process->state == PROCESS_STARTING && process->rerun);
}

bool process_is_running(const struct process *process)
{
	return process->state == PROCESS_RUNNING;
}

bool process_begin_start(struct process *process)
{
	if (process->state != PROCESS_INITIAL && process->state != PROCESS_BETWEEN)
		return false;
	process_touch(process);
	process->rerun = process->state == PROCESS_BETWEEN;
	if (!process->rerun) {
		process->stop_wanted = false;
		/* It may have been reset, configured and started between two times that it is kept. */
		process->is_frozen = false;
	}
	process->state = PROCESS_STARTING;
	process->start_error = 0;
	process->launch = (struct ptable_ref){0};
	process->run_count++;
	return true;
}

bool process_fail_start(struct process *process)
{
	if (process->state != PROCESS_STARTING)
		return false;
	process_touch(process);
	process->state = process->rerun ? PROCESS_BETWEEN : PROCESS_INITIAL;
	return true;
}

bool process_succeed_start(struct process *process, pid_t pid, struct timespec when)
{
	if (process->state != PROCESS_STARTING)
		return false;
	process_touch(process);
	process->state = PROCESS_RUNNING;
	process->paused = false;
	process->pid = pid;
	process->started = moment_of(when);
	return true;
}

bool process_pause(struct process *process, bool paused)
{
	if (process->state != PROCESS_RUNNING || process->paused == paused)
		return false;
	process_touch(process);
	process->paused = paused;
	return true;
}

bool process_end(struct process *process, int status, struct timespec when)
{
	if (process->state != PROCESS_RUNNING)
		return false;
	process_touch(process);
	process->state = PROCESS_ENDED;
	process->status = status;
	process->ended = moment_of(when);
	return true;
}

int process_reserve_usage(struct process *process)
{
	process_touch(process);
	if (!process->usage)
		process->usage = malloc(sizeof *process->usage);
	return process->usage ? 0 : -ENOMEM;
}

void process_set_usage(struct process *process, const struct usage *usage)
{
	process->has_usage = process->usage;
	if (process->usage)
		*process->usage = *usage;
}

bool process_await_run(struct process *process)
{
	if (process->state != PROCESS_ENDED)
		return false;
	process_touch(process);
	process->state = PROCESS_BETWEEN;
	process->ended = (struct moment){0};
	return true;
}

bool process_give_up(struct process *process, struct timespec ended)
{
	if (process->state != PROCESS_BETWEEN)
		return false;
	process_touch(process);
	process->state = PROCESS_ENDED;
	process->ended = moment_of(ended);
	return true;
}

bool process_reset(struct process *process)
{
	if (process->state != PROCESS_ENDED)
		return false;
	process_touch(process);
	process->state = PROCESS_INITIAL;
	process->resets++;
	process->doomed = 0;
	process->start_error = 0;
	process->stop_wanted = false;
	process->launch = (struct ptable_ref){0};
	process->pid = 0;
	process->status = 0;
	process->started = process->ended = (struct moment){0};
	free(process->usage);
	process->usage = NULL;
	process->has_usage = false;
	capture_destroy(process->capture);
	process->capture = NULL;
	input_destroy(process->input);
	process->input = NULL;
	for (int i = 0; i < 2; i++) {
		close_if_open(process->output_fd[i]);
		process->output_fd[i] = -1;
	}
	close_if_open(process->result_fd);
	process->result_fd = -1;
	share_recount(process);
	return true;
}

bool process_exitcode(const struct process *process, int *out)
{
	if (process->state != PROCESS_ENDED)
		return false;
	*out = WIFSIGNALED(process->status) ? -WTERMSIG(process->status) : WEXITSTATUS(process->status);
	return true;
}

void waiter_wait(struct waiter_list *list, struct waiter *waiter)
{
	waiter->waiting = true;
	LIST_INSERT_HEAD(list, waiter, link);
}

void waiter_cancel(struct waiter *waiter)
{
	if (!waiter->waiting)
		return;
	waiter->waiting = false;
	LIST_REMOVE(waiter, link);
}

void waiters_tell(struct waiter_list *list, int error)
{
	struct waiter_list told = *list;
	struct waiter *waiter = LIST_FIRST(&told);
	if (waiter)
		waiter->link.le_prev = &told.lh_first;
	LIST_INIT(list);
	while ((waiter = LIST_FIRST(&told))) {
		waiter_cancel(waiter);
		waiter->on_done(waiter, error);
	}
}

void observer_watch(struct observer_list *list, struct observer *observer)
{
	if (observer->observing)
		return;
	observer->observing = true;
	LIST_INSERT_HEAD(list, observer, link);
}

void observer_stop(struct observer *observer)
{
	if (!observer->observing)
		return;
	observer->observing = false;
	LIST_REMOVE(observer, link);
}

void observers_tell(struct observer_list *list)
{
	struct observer *observer;
	while ((observer = LIST_FIRST(list))) {
		observer_stop(observer);
		observer->on_ended(observer);
	}
}

const struct value *process_detail(const struct process *process, enum detail which)
{
	static const struct value none;
	const struct value *details = process->configuration.details;
	return details ? &details[which] : &none;
}

const char *process_output_to(const struct process *process, int which)
{
	return process_detail(process, which ? DETAIL_STDERR_TO : DETAIL_STDOUT_TO)->bytes;
}

int process_set_detail(struct process *process, enum detail which, const void *bytes, size_t size)
{
	struct value **details = &process->configuration.details;
	if (!*details && !size)
		return 0;
	if (!*details)
		*details = calloc(DETAILS, sizeof **details);
	return *details ? value_set(&(*details)[which], bytes, size) : -ENOMEM;
}

int value_set(struct value *value, const void *bytes, size_t size)
{
	struct value copy = {0};
	if (size) {
		copy.bytes = malloc(size + 1);
		if (!copy.bytes)
			return -ENOMEM;
		memcpy(copy.bytes, bytes, size);
		copy.bytes[size] = '\0';
		copy.size = size;
	}
	value_clear(value);
	*value = copy;
	return 0;
}

void value_clear(struct value *value)
{
	free(value->bytes);
	*value = (struct value){0};
}

static const char *const START_METHODS[] = {
	[START_SPAWN] = "spawn",
	[START_FORK] = "fork",
	[START_FORKSERVER] = "forkserver",
};

const char *start_method_name(enum start_method method)
{
	return START_METHODS[method];
}

int start_method_parse(const char *word, enum start_method *out)
{
	for (size_t i = 0; i < sizeof START_METHODS / sizeof *START_METHODS; i++) {
		if (!strcmp(START_METHODS[i], word)) {
			*out = (enum start_method)i;
			return 0;
		}
	}
	return -EINVAL;
}
