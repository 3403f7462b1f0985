/* Who runs inside of whom, and what the end of a main process means. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cgroup_tree.h"
#include "core/journal.h"
#include "core/kin.h"
#include "core/lack.h"
#include "core/manager_private.h"
#include "core/terms.h"
#include "core/restart.h"

enum { ANCESTORS_MAX = 256 };

/* One that is starting counts too: its program may call before the keeper's word of its exec is here. */
static struct process *by_pid(struct manager *manager, pid_t pid)
{
	struct process *process;
	LIST_FOREACH(process, pids_like(manager, pid), by_pid)
		if (process->pid == pid)
			return process;
	LIST_FOREACH(process, &manager->beginning, beginning)
		if (manager_pid(manager, process) == pid)
			return process;
	return NULL;
}

/* An orphan's parent is the keeper; its environment still says which process it came from. Anyone can write an
 * environment, so it is believed only about a process of the same user. A read of it waits for whoever changes that process's
 * memory, and who maps a file of ours may wait for us: of another user than the mount's own nothing is read.
 * Result: 0 and *out, which may be NULL; a lack. */
static int by_environment(struct manager *manager, const struct caller *caller, struct process **out)
{
	uint64_t id;
	*out = NULL;
	if (caller->uid != manager->config.surroundings->uid)
		return 0;
	int error = kin_environment_number(caller->pid, "PROCFS_MP_ID", &id);
	struct process *process = error ? NULL : manager_by_id(manager, id);
	bool is_theirs = process && process->state == PROCESS_RUNNING && terms_user(process) == caller->uid;
	*out = is_theirs ? process : NULL;
	return lack_of(error);
}

static struct process *of_group(struct manager *manager, const struct cgroup_around *group)
{
	if (!group->tree)
		return group->id ? manager_by_id(manager, group->id) : NULL;
	struct cgroup_tree **holder = group->tree->holder;
	return holder ? (struct process *)(void *)((char *)holder - offsetof(struct process, tree)) : NULL;
}

/* One that has neither parents nor such an environment any more is still in its process's control group. Result: 0, *out, which may
 * be NULL, and whether that is final; a lack. */
static int by_group(struct manager *manager, const struct caller *caller, struct process **out, bool *is_final)
{
	struct cgroup_around group = {0};
	int error = manager->cgroups ? cgroup_tree_around(manager->cgroups, caller->pid, &group) : 0;
	struct process *process = error ? NULL : of_group(manager, &group);
	*out = process && process->state == PROCESS_RUNNING ? process : NULL;
	*is_final = group.is_ours;
	return error;
}

/* Who is in a group of ours is known by that, or nobody. */
static int by_origin(struct manager *manager, const struct caller *caller, struct process **out)
{
	bool is_final;
	int error = by_group(manager, caller, out, &is_final);
	return error || is_final ? error : by_environment(manager, caller, out);
}

/* Nothing that began before the oldest process of ours can descend from one: the walk ends there. */
static uint64_t oldest_start(const struct manager *manager)
{
	uint64_t oldest = manager->oldest;
	struct session *session;
	LIST_FOREACH(session, &manager->sessions, link)
		if (session->start < oldest)
			oldest = session->start;
	return oldest;
}

static int walk(struct manager *manager, const struct caller *caller, struct process **out, struct session **session)
{
	pid_t pid = caller->pid;
	uint64_t oldest = oldest_start(manager), start = 0;
	bool asks_session = session && !LIST_EMPTY(&manager->sessions);
	int error = asks_session ? kin_process_of(caller->pid, &pid) : callers_start(&manager->callers, pid, &start);
	if (is_lack(error) || (!asks_session && (error || start < oldest)))
		return lack_of(error);
	for (int depth = 0; depth < ANCESTORS_MAX && pid > 1; depth++) {
		if (pid == manager->keeper_pid)
			return by_origin(manager, caller, out);
		if (session && !*session)
			*session = session_by_pid(manager, pid);
		struct kin kin;
		error = kin_read(pid, &kin);
		if (error || kin.start < oldest)
			return lack_of(error);
		*out = by_pid(manager, pid);
		if (!*out)
			*out = by_pid(manager, kin.session);
		if (*out)
			return 0;
		pid = kin.parent;
	}
	return 0;
}

