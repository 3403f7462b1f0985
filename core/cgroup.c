#include "core/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RETRY_FIRST_MS = 50, RETRY_MOST_MS = 2000 };

static const char *const CONTROLLERS[] = { [CGROUP_MEMORY] = "memory", [CGROUP_CPU] = "cpu", [CGROUP_PIDS] = "pids" };

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

static char *join(const char *directory, const char *name)
{
	struct text text = {0};
	text_printf(&text, "%s/%s", directory, name);
	return text_take(&text, NULL);
}

/* Result: the bytes, ended by NUL, or -errno. */
static int read_value(const char *directory, const char *name, char *value, size_t room)
{
	char *path = join(directory, name);
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t size = fd < 0 ? -1 : read(fd, value, room - 1);
	int error = size < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	free(path);
	value[size < 0 ? 0 : size] = '\0';
	return error;
}

static int write_value(const char *directory, const char *name, const char *value)
{
	char *path = join(directory, name);
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

/* ---- where ---- */

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
		if (cgroups->unified)
			cgroups->root = strdup(mountpoint);
		free(path);
	}
	for (int kind = 0; !strcmp(type, "cgroup") && kind < CGROUP_KINDS; kind++) {
		struct cgroup_place *place = &cgroups->places[kind];
		if (place->directory || !has_word(options, CONTROLLERS[kind], ","))
			continue;
		char *path = find_path(membership, CONTROLLERS[kind]);
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
		if (!read_value(directory, FILES[i], value, sizeof value) && strncmp(value, "max", 3))
			return true;
	return false;
}

static void enable_here(const char *directory)
{
	char word[32];
	for (int kind = 0; kind < CGROUP_KINDS; kind++) {
		snprintf(word, sizeof word, "+%s", CONTROLLERS[kind]);
		write_value(directory, "cgroup.subtree_control", word);
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
	while (read_value(directory, "cgroup.subtree_control", given, sizeof given) || !given[strspn(given, " \n")]) {
		if (strlen(directory) <= strlen(cgroups->root) || is_limited(directory))
			return;
		*strrchr(directory, '/') = '\0';
	}
	for (int kind = 0; kind < CGROUP_KINDS; kind++) {
		struct cgroup_place *place = &cgroups->places[kind];
		if (place->directory || !has_word(given, CONTROLLERS[kind], " \n"))
			continue;
		place->directory = strdup(directory);
		place->unified = true;
	}
}

int cgroups_create(uv_loop_t *loop, const char *mountinfo, const char *membership, struct cgroups **out)
{
	struct cgroups *cgroups = calloc(1, sizeof *cgroups);
	FILE *file = cgroups ? fopen(mountinfo, "re") : NULL;
	if (!file) {
		int error = cgroups ? -errno : -ENOMEM;
		free(cgroups);
		return error;
	}
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	cgroups->stamp = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	cgroups->loop = loop;
	LIST_INIT(&cgroups->groups);
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, file) > 0)
		take_mount(cgroups, line, membership);
	free(line);
	fclose(file);
	find_unified(cgroups);
	*out = cgroups;
	return 0;
}

/* ---- limits ---- */

static const char *limit_file(enum cgroup_kind kind, bool unified)
{
	static const char *const FILES[][CGROUP_KINDS] = {
		{ "memory.limit_in_bytes", "cpu.cfs_quota_us", "pids.max" },
		{ "memory.max", "cpu.max", "pids.max" },
	};
	return FILES[unified][kind];
}

static int set_limit(const char *directory, bool unified, enum cgroup_kind kind, const struct cgroup_wish *wish)
{
	char value[64];
	int error = 0;
	if (kind == CGROUP_CPU && !unified) {
		snprintf(value, sizeof value, "%" PRIu64, wish->period);
		error = write_value(directory, "cpu.cfs_period_us", value);
	}
	if (kind == CGROUP_CPU && unified)
		snprintf(value, sizeof value, "%" PRIu64 " %" PRIu64, wish->limits[kind], wish->period);
	else
		snprintf(value, sizeof value, "%" PRIu64, wish->limits[kind]);
	return error ? error : write_value(directory, limit_file(kind, unified), value);
}

