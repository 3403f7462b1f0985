/*
 * recovery: a server that goes on where one that died has been.
 *
 * Owns: what of this side is put into the journal, and the first steps of a new server. The core's part is core/keeping. Must
 * not know: how it came to be that a new server was needed.
 */
#ifndef PROCFS_MP_RECOVERY_H
#define PROCFS_MP_RECOVERY_H

#include "core/journal.h"
#include "core/locks.h"

struct server;

/* Maps the journal of config.journal_fd, before anything is made. Result: 0; as journal_open(). */
int recovery_open(struct server *server);

/* Puts what has changed since the last time, with the replies that tell of it, and commits. Result: false: there was nothing. */
bool recovery_keep(struct server *server);
/* Whether all that has changed is kept. While it is not, nothing may be let go of or launched, for a new server goes on from before. */
bool recovery_is_whole(const struct server *server);
/* When superseded records are too many, puts everything once more; after the replies were sent. */
void recovery_compact(struct server *server);

/* The request that the connection began with, before it is answered. */
void recovery_keep_init(struct server *server, const void *bytes, size_t size);
void recovery_keep_lock(struct server *server, const struct lock *lock);
void recovery_forget(struct server *server, enum record_kind kind, uint64_t key);

/* After everything was made and before the first request: takes what the journal has. Result: 0, also when it was empty; -EPROTO,
 * -ENOMEM. */
int recovery_take(struct server *server);
/* Then, ready to answer: the keeper's doings meanwhile, the kernel's caches, those who poll, the requests that were under way.
 * Result: as keeping_resume's. */
int recovery_resume(struct server *server);

/* The kernel has nothing more to send: nobody will ask for what the dead have answered. */
void recovery_all_were_resent(struct server *server);

/* A request that was sent before: when the dead server has answered it, the kernel gets that answer. Result: whether it did. */
bool recovery_repeat(struct server *server);

#endif
