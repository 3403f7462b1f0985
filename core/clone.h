/*
 * clone: a child that runs a function, where that can be had in a control group from its first moment on.
 *
 * Must not know: what the child does.
 */
#ifndef PROCFS_MP_CLONE_H
#define PROCFS_MP_CLONE_H

#include <stddef.h>
#include <sys/types.h>

struct clone_call {
	int flags; /* of clone(2), with CLONE_VFORK and without an exit signal */
	int (*main)(void *argument);
	void *argument;
	char *stack; /* 16-byte aligned, both ends; used with CLONE_VM */
	size_t stack_size;
	pid_t *pid; /* written before the child runs */
	const char *group; /* a directory of cgroup v2, or NULL. When the kernel won't have the child there (it is gone, or the
			    * kernel is older than 5.7), the child is where we are: whoever needs to know looks into /proc */
};

/* In the group or not at all. Result: the child's pid; clone(2)'s or open(2)'s errno. */
pid_t clone_into_group(const struct clone_call *call);

/* Result: the child's pid, when it has executed something or ended; -errno. */
pid_t clone_child(const struct clone_call *call);

#endif
