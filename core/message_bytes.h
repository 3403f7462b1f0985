/*
 * message_bytes: a launch_spec as bytes and back.
 *
 * Owns: the layout of a launch. Pure: the way back reads nothing but the bytes it was given, whatever they are.
 * Must not know: sockets, descriptors.
 */
#ifndef PROCFS_MP_MESSAGE_BYTES_H
#define PROCFS_MP_MESSAGE_BYTES_H

#include "core/message.h"

enum {
	MESSAGE_STREAMS = 3,
	MESSAGE_HELD = 2, /* what is to be held of stdout and stderr */
};

/* A launch: this; a struct launch_terms if it has terms; group_count gid_t; then strings_size bytes, every string ended
 * by NUL: the cwd if it has one, the paths of outputs to files, candidates, arguments, environment, cgroups. When
 * `memory` is set all of it is in the memfd and this alone, the same, in the message. */
struct message_head {
	uint32_t kind;
	uint32_t index;
	uint64_t generation;
	uint32_t flags;
	uint32_t uid;
	uint32_t gid;
	uint32_t umask;
	uint32_t streams; /* bit N: descriptor N travels with it, in this order, from bit 3 on those to be held; the
	                   * memfd is the last */
	uint32_t memory;
	uint32_t group_count;
	uint32_t has_cwd;
	uint32_t candidate_count;
	uint32_t argument_count;
	uint32_t environment_count;
	uint32_t cgroup_count;
	uint32_t has_terms;
	uint32_t strings_size;
	uint32_t output_to[2]; /* enum launch_to */
	int32_t output_number[2];
	int32_t inherit_pid;
	uint32_t padding;
	uint64_t mount_device;
};

/* Everything but streams and memory, which are 0.
 * Result: 0 and *out, -E2BIG above MESSAGE_LAUNCH_MAX or MESSAGE_GROUPS_MAX. */
int message_bytes_measure(struct message_head *out, struct ptable_ref ref, const struct launch_spec *spec);

/* The size of all that head tells of. */
size_t message_bytes_size(const struct message_head *head);

/* Writes message_bytes_size() bytes. The spec is the one that was measured. */
void message_bytes_fill(void *bytes, const struct message_head *head, const struct launch_spec *spec);

/* The way back is message_decode_launch(). */

#endif
