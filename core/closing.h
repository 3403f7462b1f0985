/*
 * closing: descriptors that a thread closes, since whoever closes a pipe last waits for a program that holds it (core/porter).
 *
 * Must not know: what they are.
 */
#ifndef PROCFS_MP_CLOSING_H
#define PROCFS_MP_CLOSING_H

#include <stddef.h>

/* From any thread: none of fds is in this process's table when it returns, so that nobody who is forked from then on has them; each is
 * closed after the one before it. Where no socket, memory or thread can be had, this thread closes them. */
void closing_begin(const int *fds, size_t count);

#endif
