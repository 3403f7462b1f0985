/*
 * resumption: where a write is that may come once more: sent again by its writer after an interruption, or by the kernel to
 * another server. What is done is not done again, and its time does not begin anew.
 *
 * Must not know: FUSE.
 */
#ifndef PROCFS_MP_RESUMPTION_H
#define PROCFS_MP_RESUMPTION_H

#include <stdint.h>
#include <sys/queue.h>

#include "core/record.h"

struct process_ids;

struct resumption {
	uint64_t unique;   /* the request that waits; 0: it was interrupted */
	int state;         /* enum script_state, in which its line waits */
	uint64_t deadline; /* of that line: milliseconds of CLOCK_MONOTONIC, which all processes share; 0: none yet */
	uint64_t next;     /* that line */
	uint64_t done;     /* bytes of the write that are done */
	struct process_ids *chosen; /* whom a line of the root's ctl is about; NULL: not yet known */
	char *names;       /* for a `join any`: theirs, a line each; NULL: none */
	size_t names_size;
	char *answer;      /* of a `join any` before it; NULL: none */
	size_t answer_size;
	LIST_ENTRY(resumption) link;
};
LIST_HEAD(resumption_list, resumption);

void resumption_pack(const struct resumption *at, struct text *out);
/* Result: 0 and *out (resumption_destroy frees); -EPROTO, -ENOMEM. */
int resumption_unpack(struct record_reader *from, struct resumption **out);
/* With the ids, the names and the answer. NULL is allowed. */
void resumption_destroy(struct resumption *at);

/* Result: the one of that request, taken off the list; NULL when there is none. */
struct resumption *resumption_take(struct resumption_list *list, uint64_t unique);

#endif
