/*
 * keeping: what a new server must know of the manager's things: put into the journal at each change, taken from there by a new
 * server.
 *
 * Must not know: FUSE, files.
 */
#ifndef PROCFS_MP_KEEPING_H
#define PROCFS_MP_KEEPING_H

#include "core/journal.h"
#include "core/manager.h"

/* Puts what has changed since the last time (all: everything there is). The caller commits.
 * Result: 0; -ENOSPC: the journal is not whole. */
int keeping_put(struct manager *manager, bool all);

/* Takes a record of the kinds up to RECORD_CONFIGURATION, in the order of a replay, before anything else was made.
 * Result: 0, -EPROTO, -ENOMEM. */
int keeping_take(struct manager *manager, const struct record *record);

/* After the last, and after all who held sessions hold them again: goes on from where the dead server was. What
 * the keeper did meanwhile is looked up in the table; launches that never reached it are sent.
 * Result: 0; -ENOMEM or libuv's error: nothing that was held is lost, and another server may go on. */
int keeping_resume(struct manager *manager);

#endif
