/*
 * record: values to bytes and back, for what outlives the server.
 *
 * Numbers are LEB128 (signed ones zigzag), so that what is nothing costs one byte. Reading never goes beyond the end: what is
 * missing reads as nothing, and `bad` says so. Must not know: what the values mean.
 */
#ifndef PROCFS_MP_RECORD_H
#define PROCFS_MP_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/text.h"

/* To be read: the bytes stay the caller's. */
struct record_reader {
	const char *at, *end;
	bool bad;   /* they ended too early, or a number was too large, or there was no memory */
	bool lacks; /* there was no memory: nothing is known of the bytes */
};

static inline struct record_reader record_reader_of(const void *bytes, size_t size)
{
	return (struct record_reader){ .at = bytes, .end = (const char *)bytes + size };
}

void record_put_number(struct text *out, uint64_t number);
void record_put_signed(struct text *out, int64_t number);
void record_put_time(struct text *out, struct timespec time);
/* NULL is told from the empty. */
void record_put_bytes(struct text *out, const void *bytes, size_t size);
void record_put_string(struct text *out, const char *string);

uint64_t record_number(struct record_reader *from);
int64_t record_signed(struct record_reader *from);
struct timespec record_time(struct record_reader *from);
/* Points into what is read; NULL for NULL. */
const char *record_bytes(struct record_reader *from, size_t *size);
/* Copies, ended by a NUL that *size (may be NULL) does not count; free() frees. NULL for NULL. */
char *record_copy(struct record_reader *from, size_t *size);

#endif
