/*
 * cgroup_tree: control groups of cgroup v2 that hold a process with all that descends from it, so that none of them hides.
 *
 * They have no limits, are made ahead and are used again when nobody is left in one: a start costs no mkdir(2). Where none can be
 * made the processes have none. Must not know: processes as users see them.
 */
#ifndef PROCFS_MP_CGROUP_TREE_H
#define PROCFS_MP_CGROUP_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct cgroups;

struct cgroup_tree {
	uint64_t number; /* its name ends in it */
	struct cgroup_tree **holder; /* where it is known as its process's; NULL: nowhere */
	unsigned pins; /* who works with it and would hit the next process in it */
	bool left;     /* its process has ended */
	bool killed;   /* by cgroup.kill, or by a server that died, as far as we know: not to be used again */
	LIST_ENTRY(cgroup_tree) link;
};
LIST_HEAD(cgroup_tree_list, cgroup_tree);

/* on_parted: a group is handed on or removed, and *holder has become NULL; not after cgroup_tree_disown(). */
void cgroup_trees_watch(struct cgroups *cgroups, void (*on_parted)(struct cgroup_tree **holder));

/* Makes some ahead. */
void cgroup_trees_begin(struct cgroups *cgroups);

/* An adopted one is its process's again. Result: 0 and *holder, as after cgroup_tree_take(); -ENOENT: there is none. */
int cgroup_tree_claim(struct cgroups *cgroups, uint64_t number, struct cgroup_tree **holder);

/* Result: 0 and *holder, which is NULL again when the group has been left and is empty; -EOPNOTSUPP where none can be made,
 * -ENOMEM, mkdir(2)'s errno. */
int cgroup_tree_take(struct cgroups *cgroups, struct cgroup_tree **holder);
/* The process has ended, or was not executed. Idempotent; NULL is allowed. */
void cgroup_tree_leave(struct cgroups *cgroups, struct cgroup_tree *tree);
/* *holder becomes NULL. */
void cgroup_tree_disown(struct cgroup_tree **holder);

/* Which group a process is in. */
struct cgroup_around {
	bool is_ours; /* of this mount */
	struct cgroup_tree *tree; /* NULL: one with limits, or of a process that is over */
	uint64_t id; /* whose limits it has; 0: none */
};

/* Result: 0 and *out; a lack (core/lack). */
int cgroup_tree_around(struct cgroups *cgroups, pid_t pid, struct cgroup_around *out);

/* The directory of a group, and files of it; each is to be freed, and NULL without memory. */
char *cgroup_tree_directory(const struct cgroups *cgroups, const struct cgroup_tree *tree);
char *cgroup_tree_members(const struct cgroups *cgroups, const struct cgroup_tree *tree);
char *cgroup_tree_kill(const struct cgroups *cgroups, const struct cgroup_tree *tree);

/* For cgroups_destroy: removes those that are empty, and forgets all. */
void cgroup_trees_end(struct cgroups *cgroups);

#endif
