/*
 * words: text to argument vector and back, as a POSIX shell splits words.
 *
 * Quotes and backslash group; nothing is expanded (POSIX.1-2017, Shell Command Language, 2.2 and 2.6.5).
 * Operators, `#` and `$` are letters like any other: there is no command here, only words.
 * Pure. Must not know: everything else.
 */
#ifndef PROCFS_MP_WORDS_H
#define PROCFS_MP_WORDS_H

#include <stddef.h>

/* An argument vector in one allocation: count strings, each ended by NUL, one behind the other;
 * size counts the NULs too. All zero is the empty vector. */
struct words {
	char *bytes;
	size_t size;
	size_t count;
};

enum words_problem {
	WORDS_FINE,
	WORDS_UNBALANCED_SINGLE,
	WORDS_UNBALANCED_DOUBLE,
	WORDS_TRAILING_BACKSLASH,
};

/* Splits `size` bytes of text at blanks and newlines. If the bytes hold a NUL they are an exact
 * NUL-separated vector (proc(5), /proc/PID/cmdline); the last NUL may be missing.
 * text may be NULL when size is 0.
 * Result: 0 and *out (words_finish frees); -EINVAL; -ENOMEM. *problem is set in every case, *out only
 * on success. */
int words_split(struct words *out, const char *text, size_t size, enum words_problem *problem);

/* The text that, split again, gives the same vector; plain words stay plain, the others are quoted so
 * that a shell reads them alike; no final newline.
 * Result: 0 and *out with its length (free() frees; NUL follows), -ENOMEM. */
int words_join(const struct words *words, char **out, size_t *size);

/* One word of `size` bytes quoted the same way, for sentences and listings.
 * Result: 0 and *out (free() frees; ended by NUL), -ENOMEM. */
int words_quote(const char *word, size_t size, char **out);

/* The word behind `previous`, the first for NULL; NULL at the end:
 * for (const char *w = words_next(v, NULL); w; w = words_next(v, w)) */
const char *words_next(const struct words *words, const char *previous);

/* Frees, and leaves the empty vector. */
void words_finish(struct words *words);

/* A fixed sentence for a problem, without a full stop; "" for WORDS_FINE. */
const char *words_problem_text(enum words_problem problem);

#endif
