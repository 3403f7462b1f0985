#include "writes.h"

static struct view view_of(struct world *world, struct process *process)
{
	return (struct view){ world->manager, process, &world->caller, false };
}

static int parse(struct world *world, struct process *process, const char *text, struct script *out)
{
	struct view view = view_of(world, process);

	world->why.sentence[0] = '\0';
	return script_parse(&view, text, strlen(text), out);
}

/* ---- words ---- */

static const struct {
	const char *text;
	size_t steps;
	size_t ends[4];
} good[] = {
	{ "start", 1, { 5 } },
	{ "start\n", 1, { 6 } },
	{ "  start \t\n", 1, { 10 } },
	{ "\n\nstart\n\n", 1, { 8 } },
	{ "start\njoin", 2, { 6, 10 } },
	{ "start\n\n  \njoin 1\n", 2, { 6, 17 } },
	{ "target /bin/sleep\nargs 100\nstart\njoin", 4, { 18, 27, 33, 37 } },
	{ "target\n", 1, { 7 } },
	{ "args 'a b' c", 1, { 12 } },
	{ "name with  blanks ", 1, { 18 } },
	{ "help", 1, { 4 } },
	{ "terminate\nkill\nclose", 3, { 10, 15, 20 } },
	{ "daemon 1\numask 22\nstart_method fork", 3, { 9, 18, 35 } },
};

static void good_scripts_have_a_step_for_each_line_and_say_where_it_ends(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct script script;

		assert_int_equal(parse(world, process, good[i].text, &script), 0);
		assert_int_equal(script.count, good[i].steps);
		assert_int_equal(script.next, 0);
		assert_int_equal(script.done, 0);
		for (size_t j = 0; j < script.count; j++) {
			assert_int_equal(script.steps[j].end, good[i].ends[j]);
			assert_true(!script.steps[j].verb == !!script.steps[j].row);
		}
		script_finish(&script);
	}
}

static const struct {
	const char *text;
	int error;
	const char *part;
} bad[] = {
	{ "", -EINVAL, "there is no verb" },
	{ "\n", -EINVAL, "there is no verb" },
	{ " \t\n ", -EINVAL, "there is no verb" },
	{ "frobnicate", -EINVAL, "unknown verb frobnicate; valid are: start, join [SECONDS], terminate [tree], kill [tree], signal NAME" },
	{ "Start", -EINVAL, "unknown verb Start" },
	{ "it's", -EINVAL, "unknown verb" },
	{ "pid 5", -EINVAL, "pid can be read, not written" },
	{ "ctl start", -EINVAL, "ctl cannot be set through ctl" },
	{ "stdin hello", -EINVAL, "stdin cannot be set through ctl: write to the file itself" },
	{ "start now", -EINVAL, "start takes no word, not 'now'" },
	{ "kill -9", -EINVAL, "kill takes no word but tree, not '-9'" },
	{ "terminate x", -EINVAL, "terminate takes no word but tree" },
	{ "close\r", -EINVAL, "unknown verb" },
	{ "join x", -EINVAL, "join takes a number of seconds, not 'x'" },
	{ "join 1 2", -EINVAL, "'1 2'" },
	{ "join 1s", -EINVAL, "'1s'" },
	{ "join 0x10", -EINVAL, "'0x10'" },
	{ "join nan", -EINVAL, "'nan'" },
	{ "join -nan", -EINVAL, "'-nan'" },
	{ "join inf", -EINVAL, "'inf'" },
	{ "join -inf", -EINVAL, "'-inf'" },
	{ "join .", -EINVAL, "'.'" },
	{ "join -", -EINVAL, "'-'" },
	{ "join +1", -EINVAL, "'+1'" },
	{ "join 1e", -EINVAL, "'1e'" },
	{ "signal", -EINVAL, "'' is no signal; valid are: HUP INT QUIT" },
	{ "signal FOO", -EINVAL, "'FOO' is no signal" },
	{ "daemon 2", -EINVAL, "'2' is not valid for daemon" },
	{ "args 'a", -EINVAL, "args: " },
	{ "umask 9", -EINVAL, "'9' is no mask" },
	{ "env A", -EINVAL, "KEY=value" },
	{ "start\nstart\nfoo", -EINVAL, "unknown verb foo" },
};

static void bad_scripts_are_refused_with_a_sentence(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct script untouched = { .count = 77 };

		assert_int_equal(parse(world, process, bad[i].text, &untouched), bad[i].error);
		assert_non_null(strstr(world->why.sentence, bad[i].part));
		assert_int_equal(untouched.count, 77);
	}
}

