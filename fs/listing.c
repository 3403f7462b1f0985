/*
 * Listings: opendir and readdir, over the same rows as everything else.
 *
 * Nothing is remembered between two requests: the offset says where to go on.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/lock.h"
#include "fs/private.h"

struct listing {
	fuse_req_t request;
	struct target *target;
	char *buffer;
	size_t size, room;
};

/* False when the buffer is full. offset: where the next entry begins. */
static bool add_entry(struct listing *listing, const char *name, struct node node, mode_t type, off_t offset)
{
	struct stat st = { .st_ino = node_inode(node), .st_mode = type };
	size_t needed = fuse_add_direntry(listing->request, listing->buffer + listing->size,
					  listing->room - listing->size, name, &st, offset);
	if (needed > listing->room - listing->size)
		return false;
	listing->size += needed;
	return true;
}

static bool is_there(struct target *target, const struct row *row)
{
	if (row->kind != ROW_LINK)
		return true;
	struct text text = {0};
	bool there = !row->show(&target->view, &text);
	text_finish(&text);
	return there;
}

/* Offsets: 1 is behind ".", 2 behind "..", 3 + i behind row i, and behind a process FIRST_ID + its id, so that a
 * listing goes on rightly whatever has been made or removed in between. */
enum { AFTER_DOTS = 2, FIRST_ID = 1 << 10 };

static bool list_processes(struct listing *listing, off_t offset)
{
	struct target *target = listing->target;
	bool children = target->row;
	uint64_t id = offset > FIRST_ID ? (uint64_t)offset - FIRST_ID : 0;
	struct process *process;
	while ((process = manager_after(target->server->manager, id))) {
		id = process->id;
		if (children && process->parent != target->process)
			continue;
		struct node node = { .process = id, .row = children ? NODE_CHILD_LINK : NODE_DIRECTORY };
		if (!add_entry(listing, process->directory, node, children ? S_IFLNK : S_IFDIR, FIRST_ID + (off_t)id))
			return false;
	}
	return true;
}

static void list_locks(struct listing *listing, off_t offset)
{
	struct locks *locks = &listing->target->server->locks;
	uint64_t id = offset > FIRST_ID ? (uint64_t)offset - FIRST_ID : 0;
	for (struct lock *lock = locks_after(locks, id); lock; lock = locks_next(lock)) {
		struct node node = { .process = lock->id, .row = NODE_LOCK };
		if (!add_entry(listing, lock->name, node, S_IFREG, FIRST_ID + (off_t)lock->id))
			return;
	}
}

static bool list_rows(struct listing *listing, off_t offset)
{
	struct target *target = listing->target;
	const struct row *row;
	for (unsigned i = (unsigned)(offset - AFTER_DOTS); (row = files_row(!target->process, i)); i++) {
		struct node node = { .process = target->node.process, .row = NODE_FIRST_ROW + i };
		if (is_there(target, row) && !add_entry(listing, row->name, node, row_mode(row, false), AFTER_DOTS + 1 + i))
			return false;
	}
	return true;
}

static void list(struct listing *listing, off_t offset)
{
	struct target *target = listing->target;
	struct node above = { .process = target->row ? target->node.process : 0, .row = NODE_DIRECTORY };
	if (offset < 1 && !add_entry(listing, ".", target->node, S_IFDIR, 1))
		return;
	if (offset < AFTER_DOTS && !add_entry(listing, "..", above, S_IFDIR, AFTER_DOTS))
		return;
	if (offset < AFTER_DOTS)
		offset = AFTER_DOTS;
	if (!target->row && offset < FIRST_ID && !list_rows(listing, offset))
		return;
	if (lock_is_directory(target))
		list_locks(listing, offset);
	else if (target->row || !target->process)
		list_processes(listing, offset);
}

void tree_opendir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct target target;
	int error = target_find(request, ino, &target);
	if (error)
		fuse_reply_err(request, -error);
	else
		fuse_reply_open(request, info);
}

void tree_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
	(void)info;
	struct target target;
	int error = target_find(request, ino, &target);
	struct listing listing = { .request = request, .target = &target, .buffer = malloc(size), .room = size };
	if (error || !listing.buffer) {
		fuse_reply_err(request, error ? -error : ENOMEM);
	} else {
		list(&listing, offset);
		fuse_reply_buf(request, listing.buffer, listing.size);
	}
	free(listing.buffer);
}
