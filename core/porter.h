/*
 * porter: a process (core/servant) that does what a program can make the kernel wait with: each load in a thread of its own
 * there, as many as there must be.
 *
 * A read into memory which nobody provides meanwhile holds its pipe, a write of such memory its file. Whoever wants something of
 * that pipe or file waits, uninterruptibly, until the program goes on or ends.
 *
 * Owns: what is done to such pipes and files. Must not know: whose they are.
 */
#ifndef PROCFS_MP_PORTER_H
#define PROCFS_MP_PORTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct porter;
struct porter_load; /* under way */

enum porter_kind {
	/* Bytes of the file fds[0], from its description's offset, which goes on with them, to `to`, into the pipe fds[1] as far as there
	 * is room; all of them are passed over when nobody reads it. No two porters do this to one file at a time. */
	PORTER_MOVE = 1,
	/* Memory of the file fds[0], as far as `to`, is given back, unless the file has become shorter than that. */
	PORTER_CUT,
	/* The pipe fds[0] is closed once everybody has closed the other end of the pipe fds[1]: who closes a pipe last waits. */
	PORTER_CLOSE,
	PORTER_KINDS
};

enum { PORTER_FDS = 2 };

/* But for the first: of PORTER_MOVE. */
struct porter_result {
	int error;    /* 0; -EMFILE, -ENOLCK, -ENOMEM: it has done nothing */
	uint64_t at;  /* the file's offset */
	uint64_t unread; /* bytes in the pipe */
	uint64_t size;   /* of the pipe */
};

struct porter_wish {
	enum porter_kind kind;
	int fds[PORTER_FDS]; /* they stay the caller's */
	uint64_t to;
	/* From the loop, when it has been done as far as it could be; NULL: nobody is told. */
	void (*on_done)(void *context, const struct porter_wish *wish, const struct porter_result *result);
	void *context;
};

/* While there is one thread and little memory; word: as servant_wish's. Result: 0 and *out, or servant_begin's error. */
int porter_create(char *word, struct porter **out);
/* Before the first load. on_gone is called when the porter has died, and what is under way will not be done.
 * Result: 0, or libuv's error. */
int porter_attach(struct porter *porter, uv_loop_t *loop, void (*on_gone)(void *context), void *context);
/* The loop is about to end. Nothing if it was not attached. */
void porter_detach(struct porter *porter);
/* What is under way ends as soon as the kernel lets it, and nobody is told. NULL is allowed. */
void porter_destroy(struct porter *porter);

/* Result: 0 and *out, which is gone when on_done is called; -ENOMEM, -EMFILE: nothing will be done. out may be NULL. */
int porter_begin(struct porter *porter, const struct porter_wish *wish, struct porter_load **out);
/* It goes on, and nobody is told. NULL is allowed. */
void porter_forget(struct porter_load *load);

#endif
