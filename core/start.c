/* Launches: from a start's request to the message for the keeper. What becomes of it is in outcome.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

#include "core/capture.h"
#include "core/cgroup_tree.h"
#include "core/input.h"
#include "core/kin.h"
#include "core/launchers.h"
#include "core/manager_private.h"
#include "core/share.h"
#include "core/terms.h"

/* One launcher is left to the keeper for the command, and one that reads: a launch may wait for an answer of ours, as one does whose
 * cwd is in the mount, while we wait for the keeper to take a descriptor (hold.c). */
enum { SENT_MOST = LAUNCHERS_MAX - 2 };

static void listen_for(struct manager *manager);

static void give_up(struct manager *manager, struct process *process, int error)
{
	struct refusal why;
	refuse(&why, -error, "cannot reach the keeper: %s", strerror(-error));
	ptable_step(manager->config.table, process->launch, PTABLE_CLAIMED, PTABLE_FAILED);
	manager_release(manager, process->launch);
	start_fail(manager, process, error, why.sentence);
}

bool start_is_taken(const struct manager *manager, const struct process *process)
{
	enum ptable_state state = PTABLE_FREE;
	if (process->launch.generation)
		state = ptable_state(manager->config.table, process->launch);
	return state != PTABLE_FREE && state != PTABLE_CLAIMED;
}

void start_count_sent(struct start *start)
{
	start->is_sent = true;
	start->manager->sent++;
}

static struct start *next_to_send(struct manager *manager)
{
	return manager->sent < SENT_MOST ? STAILQ_FIRST(&manager->unsent) : NULL;
}

void start_send(struct manager *manager)
{
	struct start *start;
	bool sent = false;
	while ((start = next_to_send(manager))) {
		int error = message_send_launch(manager->config.socket_fd, &start->message);
		if (error == -EAGAIN)
			break;
		STAILQ_REMOVE_HEAD(&manager->unsent, link);
		sent = true;
		start_count_sent(start);
		/* Without a keeper (EPIPE) the mount ends, and this start with it. */
		if (error && error != -EPIPE)
			give_up(manager, start->process, error);
	}
	if (sent)
		captures_prepare(manager->captures);
	listen_for(manager);
}

static void lose_keeper(struct manager *manager)
{
	uv_poll_stop(manager->keeper);
	if (manager->finished)
		return;
	manager->finished = true;
	manager->config.on_finished(manager->config.context, -EPIPE);
}

/* When there is room again for what is unsent, it is sent as everything is: by manager_tell(). */
static void on_keeper(uv_poll_t *handle, int status, int events)
{
	(void)events;
	struct manager *manager = handle->data;
	struct message message;
	int error = status ? -EPIPE : 0;
	while (!error && !(error = message_receive(manager->config.socket_fd, &message)))
		outcome_take(manager, &message);
	if (ptable_take_overflow(manager->config.table))
		outcome_scan(manager);
	if (error != -EAGAIN)
		lose_keeper(manager);
}

static void listen_for(struct manager *manager)
{
	int events = UV_READABLE | (next_to_send(manager) ? UV_WRITABLE : 0);
	if (events == manager->keeper_events)
		return;
	manager->keeper_events = events;
	uv_poll_start(manager->keeper, events, on_keeper);
}

int start_listen(struct manager *manager)
{
	manager->keeper = malloc(sizeof *manager->keeper);
	if (!manager->keeper)
		return -ENOMEM;
	int error = uv_poll_init(manager->config.loop, manager->keeper, manager->config.socket_fd);
	if (error) {
		free(manager->keeper);
		return error;
	}
	manager->keeper->data = manager;
	listen_for(manager);
	return 0;
}

static void on_keeper_closed(uv_handle_t *handle)
{
	free(handle);
}

void start_stop_listening(struct manager *manager)
{
	uv_poll_stop(manager->keeper);
	uv_close((uv_handle_t *)manager->keeper, on_keeper_closed);
	close(manager->config.socket_fd);
	struct process *process;
	while ((process = LIST_FIRST(&manager->beginning))) {
		LIST_REMOVE(process, beginning);
		struct start *start = process->start;
		bool looked_up = !start->composed && !start->waits_for_turn;
		start->manager = NULL;
		if (!looked_up)
			start_destroy(start); /* else on_account() will come and frees it */
	}
}

/* The child gets a description of its own, which begins at 0 and can't write. */
static int open_input(const struct process *process)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", process->stdin_fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What leads elsewhere needs no memory file; a descriptor of who wrote start travels as the program's pidfd. All are
 * ours to close. */
