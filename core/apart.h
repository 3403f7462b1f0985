/*
 * apart: work in a thread of its own.
 *
 * For what can wait as long as a program likes, as a read of its environment or a change of a file that it writes to can. A few such
 * programs would hold all of a pool's threads, and with them everybody else.
 *
 * Owns: the thread. Must not know: what it does.
 */
#ifndef PROCFS_MP_APART_H
#define PROCFS_MP_APART_H

#include <uv.h>

/* `work` in the thread, then `after` in the loop, with the same context.
 * Result: 0; -ENOMEM, -EAGAIN or libuv's error: neither will be called. */
int apart_begin(uv_loop_t *loop, void (*work)(void *context), void (*after)(void *context), void *context);

#endif