static void a_nul_is_no_part_of_a_verb(void **state)
{
	struct world *world = *state;
	struct view view = view_of(world, world_make(world, "x"));
	struct script script;

	assert_int_equal(script_parse(&view, "start\0", 6, &script), -EINVAL);
	assert_non_null(strstr(world->why.sentence, "NUL"));
	assert_int_equal(script_parse(&view, "target a\0b\nstart", 16, &script), -EINVAL);
}

static void the_largest_script_is_taken_and_one_byte_more_is_e2big(void **state)
{
	struct world *world = *state;
	struct view view = view_of(world, world_make(world, "x"));
	char *text = malloc(SCRIPT_LARGEST + 1);
	struct script script;

	assert_non_null(text);
	memset(text, '\n', SCRIPT_LARGEST + 1);
	memcpy(text, "help", 4);
	memcpy(text + SCRIPT_LARGEST - 5, "help\n", 5);
	assert_int_equal(script_parse(&view, text, SCRIPT_LARGEST, &script), 0);
	assert_int_equal(script.count, 2);
	assert_int_equal(script.steps[1].end, SCRIPT_LARGEST);
	script_finish(&script);
	assert_int_equal(script_parse(&view, text, SCRIPT_LARGEST + 1, &script), -E2BIG);
	assert_non_null(strstr(world->why.sentence, "65536"));
	free(text);
}

static void values_are_what_stands_behind_the_first_word(void **state)
{
	static const struct {
		const char *text, *value;
	} rows[] = {
		{ "name", "" }, { "name ", "" }, { "name x", "x" }, { "name  \t x  y ", "x  y " }, { "join  5 \t", "5" },
		{ "signal\tHUP\n", "HUP" },
	};
	struct world *world = *state;
	struct process *process = world_make(world, "x");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct script script;

		assert_int_equal(parse(world, process, rows[i].text, &script), 0);
		assert_string_equal(script.steps[0].value, rows[i].value);
		assert_int_equal(script.steps[0].size, strlen(rows[i].value));
		script_finish(&script);
	}
}

static void seconds_are_decimal_and_less_than_none_is_none(void **state)
{
	static const struct {
		const char *text;
		double seconds;
	} rows[] = {
		{ "join", -1 }, { "join ", -1 }, { "join 0", 0 }, { "join 5", 5 }, { "join 0.25", 0.25 }, { "join .5", 0.5 },
		{ "join 2.", 2 }, { "join 1e3", 1000 }, { "join 1E-3", 0.001 }, { "join -1", 0 }, { "join -0.0", 0 },
		{ "join 007", 7 },
	};
	struct world *world = *state;
	struct process *process = world_make(world, "x");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct script script;

		assert_int_equal(parse(world, process, rows[i].text, &script), 0);
		assert_true(script_limit(&script) == rows[i].seconds);
		script_finish(&script);
	}
}

static void signals_have_names_in_any_case_and_numbers(void **state)
{
	const struct {
		const char *word;
		int number; /* 0: refused */
	} rows[] = {
		{ "HUP", SIGHUP }, { "SIGHUP", SIGHUP }, { "sigterm", SIGTERM }, { "Usr1", SIGUSR1 }, { "KILL", SIGKILL },
		{ "9", 9 }, { "09", 9 }, { "64", 64 }, { "RTMIN", SIGRTMIN }, { "SIGRTMIN+1", SIGRTMIN + 1 },
		{ "rtmax-2", SIGRTMAX - 2 }, { "RTMAX", SIGRTMAX }, { "RTMIN+0", SIGRTMIN },
		{ "0", 0 }, { "65", 0 }, { "-9", 0 }, { "9x", 0 }, { "99999999999999999999", 0 }, { "SIG", 0 }, { "SIGSIGHUP", 0 },
		{ "HUPX", 0 }, { "SIG9", 0 }, { "RTMIN-1", 0 }, { "RTMAX+1", 0 }, { "RTMIN+31", 0 }, { "RTMIN+", 0 }, { "RTMIN+x", 0 },
		{ "RTMIN+1x", 0 }, { "RTMINx", 0 }, { "RTMIN1", 0 }, { "RTMAX+9223372036854775807", 0 },
		{ "RTMIN+99999999999999999999", 0 }, { "RTMIN-9223372036854775808", 0 }, { "RTMIN--1", 0 }, { "RTMIN+-1", 0 },
		{ "KILL now", 0 }, { "+9", 0 },
	};
	struct world *world = *state;
	struct process *process = world_make(world, "x");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct script script;
		char line[80];
		int error;

		snprintf(line, sizeof(line), "signal %s", rows[i].word);
		error = parse(world, process, line, &script);
		assert_int_equal(error, rows[i].number ? 0 : -EINVAL);
		if (error)
			continue;
		assert_int_equal(script.steps[0].signal_number, rows[i].number);
		script_finish(&script);
	}
}

