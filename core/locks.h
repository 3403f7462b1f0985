/*
 * locks: the names that can be locked. The locks themselves are the kernel's, on the nodes that these names have.
 *
 * Owns: the names with their makers, and those that were removed and are still open. An id is never used again, so a
 * removed name that is made anew is another lock, as with files. Must not know: FUSE, who holds a lock.
 */
#ifndef PROCFS_MP_LOCKS_H
#define PROCFS_MP_LOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "core/hash.h"
#include "core/record.h"
#include "core/share.h"

enum { LOCKS_MOST = 65536 };

struct lock {
	uint64_t id;
	char *name;
	uid_t owner;
	gid_t group;
	struct timespec created;
	unsigned opens;
	bool removed; /* gone with its last close */
	struct share *share; /* its maker's, while it has its name */
	struct share_cost held;
	UT_hash_handle by_id;
	UT_hash_handle by_name; /* in the order of their making */
};

/* {0} begins. */
struct locks {
	struct lock *ids, *names;
	uint64_t last_id;
};

/* Nothing may be open any more. */
void locks_finish(struct locks *locks);

/* Result: 0 and *out; -EEXIST, -ENAMETOOLONG, -ENOSPC with a sentence; -ENOMEM. */
int locks_make(struct locks *locks, const char *name, struct refusal *why, struct lock **out);
/* From here on its maker pays for it. Result: 0; -EDQUOT with a sentence. */
int locks_charge(struct lock *lock, struct share *share, struct refusal *why);

struct lock *locks_by_name(struct locks *locks, const char *name);
/* Also one that was removed and is open. */
struct lock *locks_by_id(struct locks *locks, uint64_t id);
/* The first whose id is above `id`, and the one made after `lock`; NULL at the end. Removed ones are left out. */
struct lock *locks_after(struct locks *locks, uint64_t id);
struct lock *locks_next(const struct lock *lock);

void locks_open(struct lock *lock);
void locks_close(struct locks *locks, struct lock *lock);

/* What outlives the server; who has it open says so anew. */
void lock_pack(const struct lock *lock, struct text *out);
/* Adds it to the others; nobody has it open. Result: 0, and *out (may be NULL); -EPROTO; -EEXIST (the id, or the name of one
 * that is not removed); -ENOMEM. */
int lock_unpack(struct locks *locks, struct record_reader *from, struct lock **out);

/* The name is free at once. The lock is freed unless it is open. */
void locks_remove(struct locks *locks, struct lock *lock);

#endif
