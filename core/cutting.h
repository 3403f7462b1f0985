/*
 * cutting: the front of a memory file is given back.
 *
 * Apart: a program that writes to the file holds its lock, and for as long as it likes when the bytes that it writes lie where nobody
 * provides them.
 *
 * Must not know: whose file it is.
 */
#ifndef PROCFS_MP_CUTTING_H
#define PROCFS_MP_CUTTING_H

#include <uv.h>

struct cutting;

struct cutting_wish {
	int fd; /* open for writing */
	uint64_t from, to;
	/* From the loop, when it is over, whether or not all of it could be cut. */
	void (*on_done)(void *context, int number);
	void *context;
	int number;
};

/* Result: 0 and *out, which is gone when on_done is called, and fd is closed; -ENOMEM, -EAGAIN: fd stays the caller's. */
int cutting_begin(uv_loop_t *loop, const struct cutting_wish *wish, struct cutting **out);
/* It goes on, and nobody is told. NULL is allowed. */
void cutting_forget(struct cutting *cutting);

#endif
