/* A write that waits when its server dies, and comes again: it goes on where it was. */
#include "writes.h"

#include "fs/whom.h"

/* Where it is, as a journal keeps it. */
static void keep(const struct write *write, struct text *out)
{
	struct resumption at = { .unique = 8, .deadline = 123456789 };

	script_place(&write->script, write->reached, &at);
	resumption_pack(&at, out);
}

/* The server dies, and what happens before the kernel sends the write again is the caller's. */
static void die(struct write *write, struct text *kept)
{
	keep(write, kept);
	script_finish(&write->script);
	waiter_cancel(&write->told.waiter);
}

static int come_again(struct write *write, struct text *kept, const char *text)
{
	struct record_reader from = record_reader_of(kept->data, kept->size);
	struct resumption *at = NULL;

	assert_int_equal(resumption_unpack(&from, &at), 0);
	assert_ptr_equal(from.at, from.end);
	assert_true(at->unique == 8 && at->deadline == 123456789 && at->state == (int)write->reached);
	write->told = (struct told)TOLD;
	write->world->why.sentence[0] = '\0';
	assert_int_equal(script_parse(&write->view, text, strlen(text), &write->script), 0);
	script_resume(&write->script, SCRIPT_RESENT, at);
	resumption_destroy(at);
	text_finish(kept);
	return script_run(&write->script, &write->view, &write->told.waiter, &write->reached);
}

/* ---- one process ---- */

static const char START[] = "name before\nstart\nname after";

static void a_start_that_is_under_way_is_awaited_and_lines_before_it_are_not_done_again(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct text kept = {0};
	struct write write;

	assert_int_equal(begin(&write, world, process, START), 0);
	struct ptable_ref ref = world_take_launch(world);
	die(&write, &kept);
	assert_int_equal(come_again(&write, &kept, START), 0);
	assert_int_equal(write.reached, SCRIPT_WAITS_FOR_START);
	assert_int_equal(write.script.done, strlen("name before\nstart\n") - strlen("start\n"));
	world_succeed(world, ref, 2147480000);
	assert_int_equal(write.told.times, 1);
	assert_int_equal(write.told.error, 0);
	assert_int_equal(process->run_count, 1);
	script_finish(&write.script);
}

static void a_start_that_has_succeeded_meanwhile_is_done(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct text kept = {0};
	struct write write;

	assert_int_equal(begin(&write, world, process, "start\nname y"), 0);
	struct ptable_ref ref = world_take_launch(world);
	die(&write, &kept);
	world_succeed(world, ref, 2147480000);
	assert_int_equal(come_again(&write, &kept, "start\nname y"), 0);
	assert_int_equal(write.reached, SCRIPT_DONE);
	assert_int_equal(process->run_count, 1);
	assert_string_equal(process->name, "y");
	script_finish(&write.script);
}

static void a_start_that_has_failed_meanwhile_gives_its_errno_and_sentence_and_is_not_tried_again(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct text kept = {0};
	struct write write;

	assert_int_equal(begin(&write, world, process, START), 0);
	struct ptable_ref ref = world_take_launch(world);
	die(&write, &kept);
	world_fail(world, ref, ENOENT);
	assert_int_equal(process->start_error, -ENOENT);
	assert_int_equal(come_again(&write, &kept, START), -ENOENT);
	assert_non_null(strstr(world->why.sentence, "cannot execute /bin/true"));
	assert_non_null(strstr(world->why.sentence, "line 2; done before it: name before"));
	assert_int_equal(process->run_count, 1);
	script_finish(&write.script);
	assert_int_equal(begin(&write, world, process, "start"), 0);
	assert_int_equal(process->start_error, 0);
	script_finish(&write.script);
	waiter_cancel(&write.told.waiter);
	world_succeed(world, world_take_launch(world), 2147480000);
}