/* v1 alone: a group whose parent counts nothing would leave the parent's limit. */
static bool leaves_its_parent(const struct cgroup_place *place, enum cgroup_kind kind)
{
	char value[32];
	return !place->unified && kind == CGROUP_MEMORY &&
	       !read_value(place->directory, "memory.use_hierarchy", value, sizeof value) && *value == '0' &&
	       !read_value(place->directory, "memory.limit_in_bytes", value, sizeof value) &&
	       strtoull(value, NULL, 10) < UINT64_C(1) << 62;
}

static int try_place(struct cgroup_place *place, enum cgroup_kind kind)
{
	if (!place->directory)
		return refuse(&place->why, EOPNOTSUPP, "%s: this machine gives us no cgroup with the %s controller",
			      cgroup_kind_name(kind), CONTROLLERS[kind]);
	if (leaves_its_parent(place, kind))
		return refuse(&place->why, EOPNOTSUPP, "%s: a cgroup below %s would not count there", cgroup_kind_name(kind),
			      place->directory);
	char name[64];
	snprintf(name, sizeof name, "procfs-mp-%d-%s", (int)getpid(), CONTROLLERS[kind]);
	char *probe = join(place->directory, name), *entry = join(place->directory, "cgroup.procs");
	int error = probe && entry ? 0 : -ENOMEM;
	if (!error && (mkdir(probe, 0755) || access(entry, W_OK)))
		error = -errno;
	if (!error) {
		char *file = join(probe, limit_file(kind, place->unified));
		error = !file ? -ENOMEM : access(file, W_OK) ? -errno : 0;
		free(file);
	}
	if (probe)
		rmdir(probe);
	free(probe);
	free(entry);
	if (error && error != -ENOMEM)
		error = refuse(&place->why, EOPNOTSUPP, "%s: no cgroup can be made in %s: %s", cgroup_kind_name(kind),
			       place->directory, strerror(-error));
	return error;
}

int cgroups_check(struct cgroups *cgroups, enum cgroup_kind kind, struct refusal *why)
{
	struct cgroup_place *place = &cgroups->places[kind];
	if (!place->tried || place->error == -ENOMEM) {
		place->error = try_place(place, kind);
		place->tried = true;
	}
	if (place->error && why)
		*why = place->why;
	return place->error;
}

/* ---- groups ---- */

static int add_directory(struct cgroup *group, const struct cgroup_place *place, const char *name, int *at)
{
	int count = 0;
	char *directory = join(place->directory, name);
	while (directory && group->directories[count] && strcmp(group->directories[count], directory))
		count++;
	*at = count;
	if (directory && group->directories[count]) {
		free(directory);
		return 0;
	}
	if (!directory || mkdir(directory, 0755)) {
		int error = directory ? -errno : -ENOMEM;
		free(directory);
		return error;
	}
	group->directories[count] = directory;
	group->entries[count] = join(directory, "cgroup.procs");
	if (place->unified)
		group->kill = join(directory, "cgroup.kill");
	return group->entries[count] && (!place->unified || group->kill) ? 0 : -ENOMEM;
}

/* Result: 0 when nothing of it is left. */
static int remove_directories(struct cgroup *group)
{
	int error = 0;
	for (int i = 0; i < CGROUP_KINDS && group->directories[i]; i++)
		if (rmdir(group->directories[i]) && errno != ENOENT)
			error = -errno;
	return error;
}

static void forget(struct cgroup *group)
{
	for (int i = 0; i < CGROUP_KINDS; i++) {
		free(group->directories[i]);
		free(group->entries[i]);
	}
	free(group->kill);
	free(group);
}

