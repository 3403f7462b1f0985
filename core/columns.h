/*
 * columns: a table for people, whose columns are as wide as they have to be.
 *
 * Owns: its cells until they are written. Must not know: what they say.
 */
#ifndef PROCFS_MP_COLUMNS_H
#define PROCFS_MP_COLUMNS_H

#include <stddef.h>

#include "core/text.h"

enum { COLUMNS_MOST = 12, COLUMNS_WIDEST = 40 };

/* {.count = N} begins, N up to COLUMNS_MOST; columns_finish frees. */
struct columns {
	unsigned count;
	unsigned at; /* the column of the next cell */
	size_t widths[COLUMNS_MOST];
	struct text cells; /* each ended by a NUL */
};

/* The next cell, from left to right, line after line; an empty one is shown as "-". No control characters. */
void columns_add(struct columns *columns, const char *cell);
/* The same; takes the text and leaves it empty. */
void columns_take(struct columns *columns, struct text *cell);

/* Lines that are ended by a newline each and hold no blanks at their end. A cell above COLUMNS_WIDEST
 * characters pushes the rest of its line. Result: 0, -ENOMEM. */
int columns_write(const struct columns *columns, struct text *out);

void columns_finish(struct columns *columns);

#endif
