/*
 * node: FUSE's node ids, which are computed and never stored.
 *
 * A node id says which process (0: the root), which row of the table, and for control files a serial number, so
 * that each LOOKUP of one gives another inode to the kernel: a write that waits holds the lock of its own
 * inode only. A secret has one serial for those who may not read it (fs/tree). A process's id is never used again, so
 * an old node can't mean a newer process; nor is a lock's.
 * Pure. Must not know: rows' names.
 */
#ifndef PROCFS_MP_NODE_H
#define PROCFS_MP_NODE_H

#include <stdint.h>

enum {
	NODE_DIRECTORY = 1, /* the process's directory itself; of process 0, FUSE's root */
	NODE_FIRST_ROW = 2, /* row 0 of the table */
	NODE_LOCK = 62, /* a file in locks/; `process` is the lock's id then */
	NODE_CHILD_LINK = 63, /* a symlink in a children/ directory, to that process */
	NODE_ROW_BITS = 6,
	NODE_PROCESS_BITS = 36,
	NODE_SERIAL_BITS = 22,
};

struct node {
	uint64_t process;
	unsigned row;
	uint32_t serial;
};

static inline uint64_t node_encode(struct node node)
{
	uint64_t serial = node.serial & ((UINT64_C(1) << NODE_SERIAL_BITS) - 1);
	return serial << (NODE_PROCESS_BITS + NODE_ROW_BITS) | node.process << NODE_ROW_BITS | node.row;
}

static inline struct node node_decode(uint64_t id)
{
	return (struct node){
		.process = id >> NODE_ROW_BITS & ((UINT64_C(1) << NODE_PROCESS_BITS) - 1),
		.row = id & ((1U << NODE_ROW_BITS) - 1),
		.serial = (uint32_t)(id >> (NODE_PROCESS_BITS + NODE_ROW_BITS)),
	};
}

/* What stat shows: the same for every serial. */
static inline uint64_t node_inode(struct node node)
{
	node.serial = 0;
	return node_encode(node);
}

#endif