static void a_start_whose_process_has_ended_and_was_reset_meanwhile_is_done(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct text kept = {0};
	struct write write;

	assert_int_equal(begin(&write, world, process, "start"), 0);
	struct ptable_ref ref = world_take_launch(world);
	die(&write, &kept);
	world_succeed(world, ref, 2147480000);
	world_end(world, process, 0);
	assert_int_equal(manager_reset(world->manager, process, NULL), 0);
	assert_int_equal(come_again(&write, &kept, "start"), 0);
	assert_int_equal(write.reached, SCRIPT_DONE);
	assert_int_equal(process->run_count, 1);
	script_finish(&write.script);
}

static void a_join_waits_on_or_is_done_when_the_end_has_come_and_gone(void **state)
{
	enum { RUNS, ENDED, RESET, CASES };
	struct world *world = *state;
	struct process *process = world_make(world, "x");

	for (int i = RUNS; i < CASES; i++) {
		struct text kept = {0};
		struct write write;

		world_run_as(world, process, 2147480000);
		assert_int_equal(begin(&write, world, process, "name z\njoin 7\nname w"), 0);
		assert_int_equal(write.reached, SCRIPT_WAITS_FOR_END);
		die(&write, &kept);
		if (i >= ENDED)
			world_end(world, process, 0);
		if (i >= RESET)
			assert_int_equal(manager_reset(world->manager, process, NULL), 0);
		assert_int_equal(come_again(&write, &kept, "name z\njoin 7\nname w"), 0);
		assert_int_equal(write.reached, i == RUNS ? SCRIPT_WAITS_FOR_END : SCRIPT_DONE);
		assert_int_equal(write.script.next, i == RUNS ? 1 : 3);
		script_finish(&write.script);
		waiter_cancel(&write.told.waiter);
		if (i == RUNS)
			world_end(world, process, 0);
		assert_int_equal(manager_reset(world->manager, process, NULL), 0);
	}
}

static void a_line_that_comes_again_after_it_was_done_anew_is_not_taken_for_the_one_that_waited(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct text kept = {0};
	struct write write;

	assert_int_equal(begin(&write, world, process, "start\njoin"), 0);
	struct ptable_ref ref = world_take_launch(world);
	die(&write, &kept);
	assert_int_equal(come_again(&write, &kept, "start\njoin"), 0);
	world_succeed(world, ref, 2147480000);
	assert_int_equal(script_wake(&write.script, &write.view, 0), 0);
	assert_int_equal(write.script.again, SCRIPT_ANEW);
	assert_int_equal(script_run(&write.script, &write.view, &write.told.waiter, &write.reached), 0);
	assert_int_equal(write.reached, SCRIPT_WAITS_FOR_END);
	script_finish(&write.script);
	waiter_cancel(&write.told.waiter);
}

/* ---- the root's ctl ---- */

static void a_start_of_many_asks_none_twice_and_names_the_one_that_failed_meanwhile(void **state)
{
	struct world *world = *state;
	struct process *some[] = { world_make(world, "a"), world_make(world, "b"), world_make(world, "c") };
	struct ptable_ref refs[3];
	struct text kept = {0};
	struct write write;

	assert_int_equal(begin(&write, world, NULL, "start *"), 0);
	for (int i = 0; i < 3; i++)
		refs[i] = world_take_launch(world);
	die(&write, &kept);
	world_succeed(world, refs[0], 2147480000);
	world_fail(world, refs[1], ENOENT);
	world_make(world, "d"); /* the glob would choose it now */
	assert_int_equal(come_again(&write, &kept, "start *"), 0);
	assert_int_equal(write.reached, SCRIPT_WAITS_FOR_START);
	assert_int_equal(write.told.times, 0);
	world_succeed(world, refs[2], 2147480001);
	assert_int_equal(write.told.times, 1);
	assert_int_equal(write.told.error, -ENOENT);
	assert_int_equal(script_wake(&write.script, &write.view, write.told.error), -ENOENT);
	assert_non_null(strstr(world->why.sentence, "b: cannot execute /bin/true"));
	for (int i = 0; i < 3; i++)
		assert_int_equal(some[i]->run_count, 1);
	assert_int_equal(manager_by_directory(world->manager, "d")->run_count, 0);
	script_finish(&write.script);
}

