#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include "core/revival.h"

static bool dies(struct revival *revival, int status, bool was_ready, time_t second)
{
	const struct revival_death death = { .status = status, .was_ready = was_ready, .when.tv_sec = 1000 + second };

	return revival_allows(revival, &death);
}

static void any_number_of_kills_of_a_server_that_works_is_survived(void **state)
{
	struct revival revival = { .unready = 0 };

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_true(dies(&revival, SIGKILL, true, 0));
		assert_int_equal(revival_pause(&revival), 0);
	}
}

static void three_in_a_row_that_fail_before_they_are_ready_are_too_many(void **state)
{
	static const int statuses[] = { SIGABRT, SIGSEGV, W_EXITCODE(1, 0) };
	struct revival revival = { .unready = 0 };

	(void)state;
	assert_true(dies(&revival, statuses[0], false, 0));
	assert_true(dies(&revival, statuses[1], false, 0));
	assert_true(dies(&revival, SIGKILL, true, 0));
	for (int i = 0; i < 3; i++) {
		assert_true(dies(&revival, SIGKILL, false, 100 * i));
		assert_int_equal(dies(&revival, statuses[i], false, 100 * i), i < 2);
	}
}

static void one_that_was_late_has_failed_though_it_was_killed(void **state)
{
	const struct revival_death late = { .status = SIGKILL, .was_late = true };
	struct revival revival = { .unready = 0 };

	(void)state;
	for (int i = 0; i < REVIVAL_UNREADY_MAX; i++)
		assert_int_equal(revival_allows(&revival, &late), i < REVIVAL_UNREADY_MAX - 1);
}

static void one_that_could_not_begin_for_a_lack_is_as_one_that_was_killed(void **state)
{
	struct revival revival = { .unready = 0 };

	(void)state;
	for (int i = 1; i <= REVIVAL_KILLS_MAX; i++)
		assert_int_equal(dies(&revival, i % 2 ? SIGKILL : W_EXITCODE(REVIVAL_LACKS, 0), false, 0), i < REVIVAL_KILLS_MAX);
}

static void a_hundred_that_are_killed_before_they_are_ready_are_too_many_and_the_later_ones_have_pauses(void **state)
{
	struct revival revival = { .unready = 0 };

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 1; i < REVIVAL_KILLS_MAX; i++) {
			assert_true(dies(&revival, SIGKILL, false, 0));
			assert_int_equal(revival_pause(&revival), i > REVIVAL_KILLS_AT_ONCE ? REVIVAL_PAUSE_MS : 0);
		}
		assert_true(dies(&revival, SIGKILL, true, 0));
		assert_int_equal(revival_pause(&revival), 0);
	}
	for (int i = 1; i <= REVIVAL_KILLS_MAX; i++)
		assert_int_equal(dies(&revival, SIGKILL, false, 0), i < REVIVAL_KILLS_MAX);
}

static void five_faults_within_ten_seconds_are_too_many(void **state)
{
	static const int faults[] = { SIGSEGV, SIGABRT | WCOREFLAG, SIGBUS, W_EXITCODE(1, 0), SIGFPE };
	struct revival revival = { .unready = 0 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_true(dies(&revival, SIGKILL, true, 2 * i));
		assert_int_equal(dies(&revival, faults[i], true, 2 * i), i < 4);
	}
}

static void faults_that_are_rare_are_survived_for_ever(void **state)
{
	struct revival revival = { .unready = 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_true(dies(&revival, SIGSEGV, true, 3 * i));
	assert_false(dies(&revival, SIGSEGV, true, 3 * 99));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_of_kills_of_a_server_that_works_is_survived),
		cmocka_unit_test(three_in_a_row_that_fail_before_they_are_ready_are_too_many),
		cmocka_unit_test(one_that_was_late_has_failed_though_it_was_killed),
		cmocka_unit_test(one_that_could_not_begin_for_a_lack_is_as_one_that_was_killed),
		cmocka_unit_test(a_hundred_that_are_killed_before_they_are_ready_are_too_many_and_the_later_ones_have_pauses),
		cmocka_unit_test(five_faults_within_ten_seconds_are_too_many),
		cmocka_unit_test(faults_that_are_rare_are_survived_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
