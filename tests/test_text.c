#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

static void what_is_added_comes_out_in_order_and_ended_by_a_nul(void **state)
{
	struct text text = { 0 };
	size_t size;
	char *bytes;

	(void)state;
	text_add(&text, "one ");
	text_printf(&text, "%s %d ", "two", 3);
	text_append(&text, "fo\0ur", 5);
	assert_int_equal(text_status(&text), 0);
	bytes = text_take(&text, &size);
	assert_int_equal(size, 15);
	assert_memory_equal(bytes, "one two 3 fo\0ur", 16);
	free(bytes);
}

static void taking_leaves_an_empty_text_that_can_be_used_again(void **state)
{
	struct text text = { 0 };
	char *bytes;

	(void)state;
	text_add(&text, "first");
	free(text_take(&text, NULL));
	assert_null(text.data);
	assert_int_equal(text.size, 0);
	text_add(&text, "second");
	bytes = text_take(&text, NULL);
	assert_string_equal(bytes, "second");
	free(bytes);
}

static void an_empty_text_is_taken_as_an_empty_string(void **state)
{
	struct text text = { 0 };
	size_t size = 7;
	char *bytes = text_take(&text, &size);

	(void)state;
	assert_int_equal(size, 0);
	assert_string_equal(bytes, "");
	free(bytes);
}

/* Across every doubling, so that an error by one at an edge meets the end of the memory. */
static void every_size_is_kept_whole(void **state)
{
	char expected[1100];

	(void)state;
	memset(expected, 'x', sizeof(expected));
	for (size_t size = 0; size < sizeof(expected); size++) {
		struct text appended = { 0 }, printed = { 0 };
		size_t taken;
		char *bytes;

		text_append(&appended, expected, size);
		bytes = text_take(&appended, &taken);
		assert_int_equal(taken, size);
		assert_memory_equal(bytes, expected, size);
		assert_int_equal(bytes[size], '\0');
		free(bytes);
		text_printf(&printed, "%.*s", (int)size, expected);
		bytes = text_take(&printed, &taken);
		assert_int_equal(taken, size);
		assert_memory_equal(bytes, expected, size);
		free(bytes);
	}
}

static void a_failed_append_is_remembered_until_the_text_is_finished(void **state)
{
	volatile size_t too_much = SIZE_MAX / 2;
	struct text text = { 0 };
	size_t size = 7;

	(void)state;
	text_add(&text, "before");
	text_append(&text, "", too_much);
	text_add(&text, "after");
	assert_int_equal(text_status(&text), -ENOMEM);
	assert_null(text_take(&text, &size));
	assert_int_equal(size, 7);
	assert_int_equal(text_status(&text), 0);
	text_add(&text, "again");
	assert_int_equal(text.size, 5);
	text_finish(&text);
	assert_null(text.data);
}

