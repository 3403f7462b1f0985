#include "core/pattern.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

enum { WORD_BITS = 64 };

/* A set of bytes. */
struct bytes {
	bool has[256];
	bool unknown; /* it names a class that there is not */
};

bool pattern_is_one(const char *word)
{
	return strpbrk(word, "*?[");
}

/* "[:alpha:]", from its bracket on. Result: behind it; NULL: it is none. */
static const char *add_class(struct bytes *set, const char *text)
{
	static const struct {
		const char *name;
		int (*test)(int);
	} CLASSES[] = {
		{ "alnum", isalnum }, { "alpha", isalpha }, { "blank", isblank }, { "cntrl", iscntrl }, { "digit", isdigit },
		{ "graph", isgraph }, { "lower", islower }, { "print", isprint }, { "punct", ispunct }, { "space", isspace },
		{ "upper", isupper }, { "xdigit", isxdigit },
	};
	size_t length = text[1] == ':' ? strspn(text + 2, "abcdefghijklmnopqrstuvwxyz") : 0;
	if (!length || text[2 + length] != ':' || text[3 + length] != ']')
		return NULL;
	set->unknown = true;
	for (size_t i = 0; i < sizeof CLASSES / sizeof *CLASSES; i++) {
		if (strlen(CLASSES[i].name) != length || strncmp(CLASSES[i].name, text + 2, length))
			continue;
		set->unknown = false;
		for (int byte = 0; byte < 256; byte++)
			set->has[byte] |= CLASSES[i].test(byte) != 0;
	}
	return text + length + 4;
}

/* Result: behind the byte, which may be quoted; NULL at the end. */
static const char *take_byte(const char *text, unsigned char *out)
{
	if (*text == '\\')
		text++;
	*out = (unsigned char)*text;
	return *text ? text + 1 : NULL;
}

/* From behind the bracket on. Result: behind the closing one; NULL: there is none, and the bracket is a letter. */
static const char *take_set(struct bytes *set, const char *text)
{
	bool inverted = *text == '!' || *text == '^';
	text += inverted;
	for (const char *first = text; text && (*text != ']' || text == first);) {
		const char *behind = *text == '[' ? add_class(set, text) : NULL;
		unsigned char low, high;
		if (!behind) {
			behind = take_byte(text, &low);
			high = low;
			if (behind && behind[0] == '-' && behind[1] != ']')
				behind = take_byte(behind + 1, &high);
			for (int byte = low; behind && byte <= high; byte++)
				set->has[byte] = true;
		}
		text = behind;
		if (set->unknown)
			return text;
	}
	for (int byte = 0; inverted && byte < 256; byte++)
		set->has[byte] = !set->has[byte];
	return text ? text + 1 : NULL;
}

/* One place. Result: behind it. */
static const char *take_place(struct bytes *set, const char *text, bool *hopeless)
{
	*set = (struct bytes){0};
	if (*text == '?') {
		memset(set->has, true, sizeof set->has);
		return text + 1;
	}
	const char *behind = *text == '[' ? take_set(set, text + 1) : NULL;
	if (behind) {
		*hopeless |= set->unknown;
		return behind;
	}
	unsigned char byte;
	*set = (struct bytes){0};
	behind = take_byte(text, &byte);
	set->has[byte] = behind;
	*hopeless |= !behind;
	return behind ? behind : "";
}

void pattern_parse(struct pattern *pattern, const char *text)
{
	memset(pattern, 0, sizeof *pattern);
	while (*text) {
		struct bytes set;
		unsigned word = pattern->places / WORD_BITS;
		uint64_t bit = UINT64_C(1) << pattern->places % WORD_BITS;
		if (*text == '*') {
			pattern->stays[word] |= bit;
			text++;
			continue;
		}
		text = take_place(&set, text, &pattern->hopeless);
		for (unsigned byte = 0; byte < 256; byte++)
			pattern->accepts[byte][word] |= set.has[byte] ? bit : 0;
		pattern->places++;
	}
}

bool pattern_matches(const struct pattern *pattern, const char *name)
{
	uint64_t reached[PATTERN_WORDS] = { 1 };
	unsigned words = pattern->places / WORD_BITS + 1;
	uint64_t any = !pattern->hopeless;
	for (const unsigned char *byte = (const unsigned char *)name; *byte && any; byte++) {
		uint64_t carried = any = 0;
		for (unsigned i = 0; i < words; i++) {
			uint64_t passed = reached[i] & pattern->accepts[*byte][i];
			reached[i] = (reached[i] & pattern->stays[i]) | passed << 1 | carried;
			carried = passed >> (WORD_BITS - 1);
			any |= reached[i];
		}
	}
	return any && reached[pattern->places / WORD_BITS] >> pattern->places % WORD_BITS & 1;
}
