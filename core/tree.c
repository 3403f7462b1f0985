#include "core/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apart.h"
#include "core/cgroup_tree.h"
#include "core/descent.h"
#include "core/kin.h"
#include "core/lack.h"
#include "core/manager_private.h"
#include "core/restart.h"
#include "core/terms.h"

struct tree_work {
	struct manager *manager; /* NULL: it is gone */
	uint64_t id;
	struct descent descent;
	char *cgroups[CGROUP_KINDS + 2];
	char *kill;
	struct cgroup_tree *group; /* pinned while the manager is there */
	int signal_number;
	int error;
	pid_t denied;
	struct waiter_list waiters;
	LIST_ENTRY(tree_work) link;
};

static void on_work(void *context)
{
	struct tree_work *tree = context;
	tree->error = descent_signal(&tree->descent, tree->signal_number, &tree->denied);
}

static void destroy(struct tree_work *tree)
{
	for (size_t i = 0; i < sizeof tree->cgroups / sizeof *tree->cgroups; i++)
		free(tree->cgroups[i]);
	free(tree->kill);
	free(tree->descent.others);
	free(tree);
}

static void describe(const struct tree_work *tree, struct process *process)
{
	struct refusal why;
	if (tree->error == -EPERM)
		refuse(&why, EPERM, "process %d of the tree may not be signalled; the others were", (int)tree->denied);
	else
		refuse(&why, -tree->error, "the tree cannot be signalled whole: %s", strerror(-tree->error));
	process_set_error(process, why.sentence);
}

static void on_after_work(void *context)
{
	struct tree_work *tree = context;
	if (tree->manager) {
		LIST_REMOVE(tree, link);
		if (tree->group)
			tree->group->pins--;
		struct process *process = manager_by_id(tree->manager, tree->id);
		if (process && tree->error)
			describe(tree, process);
		waiters_tell(&tree->waiters, tree->error);
	}
	destroy(tree);
}

static int compare(const void *left, const void *right)
{
	pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;
	return a < b ? -1 : a > b;
}

/* Every other family of the keeper's children. */
static int list_others(struct manager *manager, const struct process *but, struct descent *descent)
{
	struct process *process;
	size_t room = manager->running + 2, count = 0;
	LIST_FOREACH(process, &manager->beginning, beginning)
		room++;
	pid_t *others = malloc(room * sizeof *others);
	if (!others)
		return -ENOMEM;
	for (int i = 0; i < PID_LISTS; i++)
		LIST_FOREACH(process, &manager->pids[i], by_pid)
			if (process != but)
				others[count++] = process->pid;
	LIST_FOREACH(process, &manager->beginning, beginning)
		if (process != but && manager_pid(manager, process))
			others[count++] = manager_pid(manager, process);
	others[count++] = getpid();
	if (manager->command_runs)
		others[count++] = ptable_pid(manager->config.table, ptable_ref_at(manager->config.table, PTABLE_COMMAND));
	qsort(others, count, sizeof *others, compare);
	descent->others = others;
	descent->other_count = count;
	return 0;
}

/* Its state is read after the time it began: had the pid been another's by then, the process would have ended. */
static int find_root(struct manager *manager, const struct process *process, struct descent *descent)
{
	struct kin kin;
	pid_t pid = manager_is_alive(manager, process) ? manager_pid(manager, process) : 0;
	descent->root_start = 0;
	int error = pid ? kin_read(pid, &kin) : -ESRCH;
	if (error)
		return lack_of(error);
	enum ptable_state state = ptable_state(manager->config.table, process->launch);
	if (state != PTABLE_RUNNING && state != PTABLE_LAUNCHING)
		return 0;
	descent->root = pid;
	descent->root_start = kin.start;
	return 0;
}

/* Copies: the group may be removed while the thread still looks. */
static void find_cgroup(struct manager *manager, const struct process *process, struct tree_work *tree)
{
	const struct cgroup *group = manager->cgroups ? cgroups_find(manager->cgroups, process->id) : NULL;
	size_t count = 0;
	for (int i = 0; group && group->entries[i]; i++)
		count += (tree->cgroups[count] = strdup(group->entries[i])) != NULL;
	if (group && group->kill)
		tree->kill = strdup(group->kill);
	if (process->tree) {
		tree->group = process->tree;
		tree->group->pins++;
		tree->group->killed |= tree->signal_number == SIGKILL;
		tree->cgroups[count] = cgroup_tree_members(manager->cgroups, process->tree);
		tree->kill = cgroup_tree_kill(manager->cgroups, process->tree);
	}
	tree->descent.cgroups = tree->cgroups;
	tree->descent.kill = tree->kill;
}

int manager_signal_tree(struct manager *manager, struct process *process, int signal_number, const struct caller *caller,
			struct waiter *waiter)
{
	if (process->state != PROCESS_ENDED && !manager_is_alive(manager, process))
		return refuse(caller->why, ESRCH, "can only signal a started process");
	struct tree_work *tree = calloc(1, sizeof *tree);
	if (!tree)
		return -ENOMEM;
	tree->manager = manager;
	tree->id = process->id;
	tree->signal_number = signal_number;
	tree->descent.id = process->id;
	tree->descent.uid = terms_user(process);
	tree->descent.keeper = manager->keeper_pid;
	LIST_INIT(&tree->waiters);
	int error = find_root(manager, process, &tree->descent);
	find_cgroup(manager, process, tree);
	if (!error)
		error = list_others(manager, process, &tree->descent);
	if (!error)
		error = apart_begin(manager->config.loop, on_work, on_after_work, tree);
	if (error) {
		if (tree->group)
			tree->group->pins--;
		destroy(tree);
		return error;
	}
	if (process->state != PROCESS_ENDED)
		restart_forbid(process);
	LIST_INSERT_HEAD(&manager->trees, tree, link);
	waiter_wait(&tree->waiters, waiter);
	return 0;
}

void tree_forget(struct manager *manager)
{
	struct tree_work *tree;
	while ((tree = LIST_FIRST(&manager->trees))) {
		LIST_REMOVE(tree, link);
		tree->manager = NULL;
	}
}
