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
	NAME_ROOM = CGROUP_PREFIX_ROOM + 32,
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
	free(tree);
}

static void name_of(const struct cgroups *cgroups, uint64_t number, char name[static NAME_ROOM])
{
	snprintf(name, NAME_ROOM, "%st%" PRIu64, cgroups->prefix, number);
}

bool cgroup_tree_numbered(const struct cgroups *cgroups, const char *name, uint64_t *out)
{
	char same[NAME_ROOM];
	size_t size = strlen(cgroups->prefix);
	if (strncmp(name, cgroups->prefix, size) || sscanf(name + size, "t%" SCNu64, out) != 1)
		return false;
	name_of(cgroups, *out, same);
	return !strcmp(name, same);
}

char *cgroup_tree_directory(const struct cgroups *cgroups, const struct cgroup_tree *tree)
{
	char name[NAME_ROOM];
	name_of(cgroups, tree->number, name);
	return cgroup_join(cgroups->tree_place, name);
}

/* Without memory it stays for the sweep at the end of the mount. */
static void remove_and_forget(const struct cgroups *cgroups, struct cgroup_tree *tree)
{
	char *directory = cgroup_tree_directory(cgroups, tree);
	if (directory)
		rmdir(directory);
	free(directory);
	forget(tree);
}

static int make_directory(struct cgroups *cgroups, struct cgroup_tree *tree)
{
	for (int i = 0; i < NAMES_TRIED; i++) {
		tree->number = ++cgroups->trees_made;
		char *directory = cgroup_tree_directory(cgroups, tree);
		if (!directory)
			return -ENOMEM;
		int error = mkdir(directory, 0755) ? -errno : 0;
		free(directory);
		if (error != -EEXIST)
			return error;
	}
	return -EEXIST;
}

static int make(struct cgroups *cgroups, struct cgroup_tree **out)
{
	if (!cgroups->tree_place || cgroups->makes_none)
		return -EOPNOTSUPP;
	struct cgroup_tree *tree = calloc(1, sizeof *tree);
	int error = tree ? make_directory(cgroups, tree) : -ENOMEM;
	if (!error) {
		*out = tree;
		return 0;
	}
	free(tree);
	/* It will not be otherwise for the next one; too many groups may be. */
	cgroups->makes_none = error != -ENOMEM && error != -EAGAIN;
	return error;
}

static void keep_spare(struct cgroups *cgroups, struct cgroup_tree *tree)
{
	/* Kernels from Linux 6.14 on kill whoever is cloned into a group that was killed before, when that of the parent was not
	 * (cgroup_css_set_fork() notes the kill_seq of the wrong one). */
	if (cgroups->spare_count >= SPARE_MOST || tree->killed) {
		remove_and_forget(cgroups, tree);
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
static bool can_begin_in(const char *directory)
{
	const struct clone_call call = { .flags = CLONE_VFORK, .main = end_at_once, .group = directory };
	pid_t pid = directory ? clone_into_group(&call) : -ENOMEM;
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
	char *directory = cgroup_tree_directory(cgroups, tree);
	cgroups->makes_none = !can_begin_in(directory);
	free(directory);
	if (cgroups->makes_none)
		remove_and_forget(cgroups, tree);
	else
		keep_spare(cgroups, tree);
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

/* Result: 0 and *out; -errno. */
static int look_inside(const struct cgroups *cgroups, const struct cgroup_tree *tree, bool *out)
{
	char events[256];
	char *directory = cgroup_tree_directory(cgroups, tree);
	int error = directory ? cgroup_read(directory, "cgroup.events", events, sizeof events) : -ENOMEM;
	*out = !error && strstr(events, "populated 0");
	free(directory);
	return error;
}

/* Stops when it has removed as many as `most`. */
static void look(struct cgroups *cgroups, struct cgroup_tree_list *list, unsigned most)
{
	struct cgroup_tree *tree = LIST_FIRST(list), *next;
	for (unsigned removed = 0; tree && removed < most; tree = next) {
		bool is_empty = false;
		next = LIST_NEXT(tree, link);
		LIST_REMOVE(tree, link);
		int error = tree->pins ? -EBUSY : look_inside(cgroups, tree, &is_empty);
		bool is_gone = error == -ENOENT || error == -ENODEV;
		if (!is_gone && !is_empty) {
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
	char name[CGROUP_PREFIX_ROOM + 64];
	size_t size = strlen(cgroups->prefix);
	uint64_t number;
	int error = kin_group(pid, name, sizeof name);
	*out = (struct cgroup_around){0};
	if (error || strncmp(name, cgroups->prefix, size))
		return lack_of(error);
	out->is_ours = true;
	if (name[size] == 'p')
		out->id = strtoull(name + size + 1, NULL, 10);
	if (!cgroup_tree_numbered(cgroups, name, &number))
		return 0;
	struct cgroup_tree *tree;
	LIST_FOREACH(tree, &cgroups->taken, link)
		if (tree->number == number)
			out->tree = tree;
	return 0;
}

static char *file_of(const struct cgroups *cgroups, const struct cgroup_tree *tree, const char *name)
{
	char *directory = cgroup_tree_directory(cgroups, tree), *path = directory ? cgroup_join(directory, name) : NULL;
	free(directory);
	return path;
}

char *cgroup_tree_members(const struct cgroups *cgroups, const struct cgroup_tree *tree)
{
	return file_of(cgroups, tree, "cgroup.procs");
}

char *cgroup_tree_kill(const struct cgroups *cgroups, const struct cgroup_tree *tree)
{
	return file_of(cgroups, tree, "cgroup.kill");
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
			remove_and_forget(cgroups, tree);
		}
	}
	if (cgroups->looks)
		uv_close((uv_handle_t *)cgroups->looks, on_timer_closed);
}
