/* lack: errors that say nothing of what was asked for: there is not enough of something just now, and may be later. */
#ifndef PROCFS_MP_LACK_H
#define PROCFS_MP_LACK_H

#include <errno.h>
#include <stdbool.h>

/* error: 0 or -errno. */
static inline bool is_lack(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -EAGAIN;
}

/* 0 for all others. */
static inline int lack_of(int error)
{
	return is_lack(error) ? error : 0;
}

#endif
