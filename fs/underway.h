/*
 * underway: which requests the kernel waits for, in memory that outlives the server: for kernels that can't send them again.
 *
 * Must not know: what they ask for.
 */
#ifndef PROCFS_MP_UNDERWAY_H
#define PROCFS_MP_UNDERWAY_H

#include <stddef.h>
#include <stdint.h>

/* {0} keeps nothing. */
struct underway {
	uint64_t *slots; /* 0: the one that is being answered; even: one that waits; odd: free, and the next that is */
	uint32_t room, used, free;
};

/* The memory stays the caller's; what it says is left alone until underway_forget. */
void underway_init(struct underway *underway, void *memory, size_t size);

/* The one that is being answered; 0: none. */
void underway_set_current(struct underway *underway, uint64_t unique);
/* One that waits. Result: its place; 0 when there is none left, and nothing is known of it. */
uint32_t underway_enter(struct underway *underway, uint64_t unique);
void underway_leave(struct underway *underway, uint32_t place);

/* A new server: answers all that the one before had not, with EINTR: who asked may ask again. */
void underway_interrupt(struct underway *underway, int fuse_fd);
/* A new server: nothing of the one before is known any more. */
void underway_forget(struct underway *underway);

#endif
