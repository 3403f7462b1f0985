#include "core/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_finish(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

struct text text_in(void *memory, size_t size)
{
	return (struct text){ .data = memory, .room = size, .is_lent = true };
}

/* One byte more than asked, so that text_take() always finds room for its NUL. */
static bool reserve(struct text *text, size_t more)
{
	if (text->failed)
		return false;
	if (more < text->room - text->size)
		return true;
	size_t room = text->room ? text->room : 64;
	if (text->is_lent) {
		text->failed = true;
		return false;
	}
	while (room - text->size <= more) {
		if (room > (size_t)1 << 40) {
			text->failed = true;
			return false;
		}
		room *= 2;
	}
	char *data = realloc(text->data, room);
	if (!data) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->room = room;
	return true;
}

void text_append(struct text *text, const void *bytes, size_t size)
{
	if (!reserve(text, size))
		return;
	if (size)
		memcpy(text->data + text->size, bytes, size);
	text->size += size;
}

void text_add(struct text *text, const char *string)
{
	text_append(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
	/* Most fit, and are formatted once. */
	if (!reserve(text, 63))
		return;
	va_list args;
	va_start(args, format);
	va_list again;
	va_copy(again, args);
	size_t room = text->room - text->size;
	int size = vsnprintf(text->data + text->size, room, format, args);
	va_end(args);
	if (size >= (int)room && reserve(text, (size_t)size))
		vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
	va_end(again);
	if (size >= 0 && !text->failed)
		text->size += (size_t)size;
}

/* What a line shows as it is, from here on. */
static size_t plain_size(const char *name, const char *end)
{
	const char *at = name;
	while (at < end && (unsigned char)*at >= ' ' && *at != 0x7f && *at != '\\')
		at++;
	return (size_t)(at - name);
}

static void add_line(struct text *text, const char *name, const char *end)
{
	while (name < end) {
		size_t plain = plain_size(name, end);
		text_append(text, name, plain);
		name += plain;
		if (name == end)
			break;
		unsigned char c = (unsigned char)*name++;
		text_append(text, (char[]){ '\\', (char)('0' + (c >> 6)), (char)('0' + (c >> 3 & 7)), (char)('0' + (c & 7)) }, 4);
	}
}

void text_add_name(struct text *text, const char *name)
{
	add_line(text, name, name + strlen(name));
}

void text_add_name_up_to(struct text *text, const char *name, size_t most)
{
	size_t size = strnlen(name, most + 1), kept = size;
	if (size > most)
		for (kept = most; kept && ((unsigned char)name[kept] & 0xc0) == 0x80;)
			kept--;
	add_line(text, name, name + kept);
	if (kept < size)
		text_add(text, "...");
}

int text_status(const struct text *text)
{
	return text->failed ? -ENOMEM : 0;
}

char *text_take(struct text *text, size_t *size)
{
	char *data = NULL;
	if (reserve(text, 0)) {
		data = text->data;
		data[text->size] = '\0';
		if (size)
			*size = text->size;
		text->data = NULL;
	}
	text_finish(text);
	return data;
}

/* One line: what was quoted may hold newlines, and those are shown as in listings. */
static bool copy_line(char *out, size_t room, const char *sentence)
{
	size_t size = 0;
	for (; *sentence; sentence++) {
		bool plain = (unsigned char)*sentence >= ' ' && *sentence != 0x7f;
		size_t wanted = plain ? 1 : 4;
		if (size + wanted >= room)
			break;
		if (plain)
			out[size] = *sentence;
		else
			snprintf(out + size, room - size, "\\%03o", (unsigned char)*sentence);
		size += wanted;
	}
	out[size] = '\0';
	return !*sentence;
}

int refuse(struct refusal *why, int error, const char *format, ...)
{
	if (!why)
		return -error;
	char sentence[sizeof why->sentence];
	va_list args;
	va_start(args, format);
	int size = vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	if (!copy_line(why->sentence, sizeof why->sentence, sentence) || size >= (int)sizeof sentence) {
		size_t end = strlen(why->sentence);
		memcpy(why->sentence + (end < sizeof sentence - 4 ? end : sizeof sentence - 4), "...", 4);
	}
	return -error;
}