static void a_name_is_one_line_and_can_be_told_from_every_other(void **state)
{
	static const struct {
		const char *name, *shown;
	} rows[] = {
		{ "", "" },
		{ "plain-1:2", "plain-1:2" },
		{ "two words", "two words" },
		{ "a\nb", "a\\012b" },
		{ "\\012", "\\134012" },
		{ "\t\x1b\x7f\x01", "\\011\\033\\177\\001" },
		{ "\xc3\xa4\xff", "\xc3\xa4\xff" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text text = { 0 };
		char *bytes;

		text_add_name(&text, rows[i].name);
		bytes = text_take(&text, NULL);
		assert_string_equal(bytes, rows[i].shown);
		free(bytes);
	}
}

static void a_name_that_is_too_long_is_cut_between_characters_and_says_so(void **state)
{
	static const struct {
		const char *name;
		size_t most;
		const char *shown;
	} rows[] = {
		{ "abc", 3, "abc" },
		{ "abcd", 3, "abc..." },
		{ "", 3, "" },
		{ "a\nb\n", 3, "a\\012b..." },
		{ "ab\xc3\xa4", 4, "ab\xc3\xa4" },
		{ "ab\xc3\xa4", 3, "ab..." },
		{ "ab\xe2\x82\xac", 4, "ab..." },
		{ "\x80\x80\x80\x80", 3, "..." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text text = { 0 };
		char *bytes;

		text_add_name_up_to(&text, rows[i].name, rows[i].most);
		bytes = text_take(&text, NULL);
		assert_string_equal(bytes, rows[i].shown);
		free(bytes);
	}
}

static void a_refusal_gives_its_errno_negative_and_its_sentence(void **state)
{
	struct refusal why;

	(void)state;
	assert_int_equal(refuse(&why, EBUSY, "%s is %d", "this", 5), -EBUSY);
	assert_string_equal(why.sentence, "this is 5");
	assert_int_equal(refuse(NULL, ENOENT, "nobody listens to %s", "this"), -ENOENT);
}

static void a_sentence_is_cut_visibly_and_only_when_too_long(void **state)
{
	char longest[sizeof(((struct refusal *)NULL)->sentence) + 1];
	struct refusal why;

	(void)state;
	memset(longest, 'y', sizeof(longest));
	longest[sizeof(longest) - 2] = '\0';
	assert_int_equal(strlen(longest), sizeof(why.sentence) - 1);
	refuse(&why, EINVAL, "%s", longest);
	assert_string_equal(why.sentence, longest);
	longest[sizeof(longest) - 2] = 'y';
	longest[sizeof(longest) - 1] = '\0';
	refuse(&why, EINVAL, "%s", longest);
	assert_int_equal(strlen(why.sentence), sizeof(why.sentence) - 1);
	assert_string_equal(why.sentence + sizeof(why.sentence) - 5, "y...");
}

static void a_sentence_is_one_line_whatever_it_quotes(void **state)
{
	char longest[sizeof(((struct refusal *)NULL)->sentence)];
	struct refusal why;

	(void)state;
	refuse(&why, EINVAL, "'%s' is not valid", "two\nlines\x7f\\");
	assert_string_equal(why.sentence, "'two\\012lines\\177\\' is not valid");
	memset(longest, '\n', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	refuse(&why, EINVAL, "%s", longest);
	assert_true(strlen(why.sentence) < sizeof(why.sentence));
	assert_string_equal(why.sentence + strlen(why.sentence) - 4, "2...");
	assert_null(strchr(why.sentence, '\n'));
}

static void a_text_in_memory_that_is_lent_never_grows_beyond_it(void **state)
{
	char memory[80] = { 0 };
	struct text text = text_in(memory, 79);

	(void)state;
	text_printf(&text, "%d", 12345);
	text_append(&text, "0123456789012345678901234567890123456789012345678901234567890123456789012", 73);
	assert_int_equal(text_status(&text), 0);
	assert_int_equal(text.size, 78);
	assert_ptr_equal(text.data, memory);
	assert_memory_equal(memory, "123450123", 9);
	text_add(&text, "3");
	assert_int_equal(text_status(&text), -ENOMEM);
	assert_int_equal(text.size, 78);
	assert_int_equal(memory[78], 0);
	text = text_in(memory, 0);
	text_add(&text, "x");
	assert_int_equal(text_status(&text), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_added_comes_out_in_order_and_ended_by_a_nul),
		cmocka_unit_test(taking_leaves_an_empty_text_that_can_be_used_again),
		cmocka_unit_test(an_empty_text_is_taken_as_an_empty_string),
		cmocka_unit_test(every_size_is_kept_whole),
		cmocka_unit_test(a_failed_append_is_remembered_until_the_text_is_finished),
		cmocka_unit_test(a_name_is_one_line_and_can_be_told_from_every_other),
		cmocka_unit_test(a_name_that_is_too_long_is_cut_between_characters_and_says_so),
		cmocka_unit_test(a_refusal_gives_its_errno_negative_and_its_sentence),
		cmocka_unit_test(a_sentence_is_cut_visibly_and_only_when_too_long),
		cmocka_unit_test(a_sentence_is_one_line_whatever_it_quotes),
		cmocka_unit_test(a_text_in_memory_that_is_lent_never_grows_beyond_it),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
