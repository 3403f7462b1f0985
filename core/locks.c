#include "core/locks.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void forget(struct locks *locks, struct lock *lock)
{
	HASH_DELETE(by_id, locks->ids, lock);
	free(lock->name);
	free(lock);
}

void locks_finish(struct locks *locks)
{
	struct lock *lock, *next;
	HASH_CLEAR(by_name, locks->names);
	HASH_ITER(by_id, locks->ids, lock, next)
		forget(locks, lock);
}

struct lock *locks_by_name(struct locks *locks, const char *name)
{
	struct lock *lock;
	HASH_FIND(by_name, locks->names, name, strlen(name), lock);
	return lock;
}

struct lock *locks_by_id(struct locks *locks, uint64_t id)
{
	struct lock *lock;
	HASH_FIND(by_id, locks->ids, &id, sizeof id, lock);
	return lock;
}

static int add(struct locks *locks, struct lock *lock)
{
	HASH_ADD(by_id, locks->ids, id, sizeof lock->id, lock);
	if (!lock->by_id.tbl)
		return -ENOMEM;
	if (lock->removed)
		return 0;
	HASH_ADD_KEYPTR(by_name, locks->names, lock->name, strlen(lock->name), lock);
	if (lock->by_name.tbl)
		return 0;
	HASH_DELETE(by_id, locks->ids, lock);
	return -ENOMEM;
}

int locks_make(struct locks *locks, const char *name, struct refusal *why, struct lock **out)
{
	size_t length = strlen(name);
	if (length > NAME_MAX)
		return refuse(why, ENAMETOOLONG, "a name has at most %d bytes", NAME_MAX);
	if (locks_by_name(locks, name))
		return refuse(why, EEXIST, "there is a lock named %s", name);
	if (HASH_CNT(by_name, locks->names) >= LOCKS_MOST)
		return refuse(why, ENOSPC, "there are %d locks already: remove some that nobody needs", LOCKS_MOST);
	struct lock *lock = calloc(1, sizeof *lock);
	if (lock)
		lock->name = strdup(name);
	if (!lock || !lock->name)
		goto free_lock;
	lock->id = ++locks->last_id;
	clock_gettime(CLOCK_REALTIME, &lock->created);
	if (add(locks, lock))
		goto free_name;
	*out = lock;
	return 0;
free_name:
	free(lock->name);
free_lock:
	free(lock);
	return refuse(why, ENOMEM, "out of memory");
}

int locks_charge(struct lock *lock, struct share *share, struct refusal *why)
{
	const struct share_cost cost = { .locks = 1 };
	int error = share_check(share, &cost, why);
	if (error)
		return error;
	lock->share = share;
	share_settle(share, &lock->held, &cost);
	return 0;
}

struct lock *locks_next(const struct lock *lock)
{
	return lock->by_name.next;
}

struct lock *locks_after(struct locks *locks, uint64_t id)
{
	struct lock *lock = locks->names;
	while (lock && lock->id <= id)
		lock = locks_next(lock);
	return lock;
}

void locks_open(struct lock *lock)
{
	lock->opens++;
}

void locks_close(struct locks *locks, struct lock *lock)
{
	if (--lock->opens == 0 && lock->removed)
		forget(locks, lock);
}

void lock_pack(const struct lock *lock, struct text *out)
{
	record_put_number(out, lock->id);
	record_put_string(out, lock->name);
	record_put_number(out, lock->owner);
	record_put_number(out, lock->group);
	record_put_time(out, lock->created);
	record_put_number(out, lock->removed);
}

int lock_unpack(struct locks *locks, struct record_reader *from, struct lock **out)
{
	struct lock *lock = calloc(1, sizeof *lock);
	if (!lock)
		return -ENOMEM;
	lock->id = record_number(from);
	lock->name = record_copy(from, NULL);
	lock->owner = (uid_t)record_number(from);
	lock->group = (gid_t)record_number(from);
	lock->created = record_time(from);
	lock->removed = record_number(from);
	int error = from->bad || !lock->id || !lock->name ? -EPROTO : 0;
	if (!error && (locks_by_id(locks, lock->id) || (!lock->removed && locks_by_name(locks, lock->name))))
		error = -EEXIST;
	if (!error)
		error = add(locks, lock);
	if (error) {
		free(lock->name);
		free(lock);
		return error;
	}
	if (lock->id > locks->last_id)
		locks->last_id = lock->id;
	if (out)
		*out = lock;
	return 0;
}

void locks_remove(struct locks *locks, struct lock *lock)
{
	HASH_DELETE(by_name, locks->names, lock);
	lock->removed = true;
	share_settle(lock->share, &lock->held, &(struct share_cost){0});
	if (!lock->opens)
		forget(locks, lock);
}
