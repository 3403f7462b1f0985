/*
 * request: what a FUSE request says of itself and libfuse keeps to itself.
 *
 * Pure. Must not know: what the request asks for.
 */
#ifndef PROCFS_MP_REQUEST_H
#define PROCFS_MP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

struct fuse_buf;

struct request_facts {
	uint32_t opcode;
	uint64_t unique; /* the same when it is sent again to another server; even, and never 0 */
	bool resent;
	uint64_t poll; /* of a POLL that wants to be told of a change: the kernel's number of the open file; 0: of none */
};

/* What is too short, or not in memory, is a request of no kind: all 0. */
void request_look(const struct fuse_buf *buffer, struct request_facts *out);

#endif
