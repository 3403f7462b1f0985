/*
 * keeper_of: which processes make a mount, found without asking the mount.
 *
 * Must not know: what is wanted of them.
 */
#ifndef PROCFS_MP_KEEPER_OF_H
#define PROCFS_MP_KEEPER_OF_H

#include <sys/types.h>

struct mount_processes {
	pid_t keeper;
	pid_t server;
};

enum { KEEPER_OF_ROOM = 4096 };

/* May wait for as long as the way to the mountpoint does. Result: 0 and *out; -EINVAL when it is no mount of FUSE, -EPERM when it
 * is another user's, -ESRCH when they are not found; open(2)'s errno. */
int keeper_of(const char *mountpoint, struct mount_processes *out);

/* The place of a process's program, also when another lies there now. Result: 0 and *out, or -errno. */
int keeper_of_program(pid_t pid, char out[static KEEPER_OF_ROOM]);

#endif
