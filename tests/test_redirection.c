/* The words of stdout_to and stderr_to, and what a launch makes of them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/manager.h"
#include "core/redirection.h"

static void words_are_taken_apart(void **state)
{
	static const struct {
		const char *words;
		int which;
		enum launch_to to;
		int number;
	} table[] = {
		{ NULL, 0, LAUNCH_TO_FD, 0 },
		{ "", 1, LAUNCH_TO_FD, 0 },
		{ "stderr", 0, LAUNCH_TO_OTHER, 0 },
		{ "stdout", 1, LAUNCH_TO_OTHER, 0 },
		{ "./stdout", 0, LAUNCH_TO_FILE, 0 },
		{ "inherited", 0, LAUNCH_TO_FILE, 0 },
		{ "/dev/null", 0, LAUNCH_TO_FILE, 0 },
		{ "inherit", 0, LAUNCH_TO_INHERITED, 2 },
		{ "inherit ", 0, LAUNCH_TO_INHERITED, 2 },
		{ "inherit 0", 1, LAUNCH_TO_INHERITED, 0 },
		{ "inherit\t17", 1, LAUNCH_TO_INHERITED, 17 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct launch_output output;

		assert_int_equal(redirection_parse(table[i].words, table[i].which, &output, NULL), 0);
		assert_int_equal(output.to, table[i].to);
		assert_int_equal(output.number, table[i].number);
		if (table[i].to == LAUNCH_TO_FILE)
			assert_string_equal(output.path, table[i].words);
		else
			assert_null(output.path);
	}
}

static void what_means_nothing_is_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *words;
		int which;
	} table[] = {
		{ "stdout", 0 }, { "stderr", 1 }, { "inherit x", 0 }, { "inherit -1", 0 }, { "inherit +1", 0 },
		{ "inherit 2147483648", 0 }, { "inherit 99999999999999999999", 1 }, { "inherit 1 2", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct launch_output output;
		struct refusal why = {0};

		assert_int_equal(redirection_parse(table[i].words, table[i].which, &output, &why), -EINVAL);
		assert_true(*why.sentence);
	}
}

static struct process *make(const char *stdout_to, const char *stderr_to)
{
	struct process *process = process_create("x", "1");

	assert_non_null(process);
	process->owner = 1000;
	assert_int_equal(process_set_detail(process, DETAIL_STDOUT_TO, stdout_to, stdout_to ? strlen(stdout_to) : 0), 0);
	assert_int_equal(process_set_detail(process, DETAIL_STDERR_TO, stderr_to, stderr_to ? strlen(stderr_to) : 0), 0);
	return process;
}

static void two_that_lead_to_each_other_are_refused(void **state)
{
	struct process *process = make("stderr", "stdout");
	struct refusal why = {0};
	const struct caller caller = { .pid = getpid(), .uid = 1000, .why = &why };

	(void)state;
	assert_int_equal(redirection_check(process, &caller), -EINVAL);
	assert_non_null(strstr(why.sentence, "each other"));
	process_destroy(process);
}

static void only_a_program_of_the_owner_is_inherited_from(void **state)
{
	struct process *process = make(NULL, "inherit");
	struct caller caller = { .pid = getpid(), .uid = 0 };
	struct writer writer;

	(void)state;
	assert_int_equal(redirection_check(process, &caller), -EPERM);
	caller.uid = 1000;
	assert_int_equal(redirection_check(process, &caller), 0);
	assert_int_equal(redirection_keep_writer(process, &caller, &writer), 0);
	assert_int_equal(writer.pid, getpid());
	redirection_forget_writer(&writer);
	assert_int_equal(writer.pid, 0);
	process_destroy(process);
}

static void a_writer_is_kept_for_an_inherited_stream_alone(void **state)
{
	struct process *process = make("/dev/null", "stdout");
	const struct caller caller = { .pid = getpid(), .uid = 1000 };
	struct writer writer;

	(void)state;
	assert_int_equal(redirection_keep_writer(process, &caller, &writer), 0);
	assert_int_equal(writer.pid, 0);
	redirection_forget_writer(&writer);
	process_destroy(process);
}

static void a_launch_gets_descriptors_of_captured_streams_only(void **state)
{
	struct process *process = make("inherit 5", NULL);
	struct launch_spec spec = { .stdin_fd = -1, .stdout_fd = 10, .stderr_fd = 11 };
	const struct writer writer = { .pid = 42, .pid_fd = 12 };

	(void)state;
	redirection_apply(process, &writer, &spec);
	assert_int_equal(spec.stdout_fd, 12);
	assert_int_equal(spec.outputs[0].number, 5);
	assert_int_equal(spec.inherit_pid, 42);
	assert_int_equal(spec.stderr_fd, 11);
	assert_int_equal(spec.outputs[1].to, LAUNCH_TO_FD);
	process_destroy(process);
	process = make("stderr", "log");
	spec.stdout_fd = 10;
	redirection_apply(process, &(struct writer){0}, &spec);
	assert_int_equal(spec.stdout_fd, -1);
	assert_int_equal(spec.stderr_fd, -1);
	assert_string_equal(spec.outputs[1].path, "log");
	process_destroy(process);
}

static void each_failure_has_its_sentence(void **state)
{
	struct launch_spec spec = { .outputs = { { .to = LAUNCH_TO_FILE, .path = "/x/log" }, { .to = LAUNCH_TO_INHERITED, .number = 7 } } };
	struct refusal why;

	(void)state;
	redirection_describe(&spec, 0, ENOENT, &why);
	assert_non_null(strstr(why.sentence, "/x/log"));
	assert_non_null(strstr(why.sentence, strerror(ENOENT)));
	redirection_describe(&spec, 0, 0, &why);
	assert_non_null(strstr(why.sentence, "killed"));
	redirection_describe(&spec, 1, EINVAL, &why);
	assert_non_null(strstr(why.sentence, "of this mount"));
	redirection_describe(&spec, 1, EBADF, &why);
	assert_non_null(strstr(why.sentence, "descriptor 7"));
	redirection_describe(&spec, 1, EPERM, &why);
	assert_non_null(strstr(why.sentence, strerror(EPERM)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_taken_apart),
		cmocka_unit_test(what_means_nothing_is_refused_with_a_sentence),
		cmocka_unit_test(two_that_lead_to_each_other_are_refused),
		cmocka_unit_test(only_a_program_of_the_owner_is_inherited_from),
		cmocka_unit_test(a_writer_is_kept_for_an_inherited_stream_alone),
		cmocka_unit_test(a_launch_gets_descriptors_of_captured_streams_only),
		cmocka_unit_test(each_failure_has_its_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
