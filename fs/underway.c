#include "fs/underway.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

void underway_init(struct underway *underway, void *memory, size_t size)
{
	*underway = (struct underway){ .slots = memory, .room = (uint32_t)(size / sizeof(uint64_t)), .used = 1 };
}

void underway_set_current(struct underway *underway, uint64_t unique)
{
	if (underway->slots)
		underway->slots[0] = unique;
}

uint32_t underway_enter(struct underway *underway, uint64_t unique)
{
	uint32_t place = underway->free;
	if (place)
		underway->free = (uint32_t)(underway->slots[place] >> 1);
	else if (underway->used < underway->room)
		place = underway->used++;
	if (place)
		underway->slots[place] = unique;
	return place;
}

void underway_leave(struct underway *underway, uint32_t place)
{
	if (!place)
		return;
	underway->slots[place] = (uint64_t)underway->free << 1 | 1;
	underway->free = place;
}

/* A request that was answered already has no one who waits: then the kernel refuses this. */
static void interrupt(int fuse_fd, uint64_t unique)
{
	const struct fuse_out_header reply = { .len = sizeof reply, .error = -EINTR, .unique = unique };
	(void)!write(fuse_fd, &reply, sizeof reply);
}

void underway_interrupt(struct underway *underway, int fuse_fd)
{
	if (underway->slots[0])
		interrupt(fuse_fd, underway->slots[0]);
	for (uint32_t i = 1; i < underway->room && underway->slots[i]; i++)
		if (!(underway->slots[i] & 1))
			interrupt(fuse_fd, underway->slots[i]);
}

void underway_forget(struct underway *underway)
{
	uint32_t used = 1;
	while (used < underway->room && underway->slots[used])
		used++;
	memset(underway->slots, 0, used * sizeof *underway->slots);
	underway->used = 1;
	underway->free = 0;
}
