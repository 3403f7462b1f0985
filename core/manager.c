#include "core/manager.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/capture.h"
#include "core/cgroup_tree.h"
#include "core/journal.h"
#include "core/kin.h"
#include "core/manager_private.h"
#include "core/tree.h"
#include "core/restart.h"

/* ---- its life ---- */

/* Where there is a journal a server before this one may have died. */
static int begin_groups(struct manager *manager)
{
	if (!manager->config.groups || !manager_cgroups(manager))
		return 0;
	return manager->config.journal ? cgroups_adopt(manager->cgroups) : 0;
}

int manager_create(const struct manager_config *config, struct manager **out)
{
	struct manager *manager = calloc(1, sizeof *manager);
	if (!manager)
		return -ENOMEM;
	manager->config = *config;
	manager->command_runs = config->has_command;
	manager->keeper_pid = getppid();
	manager->oldest = UINT64_MAX;
	manager->has_new_ends = true;
	STAILQ_INIT(&manager->unsent);
	TAILQ_INIT(&manager->turnless);
	LIST_INIT(&manager->beginning);
	LIST_INIT(&manager->children);
	LIST_INIT(&manager->sessions);
	LIST_INIT(&manager->trees);
	LIST_INIT(&manager->changed);
	int error = captures_create(config->loop, config->porter, &manager->captures);
	if (!error)
		error = settling_begin(manager);
	if (!error)
		error = begin_groups(manager);
	if (!error)
		error = start_listen(manager);
	if (error) {
		cgroups_destroy(manager->cgroups);
		settling_stop(manager);
		captures_destroy(manager->captures);
		free(manager);
		return error;
	}
	*out = manager;
	return 0;
}

void manager_destroy(struct manager *manager)
{
	if (!manager)
		return;
	start_stop_listening(manager);
	tree_forget(manager);
	cgroups_destroy(manager->cgroups);
	for (size_t i = 0; i < manager->used; i++) {
		struct process *process = manager->roster[i].process;
		if (!process)
			continue;
		restart_destroy(process);
		process_destroy(process);
	}
	settling_stop(manager);
	callers_finish(&manager->callers);
	captures_destroy(manager->captures);
	free(manager->roster);
	free(manager->directories);
	struct user *user, *next;
	HASH_ITER(hh, manager->users, user, next) {
		HASH_DEL(manager->users, user);
		free(user->authkey);
		free(user->error);
		free(user);
	}
	free(manager);
}

void manager_raise(struct manager *manager, const struct process *process, enum manager_event event,
		   struct timespec when)
{
	if (manager->config.on_event)
		manager->config.on_event(manager->config.context, process, event, when);
}

void manager_raise_now(struct manager *manager, const struct process *process, enum manager_event event)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	manager_raise(manager, process, event, now);
}

/* ---- processes are made and removed ---- */

static int check_maker(const struct manager *manager, const struct caller *caller)
{
	uid_t mine = manager->config.surroundings->uid;
	if (caller->pid <= 0 || caller->uid == (uid_t)-1)
		return refuse(caller->why, EPERM, "the caller cannot be identified from here: it may look, not make or start");
	if (caller->uid != mine && mine != 0)
		return refuse(caller->why, EPERM, "this mount is not the superuser's: it can run processes as its own user only");
	return 0;
}

static int check_directory(struct manager *manager, const char *directory, struct refusal *why)
{
	static const char *const RESERVED[] = { "all", "any", "tree", ".", "..", "" };
	for (size_t i = 0; i < sizeof RESERVED / sizeof *RESERVED; i++)
		if (!strcmp(directory, RESERVED[i]))
			return refuse(why, EINVAL, "'%s' is a word of the verbs and cannot name a process", directory);
	if (strlen(directory) > NAME_MAX)
		return refuse(why, ENAMETOOLONG, "a name has at most %d bytes", NAME_MAX);
	if (manager_by_directory(manager, directory))
		return refuse(why, EEXIST, "there is a process named %s", directory);
	return 0;
}

/* Python's default names: Process-2, and Process-2:1 for what Process-2 made. */
static char *make_identity(const struct process *parent, uint64_t number)
{
	struct text text = {0};
	if (parent)
		text_printf(&text, "%s:", process_identity(parent));
	text_printf(&text, "%" PRIu64, number);
	return text_take(&text, NULL);
}

static int name_by_number(struct manager *manager, const struct process *parent, uint64_t *made, char **directory)
{
	do {
		char *identity = make_identity(parent, ++*made);
		struct text text = {0};
		if (identity)
			text_printf(&text, "Process-%s", identity);
		free(identity);
		*directory = identity ? text_take(&text, NULL) : NULL;
		if (!*directory)
			return -ENOMEM;
		bool fits = strlen(*directory) <= NAME_MAX;
		if (fits && !manager_by_directory(manager, *directory))
			return 0;
		free(*directory);
		if (!fits)
			return -ENAMETOOLONG;
	} while (true);
}

