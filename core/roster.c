#include "core/manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/manager_private.h"

/* ---- by id ---- */

static size_t roster_position(const struct manager *manager, uint64_t id)
{
	size_t low = 0, high = manager->used;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (manager->roster[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void roster_pack(struct manager *manager)
{
	size_t kept = 0;
	for (size_t i = 0; i < manager->used; i++)
		if (manager->roster[i].process)
			manager->roster[kept++] = manager->roster[i];
	manager->used = kept;
	manager->holes = 0;
}

int manager_reserve(struct manager *manager)
{
	if (manager->used < manager->room)
		return 0;
	size_t room = manager->room ? manager->room * 2 : 64;
	struct place *roster = realloc(manager->roster, room * sizeof *roster);
	if (!roster)
		return -ENOMEM;
	manager->roster = roster;
	manager->room = room;
	return 0;
}

struct process *manager_by_id(struct manager *manager, uint64_t id)
{
	size_t i = roster_position(manager, id);
	return i < manager->used && manager->roster[i].id == id ? manager->roster[i].process : NULL;
}

struct process *manager_after(struct manager *manager, uint64_t id)
{
	for (size_t i = roster_position(manager, id + 1); i < manager->used; i++)
		if (manager->roster[i].process)
			return manager->roster[i].process;
	return NULL;
}

/* ---- by directory ---- */

static struct process **directories_like(const struct manager *manager, const char *directory)
{
	unsigned hash;
	HASH_VALUE(directory, strlen(directory), hash);
	return &manager->directories[hash & (manager->directories_room - 1)];
}

/* Without memory for more lists they become longer. */
static void directories_grow(struct manager *manager)
{
	uint32_t room = manager->directories_room ? manager->directories_room * 2 : 64, old_room = manager->directories_room;
	struct process **lists = calloc(room, sizeof *lists), **old = manager->directories;
	if (!lists)
		return;
	manager->directories = lists;
	manager->directories_room = room;
	for (uint32_t i = 0; i < old_room; i++) {
		struct process *process, *next;
		for (process = old[i]; process; process = next) {
			struct process **list = directories_like(manager, process->directory);
			next = process->next_alike;
			process->next_alike = *list;
			*list = process;
		}
	}
	free(old);
}

struct process *manager_by_directory(struct manager *manager, const char *directory)
{
	struct process *process = manager->directories ? *directories_like(manager, directory) : NULL;
	while (process && strcmp(process->directory, directory))
		process = process->next_alike;
	return process;
}

int manager_enter(struct manager *manager, struct process *process)
{
	if (manager->directories_used >= manager->directories_room)
		directories_grow(manager);
	if (!manager->directories)
		return -ENOMEM;
	struct process **list = directories_like(manager, process->directory);
	process->next_alike = *list;
	*list = process;
	manager->directories_used++;
	return 0;
}

static void leave_directories(struct manager *manager, struct process *process)
{
	struct process **at = directories_like(manager, process->directory);
	while (*at != process)
		at = &(*at)->next_alike;
	*at = process->next_alike;
	manager->directories_used--;
}

/* ---- both ---- */

void manager_insert(struct manager *manager, struct process *process)
{
	manager->roster[manager->used++] = (struct place){ process->id, process };
	process->kept.changed = manager->config.journal ? &manager->changed : NULL;
}

void manager_take_out(struct manager *manager, struct process *process)
{
	size_t i = roster_position(manager, process->id);
	manager->roster[i].process = NULL;
	manager->holes++;
	if (manager->holes > 64 && manager->holes * 2 > manager->used)
		roster_pack(manager);
	leave_directories(manager, process);
}
