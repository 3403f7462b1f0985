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
	return revival_allows(revival, status, was_ready, (struct timespec){ .tv_sec = 1000 + second });
}

static void any_number_of_kills_of_a_server_that_works_is_survived(void **state)
{
	struct revival revival = { .unready = 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(dies(&revival, SIGKILL, true, 0));
}

static void three_in_a_row_that_never_become_ready_are_too_many(void **state)
{
	static const int statuses[] = { SIGKILL, SIGSEGV, W_EXITCODE(1, 0) };
	struct revival revival = { .unready = 0 };

	(void)state;
	assert_true(dies(&revival, statuses[0], false, 0));
	assert_true(dies(&revival, statuses[1], false, 0));
	assert_true(dies(&revival, SIGKILL, true, 0));
	for (int i = 0; i < 3; i++)
		assert_int_equal(dies(&revival, statuses[i], false, 100 * i), i < 2);
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
		cmocka_unit_test(three_in_a_row_that_never_become_ready_are_too_many),
		cmocka_unit_test(five_faults_within_ten_seconds_are_too_many),
		cmocka_unit_test(faults_that_are_rare_are_survived_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
