#include "world.h"

#include "core/usage.h"

static double seconds_of(const struct usage *usage)
{
	return (double)(usage->utime.tv_sec + usage->stime.tv_sec) + (double)(usage->utime.tv_usec + usage->stime.tv_usec) / 1e6;
}

static void what_runs_is_read_as_getrusage_counts(void **state)
{
	struct usage usage, own;
	struct rusage rusage;

	(void)state;
	do {
		assert_int_equal(usage_read(getpid(), &usage), 0);
	} while (seconds_of(&usage) < 0.05);
	assert_int_equal(getrusage(RUSAGE_SELF, &rusage), 0);
	usage_of_rusage(&rusage, &own);
	assert_true(seconds_of(&usage) <= seconds_of(&own) + 0.05);
	assert_true(usage.minflt > 0 && usage.minflt <= own.minflt);
	assert_true(usage.maxrss_kib > 0 && usage.nvcsw >= 0 && usage.nivcsw >= 0);
	assert_true(usage.nvcsw <= own.nvcsw && usage.inblock <= own.inblock);
	for (unsigned i = 0; usage_count_name(i); i++)
		assert_true(usage_count(&own, i) >= 0);
}

static void children_that_were_waited_for_count(void **state)
{
	struct usage before, after;
	int status;

	(void)state;
	assert_int_equal(usage_read(getpid(), &before), 0);
	pid_t child = fork();
	if (child == 0) {
		struct usage own;
		do
			usage_read(getpid(), &own);
		while (seconds_of(&own) < 0.3);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(usage_read(getpid(), &after), 0);
	assert_true(seconds_of(&after) >= seconds_of(&before) + 0.2);
}

static void nobody_is_no_process(void **state)
{
	struct usage usage;
	int status;

	(void)state;
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(usage_read(child, &usage), -ESRCH);
}

static void every_count_has_its_name_and_its_place(void **state)
{
	const struct rusage rusage = { .ru_maxrss = 1, .ru_minflt = 2, .ru_majflt = 3, .ru_inblock = 4,
				       .ru_oublock = 5, .ru_nvcsw = 6, .ru_nivcsw = 7 };
	static const char *const NAMES[] = { "maxrss", "minflt", "majflt", "inblock", "oublock", "nvcsw", "nivcsw" };
	struct usage usage;

	(void)state;
	usage_of_rusage(&rusage, &usage);
	for (unsigned i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
		assert_string_equal(usage_count_name(i), NAMES[i]);
		assert_int_equal(usage_count(&usage, i), i + 1);
	}
	assert_null(usage_count_name(sizeof NAMES / sizeof *NAMES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_runs_is_read_as_getrusage_counts),
		cmocka_unit_test(children_that_were_waited_for_count),
		cmocka_unit_test(nobody_is_no_process),
		cmocka_unit_test(every_count_has_its_name_and_its_place),
	};

	return cmocka_run_group_tests_name("usage", tests, NULL, NULL);
}
