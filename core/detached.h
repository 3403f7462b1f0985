/*
 * detached: a thread that nobody waits for.
 */
#ifndef PROCFS_MP_DETACHED_H
#define PROCFS_MP_DETACHED_H

#include <stddef.h>

/* stack: bytes. Result: 0, -ENOMEM, -EAGAIN, or -EINVAL for a stack below PTHREAD_STACK_MIN (pthread_create(3)). */
int detached_begin(size_t stack, void *(*work)(void *argument), void *argument);

#endif
