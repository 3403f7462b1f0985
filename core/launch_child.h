/*
 * launch_child: what the child of a launch does about its descriptors, between clone and exec; core/launch.c and
 * core/launch_streams.c share it.
 *
 * All of it runs where nothing may be allocated, locked or printed. Result of each: 0 or -errno.
 */
#ifndef PROCFS_MP_LAUNCH_CHILD_H
#define PROCFS_MP_LAUNCH_CHILD_H

#include "core/launch.h"

struct launch_child {
	const struct launch_spec *spec;
	struct ptable *table;
	struct ptable_entry *entry;
	uint32_t index;
	pid_t parent;
};

/* First: a table of its own, of what it shared with the caller until then. */
int child_part_descriptors(const struct launch_child *child);

/* Descriptors 0 to 2, and nothing else of the caller's any more. */
int child_take_streams(const struct launch_child *child);

/* As its user: what it opens itself, and then one stream in the other's place. */
int child_open_stdout(const struct launch_child *child);
int child_open_stderr(const struct launch_child *child);
int child_join_outputs(const struct launch_child *child);

#endif
