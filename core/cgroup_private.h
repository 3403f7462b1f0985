/* What cgroup.c (the groups) and cgroup_place.c (where they can be made) share. */
#ifndef PROCFS_MP_CGROUP_PRIVATE_H
#define PROCFS_MP_CGROUP_PRIVATE_H

#include "core/cgroup.h"
#include "core/cgroup_tree.h"

/* What begins the name of every group of a keeper's mount: told by its pid namespace, pid and start from those of others. */
enum { CGROUP_PREFIX_ROOM = 96 };

/* Where groups with a controller are made. */
struct cgroup_place {
	char *directory; /* NULL: there is no such hierarchy */
	bool unified;
	bool tried;
	int error; /* when it was tried */
	struct refusal why;
};

struct cgroups {
	uv_loop_t *loop;
	struct cgroup_place places[CGROUP_KINDS];
	char *unified; /* our own group in v2, or NULL */
	char *root;    /* where v2 is mounted */
	uv_timer_t *timer;
	uint64_t delay;
	char prefix[CGROUP_PREFIX_ROOM];
	LIST_HEAD(, cgroup) groups;

	/* cgroup_tree.c */
	char *tree_place; /* our own group in v2, or NULL */
	uint64_t trees_made; /* the highest number that was ever used */
	struct cgroup_tree *found; /* by number: adopted, and not yet claimed */
	struct cgroup_tree_list spare, taken, left, lingering;
	void (*on_parted)(struct cgroup_tree **holder); /* NULL: nobody is told */
	unsigned spare_count;
	uv_timer_t *looks;
	uint64_t lingering_due; /* uv_now()'s milliseconds */
};

/* What the kernel calls it. */
const char *cgroup_controller(enum cgroup_kind kind);

/* Takes the directory, which is there and then the group's. Result: 0, -ENOMEM. */
int cgroup_add_directory(struct cgroup *group, const struct cgroup_place *place, char *directory);

void cgroup_trees_leave_unclaimed(struct cgroups *cgroups);

/* Fills in places, unified, root and tree_place. Result: 0, open(2)'s errno. */
int cgroups_find_places(struct cgroups *cgroups, const char *mountinfo, const char *membership);
void cgroups_free_places(struct cgroups *cgroups);

/* Result: 0; -ESRCH when there is no such process. */
int cgroup_prefix(pid_t keeper, char prefix[static CGROUP_PREFIX_ROOM]);

/* directory/name; NULL without memory. The caller frees it. */
char *cgroup_join(const char *directory, const char *name);
/* A small file there: its bytes ended by NUL, "" when it can't be read. Result: 0 or -errno. */
int cgroup_read(const char *directory, const char *name, char *value, size_t room);
/* Result: 0 or -errno. */
int cgroup_write(const char *directory, const char *name, const char *value);

#endif
