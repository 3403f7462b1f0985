/*
 * What the files that speak FUSE share: server.c (loop), tree.c (names and attributes), listing.c (readdir), io.c
 * (opens, reads, writes), value.c (writes to values), control.c (verbs), handle.c (open files).
 */
#ifndef PROCFS_MP_PRIVATE_H
#define PROCFS_MP_PRIVATE_H

#include "core/locks.h"
#include <fcntl.h>

#include "fs/costly.h"
#include "fs/files.h"
#include "fs/node.h"
#include "fs/parked.h"
#include "fs/replies.h"
#include "fs/request.h"
#include "fs/resumption.h"
#include "fs/server.h"

/* An open file. */
struct handle {
	uint64_t number; /* what the kernel calls it; never used again */
	UT_hash_handle by_number;
	struct server *server;
	const struct row *row;
	uint64_t process; /* 0: the root's; of clone, what the open made */
	unsigned row_index;
	fuse_ino_t ino;
	bool of_root;
	bool cached; /* the kernel may keep its pages (fs/cache.h) */
	int flags; /* open(2)'s */
	pid_t opener; /* the thread */
	uid_t uid; /* who opened it: what was allowed then stays allowed */
	gid_t gid;

	char *content; /* the moment's value that reads at later offsets continue */
	size_t content_size;
	bool has_content;
	off_t position; /* of a stream: where the next read begins; 0 again behind the end and after a write */

	char *answer; /* of a control file: what reads give since the last `join any`; NULL: the verbs */
	size_t answer_size;

	struct text draft; /* what this open has written of a value */
	bool has_draft;
	struct text emptied; /* the value before `>` emptied it, until a write has been accepted */

	struct observer observer;
	uint64_t poll; /* the kernel's number of the open file, when it wants to be told of a change; 0: it does not */
	struct session *session;
	struct lock *lock;
	struct share *share; /* its opener's, */
	struct share_cost held; /* and what is kept here of it */
	LIST_ENTRY(handle) link; /* on the server's list */
	struct reader *reader; /* of what is captured (fs/follow.h) */
	struct events_reader *watching; /* of events: where this open is */

	bool resumes; /* a write was interrupted: the next goes on where that was */
	struct resumption interrupted;
	struct resumption_list waiting; /* writes that wait: theirs */
	struct resumption_list resent;  /* writes that waited in a server that is gone; ours, until they are sent again */

	bool is_changed; /* on the server's list of those that have changed */
	LIST_ENTRY(handle) change;
};

/* A control file. */
struct control {
	fuse_ino_t ino;
	pid_t caller;     /* who looked it up, the only one who ever did, */
	unsigned handles; /* and how many opens of it there are */
};

/* The request that the connection began with: far smaller, in every version of the kernel. */
struct init {
	size_t size;
	char bytes[1024] __attribute__((aligned(8)));
};

struct server {
	struct server_config config;
	struct surroundings surroundings;
	struct manager *manager;
	struct parking parking;
	struct costly costly;
	struct locks locks;
	uv_loop_t loop;
	uv_poll_t requests;
	struct fuse_buf buffer;
	struct request_facts current; /* of the request that is being answered */
	LIST_HEAD(, handle) handles; /* the newest first */
	LIST_HEAD(, handle) changed;
	struct handle *numbers;      /* by_number */
	uint64_t last_handle;        /* the highest number that was ever given */
	struct journal *journal;
	struct replies replies; /* not yet sent */
	struct text answers;    /* replies of the server before, which may not have been sent */
	struct init init;
	uint64_t kept, events_kept; /* what the records of the server and of the events said last */
	uint64_t servers;       /* how many there were before */
	struct events *events;
	struct cache *cache;
	uint32_t serial; /* of the control file looked up last */
	uint32_t unused_serials; /* so many of the next ones are no open file's */
	struct control control[2]; /* the root's and the processes' that were looked up last */
	struct timespec mounted;
	bool answered_init, serving;
	bool is_spoiled; /* not all that has changed is kept */
	bool receives_first; /* to memory that is not there yet */
	bool has_epochs; /* the kernel can be told that names have changed */
	int status;
};

