/*
 * cache: what the kernel may keep of the files that are asked for most (ROW_KEPT: alive, ROW_KEPT_ONCE: exitcode), and how it is
 * taken from the kernel before anybody can learn that it has changed.
 *
 * Owns: what the kernel has been given, a row a process; the requests that came in while it is taken back.
 *
 * Why nothing stale is read. Whoever could learn of a change - by a join, a poll, an event, another file - is answered, and every
 * answer is held back until the change has been committed to the journal and cache_settle has returned. That lets no request
 * through but reads of these files, which get the new value.
 *   alive     has always two bytes. It is kept from the start to the end, and from then on. Its page is dropped by the messenger,
 *             since the kernel lets that wait for a read of the page, which only the loop can answer.
 *   exitcode  is empty before the end: a file without bytes has no page. The messenger puts the new value into the kernel, size
 *             and page.
 *   reset     makes both change again: from then on nothing of the process is kept.
 *   attributes are kept when they were asked for by GETATTR, whose inode the kernel holds and whose answer it drops when they
 *             were taken away meanwhile. The answer to a LOOKUP may arrive at an inode that is not there yet: it is kept only
 *             when it is final.
 *   a server that dies may have committed a change that the kernel was not told of, and has answered nobody since. The next one
 *             takes everything back before it answers, and gives nothing away any more.
 *
 * Must not know: file names.
 */
#ifndef PROCFS_MP_CACHE_H
#define PROCFS_MP_CACHE_H

#include "fs/private.h"

/* Result: NULL when out of memory. The server owns it. */
struct cache *cache_create(struct server *server);
/* Nothing is answered any more; the loop runs once more afterwards. NULL is allowed. The messenger is not its. */
void cache_destroy(struct cache *cache);

/* An open file of such a row: whether its pages may be kept, which the handle remembers. */
bool cache_open(struct target *target, struct handle *handle);
void cache_close(struct handle *handle);
/* The same open, in a server that takes over. Does nothing for one that is not cached. */
void cache_hold(struct handle *handle);

/* Before a read of such a handle is answered. Result: 0, or -ESTALE: the value changed under a page that is being read. */
int cache_read(struct handle *handle, const struct process *process);

/* How long the kernel may keep the attributes, seconds. pinned: it holds the inode. */
double cache_attributes(const struct target *target, bool pinned);

/* To be called before anybody is told of the event. */
void cache_on_event(struct cache *cache, const struct process *process, enum manager_event event);
/* To be called when changes are committed and before replies are sent: waits until the kernel has let go of what has changed. */
void cache_settle(struct cache *cache);

/* For a server that takes over a connection: it can't know what its predecessor gave away, so that all of it is taken
 * back, and of these processes nothing is kept any more. To be called before the first request is answered, when the kernel
 * sends again those that were not: among them may be a read of a page that is taken back. */
void cache_take_over(struct cache *cache);

/* Whether some are still to be answered. */
bool cache_has_delayed(const struct cache *cache);
/* Answers the requests that came while something was taken back. To be called before any other is. */
void cache_answer_delayed(struct cache *cache);

#endif
