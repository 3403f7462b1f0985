/*
 * lock: the directory locks/, in which any name can be made and locked.
 *
 * A lock's node is the same for all who open it, so that flock(2) and fcntl(2) work on it: the kernel
 * keeps the locks on the nodes and asks nobody. Owns: what these requests mean. Must not know: processes.
 */
#ifndef PROCFS_MP_LOCK_H
#define PROCFS_MP_LOCK_H

#include "fs/private.h"

/* What every lock is as a file: empty, and everybody's to open for writing, without which there is no exclusive
 * fcntl(2) lock and no `>`. */
const struct row *lock_row(void);

/* True for locks/ itself. */
bool lock_is_directory(const struct target *target);

/* The target becomes the lock. Result: 0, -ESTALE. */
int lock_find(struct target *target);

/* From locks/ to the lock with that name, which becomes the target. Result: 0, -ENOENT. */
int lock_find_name(struct target *target, const char *name);

/* Makes one; it becomes the target. Result: 0; -errno with a sentence. */
int lock_make(struct target *target, const char *name, mode_t mode);

/* Result: 0; -ENOENT; -EPERM, with a sentence, for others than its maker and the superuser. */
int lock_remove(struct target *target, const char *name);

#endif
