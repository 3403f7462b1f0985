/*
 * serving: the server's process, from both sides: how the keeper executes it, and what it does until it serves.
 *
 * It is always executed, never forked alone, so that the first server, one after a crash and one of a newer
 * version come to be in the same way.
 *
 * Owns: the internal argument --serve, the descriptors and the signal mask that go over.
 * Must not know: the command line of people, how the mount was made.
 */
#ifndef PROCFS_MP_SERVING_H
#define PROCFS_MP_SERVING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/holdings.h"
#include "fs/handover.h"

/* Of its main thread (proc(5), comm). */
#define SERVING_NAME "procfs-mp-srv"

/* Keeper: executes `program` as a server, which inherits the handover's descriptors, all that is held, and the three
 * standard ones.
 * It is told of signals by messages: all but those for its own faults are blocked in it.
 * Result: 0 and *out; -errno as handover_write() and posix_spawn(3), exec's own errors among them. */
int serving_spawn(const char *program, const struct handover *handover, struct holdings *holdings, pid_t *out);

/* Whether this process was executed by serving_spawn(): the rest is serving_main(). */
bool serving_is_meant(int argc, char *const *argv);

/* Whether these words of a process, each ended by a NUL, are those of a server for that mountpoint. */
bool serving_is_for(const char *words, size_t size, const char *mountpoint);

/* The life of the server's process. Result: its exit status; a message when it can't begin. */
int serving_main(char *const *argv);

#endif