static int open_output(struct start *start, struct launch_spec *spec, int which)
{
	int *place = which ? &spec->stderr_fd : &spec->stdout_fd;
	int fd = -1, error = 0;
	if (spec->outputs[which].to == LAUNCH_TO_FD) {
		fd = capture_open(start->process, which);
		spec->held_fds[which] = fd < 0 ? 0 : start->process->output_fd[which];
		error = fd < 0 ? 0 : hold_output(start->manager, start->process, which);
	} else if (*place < 0) {
		return 0;
	} else if ((fd = fcntl(*place, F_DUPFD_CLOEXEC, 0)) < 0) {
		fd = -errno;
	}
	*place = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : error;
}

static int open_streams(struct start *start, struct launch_spec *spec)
{
	struct process *process = start->process;
	if (!capture_of(start->manager->captures, process))
		return -ENOMEM;
	redirection_apply(process, &start->writer, spec);
	int error = open_output(start, spec, 0);
	if (!error)
		error = open_output(start, spec, 1);
	if (error)
		return error;
	room_spare(start->manager, MAX(process->output_fd[0], process->output_fd[1]));
	share_recount(process);
	if (!process->configuration.stdin_open && process->stdin_fd < 0)
		return 0;
	const struct manager_config *config = &start->manager->config;
	int fd = process->configuration.stdin_open ? input_open(config->loop, config->porter, process) : open_input(process);
	if (fd < 0)
		return fd;
	spec->stdin_fd = fd;
	share_recount(process);
	return process->configuration.stdin_open ? hold_input(start->manager, process) : 0;
}

