#include "core/cgroup_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cgroup_private.h"
#include "core/clone.h"
#include "core/kin.h"
#include "core/lack.h"

enum {
	AHEAD = 8,        /* made at the beginning */
	SPARE_MOST = 64,  /* kept for the next ones */
	LOOK_MS = 20,     /* after a process has ended */
	LOOK_AGAIN_MS = 2000, /* whether those it left behind have ended */
	REMOVED_AT_ONCE = 16, /* of those that are too many to keep: the kernel takes its time, and nobody waits for it */
	NAMES_TRIED = 1000,
};

/* ---- made and removed ---- */

static void part(struct cgroup_tree *tree)
{
	if (tree->holder)
		*tree->holder = NULL;
	tree->holder = NULL;
}

static void forget(struct cgroup_tree *tree)
{
	part(tree);
	free(tree->directory);
	free(tree);
}

static int make_directory(struct cgroups *cgroups, struct cgroup_tree *tree)
{
	for (int i = 0; i < NAMES_TRIED; i++) {
		char name[sizeof cgroups->prefix + 32];
		snprintf(name, sizeof name, "%st%" PRIu64, cgroups->prefix, ++cgroups->trees_made);
		char *directory = cgroup_join(cgroups->tree_place, name);
		if (!directory)
			return -ENOMEM;
		if (!mkdir(directory, 0755)) {
			tree->directory = directory;
			tree->number = cgroups->trees_made;
			return 0;
		}
		free(directory);
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static void refuse_all(struct cgroups *cgroups)
{
	free(cgroups->tree_place);
	cgroups->tree_place = NULL;
}

static int make(struct cgroups *cgroups, struct cgroup_tree **out)
{
	if (!cgroups->tree_place)
		return -EOPNOTSUPP;
	struct cgroup_tree *tree = calloc(1, sizeof *tree);
	int error = tree ? make_directory(cgroups, tree) : -ENOMEM;
	if (!error) {
		*out = tree;
		return 0;
	}
	free(tree);
	/* It will not be otherwise for the next one; too many groups may be. */
	if (error != -ENOMEM && error != -EAGAIN)
		refuse_all(cgroups);
	return error;
}

static void keep_spare(struct cgroups *cgroups, struct cgroup_tree *tree)
{
	/* Kernels from Linux 6.14 on kill whoever is cloned into a group that was killed before, when that of the parent was not
	 * (cgroup_css_set_fork() notes the kill_seq of the wrong one). */
	if (cgroups->spare_count >= SPARE_MOST || tree->killed) {
		rmdir(tree->directory);
		forget(tree);
		return;
	}
	LIST_INSERT_HEAD(&cgroups->spare, tree, link);
	cgroups->spare_count++;
}

static int end_at_once(void *argument)
{
	(void)argument;
	return 0;
}

/* Whether a child can live there: a filter may forbid it, and see keep_spare(). */
static bool can_begin_in(const struct cgroup_tree *tree)
{
	const struct clone_call call = { .flags = CLONE_VFORK, .main = end_at_once, .group = tree->directory };
	pid_t pid = clone_into_group(&call);
	int status = -1;
	while (pid > 0 && waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		continue;
	return pid > 0 && WIFEXITED(status);
}

void cgroup_trees_watch(struct cgroups *cgroups, void (*on_parted)(struct cgroup_tree **holder))
{
	cgroups->on_parted = on_parted;
}

void cgroup_trees_begin(struct cgroups *cgroups)
{
	struct cgroup_tree *tree;
	if (make(cgroups, &tree))
		return;
	if (can_begin_in(tree)) {
		keep_spare(cgroups, tree);
	} else {
		rmdir(tree->directory);
		forget(tree);
		refuse_all(cgroups);
	}
	while (cgroups->spare_count < AHEAD && !make(cgroups, &tree))
		keep_spare(cgroups, tree);
}

/* ---- those that were left ---- */

static void part_aloud(struct cgroups *cgroups, struct cgroup_tree *tree)
{
	struct cgroup_tree **holder = tree->holder;
	part(tree);
	if (holder && cgroups->on_parted)
		cgroups->on_parted(holder);
}

/* Stops when it has removed as many as `most`. */
static void look(struct cgroups *cgroups, struct cgroup_tree_list *list, unsigned most)
{
	struct cgroup_tree *tree = LIST_FIRST(list), *next;
	for (unsigned removed = 0; tree && removed < most; tree = next) {
		char events[256];
		next = LIST_NEXT(tree, link);
		LIST_REMOVE(tree, link);
		int error = tree->pins ? -EBUSY : cgroup_read(tree->directory, "cgroup.events", events, sizeof events);
		bool is_gone = error == -ENOENT || error == -ENODEV;
		if (!is_gone && (error || !strstr(events, "populated 0"))) {
			LIST_INSERT_HEAD(&cgroups->lingering, tree, link);
			continue;
		}
		part_aloud(cgroups, tree);
		removed += !is_gone && cgroups->spare_count >= SPARE_MOST;
		if (is_gone)
			forget(tree);
		else
			keep_spare(cgroups, tree);
	}
}

static void on_look(uv_timer_t *timer)
{
	struct cgroups *cgroups = timer->data;
	struct cgroup_tree_list lingering = cgroups->lingering;
	uint64_t now = uv_now(cgroups->loop);
	if (now >= cgroups->lingering_due) {
		LIST_INIT(&cgroups->lingering);
		if (LIST_FIRST(&lingering))
			LIST_FIRST(&lingering)->link.le_prev = &lingering.lh_first;
		look(cgroups, &lingering, UINT_MAX);
		cgroups->lingering_due = now + LOOK_AGAIN_MS;
	}
	look(cgroups, &cgroups->left, REMOVED_AT_ONCE);
	if (!LIST_EMPTY(&cgroups->left))
		uv_timer_start(timer, on_look, LOOK_MS, 0);
	else if (!LIST_EMPTY(&cgroups->lingering))
		uv_timer_start(timer, on_look, cgroups->lingering_due - now, 0);
}

static void look_soon(struct cgroups *cgroups)
{
	if (!cgroups->looks) {
		cgroups->looks = malloc(sizeof *cgroups->looks);
		if (!cgroups->looks)
			return;
		uv_timer_init(cgroups->loop, cgroups->looks);
		cgroups->looks->data = cgroups;
	}
	uv_timer_start(cgroups->looks, on_look, LOOK_MS, 0);
}

/* ---- taken and left ---- */

int cgroup_tree_take(struct cgroups *cgroups, struct cgroup_tree **holder)
{
	struct cgroup_tree *tree = LIST_FIRST(&cgroups->spare);
	int error = 0;
	if (tree) {
		LIST_REMOVE(tree, link);
		cgroups->spare_count--;
	} else {
		error = make(cgroups, &tree);
	}
	if (error)
		return error;
	tree->left = false;
	tree->holder = holder;
	LIST_INSERT_HEAD(&cgroups->taken, tree, link);
	*holder = tree;
	return 0;
}

void cgroup_tree_leave(struct cgroups *cgroups, struct cgroup_tree *tree)
{
	if (!tree || tree->left)
		return;
	bool waits = !LIST_EMPTY(&cgroups->left);
	tree->left = true;
	LIST_REMOVE(tree, link);
	LIST_INSERT_HEAD(&cgroups->left, tree, link);
	if (!waits)
		look_soon(cgroups);
}

void cgroup_tree_disown(struct cgroup_tree **holder)
{
	if (*holder)
		part(*holder);
	*holder = NULL;
}

int cgroup_tree_around(struct cgroups *cgroups, pid_t pid, struct cgroup_around *out)
{
	char name[sizeof cgroups->prefix + 64];
	size_t size = strlen(cgroups->prefix);
	int error = kin_group(pid, name, sizeof name);
	*out = (struct cgroup_around){0};
	if (error || strncmp(name, cgroups->prefix, size))
		return lack_of(error);
	out->is_ours = true;
	struct cgroup_tree *tree;
	LIST_FOREACH(tree, &cgroups->taken, link)
		if (!strcmp(strrchr(tree->directory, '/') + 1, name))
			out->tree = tree;
	if (name[size] == 'p')
		out->id = strtoull(name + size + 1, NULL, 10);
	return 0;
}

char *cgroup_tree_members(const struct cgroup_tree *tree)
{
	return cgroup_join(tree->directory, "cgroup.procs");
}

char *cgroup_tree_kill(const struct cgroup_tree *tree)
{
	return cgroup_join(tree->directory, "cgroup.kill");
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

void cgroup_trees_end(struct cgroups *cgroups)
{
	struct cgroup_tree_list *const lists[] = { &cgroups->spare, &cgroups->taken, &cgroups->left, &cgroups->lingering };
	cgroup_trees_leave_unclaimed(cgroups);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		struct cgroup_tree *tree;
		while ((tree = LIST_FIRST(lists[i]))) {
			LIST_REMOVE(tree, link);
			rmdir(tree->directory);
			forget(tree);
		}
	}
	if (cgroups->looks)
		uv_close((uv_handle_t *)cgroups->looks, on_timer_closed);
}
