/*
 * invocation: from a process's configuration to what will be executed: candidates for the
 * path, argument vector, environment, directory, mask and user.
 *
 * Pure but for the memory it owns. Must not know: how a launch is done, FUSE.
 */
#ifndef PROCFS_MP_INVOCATION_H
#define PROCFS_MP_INVOCATION_H

#include "core/account.h"
#include "core/launch.h"
#include "core/process.h"
#include "core/vector.h"

/* What the mount itself was started with. All strings stay the owner's. */
struct surroundings {
	const char *base_directory; /* relative targets and directories begin here */
	const char *mountpoint;     /* absolute */
	char *const *environment;
	mode_t umask;
	uint64_t device; /* st_dev of the mount; 0: not known */
	uid_t uid; /* whose mount it is */
	gid_t gid;
};

struct invocation {
	struct launch_spec spec; /* points into the rest; stream descriptors are -1 */
	struct vector candidates, arguments, environment;
	char *directory;
};

/* The user that a process of that owner runs as: true when it is another one than the mount's, whose account must be
 * looked up. */
bool invocation_needs_account(const struct process *process, const struct surroundings *from);

/* The mask that it will start with: its own, the mount's, or 022 for another user than the mount's. */
mode_t invocation_umask(const struct process *process, const struct surroundings *from);

/* account: of the process's owner, NULL when invocation_needs_account() is false.
 * Result: 0 and *out (invocation_finish frees), -ENOMEM. */
int invocation_init(struct invocation *out, const struct process *process, const struct surroundings *from,
		    const struct account *account);
void invocation_finish(struct invocation *invocation);

#endif
