#include "fs/lock.h"
#include "fs/recovery.h"

#include <errno.h>
#include <sys/stat.h>

static int show_nothing(const struct view *view, struct text *out)
{
	(void)view;
	return text_status(out);
}

static int store_nothing(const struct view *view, const char *bytes, size_t size)
{
	(void)bytes;
	if (!size)
		return 0;
	return refuse(view->caller->why, EPERM, "a lock holds nothing and is not written: lock it with flock(1), flock(2) or fcntl(2)");
}

static const struct row LOCK_ROW = {
	.name = "a lock",
	.flags = ROW_EVERYBODY | ROW_EXACT,
	.largest = SIZE_MAX,
	.show = show_nothing,
	.store = store_nothing,
	.help = "a name that can be locked",
};

const struct row *lock_row(void)
{
	return &LOCK_ROW;
}

bool lock_is_directory(const struct target *target)
{
	return !target->process && target->row && target->row->kind == ROW_DIRECTORY;
}

static void become(struct target *target, struct lock *lock)
{
	target->lock = lock;
	target->row = &LOCK_ROW;
	target->node = (struct node){ .process = lock->id, .row = NODE_LOCK };
}

int lock_find(struct target *target)
{
	struct lock *lock = locks_by_id(&target->server->locks, target->node.process);
	if (!lock)
		return -ESTALE;
	become(target, lock);
	return 0;
}

int lock_find_name(struct target *target, const char *name)
{
	struct lock *lock = locks_by_name(&target->server->locks, name);
	if (!lock)
		return -ENOENT;
	become(target, lock);
	return 0;
}

int lock_make(struct target *target, const char *name, mode_t mode)
{
	struct lock *lock;
	if (!S_ISREG(mode))
		return refuse(&target->why, EPERM, "locks/ takes files, and nothing else");
	if (target->caller.pid <= 0 || target->caller.uid == (uid_t)-1)
		return refuse(&target->why, EPERM, "the caller cannot be identified from here: it may lock, not make a lock");
	struct share *share;
	int error = manager_share(target->server->manager, target->caller.uid, &share);
	if (!error)
		error = locks_make(&target->server->locks, name, &target->why, &lock);
	if (error)
		return error;
	error = locks_charge(lock, share, &target->why);
	if (error) {
		locks_remove(&target->server->locks, lock);
		return error;
	}
	lock->owner = target->caller.uid;
	lock->group = target->caller.gid;
	recovery_keep_lock(target->server, lock);
	become(target, lock);
	return 0;
}

int lock_remove(struct target *target, const char *name)
{
	struct lock *lock = locks_by_name(&target->server->locks, name);
	if (!lock)
		return -ENOENT;
	if (target->caller.uid != 0 && target->caller.uid != lock->owner)
		return refuse(&target->why, EPERM, "%s is not yours to remove: whoever made a lock removes it", name);
	uint64_t id = lock->id;
	locks_remove(&target->server->locks, lock);
	lock = locks_by_id(&target->server->locks, id);
	if (lock)
		recovery_keep_lock(target->server, lock);
	else
		recovery_forget(target->server, RECORD_LOCK, id);
	return 0;
}
