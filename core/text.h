/*
 * text: a growing piece of text, and the sentence of a refusal.
 *
 * Owns: its buffer. A failed allocation is remembered and told once, at the end, so that a
 * show function is a list of appends. Must not know: what the text says.
 */
#ifndef PROCFS_MP_TEXT_H
#define PROCFS_MP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *data;
	size_t size;
	size_t room;
	bool failed;
	bool is_lent;
};

/* {0} is an empty text; text_finish frees and empties. */
void text_finish(struct text *text);

/* An empty text in memory that is somebody's, and has no more than that. It is not to be taken or finished. */
struct text text_in(void *memory, size_t size);

void text_append(struct text *text, const void *bytes, size_t size);
void text_add(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends a name as one line of a listing shows it: newline, backslash and control characters as \ooo. */
void text_add_name(struct text *text, const char *name);
/* The same of its first `most` bytes, and "..." behind them when there are more; no character of UTF-8 is cut. */
void text_add_name_up_to(struct text *text, const char *name, size_t most);

/* Result: 0, or -ENOMEM when any append failed. */
int text_status(const struct text *text);

/* Gives the bytes away, ended by a NUL that *size does not count (size may be NULL); the text is empty
 * again. Result: the bytes (free() frees), or NULL when an append failed. */
char *text_take(struct text *text, size_t *size);

/* Why something was refused: a sentence for people, beside the errno for programs. */
struct refusal {
	char sentence[768];
};

/* Writes the sentence (one line: control characters as \ooo; cut with "..." when too long) and gives -error back, so that
 * refusing is one statement. why may be NULL. */
int refuse(struct refusal *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
