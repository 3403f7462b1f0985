/* Where groups can be made. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_private.h"

const char *cgroup_controller(enum cgroup_kind kind)
{
	static const char *const NAMES[] = { [CGROUP_MEMORY] = "memory", [CGROUP_CPU] = "cpu", [CGROUP_PIDS] = "pids" };
	return NAMES[kind];
}

char *cgroup_join(const char *directory, const char *name)
{
	struct text text = {0};
	text_printf(&text, "%s/%s", directory, name);
	return text_take(&text, NULL);
}

int cgroup_read(const char *directory, const char *name, char *value, size_t room)
{
	char *path = cgroup_join(directory, name);
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t size = fd < 0 ? -1 : read(fd, value, room - 1);
	int error = size < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	free(path);
	value[size < 0 ? 0 : size] = '\0';
	return error;
}

int cgroup_write(const char *directory, const char *name, const char *value)
{
	char *path = cgroup_join(directory, name);
	int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
	int error = fd < 0 || write(fd, value, strlen(value)) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	free(path);
	return error;
}

static bool has_word(const char *list, const char *word, const char *separators)
{
	size_t size = strlen(word);
	for (list += strspn(list, separators); *list; list += strspn(list, separators)) {
		size_t length = strcspn(list, separators);
		if (length == size && !memcmp(list, word, size))
			return true;
		list += length;
	}
	return false;
}

/* What the lines of /proc/self/cgroup say of a controller ("" is v2's). Result: our path there; NULL: none. */
static char *find_path(const char *membership, const char *controller)
{
	FILE *file = fopen(membership, "re");
	char *line = NULL, *path = NULL;
	size_t room = 0;
	while (file && !path && getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		char *names = strchr(line, ':');
		char *rest = names ? strchr(names + 1, ':') : NULL;
		if (!rest)
			continue;
		*rest = '\0';
		bool same = *controller ? has_word(names + 1, controller, ",") : !names[1];
		if (same)
			path = strdup(rest + 1);
	}
	free(line);
	if (file)
		fclose(file);
	return path;
}

/* Our group below a mount whose root is `root` in the hierarchy. */
static char *place_below(const char *mountpoint, const char *root, const char *path)
{
	size_t size = strcmp(root, "/") ? strlen(root) : 0;
	if (size && (strncmp(path, root, size) || (path[size] && path[size] != '/')))
		return NULL;
	struct text text = {0};
	text_printf(&text, "%s%s", mountpoint, strcmp(path + size, "/") ? path + size : "");
	return text_take(&text, NULL);
}

/* A line of /proc/self/mountinfo: its fields, and behind " - " the type, the source and the options. */
static void take_mount(struct cgroups *cgroups, char *line, const char *membership)
{
	char root[1024], mountpoint[1024], type[32], options[1024];
	const char *rest = strstr(line, " - ");
	if (!rest || sscanf(line, "%*d %*d %*s %1023s %1023s", root, mountpoint) != 2 ||
	    sscanf(rest, " - %31s %*s %1023s", type, options) != 2)
		return;
	bool unified = !strcmp(type, "cgroup2");
	if (unified && !cgroups->unified) {
		char *path = find_path(membership, "");
		cgroups->unified = path ? place_below(mountpoint, root, path) : NULL;
		if (cgroups->unified) {
			cgroups->root = strdup(mountpoint);
			cgroups->tree_place = strdup(cgroups->unified);
		}
		free(path);
	}
	for (enum cgroup_kind kind = 0; !strcmp(type, "cgroup") && kind < CGROUP_KINDS; kind++) {
		struct cgroup_place *place = &cgroups->places[kind];
		if (place->directory || !has_word(options, cgroup_controller(kind), ","))
			continue;
		char *path = find_path(membership, cgroup_controller(kind));
		place->directory = path ? place_below(mountpoint, root, path) : NULL;
		free(path);
	}
}

/* Limits that would be left behind by going up. */
static bool is_limited(const char *directory)
{
	static const char *const FILES[] = { "memory.max", "memory.high", "pids.max", "cpu.max" };
	char value[128];
	for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
		if (!cgroup_read(directory, FILES[i], value, sizeof value) && strncmp(value, "max", 3))
			return true;
	return false;
}

static void enable_here(const char *directory)
{
	char word[32];
	for (enum cgroup_kind kind = 0; kind < CGROUP_KINDS; kind++) {
		snprintf(word, sizeof word, "+%s", cgroup_controller(kind));
		cgroup_write(directory, "cgroup.subtree_control", word);
	}
}

/* The lowest group from ours upwards whose children can have controllers. */
static void find_unified(struct cgroups *cgroups)
{
	char *directory = cgroups->unified;
	char given[512];
	if (!directory || !cgroups->root)
		return;
	enable_here(directory);
	while (cgroup_read(directory, "cgroup.subtree_control", given, sizeof given) || !given[strspn(given, " \n")]) {
		if (strlen(directory) <= strlen(cgroups->root) || is_limited(directory))
			return;
		*strrchr(directory, '/') = '\0';
	}
	for (enum cgroup_kind kind = 0; kind < CGROUP_KINDS; kind++) {
		struct cgroup_place *place = &cgroups->places[kind];
		if (place->directory || !has_word(given, cgroup_controller(kind), " \n"))
			continue;
		place->directory = strdup(directory);
		place->unified = true;
	}
}

void cgroups_free_places(struct cgroups *cgroups)
{
	for (int kind = 0; kind < CGROUP_KINDS; kind++)
		free(cgroups->places[kind].directory);
	free(cgroups->unified);
	free(cgroups->root);
	free(cgroups->tree_place);
}

int cgroups_find_places(struct cgroups *cgroups, const char *mountinfo, const char *membership)
{
	FILE *file = fopen(mountinfo, "re");
	char *line = NULL;
	size_t room = 0;
	if (!file)
		return -errno;
	while (getline(&line, &room, file) > 0)
		take_mount(cgroups, line, membership);
	free(line);
	fclose(file);
	find_unified(cgroups);
	return 0;
}