/* Of two that run and are waited for, `a` ends and goes while there is no server. Result: the other. */
static struct process *wait_for_two(struct write *write, struct world *world, const char *text)
{
	struct process *a = world_make(world, "a"), *b = world_make(world, "b");
	struct text kept = {0};

	world_run_as(world, a, 2147480000);
	world_run_as(world, b, 2147480001);
	assert_int_equal(begin(write, world, NULL, text), 0);
	die(write, &kept);
	world_end(world, a, 0);
	assert_int_equal(manager_remove(world->manager, a, NULL), 0);
	assert_int_equal(come_again(write, &kept, text), 0);
	return b;
}

static void a_join_of_many_goes_on_though_one_of_them_has_ended_and_gone(void **state)
{
	struct world *world = *state;
	struct write write;
	struct process *b = wait_for_two(&write, world, "join a b 5");

	assert_int_equal(write.reached, SCRIPT_WAITS_FOR_END);
	assert_true(script_limit(&write.script) == 5);
	world_end(world, b, 0);
	assert_int_equal(write.told.times, 1);
	script_finish(&write.script);
}

static void join_any_answers_though_the_end_came_meanwhile_and_an_answer_before_it_is_kept(void **state)
{
	static const char TEXT[] = "join any a\njoin any b c";
	struct world *world = *state;
	struct process *a = world_make(world, "a"), *b = world_make(world, "b"), *c = world_make(world, "c");
	struct text kept = {0};
	struct write write;

	world_run_as(world, a, 2147480000);
	world_run_as(world, b, 2147480001);
	world_run_as(world, c, 2147480002);
	world_end(world, a, 0);
	assert_int_equal(begin(&write, world, NULL, TEXT), 0);
	assert_int_equal(write.script.next, 1);
	die(&write, &kept);
	assert_int_equal(come_again(&write, &kept, TEXT), 0);
	assert_int_equal(write.reached, SCRIPT_WAITS_FOR_END);
	assert_true(write.script.has_answer && write.script.answer.size == 2 && !memcmp(write.script.answer.data, "a\n", 2));
	die(&write, &kept);
	world_end(world, c, 0);
	assert_int_equal(come_again(&write, &kept, TEXT), 0);
	assert_int_equal(write.reached, SCRIPT_DONE);
	assert_true(write.script.answer.size == 2 && !memcmp(write.script.answer.data, "c\n", 2));
	script_finish(&write.script);
}

static void join_any_names_one_that_has_ended_and_gone_meanwhile(void **state)
{
	struct world *world = *state;
	struct write write;
	struct process *b = wait_for_two(&write, world, "join any a b");

	assert_int_equal(write.reached, SCRIPT_DONE);
	assert_true(write.script.answer.size == 2 && !memcmp(write.script.answer.data, "a\n", 2));
	script_finish(&write.script);
	world_end(world, b, 0);
}

/* ---- bytes ---- */

static void what_is_cut_or_boasts_is_no_resumption(void **state)
{
	struct process_ids *ids = malloc(sizeof *ids + 2 * sizeof *ids->id);
	struct resumption at = {
		.unique = 300, .next = 3, .done = 70, .names = (char *)(uintptr_t)"b\nc\n", .names_size = 4,
		.answer = (char *)(uintptr_t)"a\n", .answer_size = 2,
	};
	struct resumption *out = NULL;
	struct text text = {0};

	(void)state;
	assert_non_null(ids);
	ids->count = 2;
	ids->id[0] = 7;
	ids->id[1] = 9;
	at.chosen = ids;
	resumption_pack(&at, &text);
	for (size_t size = 0; size < text.size; size++)
		assert_int_equal(resumption_unpack(&(struct record_reader){ text.data, text.data + size, false, false }, &out), -EPROTO);
	assert_int_equal(resumption_unpack(&(struct record_reader){ text.data, text.data + text.size, false, false }, &out), 0);
	assert_true(out->unique == 300 && out->next == 3 && out->done == 70 && out->answer_size == 2);
	assert_true(out->names_size == 4 && !memcmp(out->names, "b\nc\n", 4));
	assert_true(out->chosen->count == 2 && out->chosen->id[0] == 7 && out->chosen->id[1] == 9);
	resumption_destroy(out);
	text_finish(&text);
	for (int i = 0; i < 5; i++)
		record_put_number(&text, 1);
	record_put_number(&text, UINT64_MAX / 8); /* so many ids */
	assert_int_equal(resumption_unpack(&(struct record_reader){ text.data, text.data + text.size, false, false }, &out), -EPROTO);
	text_finish(&text);
	free(ids);
}

