/*
 * shared: memory that several processes map, by a descriptor that outlives each of them.
 *
 * Owns: how it is made. Must not know: what lies in it.
 */
#ifndef PROCFS_MP_SHARED_H
#define PROCFS_MP_SHARED_H

#include <stddef.h>

/* Makes `size` bytes of zeroes that cost nothing until they are touched. `name` is what /proc/PID/fd shows.
 * Result: 0 and *out, a close-on-exec descriptor that is the caller's; -EFBIG when the hard limit of file sizes
 * (RLIMIT_FSIZE) forbids it; -ENOMEM, -EMFILE, -ENFILE as memfd_create(2). */
int shared_create(const char *name, size_t size, int *out);

/* Maps the whole of it; the descriptor stays the caller's, and may be closed.
 * Result: 0 and *out (munmap with the size), -EINVAL when it is smaller than `size`, -ENOMEM, -EBADF. */
int shared_map(int fd, size_t size, void **out);

#endif
