/* A list of strings in one piece, and where a program is looked for. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "core/vector.h"

static void assert_search(const char *path, const char *const *expected)
{
	struct vector vector = {0};
	size_t i = 0;

	vector_add_search(&vector, path, "x");
	assert_int_equal(vector_seal(&vector), 0);
	for (; expected[i]; i++)
		assert_string_equal(vector.strings[i], expected[i]);
	assert_int_equal(vector.count, i);
	assert_null(vector.strings[i]);
	vector_finish(&vector);
}

static void an_empty_list_is_its_end(void **state)
{
	struct vector vector = {0};

	(void)state;
	assert_int_equal(vector_seal(&vector), 0);
	assert_null(vector.strings[0]);
	vector_finish(&vector);
}

static void what_was_added_is_there_in_order_whatever_its_size(void **state)
{
	struct vector vector = {0};
	char word[300];

	(void)state;
	for (size_t i = 0; i < sizeof word; i++) {
		memset(word, 'a', i);
		word[i] = '\0';
		vector_add(&vector, word);
	}
	assert_int_equal(vector_seal(&vector), 0);
	assert_int_equal(vector.count, sizeof word);
	for (size_t i = 0; i < sizeof word; i++)
		assert_int_equal(strlen(vector.strings[i]), i);
	vector_finish(&vector);
}

static void a_name_is_looked_for_in_each_directory_in_turn(void **state)
{
	(void)state;
	assert_search("/a:/b/:c", (const char *const[]){ "/a/x", "/b/x", "c/x", NULL });
}

static void an_empty_element_is_the_current_directory(void **state)
{
	(void)state;
	assert_search("", (const char *const[]){ "./x", NULL });
	assert_search(":/a::", (const char *const[]){ "./x", "/a/x", "./x", "./x", NULL });
}

static void without_a_path_the_default_is_searched(void **state)
{
	(void)state;
	assert_search(NULL, (const char *const[]){ "/usr/local/sbin/x", "/usr/local/bin/x", "/usr/sbin/x", "/usr/bin/x",
		"/sbin/x", "/bin/x", NULL });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_list_is_its_end),
		cmocka_unit_test(what_was_added_is_there_in_order_whatever_its_size),
		cmocka_unit_test(a_name_is_looked_for_in_each_directory_in_turn),
		cmocka_unit_test(an_empty_element_is_the_current_directory),
		cmocka_unit_test(without_a_path_the_default_is_searched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
