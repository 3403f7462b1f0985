/* What the harnesses share. */
#ifndef PROCFS_MP_TESTS_FUZZ_H
#define PROCFS_MP_TESTS_FUZZ_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(int holds, const char *claim)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s does not hold\n", program_invocation_short_name, claim);
	abort();
}

/* The bytes as a string in a memory of exactly that size. The caller frees it; NULL without memory. */
static inline char *string_of(const uint8_t *data, size_t size)
{
	char *string = malloc(size + 1);

	if (string) {
		memcpy(string, size ? (const char *)data : "", size);
		string[size] = '\0';
	}
	return string;
}

#endif
