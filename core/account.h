/*
 * account: what the system knows of a user: name, home, shell, groups.
 *
 * Owns: the look-ups (getpwuid(3), getgrouplist(3)), which may ask a network and so run
 * in a thread of the loop's pool, never on the loop. Must not know: why somebody asks.
 */
#ifndef PROCFS_MP_ACCOUNT_H
#define PROCFS_MP_ACCOUNT_H

#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

struct account {
	uid_t uid;
	gid_t gid;
	char *name;  /* the number, for a user without an entry */
	char *home;  /* "/" without one */
	char *shell; /* /bin/sh without one */
	gid_t *groups;
	int group_count;
};

/* Called once from the loop: error is 0 or -errno. `account` is the callee's to read only during the call. */
typedef void account_found(void *context, int error, const struct account *account);

/* Looks up the user `asked->name` when that is not NULL (-ENOENT when there is none), else `asked->uid`; without an
 * entry in the user database, asked->gid is its only group.
 * Result: 0, and `found` will be called; or -ENOMEM, -EAGAIN, and it won't. */
int account_look_up(uv_loop_t *loop, const struct account *asked, account_found *found, void *context);

#endif
