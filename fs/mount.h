/*
 * mount: a directory that becomes the mount and is given back at the end.
 *
 * Owns: which directory it is, why it can't be (one clear sentence through fs/log), the libfuse session, and
 * the private directory of a mount without a mountpoint.
 *
 * Must not know: what is mounted, who answers it.
 */
#ifndef PROCFS_MP_MOUNT_H
#define PROCFS_MP_MOUNT_H

#include <stdbool.h>
#include <sys/types.h>

struct fuse_session;
struct options;

/* {0} is nothing yet. */
struct mount {
	char *path;       /* absolute, without symlinks */
	bool is_private;  /* made by us, removed by us */
	struct fuse_session *session; /* mounts and unmounts; answers nothing */
	dev_t device;     /* st_dev of the mount's root; 0 when it couldn't be learnt */
};

/* Finds the directory, makes it when none was named, and checks all that could keep it from becoming the
 * mount: what it is, what is mounted there, /dev/fuse, fusermount3.
 * Result: 0; -errno and a message. mount_close is due in both cases. */
int mount_choose(struct mount *mount, const struct options *options);

/* Whose the topmost mount at a path is, as mountinfo has it, without asking the mount. Result: 0 and *out; -EINVAL when it is none
 * of FUSE. */
int mount_owner(const char *path, uid_t *out);

/* Mounts it; the session's descriptor, which whoever answers needs, is close-on-exec.
 * Result: 0; -EIO and a message. */
int mount_open(struct mount *mount, const struct options *options);

/* Whatever was done is undone: unmounts when it is still mounted there (never what somebody else mounted over
 * it), which ends every request under way, and removes the private directory. */
void mount_close(struct mount *mount);

/* For another process than the one that mounted: takes the mount of that device away from `path`, lazily, unless
 * another lies over it. device 0: it is not known, whatever lies there is taken away. */
void mount_detach(const char *path, dev_t device);

#endif
