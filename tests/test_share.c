/* core/share and core/size: who has how much, and who is refused more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/share.h"
#include "core/size.h"

static const struct share_limits LIMITS = { .processes = 2, .locks = 2, .bytes = 10000, .descriptors = 4 };

static void what_fits_is_taken_and_what_does_not_is_refused_with_its_limit(void **state)
{
	static const struct {
		struct share_cost used, more;
		const char *says; /* NULL: it fits */
	} rows[] = {
		{ { .processes = 1 }, { .processes = 1 }, NULL },
		{ { .processes = 2 }, { .processes = 1 }, "max_processes" },
		{ { .processes = 3 }, { .bytes = 1 }, NULL }, /* above one limit, it is held to the others */
		{ { .bytes = 1 }, { .bytes = 9999 }, NULL },
		{ { .bytes = 1 }, { .bytes = 10000 }, "max_bytes" },
		{ { .bytes = 20000 }, { .bytes = 1 }, "max_bytes" },
		{ { .bytes = 20000 }, { 0 }, NULL }, /* nothing more is never too much */
		{ { .bytes = 1 }, { .bytes = UINT64_MAX }, "max_bytes" },
		{ { .locks = 2 }, { .locks = 1 }, "locks" },
		{ { .descriptors = 2 }, { .descriptors = 3 }, "open files" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct share share = { .limits = &LIMITS, .used = rows[i].used };
		struct refusal why = { "" };
		int error = share_check(&share, &rows[i].more, &why);
		assert_int_equal(error, rows[i].says ? -EDQUOT : 0);
		if (rows[i].says && !strstr(why.sentence, rows[i].says))
			fail_msg("row %zu: %s", i, why.sentence);
	}
}

static void so_many_files_can_be_open_and_one_more_when_one_was_closed(void **state)
{
	struct share share = { .limits = &LIMITS };
	struct refusal why = { "" };
	(void)state;
	for (int i = 0; i < SHARE_OPENS_MOST; i++) {
		assert_int_equal(share_check_open(&share, &why), 0);
		share_count_open(&share);
	}
	assert_int_equal(share_check_open(&share, &why), -EDQUOT);
	assert_non_null(strstr(why.sentence, "65536 files of this mount open"));
	share_count_close(&share);
	assert_int_equal(share_check_open(&share, &why), 0);
	assert_int_equal(share_check_open(NULL, &why), 0);
}

static void who_has_no_share_is_refused_nothing(void **state)
{
	const struct share_cost all = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	struct share_cost held = { 0 };
	(void)state;
	assert_int_equal(share_check(NULL, &all, NULL), 0);
	share_settle(NULL, &held, &all);
	assert_int_equal(held.bytes, 0);
}

static void a_process_gives_back_all_it_took(void **state)
{
	struct share share = { .limits = &LIMITS };
	struct process *process = process_create("p", "1");
	(void)state;
	assert_int_equal(process_set_share(process, &share), 0);
	uint64_t empty = share.used.bytes;
	assert_int_equal(process_set_detail(process, DETAIL_RUN, "true", 4), 0);
	share_recount(process);
	share_recount(process);
	assert_int_equal(share.used.processes, 1);
	assert_int_equal(share.used.bytes, empty + 4);
	process_destroy(process);
	assert_int_equal(share.used.processes, 0);
	assert_int_equal(share.used.bytes, 0);
}

static void output_gives_way_before_what_was_written(void **state)
{
	struct share share = { .limits = &LIMITS };
	struct process *process = process_create("p", "1");
	(void)state;
	assert_int_equal(process_set_share(process, &share), 0);
	process->configuration.output_max = 6000;
	assert_int_equal(share_keeps(process, 5000), 6000);
	share.used.bytes = 10000;
	assert_int_equal(share_keeps(process, 5000), 5000 - 10000 / 8);
	assert_int_equal(share_keeps(process, 100), 0);
	assert_int_equal(process_set_share(process, NULL), 0);
	assert_int_equal(share_keeps(process, 100), 6000);
	process_destroy(process);
}

static void sizes_have_units_of_1024(void **state)
{
	static const struct {
		const char *word;
		uint64_t size;
	} good[] = {
		{ "0", 0 }, { "10", 10 }, { "1K", 1 << 10 }, { "2m", 2 << 20 }, { "1G", 1 << 30 }, { "1T", UINT64_C(1) << 40 },
		{ "9223372036854775807", INT64_MAX },
	};
	static const char *const bad[] = { "", "K", "-1", "+1", " 1", "1 ", "1KB", "1X", "9223372036854775808", "8388608T",
					   "99999999999999999999" };
	uint64_t size;
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(size_parse(good[i].word, &size), 0);
		assert_int_equal(size, good[i].size);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (size_parse(bad[i], &size) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_taken_and_what_does_not_is_refused_with_its_limit),
		cmocka_unit_test(so_many_files_can_be_open_and_one_more_when_one_was_closed),
		cmocka_unit_test(who_has_no_share_is_refused_nothing),
		cmocka_unit_test(a_process_gives_back_all_it_took),
		cmocka_unit_test(output_gives_way_before_what_was_written),
		cmocka_unit_test(sizes_have_units_of_1024),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
