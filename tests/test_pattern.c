/* Globs: what they match, held against fnmatch(3). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pattern.h"

static bool matches(const char *text, const char *name)
{
	struct pattern pattern;

	pattern_parse(&pattern, text);
	return pattern_matches(&pattern, name);
}

static const struct {
	const char *text, *name;
	bool matches;
} table[] = {
	{ "", "", true }, { "", "a", false }, { "*", "", true }, { "*", "a", true }, { "?", "", false }, { "?", "a", true },
	{ "?", "ab", false }, { "a*", "a", true }, { "*a", "ba", true }, { "a*c", "abbc", true }, { "a*c", "abbd", false },
	{ "worker-*", "worker-17", true }, { "worker-?", "worker-17", false }, { "w[0-9]", "w5", true }, { "w[!0-9]", "w5", false },
	{ "w[^0-9]", "wx", true }, { "[]]", "]", true }, { "[!]]", "]", false }, { "[a-]", "-", true }, { "[z-a]", "b", false },
	{ "[[:digit:]x]", "7", true }, { "[[:digit:]x]", "x", true }, { "[[:digit:]x]", "y", false }, { "[![:digit:]]", "7", false },
	{ "[[:nothing:]]", "n", false }, { "*[[:nothing:]]", ":]", false },
	{ "[a", "[a", true }, { "[a", "a", false }, { "[", "[", true }, { "*[", "x[", true }, { "[!", "[!", true },
	{ "\\*", "*", true }, { "\\*", "a", false }, { "[\\]]", "]", true }, { "a\\", "a", false }, { "a\\", "a\\", false },
	{ "?", "\xff", true }, { "[\x80-\xff]", "\xc3", true }, { "line*", "line\nfeed", true }, { "*.*", ".x", true },
};

static void a_pattern_matches_the_whole_name_or_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (matches(table[i].text, table[i].name) != table[i].matches)
			fail_msg("'%s' and '%s'", table[i].text, table[i].name);
}

static void draw(unsigned *seed, const char *const *words, char *out, int most)
{
	int size = rand_r(seed) % (most + 1), count = 0;

	while (words[count])
		count++;
	*out = '\0';
	while (size--)
		strcat(out, words[rand_r(seed) % count]);
}

/* No line ends within a range: fnmatch(3) matches nothing then, where it takes other brackets that are not closed for letters. */
static void it_is_what_fnmatch_says(void **state)
{
	static const char *const TEXTS[] = { "a", "b", "*", "?", "[", "]", "a-b", "!", "^", "\\", "[!", "[[:alpha:]", NULL },
		*const NAMES[] = { "a", "b", "[", "]", "-", "!", NULL };
	unsigned seed = 1, matched = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[128], name[16];

		draw(&seed, TEXTS, text, 10);
		draw(&seed, NAMES, name, 8);
		bool expected = fnmatch(text, name, 0) == 0;
		if (matches(text, name) != expected)
			fail_msg("'%s' and '%s': %d", text, name, expected);
		matched += expected;
	}
	assert_true(matched > 1000);
}

/* Places lie on both sides of each word's end. */
static void a_long_one_matches_to_its_last_byte(void **state)
{
	char text[PATTERN_LONGEST + 1], name[PATTERN_LONGEST + 1];

	(void)state;
	for (size_t size = 1; size <= PATTERN_LONGEST; size++) {
		memset(text, 'a', size);
		memset(name, 'a', size);
		text[size] = name[size] = '\0';
		assert_true(matches(text, name));
		name[size - 1] = 'b';
		assert_false(matches(text, name));
		text[size - 1] = '?';
		assert_true(matches(text, name));
		text[0] = '*';
		assert_true(matches(text, name));
		name[size / 2] = '\0';
		assert_int_equal(matches(text, name), size <= 2);
	}
}

static void what_is_more_than_a_name_is_told(void **state)
{
	(void)state;
	assert_true(pattern_is_one("*") && pattern_is_one("a?") && pattern_is_one("[x"));
	assert_false(pattern_is_one("") || pattern_is_one("a\\b") || pattern_is_one("x]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_matches_the_whole_name_or_nothing),
		cmocka_unit_test(it_is_what_fnmatch_says),
		cmocka_unit_test(a_long_one_matches_to_its_last_byte),
		cmocka_unit_test(what_is_more_than_a_name_is_told),
	};

	return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
