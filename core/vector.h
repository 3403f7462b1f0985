/*
 * vector: a list of strings in one piece of memory, as execve(2) takes them, and the paths at which a program is
 * looked for.
 *
 * Pure but for the memory it owns. Must not know: what a string is for.
 */
#ifndef PROCFS_MP_VECTOR_H
#define PROCFS_MP_VECTOR_H

#include <stddef.h>

#include "core/text.h"

/* Where programs are looked for when no PATH says it. */
#define VECTOR_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* {0} is the empty list. Without memory it says so when it is sealed. */
struct vector {
	struct text bytes; /* each ended by NUL */
	size_t count;
	const char **strings; /* sealed: into bytes, and NULL behind the last */
};

void vector_add(struct vector *vector, const char *string);
/* The name in a directory of `size` bytes. */
void vector_add_path(struct vector *vector, const char *directory, size_t size, const char *name);
/* Where execvp(3) would look for the name along `path`: an empty element is the current directory. NULL: the default
 * path. */
void vector_add_search(struct vector *vector, const char *path, const char *name);

/* Makes the vector; nothing may be added any more. Result: 0 or -ENOMEM; vector_finish is due in both cases. */
int vector_seal(struct vector *vector);
void vector_finish(struct vector *vector);

#endif
