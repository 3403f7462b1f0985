/* Whose groups they are, and the removal of those that nobody needs any more. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cgroup_private.h"
#include "core/kin.h"

static unsigned long own_namespace(void)
{
	struct stat found;
	return stat("/proc/self/ns/pid", &found) ? 0 : (unsigned long)found.st_ino;
}

int cgroup_prefix(pid_t keeper, char prefix[static CGROUP_PREFIX_ROOM])
{
	struct kin kin;
	int error = kin_read(keeper, &kin);
	if (!error)
		snprintf(prefix, CGROUP_PREFIX_ROOM, "procfs-mp-%lu-%d-%llu-", own_namespace(), (int)keeper,
			 (unsigned long long)kin.start);
	return error;
}

/* Keepers of other pid namespaces can't be looked up from here. */
static bool is_stale(const char *name)
{
	unsigned long namespace;
	unsigned long long start;
	struct kin kin;
	int keeper;
	if (sscanf(name, "procfs-mp-%lu-%d-%llu-", &namespace, &keeper, &start) != 3 || keeper <= 0 || namespace != own_namespace())
		return false;
	if (kill(keeper, 0) && errno == ESRCH)
		return true;
	return !kin_read(keeper, &kin) && kin.start != start;
}

/* A group of this mount is known by its name alone: with many of them, looking for its keeper each time takes long. */
static bool is_unneeded(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix)) || is_stale(name);
}

static void sweep_directory(const char *directory, const char *prefix)
{
	DIR *listing = opendir(directory);
	if (!listing)
		return;
	for (struct dirent *entry; (entry = readdir(listing));)
		if (is_unneeded(entry->d_name, prefix))
			unlinkat(dirfd(listing), entry->d_name, AT_REMOVEDIR);
	closedir(listing);
}

static void sweep_places(const struct cgroups *cgroups)
{
	for (int kind = 0; kind < CGROUP_KINDS; kind++)
		if (cgroups->places[kind].directory)
			sweep_directory(cgroups->places[kind].directory, cgroups->prefix);
	if (cgroups->tree_place)
		sweep_directory(cgroups->tree_place, cgroups->prefix);
}

void cgroups_sweep(void)
{
	struct cgroups cgroups = {0};
	if (cgroup_prefix(getpid(), cgroups.prefix))
		return;
	if (!cgroups_find_places(&cgroups, "/proc/self/mountinfo", "/proc/self/cgroup"))
		sweep_places(&cgroups);
	cgroups_free_places(&cgroups);
}