/* ---- running ---- */

static void nothing_is_done_when_the_last_line_is_bad(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct script script;

	assert_int_equal(parse(world, process, "target /bin/sleep\nname changed\ndaemon 1\nstart\ndaemon 2\n", &script), -EINVAL);
	assert_string_equal(process->configuration.target.bytes, "/bin/true");
	assert_string_equal(process_name(process), "x");
	assert_false(process->daemonic);
	assert_int_equal(process->state, PROCESS_INITIAL);
}

static void a_script_configures_starts_waits_and_goes_on(void **state)
{
	static const char text[] = "name label\nargs a b\nstart\njoin 5\nname after";
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct write write;
	struct ptable_ref ref;

	assert_int_equal(begin(&write, world, process, text), 0);
	assert_int_equal(write.reached, SCRIPT_WAITS_FOR_START);
	assert_string_equal(process->name, "label");
	assert_int_equal(process->configuration.args.count, 2);
	assert_int_equal(write.script.done, 20);
	assert_true(script_limit(&write.script) < 0);
	ref = world_take_launch(world);
	world_succeed(world, ref, 2147480000);
	assert_int_equal(write.told.times, 1);
	assert_int_equal(script_wake(&write.script, &write.view, write.told.error), 0);
	assert_int_equal(write.script.done, 26);
	assert_int_equal(script_run(&write.script, &write.view, &write.told.waiter, &write.reached), 0);
	assert_int_equal(write.reached, SCRIPT_WAITS_FOR_END);
	assert_true(script_limit(&write.script) == 5);
	world_end(world, process, 0);
	assert_int_equal(write.told.times, 2);
	assert_int_equal(script_wake(&write.script, &write.view, write.told.error), 0);
	assert_int_equal(script_run(&write.script, &write.view, &write.told.waiter, &write.reached), 0);
	assert_int_equal(write.reached, SCRIPT_DONE);
	assert_int_equal(write.script.done, sizeof(text) - 1);
	assert_string_equal(process->name, "after");
	script_finish(&write.script);
}

static void the_line_that_fails_ends_the_script_and_the_sentence_says_what_was_done(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct write write;

	assert_int_equal(begin(&write, world, process, "name label\njoin 3\nname never"), -ESRCH);
	assert_string_equal(world->why.sentence, "can only join a started process (line 2; done before it: name label)");
	assert_string_equal(process->name, "label");
	assert_int_equal(write.script.done, 11);
	script_finish(&write.script);
	assert_int_equal(begin(&write, world, process, "join"), -ESRCH);
	assert_string_equal(world->why.sentence, "can only join a started process");
	script_finish(&write.script);
}

static void a_running_process_is_asked_line_by_line_what_it_still_takes(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct write write;

	world_run_as(world, process, 2147480000);
	assert_int_equal(begin(&write, world, process, "name label\ntarget /bin/false\nname never"), -EBUSY);
	assert_string_equal(world->why.sentence, "process has already started (line 2; done before it: name label)");
	assert_string_equal(process->name, "label");
	assert_string_equal(process->configuration.target.bytes, "/bin/true");
	script_finish(&write.script);
}

static void a_start_that_fails_gives_execs_errno_and_sentence(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct write write;
	struct ptable_ref ref;

	assert_int_equal(begin(&write, world, process, "target /no/thing\nstart\njoin"), 0);
	ref = world_take_launch(world);
	world_fail(world, ref, ENOENT);
	assert_int_equal(write.told.error, -ENOENT);
	assert_int_equal(script_wake(&write.script, &write.view, write.told.error), -ENOENT);
	assert_non_null(strstr(world->why.sentence, "cannot execute /no/thing: No such file or directory"));
	assert_non_null(strstr(world->why.sentence, "(line 2; done before it: target /no/thing)"));
	assert_int_equal(write.script.done, 17);
	script_finish(&write.script);
}

static void join_of_0_seconds_only_asks(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct write write;

	world_run_as(world, process, 2147480000);
	assert_int_equal(begin(&write, world, process, "join 0"), -ETIME);
	assert_string_equal(world->why.sentence, "still running after 0 seconds");
	assert_false(write.told.waiter.waiting);
	script_finish(&write.script);
	world_end(world, process, 0);
	assert_int_equal(begin(&write, world, process, "join 0"), 0);
	assert_int_equal(write.reached, SCRIPT_DONE);
	script_finish(&write.script);
	assert_int_equal(write.told.times, 0);
}

