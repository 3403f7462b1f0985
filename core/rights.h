/*
 * rights: descriptors that travel with a message (unix(7), SCM_RIGHTS).
 */
#ifndef PROCFS_MP_RIGHTS_H
#define PROCFS_MP_RIGHTS_H

#include <stddef.h>

enum { RIGHTS_MOST = 8 };

/* One message with up to RIGHTS_MOST descriptors, which stay the caller's. Never blocks, and no signal tells that nobody is there.
 * Result: 0, or sendmsg(2)'s -errno, but for EINTR. */
int rights_send(int socket_fd, const void *bytes, size_t size, const int *fds, size_t count);

#endif
