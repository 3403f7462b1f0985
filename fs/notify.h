/*
 * notify: what the kernel is told without being asked, as raw messages: libfuse 3.14 has no calls for these.
 *
 * None of them takes a lock that a request may hold, so that the loop can send them. Must not know: who wants it.
 */
#ifndef PROCFS_MP_NOTIFY_H
#define PROCFS_MP_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct fuse_session;

/* Whoever polls the open file asks again; poll: struct request_facts' number. Result: false when the kernel takes it not:
 * nobody polls that file any more, or the mount is gone. */
bool notify_poll(struct fuse_session *session, uint64_t poll);

/* Every name is looked up again. Result: false before Linux 6.16. */
bool notify_names(struct fuse_session *session);

/* Every request that was read and not answered is sent again. Result: false before Linux 6.9. */
bool notify_resend(struct fuse_session *session);

#endif
