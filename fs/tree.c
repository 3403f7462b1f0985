/* Names and attributes: every request that walks the table and opens nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/terms.h"
#include "fs/cache.h"
#include "fs/events.h"
#include "fs/follow.h"
#include "fs/lock.h"
#include "fs/private.h"

/* What is in a process's directory is there as long as the process is; the process itself may be removed by `close`
 * behind the kernel's back, and is cached only where the kernel can be told so (names_changed). */
static const double FOR_EVER = 86400, NOT_AT_ALL = 0;

static struct caller caller_of(fuse_req_t request, struct refusal *why)
{
	const struct fuse_ctx *context = fuse_req_ctx(request);
	return (struct caller){ .pid = context->pid, .uid = context->uid, .gid = context->gid, .why = why };
}

int target_find(fuse_req_t request, fuse_ino_t ino, struct target *out)
{
	*out = (struct target){ .server = fuse_req_userdata(request), .node = node_decode(ino) };
	out->why.sentence[0] = '\0';
	out->caller = caller_of(request, &out->why);
	out->view = (struct view){ .manager = out->server->manager, .caller = &out->caller };
	if (out->node.row == NODE_LOCK)
		return lock_find(out);
	if (out->node.process) {
		out->process = manager_by_id(out->server->manager, out->node.process);
		if (!out->process)
			return -ESTALE;
	}
	if (out->node.row >= NODE_FIRST_ROW && out->node.row != NODE_CHILD_LINK) {
		out->row = files_row(!out->process, out->node.row - NODE_FIRST_ROW);
		if (!out->row)
			return -ESTALE;
	}
	out->view.process = out->process;
	return 0;
}

void refuse_request(fuse_req_t request, struct target *target, int error)
{
	if (!target->why.sentence[0])
		refuse(&target->why, -error, "%s", strerror(-error));
	if (target->process && manager_may(target->process, &target->caller))
		process_set_error(target->process, target->why.sentence);
	else
		manager_set_error(target->server->manager, target->caller.uid, target->why.sentence);
	fuse_reply_err(request, -error);
}

void forget_refusal(struct target *target)
{
	if (target->process)
		process_set_error(target->process, NULL);
	else
		manager_set_error(target->server->manager, target->caller.uid, NULL);
}

/* ---- attributes ---- */

static int content_size(struct target *target, off_t *out)
{
	const struct row *row = target->row;
	*out = row->flags & ROW_EVENTS ? (off_t)events_end(target->server->events) : 0;
	if (row->captured) {
		*out = follow_size(target->process, row);
		return 0;
	}
	if (row->stream) {
		struct stat st;
		int fd = row->stream(target->process);
		if (fd >= 0 && !fstat(fd, &st))
			*out = st.st_size;
		return 0;
	}
	if (!row->show || (row->flags & ROW_COSTLY))
		return 0;
	if (row->size) {
		*out = (off_t)row->size(&target->view);
		return 0;
	}
	struct text text = {0};
	int error = row->show(&target->view, &text);
	*out = (off_t)text.size;
	text_finish(&text);
	target->why.sentence[0] = '\0';
	return error == -ENOMEM ? error : 0;
}

static mode_t mode_of(const struct target *target, bool shared)
{
	if (target->row)
		return row_mode(target->row, shared);
	if (target->node.row == NODE_CHILD_LINK)
		return S_IFLNK | 0777;
	if (target->process)
		return S_IFDIR | 0755;
	return S_IFDIR | (shared ? 01777 : 0755);
}

/* Where others can't make processes either, they shall hear the reason from us: the root is everybody's to try. */
static bool is_shared(const struct server *server)
{
	return server->config.allow_other;
}

/* In a mount that others see a secret has an inode of its own for them: the kernel tells whoever asks it, and not us, what size the
 * inode had last (statx(2), AT_STATX_DONT_SYNC). Files that are new at each look-up have one of their own anyway. */
