/*
 * command: the main command of a mount: what `procfs-mp -- COMMAND` runs, and what its end means.
 *
 * Owns: the environment that the command finds, the exit status it gives to the mount.
 * Must not know: how it is launched, the mount but for its path.
 */
#ifndef PROCFS_MP_COMMAND_H
#define PROCFS_MP_COMMAND_H

#include "core/launch.h"
#include "core/ptable.h"
#include "core/vector.h"

/* A launch that stays in the foreground and in our directory, with what its spec points to. {0} is none. */
struct command {
	struct launch_spec spec;
	struct vector candidates;
	char *variable;
	const char **environment;
};

/* argv stays the caller's, ended by NULL, and is not empty; mask is the command's umask.
 * Result: 0 or -ENOMEM; command_finish is due in both cases. */
int command_init(struct command *command, char *const *argv, const char *mountpoint, mode_t mask);
void command_finish(struct command *command);

/* After the mount has ended: the exit status as a shell gives it, 128+N after signal N, 126 or 127 and a
 * message when the command couldn't be run, 1 and a message when it has not ended. */
int command_status(const struct command *command, struct ptable *table);

#endif
