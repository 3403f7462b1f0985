/*
 * pattern: names that are meant by a glob, as glob(7) describes it: `*`, `?`, `[...]` with ranges and classes, and a backslash
 * that quotes.
 *
 * fnmatch(3) takes 5 ms for one name and 200 brackets. Here a byte of a name costs the same whatever the pattern: all places in
 * the pattern that may have been reached are kept at once, a bit each. Pure.
 */
#ifndef PROCFS_MP_PATTERN_H
#define PROCFS_MP_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

enum { PATTERN_LONGEST = 255, PATTERN_WORDS = 4 };

struct pattern {
	unsigned places; /* letters, sets and `?`, one behind the other */
	bool hopeless;   /* nothing matches */
	uint64_t accepts[256][PATTERN_WORDS]; /* of each byte: the places that it fits */
	uint64_t stays[PATTERN_WORDS];        /* the places with a `*` before them; last the end */
};

/* True when the word is more than a name. */
bool pattern_is_one(const char *word);

/* The text has up to PATTERN_LONGEST bytes. */
void pattern_parse(struct pattern *pattern, const char *text);

bool pattern_matches(const struct pattern *pattern, const char *name);

#endif