enum { STRANGERS = 1 };

static bool has_two_inodes(const struct target *target)
{
	return is_shared(target->server) && target->process && target->row &&
	       (target->row->flags & (ROW_SECRET | ROW_FRESH)) == ROW_SECRET;
}

/* How much there is of a secret is a part of it. */
static bool hides_size(const struct target *target)
{
	if (!(target->row->flags & ROW_SECRET))
		return false;
	return !manager_may(target->process, &target->caller) || (has_two_inodes(target) && target->node.serial == STRANGERS);
}

int target_stat(struct target *target, struct stat *out)
{
	const struct server *server = target->server;
	*out = (struct stat){
		.st_ino = node_inode(target->node),
		.st_mode = mode_of(target, is_shared(server)),
		.st_nlink = 1,
		.st_uid = target->process ? target->process->owner : server->surroundings.uid,
		.st_gid = target->process ? target->process->group : server->surroundings.gid,
		.st_blksize = 4096,
		.st_atim = target->process ? moment_time(target->process->created) : server->mounted,
	};
	if (target->process && target->row && target->row->permit)
		out->st_uid = terms_user(target->process);
	out->st_mtim = out->st_ctim = out->st_atim;
	/* A directory's times stay: its attributes are cached. */
	bool moves = target->row && target->row->kind != ROW_DIRECTORY;
	if (moves && target->process && target->process->started.tv_sec)
		out->st_mtim = out->st_ctim = moment_time(target->process->started);
	if (moves && target->process && target->process->ended.tv_sec)
		out->st_mtim = out->st_ctim = moment_time(target->process->ended);
	if (target->lock) {
		out->st_nlink = target->lock->removed ? 0 : 1;
		out->st_uid = target->lock->owner;
		out->st_gid = target->lock->group;
		out->st_atim = out->st_mtim = out->st_ctim = target->lock->created;
		return 0;
	}
	if (target->node.row == NODE_CHILD_LINK)
		out->st_size = (off_t)strlen(target->process->directory) + 6;
	if (!target->row || target->row->kind == ROW_DIRECTORY)
		return 0;
	if (hides_size(target))
		return 0;
	if (target->row->captured)
		follow_time(target->process, target->row, &out->st_mtim);
	int error = content_size(target, &out->st_size);
	out->st_blocks = (out->st_size + 511) / 512;
	return error;
}

static bool changes(const struct target *target)
{
	return target->row && target->row->kind != ROW_DIRECTORY;
}

void tree_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)info;
	struct target target;
	struct stat st;
	int error = target_find(request, ino, &target);
	if (!error)
		error = target_stat(&target, &st);
	if (error)
		fuse_reply_err(request, -error);
	else
		fuse_reply_attr(request, &st, changes(&target) ? cache_attributes(&target, true) : FOR_EVER);
}

