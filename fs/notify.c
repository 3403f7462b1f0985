#include "fs/notify.h"

#include <stddef.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

/* enum fuse_notify_code of the kernel's include/uapi/linux/fuse.h. */
enum { NOTIFY_POLL = 1, NOTIFY_RESEND = 7, NOTIFY_INC_EPOCH = 8 };

/* struct fuse_out_header, and behind it struct fuse_notify_poll_wakeup_out. */
struct notification {
	uint32_t size;
	int32_t code;
	uint64_t unique; /* 0: of no request */
	uint64_t poll;
};

enum { BARE = offsetof(struct notification, poll) };

static bool send_notification(struct fuse_session *session, const struct notification *notification)
{
	return write(fuse_session_fd(session), notification, notification->size) == (ssize_t)notification->size;
}

bool notify_poll(struct fuse_session *session, uint64_t poll)
{
	return send_notification(session, &(struct notification){ sizeof(struct notification), NOTIFY_POLL, 0, poll });
}

bool notify_names(struct fuse_session *session)
{
	return send_notification(session, &(struct notification){ BARE, NOTIFY_INC_EPOCH, 0, 0 });
}

bool notify_resend(struct fuse_session *session)
{
	return send_notification(session, &(struct notification){ BARE, NOTIFY_RESEND, 0, 0 });
}
