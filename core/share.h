/*
 * share: how much of a mount one user takes: processes, locks, the bytes that are kept for it, and the server's descriptors
 * that hold them. The owner of a directory pays for what is in it, whoever wrote it.
 *
 * A share is NULL for who has no limits. Must not know: who that is, files.
 */
#ifndef PROCFS_MP_SHARE_H
#define PROCFS_MP_SHARE_H

#include "core/process.h"

#define SHARE_UNLIMITED UINT64_MAX

/* SHARE_UNLIMITED: any number. */
struct share_limits {
	uint64_t processes, locks, bytes, descriptors;
};

struct share {
	const struct share_limits *limits;
	struct share_cost used;
	unsigned opens; /* files of the mount that it has open: each takes some bytes of the server */
};

enum { SHARE_OPENS_MOST = 65536 };

/* Whether it may open one more. Result: 0; -EDQUOT with a sentence. */
int share_check_open(const struct share *share, struct refusal *why);
/* It has, or has closed one. */
void share_count_open(struct share *share);
void share_count_close(struct share *share);

/* Whether so much more fits. Result: 0; -EDQUOT with a sentence. */
int share_check(const struct share *share, const struct share_cost *more, struct refusal *why);

/* What *held was taken for costs *now from here on. */
void share_settle(struct share *share, struct share_cost *held, const struct share_cost *now);

/* For one that has ended: where its owner has many descriptors, it keeps none for a stream that is empty. */
void share_spare(struct process *process);

/* Counts anew what a process takes; after each change of it. */
void share_recount(struct process *process);

/* Of `kept` bytes of one of the process's streams, how many may stay: as it says itself, and no more than its owner may have,
 * which is counted anew. */
uint64_t share_keeps(struct process *process, uint64_t kept);

#endif
