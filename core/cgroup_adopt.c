/* The groups that a server finds which follows one that died. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_private.h"

/* ---- with limits ---- */

/* In v1 it may have been found in another hierarchy. Result: NULL without memory. */
static struct cgroup *group_of(struct cgroups *cgroups, uint64_t id, uint32_t run, const char *name)
{
	struct cgroup *group;
	LIST_FOREACH(group, &cgroups->groups, link)
		if (group->id == id && group->run == run && !strcmp(strrchr(group->directories[0], '/') + 1, name))
			return group;
	group = calloc(1, sizeof *group);
	if (!group)
		return NULL;
	group->id = id;
	group->run = run;
	LIST_INSERT_HEAD(&cgroups->groups, group, link);
	return group;
}

static int adopt_limits(struct cgroups *cgroups, const struct cgroup_place *place, const char *name)
{
	uint64_t id;
	uint32_t run;
	if (sscanf(name + strlen(cgroups->prefix), "p%" SCNu64 "-%" SCNu32 "-", &id, &run) != 2)
		return 0;
	struct cgroup *group = group_of(cgroups, id, run, name);
	if (!group)
		return -ENOMEM;
	char *directory = cgroup_join(place->directory, name);
	return directory ? cgroup_add_directory(group, place, directory) : -ENOMEM;
}

/* ---- trees ---- */

static int adopt_tree(struct cgroups *cgroups, const char *name)
{
	uint64_t number;
	if (!cgroup_tree_numbered(cgroups, name, &number))
		return 0;
	struct found_tree *found = malloc(sizeof *found);
	struct cgroup_tree *tree = calloc(1, sizeof *tree);
	if (!found || !tree)
		goto free_both;
	tree->number = number;
	tree->killed = true;
	*found = (struct found_tree){ .number = number, .tree = tree };
	HASH_ADD(hh, cgroups->found, number, sizeof found->number, found);
	if (!found->hh.tbl)
		goto free_both;
	if (number > cgroups->trees_made)
		cgroups->trees_made = number;
	return 0;
free_both:
	free(tree);
	free(found);
	return -ENOMEM;
}

/* holder NULL: nobody knows of it. */
static struct cgroup_tree *take(struct cgroups *cgroups, struct found_tree *found, struct cgroup_tree **holder)
{
	struct cgroup_tree *tree = found->tree;
	HASH_DEL(cgroups->found, found);
	free(found);
	LIST_INSERT_HEAD(&cgroups->taken, tree, link);
	tree->holder = holder;
	return tree;
}

int cgroup_tree_claim(struct cgroups *cgroups, uint64_t number, struct cgroup_tree **holder)
{
	struct found_tree *found;
	HASH_FIND(hh, cgroups->found, &number, sizeof number, found);
	if (!found)
		return -ENOENT;
	*holder = take(cgroups, found, holder);
	return 0;
}

void cgroup_trees_leave_unclaimed(struct cgroups *cgroups)
{
	struct found_tree *found, *next;
	HASH_ITER(hh, cgroups->found, found, next)
		cgroup_tree_leave(cgroups, take(cgroups, found, NULL));
}

/* ---- all ---- */

/* place NULL: that of the trees. */
static int scan(struct cgroups *cgroups, const struct cgroup_place *place)
{
	DIR *listing = opendir(place ? place->directory : cgroups->tree_place);
	size_t size = strlen(cgroups->prefix);
	int error = 0;
	if (!listing)
		return 0;
	for (struct dirent *entry; !error && (entry = readdir(listing));) {
		if (strncmp(entry->d_name, cgroups->prefix, size))
			continue;
		char kind = entry->d_name[size];
		if (place && kind == 'p')
			error = adopt_limits(cgroups, place, entry->d_name);
		else if (!place && kind == 't')
			error = adopt_tree(cgroups, entry->d_name);
		else if (place && kind != 't') /* a probe of cgroups_check() */
			unlinkat(dirfd(listing), entry->d_name, AT_REMOVEDIR);
	}
	closedir(listing);
	return error;
}

/* Several kinds may have one hierarchy. */
static bool is_scanned(const struct cgroups *cgroups, int kind)
{
	const struct cgroup_place *places = cgroups->places;
	for (int i = 0; i < kind; i++)
		if (places[i].directory && !strcmp(places[i].directory, places[kind].directory))
			return true;
	return false;
}

int cgroups_adopt(struct cgroups *cgroups)
{
	int error = 0;
	for (int kind = 0; !error && kind < CGROUP_KINDS; kind++)
		if (cgroups->places[kind].directory && !is_scanned(cgroups, kind))
			error = scan(cgroups, &cgroups->places[kind]);
	if (!error && cgroups->tree_place)
		error = scan(cgroups, NULL);
	return error;
}