static int fill(struct cgroups *cgroups, struct cgroup *group, const char *name, const struct cgroup_wish *wish,
		struct refusal *why)
{
	for (enum cgroup_kind kind = 0; kind < CGROUP_KINDS; kind++) {
		const struct cgroup_place *place = &cgroups->places[kind];
		if (wish->limits[kind] == CGROUP_MAX)
			continue;
		int error = cgroups_check(cgroups, kind, why);
		if (error)
			return error;
		int at = 0;
		error = add_directory(group, place, name, &at);
		if (!error)
			error = set_limit(group->directories[at], place->unified, kind, wish);
		if (error)
			return refuse(why, -error, "%s cannot be set in %s: %s", cgroup_kind_name(kind), place->directory,
				      strerror(-error));
	}
	return 0;
}

int cgroups_make(struct cgroups *cgroups, uint64_t id, uint32_t run, const struct cgroup_wish *wish, struct cgroup **out,
		 struct refusal *why)
{
	struct cgroup *group = calloc(1, sizeof *group);
	char name[96];
	if (!group)
		return -ENOMEM;
	group->id = id;
	snprintf(name, sizeof name, "procfs-mp-%d-%" PRIu64 "-%" PRIu64 "-%" PRIu32, (int)getpid(), cgroups->stamp, id, run);
	int error = fill(cgroups, group, name, wish, why);
	if (error) {
		remove_directories(group);
		forget(group);
		return error;
	}
	LIST_INSERT_HEAD(&cgroups->groups, group, link);
	*out = group;
	return 0;
}

struct cgroup *cgroups_find(struct cgroups *cgroups, uint64_t id)
{
	struct cgroup *group;
	LIST_FOREACH(group, &cgroups->groups, link)
		if (group->id == id)
			return group;
	return NULL;
}

/* ---- leaving ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_retry(uv_timer_t *timer);

/* Nothing tells of the end of the last in a v1 group. */
static void retry_later(struct cgroups *cgroups)
{
	if (!cgroups->timer) {
		cgroups->timer = malloc(sizeof *cgroups->timer);
		if (!cgroups->timer)
			return;
		uv_timer_init(cgroups->loop, cgroups->timer);
		cgroups->timer->data = cgroups;
	}
	uv_update_time(cgroups->loop);
	uv_timer_start(cgroups->timer, on_retry, cgroups->delay, 0);
	cgroups->delay = cgroups->delay * 2 < RETRY_MOST_MS ? cgroups->delay * 2 : RETRY_MOST_MS;
}

static void remove_empty(struct cgroups *cgroups)
{
	struct cgroup *group, *next;
	bool left = false;
	for (group = LIST_FIRST(&cgroups->groups); group; group = next) {
		next = LIST_NEXT(group, link);
		if (!group->leaves)
			continue;
		if (remove_directories(group)) {
			left = true;
			continue;
		}
		LIST_REMOVE(group, link);
		forget(group);
	}
	if (left)
		retry_later(cgroups);
}

static void on_retry(uv_timer_t *timer)
{
	remove_empty(timer->data);
}

void cgroups_leave(struct cgroups *cgroups, uint64_t id)
{
	struct cgroup *group;
	bool any = false;
	if (!cgroups)
		return;
	LIST_FOREACH(group, &cgroups->groups, link) {
		any |= group->id == id && !group->leaves;
		group->leaves |= group->id == id;
	}
	if (!any)
		return;
	cgroups->delay = RETRY_FIRST_MS;
	remove_empty(cgroups);
}

const char *cgroup_entry(const struct cgroup *cgroup, int32_t entry)
{
	return entry >= 0 && entry < CGROUP_KINDS && cgroup->entries[entry] ? cgroup->entries[entry] : "its cgroup";
}

void cgroups_destroy(struct cgroups *cgroups)
{
	struct cgroup *group;
	if (!cgroups)
		return;
	while ((group = LIST_FIRST(&cgroups->groups))) {
		LIST_REMOVE(group, link);
		remove_directories(group);
		forget(group);
	}
	if (cgroups->timer)
		uv_close((uv_handle_t *)cgroups->timer, on_timer_closed);
	for (int kind = 0; kind < CGROUP_KINDS; kind++)
		free(cgroups->places[kind].directory);
	free(cgroups->unified);
	free(cgroups->root);
	free(cgroups);
}