int manager_find_inside(struct manager *manager, const struct caller *caller, struct process **out, struct session **session)
{
	*out = NULL;
	if (session)
		*session = NULL;
	if (caller->pid <= 0)
		return 0;
	bool none_runs = !manager->running && LIST_EMPTY(&manager->beginning);
	if (none_runs && (!session || LIST_EMPTY(&manager->sessions)))
		return 0;
	pid_t leader = none_runs ? -1 : getsid(caller->pid);
	*out = leader > 0 ? by_pid(manager, leader) : NULL;
	int error = *out ? 0 : walk(manager, caller, out, session);
	return error ? refuse(caller->why, -error, "whoever asks cannot be looked up: %s", strerror(-error)) : 0;
}

struct process *manager_inside(struct manager *manager, const struct caller *caller, struct session **session)
{
	struct process *process;
	struct refusal why;
	struct caller asked = *caller;
	asked.why = &why;
	return manager_find_inside(manager, &asked, &process, session) ? NULL : process;
}

void lineage_adopt(struct manager *manager, struct process *process, struct process *parent, struct session *session)
{
	process->parent = parent;
	process->session = parent ? NULL : session;
	if (parent) {
		process->daemonic = parent->daemonic;
		if (parent->authkey && parent->owner == process->owner) {
			process->authkey = malloc(PROCESS_AUTHKEY_SIZE);
			if (process->authkey)
				memcpy(process->authkey, parent->authkey, PROCESS_AUTHKEY_SIZE);
		}
	}
	struct process_list *list = parent ? &parent->children : session ? &session->children : &manager->children;
	LIST_INSERT_HEAD(list, process, sibling);
}

void lineage_terminate(struct manager *manager, struct process *process)
{
	restart_forbid(process);
	if (process->state == PROCESS_STARTING)
		process->doomed = SIGTERM;
	if (process->state != PROCESS_RUNNING)
		return;
	manager_signal(manager, process, SIGTERM, NULL);
	manager_signal(manager, process, SIGCONT, NULL);
}

void lineage_release(struct manager *manager, struct process_list *children, uid_t owner)
{
	struct process *process;
	while ((process = LIST_FIRST(children))) {
		if (process->daemonic && (process->owner == owner || manager->ending))
			lineage_terminate(manager, process);
		else if (process->owner == owner || manager->ending)
			restart_forbid(process);
		process_touch(process);
		LIST_REMOVE(process, sibling);
		process->parent = NULL;
		process->session = NULL;
		LIST_INSERT_HEAD(&manager->children, process, sibling);
	}
}

/* ---- the end of the mount ---- */

void lineage_check_finished(struct manager *manager)
{
	if (!manager->ending || manager->finished || manager->running || manager->command_runs ||
	    !LIST_EMPTY(&manager->beginning))
		return;
	manager->finished = true;
	manager->config.on_finished(manager->config.context, 0);
}

static void terminate_daemonic(struct manager *manager, struct process_list *list)
{
	struct process *process;
	LIST_FOREACH(process, list, sibling)
		if (process->daemonic)
			lineage_terminate(manager, process);
}

void manager_end(struct manager *manager)
{
	if (manager->ending)
		return;
	manager->ending = true;
	terminate_daemonic(manager, &manager->children);
	struct session *session;
	LIST_FOREACH(session, &manager->sessions, link)
		terminate_daemonic(manager, &session->children);
	for (struct process *p = manager_after(manager, 0); p; p = manager_after(manager, p->id))
		if (process_runs_again(p))
			restart_forbid(p);
	lineage_check_finished(manager);
}

bool manager_is_ending(const struct manager *manager)
{
	return manager->ending;
}

/* A start that has no child yet gets its signal when it has one: see on_started(). */
static void kill_all(struct manager *manager)
{
	manager->killing = true;
	for (struct process *p = manager_after(manager, 0); p; p = manager_after(manager, p->id))
		manager_signal(manager, p, SIGKILL, NULL);
	if (manager->command_runs)
		ptable_signal(manager->config.table, ptable_ref_at(manager->config.table, PTABLE_COMMAND), SIGKILL);
}

/* With a command, the first signal was passed on to it and its end is the end of the mount. */
void lineage_on_signal(struct manager *manager, uint64_t which)
{
	if (which <= manager->signals)
		return;
	bool first = !manager->signals++;
	if (!first)
		kill_all(manager);
	if (!first || !manager->command_runs)
		manager_end(manager);
}
