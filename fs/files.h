/*
 * files: THE table. One row a file, with its show and its store; lookup, readdir, getattr, open, read and
 * write walk the same rows, so they cannot disagree.
 *
 * Must not know: FUSE.
 */
#ifndef PROCFS_MP_FILES_H
#define PROCFS_MP_FILES_H

#include "core/manager.h"

enum row_kind { ROW_FILE, ROW_LINK, ROW_DIRECTORY };

enum row_flag {
	ROW_SECRET = 1 << 0,     /* the owner's and the superuser's only */
	ROW_FROZEN = 1 << 1,     /* a constructor's parameter: not to be written after start */
	ROW_CONTROL = 1 << 2,    /* takes verbs; offsets mean nothing */
	ROW_WAITS = 1 << 3,      /* show gives -EAGAIN until the process has ended; can be polled */
	ROW_EXECUTABLE = 1 << 4,
	ROW_EXACT = 1 << 7,      /* a final newline is a part of the value */
	ROW_EVERYBODY = 1 << 5,  /* writable by all who see the mount; a directory: names can be made in it */
	ROW_EVENTS = 1 << 12,    /* follows what changes, like a pipe */
	ROW_LEASE = 1 << 6,      /* what open made lasts while a descriptor is held */
	ROW_FRESH = 1 << 9,      /* a new inode to the kernel at each lookup: a write that waits holds up no other */
	ROW_KEPT = 1 << 10,      /* two bytes that change at start and end: the kernel may keep them (fs/cache.h) */
	ROW_KEPT_ONCE = 1 << 11, /* the same for what is empty before the end and final then */
	ROW_COSTLY = 1 << 13,    /* made for each read, which takes long: has no size until then, and readers take turns (fs/costly.h) */
	ROW_FOLLOWS = 1 << 8,    /* of `captured`: a read waits for more until the process has ended */
};

/* What a show or a store is about, and who asks. */
struct view {
	struct manager *manager;
	struct process *process; /* NULL in the root */
	const struct caller *caller;
	bool check; /* store: say only whether the value is one */
};

/* What an open made. */
struct opened {
	struct process *process;
	struct session *session;
};

struct row {
	const char *name;
	const char *help; /* one line */
	enum row_kind kind;
	unsigned flags;
	size_t largest; /* bytes of a value, without its final newline unless ROW_EXACT */

	/* The content now, or where a link leads. Result: 0; -EAGAIN (ROW_WAITS); -ENOENT (a link that leads
	 * nowhere is not there); -ENOMEM; -ESRCH. */
	int (*show)(const struct view *view, struct text *out);
	/* How long that is, where it may be long and need not be made for it. */
	size_t (*size)(const struct view *view);
	/* A whole value, without its final newline unless ROW_EXACT.
	 * Result: 0; -errno with a sentence, and nothing changed. */
	int (*store)(const struct view *view, const char *bytes, size_t size);
	/* What these bytes are appended to; NULL: what show says, without its final newline. Result: 0, -ENOMEM. */
	int (*former)(const struct view *view, const char *bytes, size_t size, struct text *out);
	/* The descriptor that holds the content, instead of show; -1: empty. */
	int (*stream)(const struct process *process);
	/* What a write, a truncation and an open for writing need besides the right of the owner; NULL: nothing.
	 * Result: 0; -errno with a sentence. */
	int (*permit)(const struct view *view);
	/* What is kept of its output instead of show: bit 0 stdout, bit 1 stderr. */
	unsigned captured;
	/* Bytes at an offset into a stream, instead of store. */
	int (*feed)(const struct view *view, const char *bytes, size_t size, off_t offset);
	/* The same for bytes that `stream` gives back and nobody else takes. */
	int (*put)(const struct view *view, const char *bytes, size_t size, off_t offset);
	/* What an open does (writing: for writing). Result: 0 and *out, -errno with a sentence. */
	int (*open)(const struct view *view, bool writing, struct opened *out);
};

/* Row `index` of the root's or of a process's table; NULL behind the last. */
const struct row *files_row(bool root, unsigned index);
/* Result: the index, or -ENOENT. */
int files_find(bool root, const char *name);

/* True when the row can be written at all. */
bool row_is_writable(const struct row *row);
/* Permission bits: they follow from the functions and flags. shared: others than the owner can see the mount. */
mode_t row_mode(const struct row *row, bool shared);

/* Stores a value: the one way to a row's store, with the checks that hold for all. */
int row_store(const struct row *row, const struct view *view, const char *bytes, size_t size);

/* The tree and its verbs, from the tables. */
int files_show_help(const struct view *view, struct text *out);

#endif
