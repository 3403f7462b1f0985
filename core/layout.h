/*
 * layout: the version of all that a server shares with the keeper and with the server after it: the handover, the table, what is
 * held, the messages, the journal, its records and what lies in its memory, the numbers of the rows of files.
 *
 * A server of another program (--upgrade) takes it over when the version is the same. Whoever changes the meaning of a byte
 * of it raises the version; sizes are compared as well (fs/handover).
 */
#ifndef PROCFS_MP_LAYOUT_H
#define PROCFS_MP_LAYOUT_H

#include <stdint.h>

/* What the handover begins with, in every version. */
struct layout {
	char magic[16];
	uint32_t version; /* never 0 */
};

/* This program's. */
extern const struct layout layout;

#endif
