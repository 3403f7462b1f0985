/* size: numbers of bytes as people write them. Pure. */
#ifndef PROCFS_MP_SIZE_H
#define PROCFS_MP_SIZE_H

#include <stdint.h>

/* Bytes, or K, M, G or T, units of 1024, 1024^2, 1024^3, 1024^4 of them: at most INT64_MAX.
 * Result: 0 and *out, or -EINVAL. */
int size_parse(const char *word, uint64_t *out);

#endif
