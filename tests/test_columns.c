#include "world.h"

#include "core/columns.h"

static char *written(struct columns *columns)
{
	struct text text = {0};

	assert_int_equal(columns_write(columns, &text), 0);
	columns_finish(columns);
	return text_take(&text, NULL);
}

static void a_column_is_as_wide_as_its_widest_cell(void **state)
{
	static const char *const CELLS[] = { "A", "BB", "C", "longer", "", "x", "\xc3\xa9", "b", "" };
	struct columns columns = { .count = 3 };

	(void)state;
	for (size_t i = 0; i < sizeof CELLS / sizeof *CELLS; i++)
		columns_add(&columns, CELLS[i]);
	char *got = written(&columns);
	assert_string_equal(got, "A       BB  C\n"
				 "longer  -   x\n"
				 "\xc3\xa9       b   -\n");
	free(got);
}

static void a_cell_that_is_too_wide_pushes_its_own_line_only(void **state)
{
	char wide[3 * COLUMNS_WIDEST + 1], expected[600];
	struct columns columns = { .count = 2 };

	(void)state;
	memset(wide, 'w', sizeof wide - 1);
	wide[sizeof wide - 1] = '\0';
	columns_add(&columns, wide);
	columns_add(&columns, "1");
	columns_add(&columns, "x");
	columns_add(&columns, "2");
	snprintf(expected, sizeof expected, "%s  1\n%-*s  2\n", wide, COLUMNS_WIDEST, "x");
	char *got = written(&columns);
	assert_string_equal(got, expected);
	free(got);
}

static void an_empty_table_is_nothing(void **state)
{
	struct columns columns = { .count = 2 };

	(void)state;
	char *got = written(&columns);
	assert_string_equal(got, "");
	free(got);
}

static void a_text_that_has_failed_is_told(void **state)
{
	struct columns columns = { .count = 1 };
	struct text cell = { .failed = true }, out = {0};

	(void)state;
	columns_take(&columns, &cell);
	assert_int_equal(columns_write(&columns, &out), -ENOMEM);
	columns_finish(&columns);
	text_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_column_is_as_wide_as_its_widest_cell),
		cmocka_unit_test(a_cell_that_is_too_wide_pushes_its_own_line_only),
		cmocka_unit_test(an_empty_table_is_nothing),
		cmocka_unit_test(a_text_that_has_failed_is_told),
	};

	return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}
