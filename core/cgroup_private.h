/* What cgroup.c (the groups) and cgroup_place.c (where they can be made) share. */
#ifndef PROCFS_MP_CGROUP_PRIVATE_H
#define PROCFS_MP_CGROUP_PRIVATE_H

#include "core/cgroup.h"

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
	uint64_t stamp; /* tells our groups from those of a pid namespace with the same numbers */
	LIST_HEAD(, cgroup) groups;
};

/* What the kernel calls it. */
const char *cgroup_controller(enum cgroup_kind kind);

/* Fills in places, unified and root. Result: 0, open(2)'s errno. */
int cgroups_find_places(struct cgroups *cgroups, const char *mountinfo, const char *membership);

/* directory/name; NULL without memory. The caller frees it. */
char *cgroup_join(const char *directory, const char *name);
/* A small file there: its bytes ended by NUL, "" when it can't be read. Result: 0 or -errno. */
int cgroup_read(const char *directory, const char *name, char *value, size_t room);
/* Result: 0 or -errno. */
int cgroup_write(const char *directory, const char *name, const char *value);

#endif