static void a_join_whose_time_is_over_says_how_long_it_was(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct write write;

	world_run_as(world, process, 2147480000);
	assert_int_equal(begin(&write, world, process, "join 0.25"), 0);
	assert_int_equal(write.reached, SCRIPT_WAITS_FOR_END);
	waiter_cancel(&write.told.waiter);
	assert_int_equal(script_wake(&write.script, &write.view, -ETIME), -ETIME);
	assert_string_equal(world->why.sentence, "still running after 0.25 seconds");
	script_finish(&write.script);
}

static void after_close_there_is_no_process(void **state)
{
	struct world *world = *state;
	struct write write;

	assert_int_equal(begin(&write, world, world_make(world, "x"), "close\nname y"), -ESRCH);
	assert_non_null(strstr(world->why.sentence, "process object is closed (line 2; done before it: close)"));
	assert_true(write.script.removed);
	assert_null(manager_by_directory(world->manager, "x"));
	script_finish(&write.script);
}

static void a_process_that_is_removed_while_a_script_waits_is_closed_for_it(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct write write;

	world_run_as(world, process, 2147480000);
	assert_int_equal(begin(&write, world, process, "join\nname y"), 0);
	world_end(world, process, 0);
	assert_int_equal(manager_remove(world->manager, process, NULL), 0);
	write.view.process = NULL;
	assert_int_equal(script_wake(&write.script, &write.view, write.told.error), 0);
	assert_int_equal(script_run(&write.script, &write.view, &write.told.waiter, &write.reached), -ESRCH);
	assert_non_null(strstr(world->why.sentence, "process object is closed"));
	script_finish(&write.script);
}

/* ---- sent again after an interruption ---- */

static int resume(struct write *write, const char *text, enum script_state state)
{
	struct world *world = write->world;

	write->told = (struct told)TOLD;
	assert_int_equal(parse(world, write->view.process, text, &write->script), 0);
	script_resume(&write->script, SCRIPT_INTERRUPTED, &(struct resumption){ .state = state });
	return script_run(&write->script, &write->view, &write->told.waiter, &write->reached);
}

static void interrupt(struct write *write)
{
	waiter_cancel(&write->told.waiter);
	script_finish(&write->script);
}

static void a_start_that_was_interrupted_is_not_asked_for_twice(void **state)
{
	static const char TEXT[] = "start\nname after";
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct write write;

	assert_int_equal(begin(&write, world, process, TEXT), 0);
	interrupt(&write);
	assert_int_equal(resume(&write, TEXT, SCRIPT_WAITS_FOR_START), 0);
	assert_int_equal(write.reached, SCRIPT_WAITS_FOR_START);
	interrupt(&write);
	world_succeed(world, world_take_launch(world), 2147480000);
	assert_int_equal(resume(&write, TEXT, SCRIPT_WAITS_FOR_START), 0);
	assert_int_equal(write.reached, SCRIPT_DONE);
	assert_string_equal(process->name, "after");
	assert_int_equal(process->run_count, 1);
	script_finish(&write.script);
}

static void a_script_that_did_not_wait_for_its_start_starts_when_sent_again(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct write write;

	world_run_as(world, process, 2147480000);
	assert_int_equal(begin(&write, world, process, "join"), 0);
	interrupt(&write);
	assert_int_equal(resume(&write, "start", SCRIPT_WAITS_FOR_END), -EALREADY);
	assert_string_equal(world->why.sentence, "cannot start a process twice");
	script_finish(&write.script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(good_scripts_have_a_step_for_each_line_and_say_where_it_ends),
		IN_WORLD(bad_scripts_are_refused_with_a_sentence),
		IN_WORLD(a_nul_is_no_part_of_a_verb),
		IN_WORLD(the_largest_script_is_taken_and_one_byte_more_is_e2big),
		IN_WORLD(values_are_what_stands_behind_the_first_word),
		IN_WORLD(seconds_are_decimal_and_less_than_none_is_none),
		IN_WORLD(signals_have_names_in_any_case_and_numbers),
		IN_WORLD(nothing_is_done_when_the_last_line_is_bad),
		IN_WORLD(a_script_configures_starts_waits_and_goes_on),
		IN_WORLD(the_line_that_fails_ends_the_script_and_the_sentence_says_what_was_done),
		IN_WORLD(a_running_process_is_asked_line_by_line_what_it_still_takes),
		IN_WORLD(a_start_that_fails_gives_execs_errno_and_sentence),
		IN_WORLD(join_of_0_seconds_only_asks),
		IN_WORLD(a_join_whose_time_is_over_says_how_long_it_was),
		IN_WORLD(after_close_there_is_no_process),
		IN_WORLD(a_process_that_is_removed_while_a_script_waits_is_closed_for_it),
		IN_WORLD(a_start_that_was_interrupted_is_not_asked_for_twice),
		IN_WORLD(a_script_that_did_not_wait_for_its_start_starts_when_sent_again),
	};

	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