void tree_setattr(fuse_req_t request, fuse_ino_t ino, struct stat *wanted, int which, struct fuse_file_info *info)
{
	struct target target;
	int error = target_find(request, ino, &target);
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	if (which & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		error = refuse(&target.why, EPERM, "modes and owners follow from who made the directory");
	else if (which & FUSE_SET_ATTR_SIZE)
		error = value_truncate(&target, wanted->st_size);
	if (error)
		refuse_request(request, &target, error);
	else
		tree_getattr(request, ino, info);
}

/* ---- names ---- */

static double entry_timeout(const struct target *target)
{
	const struct row *row = target->row;
	if (target->node.row == NODE_CHILD_LINK || has_two_inodes(target))
		return NOT_AT_ALL;
	if (row && (row->kind == ROW_LINK || (row->flags & (ROW_CONTROL | ROW_FRESH))))
		return NOT_AT_ALL;
	return row || target->server->has_epochs ? FOR_EVER : NOT_AT_ALL;
}

/* How many serials are left before one that an open file has: they come again, after so many, or so many servers. */
static uint32_t count_unused(const struct server *server)
{
	const struct handle *handle;
	uint32_t all = (UINT32_C(1) << NODE_SERIAL_BITS) - 1, unused = all;
	LIST_FOREACH(handle, &server->handles, link)
		if (handle->row && handle->row->flags & ROW_CONTROL) {
			uint32_t ahead = ((uint32_t)node_decode(handle->ino).serial - server->serial - 1) & all;
			unused = ahead < unused ? ahead : unused;
		}
	return unused;
}

static uint32_t next_serial(struct server *server)
{
	while (!server->unused_serials && !(server->unused_serials = count_unused(server)))
		server->serial++;
	server->unused_serials--;
	return ++server->serial;
}

/* A new one, so that no write waits behind another's inode; but for the thread that looked the last one up and
 * has closed it again, since nobody else knows that one. */
static void choose_serial(struct target *target)
{
	struct control *last = &target->server->control[!!target->process];
	pid_t caller = target->caller.pid;
	target->node.serial = node_decode(last->ino).serial;
	if (node_encode(target->node) == last->ino && caller > 0 && caller == last->caller && !last->handles)
		return;
	target->node.serial = next_serial(target->server);
	*last = (struct control){ .ino = node_encode(target->node), .caller = caller };
}

static void reply_entry(fuse_req_t request, struct target *target)
{
	struct fuse_entry_param entry = { .generation = 1 };
	bool control = target->row && (target->row->flags & (ROW_CONTROL | ROW_FRESH));
	if (control)
		choose_serial(target);
	else if (has_two_inodes(target))
		target->node.serial = manager_may(target->process, &target->caller) ? 0 : STRANGERS;
	entry.ino = node_encode(target->node);
	entry.entry_timeout = entry_timeout(target);
	entry.attr_timeout = changes(target) ? cache_attributes(target, false) : FOR_EVER;
	int error = target_stat(target, &entry.attr);
	if (error)
		fuse_reply_err(request, -error);
	else
		fuse_reply_entry(request, &entry);
}

/* A row by its name; a link that leads nowhere is not there. */
static int find_row(struct target *target, const char *name)
{
	int index = files_find(!target->process, name);
	if (index < 0)
		return index;
	target->row = files_row(!target->process, (unsigned)index);
	target->node.row = NODE_FIRST_ROW + (unsigned)index;
	if (target->row->kind != ROW_LINK)
		return 0;
	struct text text = {0};
	int error = target->row->show(&target->view, &text);
	text_finish(&text);
	return error;
}

static int find_name(struct target *target, const char *name)
{
	if (lock_is_directory(target))
		return lock_find_name(target, name);
	bool children = target->row && target->row->kind == ROW_DIRECTORY;
	if (!children && target->node.row != NODE_DIRECTORY)
		return -ENOTDIR;
	int error = children ? -ENOENT : find_row(target, name);
	if (error != -ENOENT || (target->process && !children))
		return error;
	struct process *process = manager_by_directory(target->server->manager, name);
	if (!process || (children && process->parent != target->process))
		return -ENOENT;
	target->process = target->view.process = process;
	target->row = NULL;
	target->node = (struct node){ .process = process->id, .row = children ? NODE_CHILD_LINK : NODE_DIRECTORY };
	return 0;
}

void tree_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct target target;
	int error = target_find(request, parent, &target);
	if (!error)
		error = find_name(&target, name);
	if (error)
		fuse_reply_err(request, -error);
	else
		reply_entry(request, &target);
}

void tree_readlink(fuse_req_t request, fuse_ino_t ino)
{
	struct target target;
	struct text text = {0};
	int error = target_find(request, ino, &target);
	if (!error && target.node.row == NODE_CHILD_LINK)
		text_printf(&text, "../../%s", target.process->directory);
	else if (!error)
		error = target.row && target.row->kind == ROW_LINK ? target.row->show(&target.view, &text) : -EINVAL;
	char *path = text_take(&text, NULL);
	if (error || !path)
		fuse_reply_err(request, error ? -error : ENOMEM);
	else
		fuse_reply_readlink(request, path);
	free(path);
}