static int check_share(struct manager *manager, const struct caller *caller, struct share **out)
{
	int error = manager_share(manager, caller->uid, out);
	return error ? error : share_check(*out, &(struct share_cost){ .processes = 1 }, caller->why);
}

/* Everything that can fail comes first; the set is changed by what can't. */
int manager_make(struct manager *manager, const struct caller *caller, const char *directory, struct process **out)
{
	struct share *share = NULL;
	struct process *parent = NULL;
	struct session *session = NULL;
	struct timespec now;
	int error = check_maker(manager, caller);
	if (!error && directory)
		error = check_directory(manager, directory, caller->why);
	if (!error)
		error = check_share(manager, caller, &share);
	if (!error)
		error = manager_reserve(manager);
	if (!error)
		error = manager_find_inside(manager, caller, &parent, &session);
	if (error)
		return error;
	uint64_t *made = parent ? &parent->children_made : &manager->made;
	uint64_t number = *made;
	char *chosen = NULL;
	if (!directory) {
		error = name_by_number(manager, parent, &number, &chosen);
		if (error)
			return error;
		directory = chosen;
	} else {
		number++;
	}
	char *identity = make_identity(parent, number);
	struct process *process = identity ? process_create(directory, identity) : NULL;
	free(identity);
	free(chosen);
	if (!process || process_set_share(process, share) || manager_enter(manager, process)) {
		process_destroy(process);
		return -ENOMEM;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	*made = number;
	process->id = ++manager->last_id;
	process->owner = caller->uid;
	process->group = caller->gid;
	process->configuration.start_method = manager->start_method;
	process->created = moment_of(now);
	lineage_adopt(manager, process, parent, session);
	manager_insert(manager, process);
	process_touch(process);
	if (parent)
		process_touch(parent);
	manager_raise(manager, process, MANAGER_CREATED, now);
	*out = process;
	return 0;
}

int manager_check_remove(const struct process *process, struct refusal *why)
{
	if (process->state != PROCESS_INITIAL && process->state != PROCESS_ENDED)
		return refuse(why, EBUSY, "Cannot close a process while it is still running. "
					  "You should first call join() or terminate().");
	return 0;
}

int manager_remove(struct manager *manager, struct process *process, struct refusal *why)
{
	int error = manager_check_remove(process, why);
	if (error)
		return error;
	manager_raise_now(manager, process, MANAGER_REMOVED);
	if (manager->config.journal) {
		journal_remove(manager->config.journal, RECORD_PROCESS, process->id);
		journal_remove(manager->config.journal, RECORD_CONFIGURATION, process->id);
	}
	manager_take_out(manager, process);
	LIST_REMOVE(process, sibling);
	cgroup_tree_disown(&process->tree);
	lineage_release(manager, &process->children, process->owner);
	observers_tell(&process->observers);
	capture_end(process, -ESRCH);
	waiters_tell(&process->starting, -ESRCH);
	waiters_tell(&process->joining, -ESRCH);
	hold_forget(manager, process->id, HOLD_ALL);
	restart_destroy(process);
	process_destroy(process);
	return 0;
}

bool manager_may(const struct process *process, const struct caller *caller)
{
	return caller->uid == 0 || caller->uid == process->owner;
}

/* ---- verbs ---- */

int manager_join(struct manager *manager, struct process *process, const struct caller *caller, struct waiter *waiter)
{
	if (process->state == PROCESS_ENDED)
		return 1;
	/* One whose exec hangs can be waited for: it has a pid. If it fails, the joiners are told. */
	if (!manager_is_alive(manager, process))
		return refuse(caller->why, ESRCH, "can only join a started process");
	/* Whether or not this can be known: waiting needs no descriptor. */
	if (manager_inside(manager, caller, NULL) == process)
		return refuse(caller->why, EDEADLK, "cannot join current process");
	return manager_await_end(process, waiter);
}

int manager_await_end(struct process *process, struct waiter *waiter)
{
	if (process->state == PROCESS_ENDED)
		return 1;
	waiter_wait(&process->joining, waiter);
	return 0;
}

int manager_signal(struct manager *manager, struct process *process, int signal_number, struct refusal *why)
{
	if (process->state == PROCESS_ENDED)
		return 0;
	if (process_runs_again(process) && !manager_pid(manager, process))
		return refuse(why, ESRCH, "it is between two runs: there is nobody to signal");
	/* An exec that hangs has a pid already, and killing it is the way to end the start. */
	if (process->state != PROCESS_RUNNING && !manager_pid(manager, process))
		return refuse(why, ESRCH, "can only signal a started process");
	int error = ptable_signal(manager->config.table, process->launch, signal_number);
	if (error == -ESRCH)
		return 0;
	if (error)
		return refuse(why, -error, "cannot signal process %d: %s", (int)manager_pid(manager, process), strerror(-error));
	return 0;
}

int manager_end_with(struct manager *manager, struct process *process, int signal_number, struct refusal *why)
{
	process_touch(process);
	if (process_runs_again(process) && !manager_pid(manager, process)) {
		if (process->state == PROCESS_STARTING)
			process->doomed = signal_number;
		restart_forbid(process);
		return 0;
	}
	int error = manager_signal(manager, process, signal_number, why);
	if (!error && process->state != PROCESS_ENDED)
		restart_forbid(process);
	return error;
}

int manager_check_reset(const struct process *process, struct refusal *why)
{
	if (process->state != PROCESS_INITIAL && process->state != PROCESS_ENDED)
		return refuse(why, EBUSY, "cannot reset a process that has not ended");
	return 0;
}

int manager_reset(struct manager *manager, struct process *process, struct refusal *why)
{
	int error = manager_check_reset(process, why);
	if (error || !process_reset(process))
		return error;
	hold_forget(manager, process->id, HOLD_OF_RUNS);
	restart_reset(process);
	manager_raise_now(manager, process, MANAGER_RESET);
	return 0;
}

/* A process that looks at itself may be faster than the keeper's word of its exec. */
pid_t manager_pid(struct manager *manager, const struct process *process)
{
	if (process->state == PROCESS_STARTING)
		return process->launch.generation ? ptable_pid(manager->config.table, process->launch) : 0;
	return process->state == PROCESS_RUNNING || process->state == PROCESS_ENDED ? process->pid : 0;
}

bool manager_is_alive(struct manager *manager, const struct process *process)
{
	return process->state == PROCESS_RUNNING || process_runs_again(process) ||
	       (process->state == PROCESS_STARTING && manager_pid(manager, process));
}

bool manager_is_paused(struct manager *manager, const struct process *process)
{
	return process->state == PROCESS_RUNNING && kin_is_stopped(process->pid) &&
	       ptable_state(manager->config.table, process->launch) == PTABLE_RUNNING;
}

struct timespec manager_started(struct manager *manager, const struct process *process)
{
	if (process_is_started(process))
		return moment_time(process->started);
	if (!manager_pid(manager, process))
		return (struct timespec){0};
	return ptable_at(manager->config.table, process->launch.index)->started;
}

/* Read first and looked at then: an entry that is live still had its pid to itself. */
static int usage_of_live(struct manager *manager, const struct process *process, struct usage *out)
{
	pid_t pid = manager_pid(manager, process);
	int error = pid ? usage_read(pid, out) : -ENODATA;
	enum ptable_state state = pid ? ptable_state(manager->config.table, process->launch) : PTABLE_FREE;
	if (state == PTABLE_ENDED) {
		*out = ptable_end_at(manager->config.table, process->launch.index)->usage;
		return 0;
	}
	return error || (state != PTABLE_RUNNING && state != PTABLE_LAUNCHING) ? -ENODATA : 0;
}

int manager_usage(struct manager *manager, const struct process *process, struct usage *out)
{
	if (process->state == PROCESS_INITIAL)
		return -ENODATA;
	if (process->state != PROCESS_ENDED && !usage_of_live(manager, process, out))
		return 0;
	if (!process->has_usage)
		return process->state == PROCESS_ENDED ? -ENOMEM : -ENODATA;
	*out = *process->usage;
	return 0;
}

pid_t manager_keeper_pid(const struct manager *manager)
{
	return manager->keeper_pid;
}

/* ---- configuration ---- */

int manager_check_initial(const struct process *process, struct refusal *why)
{
	if (process->state != PROCESS_INITIAL)
		return refuse(why, EBUSY, "process has already started");
	return 0;
}

enum start_method manager_start_method(const struct manager *manager)
{
	return manager->start_method;
}

void manager_set_start_method(struct manager *manager, enum start_method method)
{
	manager->start_method = method;
}

struct captures *manager_captures(struct manager *manager)
{
	return manager->captures;
}

const struct surroundings *manager_surroundings(const struct manager *manager)
{
	return manager->config.surroundings;
}

/* Its record may not name a group that will be another's. */
static void on_tree_parted(struct cgroup_tree **holder)
{
	process_touch((struct process *)(void *)((char *)holder - offsetof(struct process, tree)));
}

struct cgroups *manager_cgroups(struct manager *manager)
{
	if (!manager->cgroups &&
	    !cgroups_create(manager->config.loop, "/proc/self/mountinfo", "/proc/self/cgroup", &manager->cgroups))
		cgroup_trees_watch(manager->cgroups, on_tree_parted);
	return manager->cgroups;
}
