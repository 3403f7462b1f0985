#include "core/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cgroup_private.h"

enum { RETRY_FIRST_MS = 50, RETRY_MOST_MS = 2000 };

int cgroups_create(uv_loop_t *loop, const char *mountinfo, const char *membership, struct cgroups **out)
{
	struct cgroups *cgroups = calloc(1, sizeof *cgroups);
	if (!cgroups)
		return -ENOMEM;
	cgroups->loop = loop;
	LIST_INIT(&cgroups->groups);
	int error = cgroup_prefix(getppid(), cgroups->prefix);
	if (!error)
		error = cgroups_find_places(cgroups, mountinfo, membership);
	if (error) {
		free(cgroups);
		return error;
	}
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
		error = cgroup_write(directory, "cpu.cfs_period_us", value);
	}
	if (kind == CGROUP_CPU && unified)
		snprintf(value, sizeof value, "%" PRIu64 " %" PRIu64, wish->limits[kind], wish->period);
	else
		snprintf(value, sizeof value, "%" PRIu64, wish->limits[kind]);
	return error ? error : cgroup_write(directory, limit_file(kind, unified), value);
}

/* v1 alone: a group whose parent counts nothing would leave the parent's limit. */
static bool leaves_its_parent(const struct cgroup_place *place, enum cgroup_kind kind)
{
	char value[32];
	return !place->unified && kind == CGROUP_MEMORY &&
	       !cgroup_read(place->directory, "memory.use_hierarchy", value, sizeof value) && *value == '0' &&
	       !cgroup_read(place->directory, "memory.limit_in_bytes", value, sizeof value) &&
	       strtoull(value, NULL, 10) < UINT64_C(1) << 62;
}

static int try_place(const struct cgroups *cgroups, struct cgroup_place *place, enum cgroup_kind kind)
{
	if (!place->directory)
		return refuse(&place->why, EOPNOTSUPP, "%s: this machine gives us no cgroup with the %s controller",
			      cgroup_kind_name(kind), cgroup_controller(kind));
	if (leaves_its_parent(place, kind))
		return refuse(&place->why, EOPNOTSUPP, "%s: a cgroup below %s would not count there", cgroup_kind_name(kind),
			      place->directory);
	char name[sizeof cgroups->prefix + 32];
	snprintf(name, sizeof name, "%s%s-%d", cgroups->prefix, cgroup_controller(kind), (int)getpid());
	char *probe = cgroup_join(place->directory, name), *entry = cgroup_join(place->directory, "cgroup.procs");
	int error = probe && entry ? 0 : -ENOMEM;
	if (!error && (mkdir(probe, 0755) || access(entry, W_OK)))
		error = -errno;
	if (!error) {
		char *file = cgroup_join(probe, limit_file(kind, place->unified));
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
		place->error = try_place(cgroups, place, kind);
		place->tried = true;
	}
	if (place->error && why)
		*why = place->why;
	return place->error;
}

/* ---- groups ---- */

int cgroup_add_directory(struct cgroup *group, const struct cgroup_place *place, char *directory)
{
	int count = 0;
	while (group->directories[count])
		count++;
	group->directories[count] = directory;
	group->entries[count] = cgroup_join(directory, "cgroup.procs");
	if (place->unified)
		group->kill = cgroup_join(directory, "cgroup.kill");
	return group->entries[count] && (!place->unified || group->kill) ? 0 : -ENOMEM;
}

static int make_directory(struct cgroup *group, const struct cgroup_place *place, const char *name, int *at)
{
	int count = 0;
	char *directory = cgroup_join(place->directory, name);
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
	return cgroup_add_directory(group, place, directory);
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
		error = make_directory(group, place, name, &at);
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
	char name[sizeof cgroups->prefix + 64];
	if (!group)
		return -ENOMEM;
	group->id = id;
	group->run = run;
	snprintf(name, sizeof name, "%sp%" PRIu64 "-%" PRIu32 "-%d", cgroups->prefix, id, run, (int)getpid());
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
	struct cgroup *group, *last = NULL;
	LIST_FOREACH(group, &cgroups->groups, link)
		if (group->id == id && (!last || group->run > last->run))
			last = group;
	return last;
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

void cgroups_leave_all_but(struct cgroups *cgroups, bool (*goes_on)(void *context, uint64_t id, uint32_t run),
			   void *context)
{
	struct cgroup *group;
	LIST_FOREACH(group, &cgroups->groups, link)
		group->leaves |= !goes_on(context, group->id, group->run);
	cgroups->delay = RETRY_FIRST_MS;
	remove_empty(cgroups);
	cgroup_trees_leave_unclaimed(cgroups);
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
	cgroup_trees_end(cgroups);
	cgroups_free_places(cgroups);
	free(cgroups);
}
