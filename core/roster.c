#include "core/manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/manager_private.h"

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

struct process *manager_by_directory(struct manager *manager, const char *directory)
{
	struct process *process;
	HASH_FIND(by_directory, manager->directories, directory, strlen(directory), process);
	return process;
}

int manager_enter(struct manager *manager, struct process *process)
{
	HASH_ADD_KEYPTR(by_directory, manager->directories, process->directory, strlen(process->directory), process);
	return process->by_directory.tbl ? 0 : -ENOMEM;
}

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
	HASH_DELETE(by_directory, manager->directories, process);
}