/* Fewer lines than ids, no last newline, none at all, a NUL. */
static void names_that_are_missing_are_not_answered(void **state)
{
	static const struct { const char *names; size_t size; const char *answer; } CASES[] = {
		{ "a\nb\n", 4, "a\nb\n" }, { "a\n", 2, "a\n" }, { "a\nb", 3, "a\nb" }, { "", 0, "" }, { "a\0b", 3, "a\0b" },
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct resumption at = { .state = SCRIPT_WAITS_FOR_END, .names_size = CASES[i].size };
		struct write write = { .view = { world->manager, NULL, &world->caller, false }, .told = TOLD };

		at.names = (char *)(uintptr_t)CASES[i].names;
		at.chosen = malloc(sizeof *at.chosen + 2 * sizeof *at.chosen->id);
		*at.chosen = (struct process_ids){ .count = 2 };
		at.chosen->id[0] = 97; /* gone, both */
		at.chosen->id[1] = 98;
		assert_int_equal(script_parse(&write.view, "join any a b", 12, &write.script), 0);
		script_resume(&write.script, SCRIPT_RESENT, &at);
		assert_int_equal(script_run(&write.script, &write.view, &write.told.waiter, &write.reached), 0);
		assert_int_equal(write.reached, SCRIPT_DONE);
		assert_true(write.script.has_answer && write.script.answer.size == CASES[i].size);
		assert_true(!CASES[i].size || !memcmp(write.script.answer.data, CASES[i].answer, CASES[i].size));
		script_finish(&write.script);
	}
}

/* Deadlines are of this clock. */
static void a_loops_time_is_the_clock_that_all_processes_share(void **state)
{
	struct world *world = *state;
	int64_t before = world_clock();

	uv_update_time(&world->loop);
	assert_in_range(uv_now(&world->loop), before - 20, world_clock() + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_start_that_is_under_way_is_awaited_and_lines_before_it_are_not_done_again),
		IN_WORLD(a_start_that_has_succeeded_meanwhile_is_done),
		IN_WORLD(a_start_that_has_failed_meanwhile_gives_its_errno_and_sentence_and_is_not_tried_again),
		IN_WORLD(a_start_whose_process_has_ended_and_was_reset_meanwhile_is_done),
		IN_WORLD(a_join_waits_on_or_is_done_when_the_end_has_come_and_gone),
		IN_WORLD(a_line_that_comes_again_after_it_was_done_anew_is_not_taken_for_the_one_that_waited),
		IN_WORLD(a_start_of_many_asks_none_twice_and_names_the_one_that_failed_meanwhile),
		IN_WORLD(a_join_of_many_goes_on_though_one_of_them_has_ended_and_gone),
		IN_WORLD(join_any_answers_though_the_end_came_meanwhile_and_an_answer_before_it_is_kept),
		IN_WORLD(join_any_names_one_that_has_ended_and_gone_meanwhile),
		cmocka_unit_test(what_is_cut_or_boasts_is_no_resumption),
		IN_WORLD(names_that_are_missing_are_not_answered),
		IN_WORLD(a_loops_time_is_the_clock_that_all_processes_share),
	};

	return cmocka_run_group_tests_name("resumption", tests, NULL, NULL);
}