static inline bool is_writing(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* One request, or none; buffer is zeroed before the first, and its memory is freed by the caller after the last. The memory is
 * there before the kernel copies to it: a copy that must wait for memory ends when its server is killed, and the request with
 * EIO, instead of coming again (get_user_pages in fuse_copy_fill, fs/fuse/dev.c).
 * Result: as fuse_session_receive_buf's. */
int server_receive(struct server *server, struct fuse_buf *buffer);
/* A request, from its beginning to its end. */
void server_answer(struct server *server, const struct fuse_buf *buffer);
/* The end of a request or of a callback: what has changed is kept, the kernel lets it go, the replies are sent, the keeper is
 * told. */
void server_settle(struct server *server);

/* What a node is, with the rights of whoever asks. */
struct target {
	struct server *server;
	struct node node;
	const struct row *row;   /* NULL: a directory of a process or the root, or a link in children/ */
	struct process *process; /* NULL: the root's */
	struct lock *lock;       /* NULL: no lock */
	struct refusal why;
	struct caller caller;
	struct view view;
};

/* Result: 0 and *out; -ESTALE when the process is gone. */
int target_find(fuse_req_t request, fuse_ino_t ino, struct target *out);

/* Replies with the error, after its sentence was put where it belongs: the process's error file, or the root's for the
 * caller. */
void refuse_request(fuse_req_t request, struct target *target, int error);
/* After a success the sentence is gone. */
void forget_refusal(struct target *target);

/* Fills in what stat shows. Result: 0, -ENOMEM. */
int target_stat(struct target *target, struct stat *out);

/* What a handle is about now: the process of its open, the rights of its opener. process is NULL when it is gone. */
void target_of(fuse_req_t request, struct handle *handle, struct target *out);

/* A name has gone without the kernel's doing: it looks every name up again.
 * Does nothing where names are never cached. */
void names_changed(struct server *server);

/* Writing a control file: parses and runs the script; replies at once or later. */
void control_write(fuse_req_t request, struct handle *handle, struct target *target, struct text *script);

/* handle.c */
struct handle *handle_create(struct target *target, int flags);
void handle_destroy(struct handle *handle);
/* What outlives the server has changed, or is about to. */
void handle_touch(struct handle *handle);
/* Whoever polls it asks again: the kernel only has to be told that something changed. */
void handle_notify(struct handle *handle);

/* All that outlives the server, but for the number. */
void handle_pack(const struct handle *handle, struct text *out);
/* Of a process, lock and session that are there already, in the order of the numbers: what waited in it waits until it comes
 * again. Result: 0, and *out (may be NULL; handle_destroy is due); -EPROTO, -ENOMEM. */
int handle_unpack(struct server *server, uint64_t number, struct record_reader *from, struct handle **out);

/* Result: NULL when there is none. */
struct handle *handle_by_number(struct server *server, uint64_t number);
/* What a request is about; NULL, and EBADF was replied, when it is none of ours. */
struct handle *handle_of(fuse_req_t request, const struct fuse_file_info *info);
/* Counts anew what it keeps; after each change of it. */
void handle_recount(struct handle *handle);

/* io.c: whether the row can be written, and by this caller. Result: 0; -EACCES with a sentence. */
int io_check_write(struct target *target);

/* What a WRITE request brings; offset -1: behind what is there. */
struct written {
	const char *bytes;
	size_t size;
	off_t offset;
};

/* value.c: a write to a row's value. Result: 0; -errno with a sentence, and the value is what it was. */
int value_write(struct handle *handle, struct target *target, const struct written *written);
/* SETATTR's size, for every kind of row. Result: 0; -errno with a sentence. */
int value_truncate(struct target *target, off_t size);

/* What a READ request wants of a file that is followed. */
struct asked {
	size_t size;
	off_t offset;
	bool at_once; /* O_NONBLOCK: -EAGAIN instead of waiting */
	uint64_t unique; /* the kernel's name of it, also when it waits again */
};

/* watch.c: the root's events. Result of watch_poll: what is ready now; else the handle's observer is told. */
int watch_open(struct handle *handle);
void watch_read(fuse_req_t request, struct handle *handle, const struct asked *asked);
unsigned watch_poll(struct handle *handle);

/* the request table's parts */
void tree_lookup(fuse_req_t, fuse_ino_t, const char *);
void tree_getattr(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void tree_setattr(fuse_req_t, fuse_ino_t, struct stat *, int, struct fuse_file_info *);
void tree_readlink(fuse_req_t, fuse_ino_t);
void tree_mkdir(fuse_req_t, fuse_ino_t, const char *, mode_t);
void tree_rmdir(fuse_req_t, fuse_ino_t, const char *);
void tree_opendir(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void tree_readdir(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void tree_statfs(fuse_req_t, fuse_ino_t);
void tree_mknod(fuse_req_t, fuse_ino_t, const char *, mode_t, dev_t);
void tree_symlink(fuse_req_t, const char *, fuse_ino_t, const char *);
void tree_unlink(fuse_req_t, fuse_ino_t, const char *);
void tree_rename(fuse_req_t, fuse_ino_t, const char *, fuse_ino_t, const char *, unsigned);
void tree_link(fuse_req_t, fuse_ino_t, fuse_ino_t, const char *);
void io_open(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void io_read(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void io_write(fuse_req_t, fuse_ino_t, const char *, size_t, off_t, struct fuse_file_info *);
void io_flush(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void io_release(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void io_poll(fuse_req_t, fuse_ino_t, struct fuse_file_info *, struct fuse_pollhandle *);

#endif
