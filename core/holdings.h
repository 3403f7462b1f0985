/*
 * holdings: the descriptors that the keeper holds for the server, so that they outlive it: a table that both map.
 *
 * Owns: which descriptor is held for what, and the lock over it, which survives whoever dies with it. The server
 * says what is to be held and what is not any more; the keeper holds and closes. Everything is O(1) in how many
 * there are, but for what a new server does.
 *
 * Must not know: what the descriptors are good for.
 */
#ifndef PROCFS_MP_HOLDINGS_H
#define PROCFS_MP_HOLDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum holding_kind {
	HOLDING_STDOUT,     /* what a process writes to stdout is captured here */
	HOLDING_STDERR,
	HOLDING_STDIN_FILE, /* what was written to stdin before the start */
	HOLDING_STDIN_PIPE, /* where what is written to stdin goes */
	HOLDING_RESULT,
	HOLDING_STDIN_QUEUE, /* what goes there next */
	HOLDING_OVER,        /* never held: what is let go of (holdings_end), with a witness who sees when */
	HOLDING_KINDS,
};

enum {
	HOLDINGS_CAPACITY = 1 << 20,
	HOLDINGS_FROM = 1024, /* the least number of what is held, where so many are allowed: below is what others open and close */
};

/* At most one is held for each id and kind. */
struct holding {
	uint64_t id; /* the managed process */
	enum holding_kind kind;
	int fd;      /* in the keeper, and the same number in a server that was executed while it was held */
};

struct holdings;

/* Keeper: makes and maps an empty table. Result: 0 and *out, or -errno as shared_create() and shared_map().
 * holdings_destroy closes all that is held, unmaps the table and closes its descriptor; NULL is allowed. */
int holdings_create(struct holdings **out);
void holdings_destroy(struct holdings *holdings);

/* The descriptor of the process that made the table, close-on-exec: for a server to inherit. */
int holdings_fd(const struct holdings *holdings);

/* Of the whole of it, which programs that share it must agree on. */
size_t holdings_size(void);

/* A server: maps the table; the descriptor stays the caller's. Result: 0 and *out (holdings_unmap unmaps), or
 * -errno as shared_map(). */
int holdings_map(int fd, struct holdings **out);
void holdings_unmap(struct holdings *holdings);

/* Keeper, which may have so many descriptors in all: how many of them may be held. The rest is for its own work, and for the
 * server's, which needs as many for what is held. */
void holdings_set_limit(struct holdings *holdings, int descriptors);

/* Server: how many are held or announced; and whether those of this id and these kinds (1 << kind, or more of them) are, or may be. */
unsigned holdings_count(struct holdings *holdings);
bool holdings_has_room(struct holdings *holdings, uint64_t id, unsigned kinds);

/* Keeper, from any thread: takes fd over, in the place of what was held for this id and kind.
 * Result: 0; -EMFILE where there is no room, or hardly any descriptor left, and -ENOSPC for a full table: it is closed then, and what
 * was held before stays. */
int holdings_keep(struct holdings *holdings, const struct holding *holding);

/* The same for one that the server has announced (holdings_expect), which has its room; -ENOENT and it is closed when it was
 * dropped meanwhile. */
int holdings_keep_expected(struct holdings *holdings, const struct holding *holding);

/* Keeper, from any thread: closes what is not wanted any more; next to nothing when there is none. */
void holdings_sweep(struct holdings *holdings);

/* Keeper, from any thread: over->id is what holdings_end() gave; that is closed, and then over->fd, without waiting for a program
 * that holds it in the kernel. */
void holdings_let_go(struct holdings *holdings, const struct holding *over);

/* Keeper, while there is no server and nothing of the last one is to be read any more: sweeps, and forgets what was
 * announced and never came, or was ended and never let go of. */
void holdings_settle(struct holdings *holdings);

/* Server: a descriptor for this id and kind is about to be sent (message_send_hold, or with a launch). Dropping it is possible from
 * now on. Result: 0; -EMFILE where there is no room, -ENOSPC. */
int holdings_expect(struct holdings *holdings, uint64_t id, enum holding_kind kind);

/* Server: it is not wanted any more; the keeper closes it when it does something next. None held is no error.
 * holdings NULL is allowed. */
void holdings_drop(struct holdings *holdings, uint64_t id, enum holding_kind kind);
void holdings_drop_all(struct holdings *holdings, uint64_t id);

/* Server: as a drop, but the keeper closes it when it is sent a HOLDING_OVER with *out as its id (message_send_hold), and not before.
 * Result: 0 and *out; -ENOENT, nothing was done: none is held, or it has not come yet. */
int holdings_end(struct holdings *holdings, uint64_t id, enum holding_kind kind, uint64_t *out);
/* No HOLDING_OVER could be sent: what was ended is dropped. */
void holdings_drop_ended(struct holdings *holdings, uint64_t ended);

/* Every descriptor that is held, from *cursor (0 at first): for the keeper while there is no server, and for a new
 * server before it drops or announces any. Result: true and *out, or false at the end. */
bool holdings_next(struct holdings *holdings, uint32_t *cursor, struct holding *out);

#endif