/* ---- making and removing ---- */

static int check_root(struct target *target, const char *action)
{
	if (lock_is_directory(target))
		return refuse(&target->why, EPERM, "%s: locks/ takes files, and nothing else", action);
	if (target->node.process || target->node.row != NODE_DIRECTORY)
		return refuse(&target->why, EPERM, "%s: a process's directory has its files and no others", action);
	return 0;
}

void tree_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)mode;
	struct target target;
	int error = target_find(request, parent, &target);
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	struct process *process;
	error = check_root(&target, "mkdir");
	if (!error && files_find(true, name) >= 0)
		error = refuse(&target.why, EEXIST, "%s is a file of the mount", name);
	if (!error)
		error = manager_make(target.server->manager, &target.caller, name, &process);
	if (error) {
		refuse_request(request, &target, error);
		return;
	}
	forget_refusal(&target);
	target.process = target.view.process = process;
	target.node = (struct node){ .process = process->id, .row = NODE_DIRECTORY };
	reply_entry(request, &target);
}

void tree_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct target target;
	int error = target_find(request, parent, &target);
	if (!error)
		error = check_root(&target, "rmdir");
	if (!error && files_find(true, name) >= 0)
		error = refuse(&target.why, EPERM, "%s is a part of the mount", name);
	struct process *process = error ? NULL : manager_by_directory(target.server->manager, name);
	if (!error && !process)
		error = -ENOENT;
	if (!error) {
		target.process = process;
		error = manager_may(process, &target.caller) ? manager_remove(target.server->manager, process, &target.why) :
			refuse(&target.why, EACCES, "%s is not yours", process->directory);
	}
	if (error) {
		refuse_request(request, &target, error);
		return;
	}
	target.process = NULL;
	forget_refusal(&target);
	fuse_reply_err(request, 0);
}

static void refuse_change(fuse_req_t request, fuse_ino_t ino, const char *sentence)
{
	struct target target;
	int error = target_find(request, ino, &target);
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	refuse_request(request, &target, refuse(&target.why, EPERM, "%s", sentence));
}

/* Comes for open(2) with O_CREAT too: there is no CREATE, since what it would save is seldom asked for. */
void tree_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	(void)device;
	struct target target;
	int error = target_find(request, parent, &target);
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	error = lock_is_directory(&target) ? lock_make(&target, name, mode) :
		refuse(&target.why, EPERM, "files cannot be made here: mkdir in the root makes a process with all of its files");
	if (error) {
		refuse_request(request, &target, error);
		return;
	}
	forget_refusal(&target);
	reply_entry(request, &target);
}

void tree_symlink(fuse_req_t request, const char *link, fuse_ino_t parent, const char *name)
{
	(void)link;
	(void)name;
	refuse_change(request, parent, "links cannot be made here");
}

void tree_link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino;
	(void)name;
	refuse_change(request, parent, "links cannot be made here");
}

void tree_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct target target;
	int error = target_find(request, parent, &target);
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	error = lock_is_directory(&target) ? lock_remove(&target, name) :
		refuse(&target.why, EPERM, "a file cannot be removed: rmdir removes a process with all of its files");
	if (error) {
		refuse_request(request, &target, error);
		return;
	}
	forget_refusal(&target);
	fuse_reply_err(request, 0);
}

void tree_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t to, const char *new_name,
		 unsigned flags)
{
	(void)name;
	(void)to;
	(void)new_name;
	(void)flags;
	refuse_change(request, parent, "what is here keeps its name; a process has another one in its file name");
}

void tree_statfs(fuse_req_t request, fuse_ino_t ino)
{
	(void)ino;
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255 };
	fuse_reply_statfs(request, &st);
}
