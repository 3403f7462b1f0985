#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cgroup.h"

static void a_wish_reads_back_as_what_was_meant(void **state)
{
	static const struct {
		enum cgroup_kind kind;
		const char *word, *shown;
	} rows[] = {
		{ CGROUP_MEMORY, "", "max\n" },
		{ CGROUP_MEMORY, "max", "max\n" },
		{ CGROUP_MEMORY, "0", "0\n" },
		{ CGROUP_MEMORY, "4096", "4096\n" },
		{ CGROUP_MEMORY, "3k", "3072\n" },
		{ CGROUP_MEMORY, "100M", "104857600\n" },
		{ CGROUP_MEMORY, "2G", "2147483648\n" },
		{ CGROUP_MEMORY, "8388607T", "9223370937343148032\n" },
		{ CGROUP_CPU, "", "max 100000\n" },
		{ CGROUP_CPU, "max 50000", "max 50000\n" },
		{ CGROUP_CPU, "1000", "1000 100000\n" },
		{ CGROUP_CPU, "200000 \t 1000000", "200000 1000000\n" },
		{ CGROUP_PIDS, "max", "max\n" },
		{ CGROUP_PIDS, "0", "0\n" },
		{ CGROUP_PIDS, "4194304", "4194304\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cgroup_wish wish;
		struct text text = { 0 };
		char *shown;

		cgroup_wish_init(&wish);
		assert_int_equal(cgroup_wish_parse(&wish, rows[i].kind, rows[i].word, NULL), 0);
		assert_int_equal(cgroup_wish_is_empty(&wish), !strncmp(rows[i].shown, "max", 3));
		cgroup_wish_show(&wish, rows[i].kind, &text);
		shown = text_take(&text, NULL);
		assert_string_equal(shown, rows[i].shown);
		free(shown);
	}
}

static void what_is_no_wish_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		enum cgroup_kind kind;
		const char *word;
	} rows[] = {
		{ CGROUP_MEMORY, "x" }, { CGROUP_MEMORY, "-1" }, { CGROUP_MEMORY, "1KB" }, { CGROUP_MEMORY, "maximum" },
		{ CGROUP_MEMORY, "18446744073709551615" }, { CGROUP_MEMORY, "16777216T" }, { CGROUP_MEMORY, "1 K" },
		{ CGROUP_CPU, "999" }, { CGROUP_CPU, "1000 999" }, { CGROUP_CPU, "1000 1000001" }, { CGROUP_CPU, "1000 max" },
		{ CGROUP_CPU, "1000 1000 1000" }, { CGROUP_CPU, "1000K" }, { CGROUP_CPU, "1000,1000" },
		{ CGROUP_PIDS, "4194305" }, { CGROUP_PIDS, "1K" }, { CGROUP_PIDS, "+1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cgroup_wish wish, before;
		struct refusal why;

		cgroup_wish_init(&wish);
		before = wish;
		assert_int_equal(cgroup_wish_parse(&wish, rows[i].kind, rows[i].word, &why), -EINVAL);
		assert_non_null(strstr(why.sentence, rows[i].word));
		assert_non_null(strstr(why.sentence, "valid are max"));
		assert_memory_equal(&wish, &before, sizeof(wish));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wish_reads_back_as_what_was_meant),
		cmocka_unit_test(what_is_no_wish_is_refused_and_changes_nothing),
	};

	return cmocka_run_group_tests_name("cgroup_wish", tests, NULL, NULL);
}
