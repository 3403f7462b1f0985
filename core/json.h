/*
 * json: JSON (RFC 8259) being written into a text.
 *
 * Owns: commas and quoting. Whatever the bytes, the text is valid: each byte that is no part of valid UTF-8 becomes
 * U+FFFD, and `replaced` remembers that. Must not know: what is told.
 */
#ifndef PROCFS_MP_JSON_H
#define PROCFS_MP_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "core/text.h"

/* {.out = text} begins. A failed allocation is told by text_status(out). */
struct json {
	struct text *out;
	bool separate; /* a comma comes before the next value or key */
	bool replaced; /* some string is not what was given */
};

/* bracket: '{' or '[', and '}' or ']'. The caller sees to it that they match. */
void json_open(struct json *json, char bracket);
void json_close(struct json *json, char bracket);
/* The key of the value that comes next. */
void json_key(struct json *json, const char *key);

void json_bytes(struct json *json, const char *bytes, size_t size);
/* NULL is null. */
void json_string(struct json *json, const char *string);
void json_integer(struct json *json, int64_t number);
void json_boolean(struct json *json, bool value);
void json_null(struct json *json);
/* Text that is a JSON value already. */
void json_value(struct json *json, const char *value);

#endif
