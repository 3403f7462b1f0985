#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/terms.h"

static void limits_are_lines_of_a_name_and_one_amount_or_two(void **state)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{ "", "" },
		{ "core 0", "core 0:0\n" },
		{ "nofile 64:128\n", "nofile 64:128\n" },
		{ "\n \tnofile \t 64:128 \t\n\ncpu 1", "nofile 64:128\ncpu 1:1\n" },
		{ "as unlimited", "as unlimited:unlimited\n" },
		{ "as 0:unlimited", "as 0:unlimited\n" },
		{ "cpu 1\ncore 2\ncpu 3", "cpu 3:3\ncore 2:2\n" },
		{ "stack 18446744073709551614", "stack 18446744073709551614:18446744073709551614\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_terms terms = { .limit_count = 3 };
		struct text text = { 0 };
		char *shown;

		assert_int_equal(limits_parse(rows[i].text, strlen(rows[i].text), &terms, NULL), 0);
		limits_show(&terms, &text);
		shown = text_take(&text, NULL);
		assert_string_equal(shown, rows[i].shown);
		free(shown);
	}
}

static void what_is_no_limit_is_refused_with_a_sentence_and_changes_nothing(void **state)
{
	static const struct {
		const char *text, *part;
		size_t size;
	} rows[] = {
		{ "files 1", "'files' is no limit; valid are: as core cpu", 7 },
		{ "nofile", "SOFT:HARD", 6 },
		{ "nofile 1:", "'1:'", 9 },
		{ "nofile :", "':'", 8 },
		{ "nofile -1", "'-1'", 9 },
		{ "nofile +1", "'+1'", 9 },
		{ "nofile 1 2", "'1 2'", 10 },
		{ "nofile 0x1", "'0x1'", 10 },
		{ "nofile 18446744073709551616", "18446744073709551616", 27 },
		{ "nofile 2:1", "cannot be above", 10 },
		{ "core 1\nnofile unlimited:1", "cannot be above", 25 },
		{ "core 1\0", "no line of limits", 7 },
		{ "core 11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111", "no line of limits", 90 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_terms terms = { .limit_count = 1, .limits = { { .resource = RLIMIT_CPU, .soft = 5, .hard = 6 } } };
		struct launch_terms before = terms;
		struct refusal why = { "" };

		assert_int_equal(limits_parse(rows[i].text, rows[i].size, &terms, &why), -EINVAL);
		assert_non_null(strstr(why.sentence, rows[i].part));
		assert_memory_equal(&terms, &before, sizeof(terms));
	}
}

static void every_resource_of_the_kernel_has_a_name(void **state)
{
	static const char all[] = "as 1\ncore 1\ncpu 1\ndata 1\nfsize 1\nlocks 1\nmemlock 1\nmsgqueue 1\nnice 1\nnofile 1\n"
				  "nproc 1\nrss 1\nrtprio 1\nrttime 1\nsigpending 1\nstack 1\n";
	struct launch_terms terms = { 0 };
	unsigned seen = 0;

	(void)state;
	assert_int_equal(limits_parse(all, strlen(all), &terms, NULL), 0);
	assert_int_equal(terms.limit_count, LAUNCH_LIMITS_MAX);
	for (uint32_t i = 0; i < terms.limit_count; i++)
		seen |= 1U << terms.limits[i].resource;
	assert_int_equal(seen, 0xffff);
}

static void who_may_not_raise_a_hard_limit_is_told(void **state)
{
	struct launch_terms terms = { 0 };
	struct rlimit now;
	struct refusal why;
	char line[64];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	snprintf(line, sizeof(line), "nofile 0:%llu", (unsigned long long)now.rlim_max);
	assert_int_equal(limits_parse(line, strlen(line), &terms, NULL), 0);
	assert_int_equal(limits_check(&terms, false, &why), 0);
	terms.limits[0].hard++;
	assert_int_equal(limits_check(&terms, false, &why), -EPERM);
	assert_non_null(strstr(why.sentence, "nofile"));
}

static void a_user_is_a_name_or_a_number(void **state)
{
	static const char *const good[] = { "alice", "0", "4294967294", "a.b-c_d$", "DOMAIN\\user", "" };
	static const char *const bad[] = { "-1", "-", "a b", "a:b", "a/b", "1x", "4294967295", "99999999999999999999", "a\n" };
	struct process *process = process_create("p", "1");
	struct account asked;
	struct refusal why;

	(void)state;
	process->owner = 77;
	assert_false(terms_asked_user(process, &asked));
	assert_int_equal(terms_user(process), 77);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(terms_set_user(process, good[i], true, &why), 0);
	assert_null(process->terms);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(terms_set_user(process, bad[i], false, &why), -EINVAL);
		assert_non_null(strstr(why.sentence, "is no user"));
	}
	assert_int_equal(terms_set_user(process, "alice", false, &why), 0);
	assert_true(terms_asked_user(process, &asked));
	assert_string_equal(asked.name, "alice");
	assert_int_equal(terms_set_user(process, "123", false, &why), 0);
	assert_true(terms_asked_user(process, &asked));
	assert_null(asked.name);
	assert_int_equal(asked.uid, 123);
	assert_int_equal(asked.gid, 123);
	assert_int_equal(terms_set_user(process, "", false, &why), 0);
	assert_false(terms_asked_user(process, &asked));
	process_destroy(process);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_lines_of_a_name_and_one_amount_or_two),
		cmocka_unit_test(what_is_no_limit_is_refused_with_a_sentence_and_changes_nothing),
		cmocka_unit_test(every_resource_of_the_kernel_has_a_name),
		cmocka_unit_test(who_may_not_raise_a_hard_limit_is_told),
		cmocka_unit_test(a_user_is_a_name_or_a_number),
	};

	return cmocka_run_group_tests_name("terms", tests, NULL, NULL);
}
