#include "core/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Text on its way into a vector. `put` never overtakes the text: a word takes no more bytes than its
 * text, and its NUL the place of the blank or quote behind it, or the one byte more at the very end. */
struct splitter {
	const char *next;
	const char *end;
	char *put;
	size_t count;
	bool in_word; /* also for a word that is still empty, as in '' */
};

static void put_byte(struct splitter *splitter, char byte)
{
	*splitter->put++ = byte;
	splitter->in_word = true;
}

static void end_word(struct splitter *splitter)
{
	if (!splitter->in_word)
		return;
	*splitter->put++ = '\0';
	splitter->count++;
	splitter->in_word = false;
}

/* Behind an opening single quote: everything is literal up to the next. */
static enum words_problem take_single(struct splitter *splitter)
{
	splitter->in_word = true;
	while (splitter->next < splitter->end) {
		char byte = *splitter->next++;

		if (byte == '\'')
			return WORDS_FINE;
		put_byte(splitter, byte);
	}
	return WORDS_UNBALANCED_SINGLE;
}

static bool escapable_in_double(char byte)
{
	return byte == '$' || byte == '`' || byte == '"' || byte == '\\';
}

/* Behind an opening double quote: a backslash counts before $ ` " \ and newline only. */
static enum words_problem take_double(struct splitter *splitter)
{
	splitter->in_word = true;
	while (splitter->next < splitter->end) {
		char byte = *splitter->next++;

		if (byte == '"')
			return WORDS_FINE;
		if (byte == '\\' && splitter->next < splitter->end) {
			char following = *splitter->next;

			if (following == '\n') {
				splitter->next++;
				continue;
			}
			if (escapable_in_double(following)) {
				byte = following;
				splitter->next++;
			}
		}
		put_byte(splitter, byte);
	}
	return WORDS_UNBALANCED_DOUBLE;
}

/* Behind a backslash outside quotes: the next byte is literal, and a newline goes with it. */
static enum words_problem take_escape(struct splitter *splitter)
{
	char byte;

	if (splitter->next == splitter->end)
		return WORDS_TRAILING_BACKSLASH;
	byte = *splitter->next++;
	if (byte != '\n')
		put_byte(splitter, byte);
	return WORDS_FINE;
}

static enum words_problem take(struct splitter *splitter)
{
	char byte = *splitter->next++;

	switch (byte) {
	case ' ':
	case '\t':
	case '\n':
		end_word(splitter);
		return WORDS_FINE;
	case '\'':
		return take_single(splitter);
	case '"':
		return take_double(splitter);
	case '\\':
		return take_escape(splitter);
	default:
		put_byte(splitter, byte);
		return WORDS_FINE;
	}
}

static enum words_problem split_text(struct splitter *splitter)
{
	enum words_problem problem = WORDS_FINE;

	while (!problem && splitter->next < splitter->end)
		problem = take(splitter);
	if (!problem)
		end_word(splitter);
	return problem;
}

static void split_exact(struct splitter *splitter)
{
	while (splitter->next < splitter->end) {
		char byte = *splitter->next++;

		splitter->in_word = true;
		if (byte)
			put_byte(splitter, byte);
		else
			end_word(splitter);
	}
	end_word(splitter);
}

int words_split(struct words *out, const char *text, size_t size, enum words_problem *problem)
{
	char *bytes, *smaller;
	struct splitter splitter;

	*problem = WORDS_FINE;
	bytes = malloc(size + 1);
	if (!bytes)
		return -ENOMEM;
	splitter = (struct splitter){ .next = text, .end = size ? text + size : text, .put = bytes };
	if (size && memchr(text, '\0', size))
		split_exact(&splitter);
	else
		*problem = split_text(&splitter);
	if (*problem) {
		free(bytes);
		return -EINVAL;
	}

	*out = (struct words){ .size = (size_t)(splitter.put - bytes), .count = splitter.count };
	if (!out->count) {
		free(bytes);
		return 0;
	}
	smaller = realloc(bytes, out->size);
	out->bytes = smaller ? smaller : bytes;
	return 0;
}

/* Bytes that no shell takes for anything but themselves, wherever they stand in a word that is an
 * argument; those from 0x80 belong to letters of other scripts. */
static bool plain_byte(char byte)
{
	unsigned char value = (unsigned char)byte;

	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
	       value >= 0x80 || (byte && strchr("_@%+=:,./-", byte));
}

static bool plain_word(const char *word, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!plain_byte(word[i]))
			return false;
	}
	return size > 0;
}

/* A single quote can't stand between single quotes: these end, an escaped one follows, they begin anew. */
static const char quoted_quote[] = "'\\''";

static size_t quoted_size(const char *word, size_t size)
{
	size_t result = size + 2;

	if (plain_word(word, size))
		return size;
	for (size_t i = 0; i < size; i++) {
		if (word[i] == '\'')
			result += strlen(quoted_quote) - 1;
	}
	return result;
}

static char *put_quoted(char *put, const char *word, size_t size)
{
	if (plain_word(word, size))
		return mempcpy(put, word, size);
	*put++ = '\'';
	for (size_t i = 0; i < size; i++) {
		if (word[i] == '\'')
			put = mempcpy(put, quoted_quote, strlen(quoted_quote));
		else
			*put++ = word[i];
	}
	*put++ = '\'';
	return put;
}

int words_quote(const char *word, size_t size, char **out)
{
	char *text = malloc(quoted_size(word, size) + 1);

	if (!text)
		return -ENOMEM;
	*put_quoted(text, word, size) = '\0';
	*out = text;
	return 0;
}

int words_join(const struct words *words, char **out, size_t *size)
{
	size_t room = 1;
	char *text, *put;

	for (const char *word = words_next(words, NULL); word; word = words_next(words, word))
		room += quoted_size(word, strlen(word)) + 1;
	text = malloc(room);
	if (!text)
		return -ENOMEM;
	put = text;
	for (const char *word = words_next(words, NULL); word; word = words_next(words, word)) {
		if (put > text)
			*put++ = ' ';
		put = put_quoted(put, word, strlen(word));
	}
	*put = '\0';
	*out = text;
	*size = (size_t)(put - text);
	return 0;
}

const char *words_next(const struct words *words, const char *previous)
{
	const char *next = words->bytes;

	if (!words->count)
		return NULL;
	if (previous)
		next = previous + strlen(previous) + 1;
	return next < words->bytes + words->size ? next : NULL;
}

void words_finish(struct words *words)
{
	free(words->bytes);
	*words = (struct words){ 0 };
}

const char *words_problem_text(enum words_problem problem)
{
	switch (problem) {
	case WORDS_FINE:
		return "";
	case WORDS_UNBALANCED_SINGLE:
		return "a single quote (') is not closed";
	case WORDS_UNBALANCED_DOUBLE:
		return "a double quote (\") is not closed";
	case WORDS_TRAILING_BACKSLASH:
		return "nothing follows the last backslash (\\)";
	}
	return "";
}