static void close_streams(struct launch_spec *spec)
{
	int *const fds[] = { &spec->stdin_fd, &spec->stdout_fd, &spec->stderr_fd };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

void start_leave_cgroups(struct manager *manager, struct process *process)
{
	cgroups_leave(manager->cgroups, process->id);
	if (process->state != PROCESS_BETWEEN)
		cgroup_tree_leave(manager->cgroups, process->tree);
}

static void describe_composing(int error, struct refusal *why)
{
	refuse(why, -error, "cannot prepare the process: %s", strerror(-error));
}

/* Every run of a process is in the same one. */
static struct cgroup_tree *tree_of(struct manager *manager, struct process *process)
{
	if (process->tree && process->tree->left)
		cgroup_tree_disown(&process->tree);
	if (manager->config.groups && !process->tree && manager_cgroups(manager))
		cgroup_tree_take(manager->cgroups, &process->tree);
	return process->tree;
}

/* Limits of cgroup v2 make a group that is as good as the one without. */
static int enter_cgroups(struct start *start, struct launch_spec *spec, struct refusal *why)
{
	struct manager *manager = start->manager;
	struct process *process = start->process;
	struct cgroup *limits = NULL;
	size_t count = 0;
	int error = 0;
	if (process->terms && !cgroup_wish_is_empty(&process->terms->wish))
		error = manager_cgroups(manager) ? cgroups_make(manager->cgroups, process->id, process->run_count,
								&process->terms->wish, &limits, why) : -ENOMEM;
	if (error)
		return error;
	const struct cgroup_tree *tree = limits && limits->kill ? NULL : tree_of(manager, process);
	if (tree) {
		start->group = cgroup_tree_directory(manager->cgroups, tree);
		if (!start->group)
			return -ENOMEM;
		spec->flags |= LAUNCH_INTO_GROUP;
		start->cgroups[count++] = start->group;
	}
	for (size_t i = 0; limits && limits->entries[i]; i++)
		start->cgroups[count++] = limits->entries[i];
	if (count)
		spec->cgroups = start->cgroups;
	return 0;
}

/* account: NULL for the mount's own user. why: gets a sentence in every case of an error. */
static int compose(struct start *start, const struct account *account, struct refusal *why)
{
	struct manager *manager = start->manager;
	struct process *process = start->process;
	int error = invocation_init(&start->invocation, process, manager->config.surroundings, account);
	if (error) {
		describe_composing(error, why);
		return error;
	}
	struct launch_spec *spec = &start->invocation.spec;
	struct ptable_ref ref;
	spec->mount_device = manager->config.surroundings->device;
	error = enter_cgroups(start, spec, why);
	if (!error)
		error = room_check(manager, process, why);
	bool described = error && error != -ENOMEM;
	if (!error)
		error = open_streams(start, spec);
	if (!error)
		error = manager_claim(manager, process, &ref);
	if (error)
		goto finish_invocation;
	error = message_launch_init(&start->message, ref, spec);
	if (error) {
		ptable_step(manager->config.table, ref, PTABLE_CLAIMED, PTABLE_FAILED);
		manager_release(manager, ref);
		goto finish_invocation;
	}
	process_touch(process);
	process->launch = ref;
	start->composed = true;
finish_invocation:
	close_streams(spec);
	if (error)
		invocation_finish(&start->invocation);
	if (error && !described)
		describe_composing(error, why);
	return error;
}

static void begin_launch(struct start *start)
{
	struct manager *manager = start->manager;
	uint64_t now = kin_now();
	if (now < manager->oldest)
		manager->oldest = now;
	STAILQ_INSERT_TAIL(&manager->unsent, start, link);
}

static void on_account(void *context, int error, const struct account *account)
{
	struct start *start = context;
	struct manager *manager = start->manager;
	struct refusal why;
	struct account asked;
	if (!manager) {
		start_destroy(start);
		return;
	}
	bool chosen = terms_asked_user(start->process, &asked);
	process_touch(start->process);
	if (!error && chosen)
		start->process->terms->runs_as = account->uid;
	if (error == -ENOENT && chosen)
		error = refuse(&why, EINVAL, "there is no user named %s", start->process->terms->user);
	else if (error)
		refuse(&why, -error, "cannot look up user %u: %s", (unsigned)account->uid, strerror(-error));
	else
		error = compose(start, account, &why);
	if (error)
		start_fail(manager, start->process, error, why.sentence);
	else
		begin_launch(start);
}

int manager_check_start(struct manager *manager, const struct process *process, const struct caller *caller)
{
	if (process->state != PROCESS_INITIAL)
		return refuse(caller->why, EALREADY, "cannot start a process twice");
	if (!process->configuration.target.size && !process_detail(process, DETAIL_RUN)->size)
		return refuse(caller->why, EINVAL,
			      "there is nothing to run: write a program's path or name to target, or a script to run");
	if (caller->pid <= 0)
		return refuse(caller->why, EPERM, "the caller cannot be identified from here: it may look, not start");
	if (manager->ending)
		return refuse(caller->why, ESHUTDOWN, "the mount is ending: nothing can be started any more");
	int error = redirection_check(process, caller);
	if (error)
		return error;
	struct process *inside;
	error = manager_find_inside(manager, caller, &inside, NULL);
	if (error)
		return error;
	if (inside && inside->daemonic)
		return refuse(caller->why, EPERM, "daemonic processes are not allowed to have children");
	return 0;
}

static int look_up(struct start *start, struct refusal *why)
{
	struct process *process = start->process;
	struct account asked = { .uid = process->owner, .gid = process->group };
	terms_asked_user(process, &asked);
	int error = account_look_up(start->manager->config.loop, &asked, on_account, start);
	if (error)
		describe_composing(error, why);
	return error;
}

void start_proceed(struct start *start)
{
	struct refusal why;
	int error = look_up(start, &why);
	if (error)
		start_fail(start->manager, start->process, error, why.sentence);
}

/* Composes the launch at once, or when whose account it needs is known. */
static int prepare(struct start *start, struct refusal *why)
{
	if (!invocation_needs_account(start->process, start->manager->config.surroundings))
		return compose(start, NULL, why);
	return turns_take(start) ? look_up(start, why) : 0;
}

void start_resume(struct start *start)
{
	struct refusal why;
	int error = prepare(start, &why);
	if (error)
		start_fail(start->manager, start->process, error, why.sentence);
	else if (start->composed)
		begin_launch(start);
}

/* caller->pid 0: nobody's doing, a run that follows another; waiter: NULL for nobody.
 * Result: 0, and the process is STARTING; -errno with a sentence, and it is what it was. */
static int begin_start(struct manager *manager, struct process *process, const struct caller *caller,
		       struct waiter *waiter)
{
	struct start *start = calloc(1, sizeof *start);
	struct refusal sentence;
	if (!start || process_reserve_usage(process)) {
		free(start);
		return -ENOMEM;
	}
	start->manager = manager;
	start->process = process;
	int error = redirection_keep_writer(process, caller, &start->writer);
	if (error) {
		start_destroy(start);
		return error;
	}
	process_begin_start(process);
	error = prepare(start, &sentence);
	if (error) {
		process_fail_start(process);
		start_leave_cgroups(manager, process);
		start_destroy(start);
		return refuse(caller->why, -error, "%s", sentence.sentence);
	}
	process->start = start;
	LIST_INSERT_HEAD(&manager->beginning, process, beginning);
	if (waiter)
		waiter_wait(&process->starting, waiter);
	if (start->composed)
		begin_launch(start);
	return 0;
}

int manager_start(struct manager *manager, struct process *process, const struct caller *caller, struct waiter *waiter)
{
	int error = manager_check_start(manager, process, caller);
	return error ? error : begin_start(manager, process, caller, waiter);
}

int start_again(struct manager *manager, struct process *process, struct refusal *why)
{
	refuse(why, ENOMEM, "out of memory");
	return begin_start(manager, process, &(struct caller){ .why = why }, NULL);
}

int manager_await_start(struct process *process, struct waiter *waiter)
{
	if (process->state != PROCESS_STARTING || process->rerun)
		return -EALREADY;
	waiter_wait(&process->starting, waiter);
	return 0;
}
