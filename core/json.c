#include "core/json.h"

#include <inttypes.h>
#include <string.h>

static void begin_value(struct json *json)
{
	if (json->separate)
		text_add(json->out, ", ");
	json->separate = true;
}

void json_open(struct json *json, char bracket)
{
	begin_value(json);
	text_append(json->out, &bracket, 1);
	json->separate = false;
}

void json_close(struct json *json, char bracket)
{
	text_append(json->out, &bracket, 1);
	json->separate = true;
}

void json_key(struct json *json, const char *key)
{
	json_string(json, key);
	text_add(json->out, ": ");
	json->separate = false;
}

void json_value(struct json *json, const char *value)
{
	begin_value(json);
	text_add(json->out, value);
}

void json_integer(struct json *json, int64_t number)
{
	begin_value(json);
	text_printf(json->out, "%" PRId64, number);
}

void json_boolean(struct json *json, bool value)
{
	json_value(json, value ? "true" : "false");
}

void json_null(struct json *json)
{
	json_value(json, "null");
}

/* Bytes of the character that begins here; 0 when none does. Neither surrogates, nor forms longer than needed,
 * nor anything above U+10FFFF are characters (RFC 3629, section 4). */
static size_t character_size(const unsigned char *bytes, size_t size)
{
	unsigned char first = bytes[0];
	size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	if (length > size)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] > 0x9f) ||
	    (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] > 0x8f))
		return 0;
	return length;
}

static bool is_plain(unsigned char byte)
{
	return byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
}

enum { ESCAPE = 6, ESCAPES_AT_ONCE = 64 };

/* Result: how many bytes it is. */
static size_t escape(unsigned char byte, char out[static ESCAPE])
{
	static const char SHORT[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\' };
	static const char DIGITS[] = "0123456789abcdef";
	bool is_short = byte < sizeof SHORT && SHORT[byte];
	memcpy(out, is_short ? (char[ESCAPE]){ '\\', SHORT[byte] } : (char[ESCAPE]){ '\\', 'u', '0', '0', DIGITS[byte >> 4], DIGITS[byte & 15] },
	       ESCAPE);
	return is_short ? 2 : ESCAPE;
}

/* Bytes below 0x80 that can't stand for themselves, from here on. Result: how many there are. */
static size_t add_escaped(struct json *json, const unsigned char *bytes, size_t size)
{
	char run[ESCAPES_AT_ONCE * ESCAPE];
	size_t taken = 0, used = 0;
	while (taken < size && taken < ESCAPES_AT_ONCE && bytes[taken] < 0x80 && !is_plain(bytes[taken]))
		used += escape(bytes[taken++], run + used);
	text_append(json->out, run, used);
	return taken;
}

/* All that needs no escape, from here on. */
static size_t run_size(const unsigned char *bytes, size_t size)
{
	size_t run = 0, length;
	while (run < size && (length = is_plain(bytes[run]) ? 1 : bytes[run] < 0x80 ? 0 : character_size(bytes + run, size - run)))
		run += length;
	return run;
}

void json_bytes(struct json *json, const char *bytes, size_t size)
{
	begin_value(json);
	text_add(json->out, "\"");
	for (size_t at = 0; at < size;) {
		const unsigned char *here = (const unsigned char *)bytes + at;
		size_t run = run_size(here, size - at), escaped;
		text_append(json->out, here, run);
		at += run;
		escaped = add_escaped(json, here + run, size - at);
		at += escaped;
		if (run || escaped)
			continue;
		text_add(json->out, "\\ufffd");
		json->replaced = true;
		at++;
	}
	text_add(json->out, "\"");
}

void json_string(struct json *json, const char *string)
{
	if (string)
		json_bytes(json, string, strlen(string));
	else
		json_null(json);
}
