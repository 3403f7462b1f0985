#include "world.h"

#include "fs/ctl.h"
#include "fs/many.h"
#include "core/pattern.h"
#include "fs/resumption.h"
#include "fs/verbs.h"
#include "fs/whom.h"

static struct view view_of(struct world *world)
{
	return (struct view){ world->manager, NULL, &world->caller, false };
}

/* Parses and runs. */
static int run(struct world *world, const char *text, struct script *script, struct told *told)
{
	struct view view = view_of(world);
	enum script_state state;
	int error;

	*told = (struct told)TOLD;
	world->why.sentence[0] = '\0';
	error = script_parse(&view, text, strlen(text), script);
	if (error)
		*script = (struct script){0};
	return error ? error : script_run(script, &view, &told->waiter, &state);
}

static const struct {
	const char *text;
	int error;
	const char *part;
} bad[] = {
	{ "kill", -EINVAL, "kill whom? Say all, names or globs" },
	{ "join any", -EINVAL, "join any whom?" },
	{ "join 3", -EINVAL, "join whom?" },
	{ "signal", -EINVAL, "is no signal" },
	{ "signal HUP", -EINVAL, "signal NAME whom?" },
	{ "kill 'x", -EINVAL, "kill: " },
	{ "kill x\nfrob x", -EINVAL, "unknown verb frob; valid are: start, join" },
	{ "name x", -EINVAL, "unknown verb name" },
	{ "kill nobody", -ENOENT, "there is no process named nobody" },
	{ "kill all", -ENOENT, "'all'" },
	{ "kill n*", -ENOENT, "'n*'" },
	{ "kill new", -ESRCH, "new: can only signal a started process" },
	{ "join new 3", -ESRCH, "new: can only join a started process" },
};

static void a_line_that_cannot_be_done_is_refused_with_a_sentence(void **state)
{
	struct world *world = *state;
	struct script script;
	struct told told;

	world_make(world, "new");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(run(world, bad[i].text, &script, &told), bad[i].error);
		assert_non_null(strstr(world->why.sentence, bad[i].part));
		script_finish(&script);
	}
}

/* Parses alone. */
static int parse(struct world *world, const char *text)
{
	struct view view = view_of(world);
	struct script script;
	int error = script_parse(&view, text, strlen(text), &script);

	if (!error)
		script_finish(&script);
	return error;
}

static void a_line_has_so_many_patterns_and_no_more(void **state)
{
	struct world *world = *state;
	char text[PATTERN_LONGEST + 3 * WHOM_PATTERNS_MOST + 16] = "kill";

	world_make(world, "[new");
	for (size_t i = 0; i < WHOM_PATTERNS_MOST; i++)
		strcat(text, i % 2 ? " all" : " *");
	strcat(text, " [new [new");
	assert_int_equal(parse(world, text), 0);
	strcat(text, " ?");
	assert_int_equal(parse(world, text), -E2BIG);
	assert_non_null(strstr(world->why.sentence, "at most 64 patterns"));
	memset(text + sprintf(text, "kill "), '*', PATTERN_LONGEST + 1);
	text[5 + PATTERN_LONGEST] = '\0';
	assert_int_equal(parse(world, text), 0);
	text[5 + PATTERN_LONGEST] = '*';
	text[5 + PATTERN_LONGEST + 1] = '\0';
	assert_int_equal(parse(world, text), -E2BIG);
	assert_non_null(strstr(world->why.sentence, "at most 255 bytes"));
}

static const struct {
	const char *words;
	int error;
	size_t count;
	const char *part;
} chosen[] = {
	{ "*", 0, 3, "" },
	{ "all", 0, 3, "" },
	{ "all * all a? *2 a1 a1 b a1", 0, 3, "" },
	{ "a1 b a2", 0, 3, "" },
	{ "b b b", 0, 1, "" },
	{ "a1 a*", 0, 2, "" },
	{ "a* x* c", -ENOENT, 0, "'x*'" },
	{ "a* c x*", -ENOENT, 0, "named c" },
	{ "* hers x*", -EACCES, 0, "hers is not yours" },
	{ "x* hers", -ENOENT, 0, "'x*'" },
	{ "h*", -ENOENT, 0, "'h*'" },
	{ "* new*", -ENOENT, 0, "'new*'" },
	{ "* new1", 0, 4, "" },
};

/* Each word is seen to match, the first that does not is told, and nobody is chosen twice. */
static void whom_words_mean_is_chosen_once(void **state)
{
	struct world *world = *state;
	struct view view = view_of(world);

	world->caller.uid = 12345;
	world->surroundings.uid = 12345;
	world_run_as(world, world_make(world, "a1"), 2147480000);
	world_run_as(world, world_make(world, "a2"), 2147480001);
	world_run_as(world, world_make(world, "b"), 2147480002);
	world_make(world, "new1");
	world_run_as(world, world_make(world, "hers"), 2147480010);
	manager_by_directory(world->manager, "hers")->owner = 54321;
	for (size_t i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++) {
		struct step step = { .seconds = -1 };
		struct process_ids *ids = NULL;
		char text[64];

		for (size_t row = 0; !step.verb || strcmp(step.verb->word, "signal"); row++)
			step.verb = verb_row(row);
		world->why.sentence[0] = '\0';
		step.value = text;
		step.size = (size_t)snprintf(text, sizeof text, "TERM %s", chosen[i].words);
		assert_int_equal(many_parse(&view, &step), 0);
		assert_int_equal(whom_choose(&view, &step, false, &ids), chosen[i].error);
		assert_non_null(strstr(world->why.sentence, chosen[i].part));
		assert_int_equal(ids ? ids->count : 0, chosen[i].count);
		for (size_t j = 1; ids && j < ids->count; j++)
			assert_true(ids->id[j] > ids->id[j - 1]);
		free(ids);
		words_finish(&step.who);
	}
}

static void join_of_many_is_told_once_after_the_last_end(void **state)
{
	struct world *world = *state;
	struct process *a = world_make(world, "a"), *b = world_make(world, "b");
	struct script script;
	struct told told;

	world_run_as(world, a, 2147480000);
	world_run_as(world, b, 2147480001);
	assert_int_equal(run(world, "join b a all ? 7.5", &script, &told), 0);
	assert_true(script_limit(&script) == 7.5);
	world_end(world, b, 0);
	assert_int_equal(told.times, 0);
	world_end(world, a, 0);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.error, 0);
	script_finish(&script);
}

static void join_any_is_told_at_the_first_end_and_says_whose(void **state)
{
	struct world *world = *state;
	struct process *a = world_make(world, "a"), *b = world_make(world, "b");
	struct view view = view_of(world);
	struct script script;
	struct told told;

	world_run_as(world, a, 2147480000);
	world_run_as(world, b, 2147480001);
	assert_int_equal(run(world, "join any all", &script, &told), 0);
	world_end(world, b, 0);
	assert_int_equal(told.times, 1);
	assert_int_equal(script_wake(&script, &view, 0), 0);
	assert_true(script.has_answer);
	assert_int_equal(script.answer.size, 2);
	assert_memory_equal(script.answer.data, "b\n", 2);
	assert_true(LIST_EMPTY(&a->joining));
	script_finish(&script);
}

static void a_join_whose_time_is_over_names_those_that_still_run(void **state)
{
	struct world *world = *state;
	struct process *a = world_make(world, "a"), *b = world_make(world, "b\n");
	struct view view = view_of(world);
	struct script script;
	struct told told;

	world_run_as(world, a, 2147480000);
	world_run_as(world, b, 2147480001);
	assert_int_equal(run(world, "join all 0", &script, &told), -ETIME);
	assert_string_equal(world->why.sentence, "still running after 0 seconds: a, b\\012");
	script_finish(&script);
	assert_int_equal(run(world, "join all 2", &script, &told), 0);
	world_end(world, a, 0);
	assert_int_equal(script_wake(&script, &view, -ETIME), -ETIME);
	assert_string_equal(world->why.sentence, "still running after 2 seconds: b\\012");
	script_finish(&script);
	assert_int_equal(told.times, 0);
}

/* Only a start whose exec hangs can be joined and then vanish. */
static void a_join_of_many_ends_when_one_of_them_does_not_start(void **state)
{
	struct world *world = *state;
	struct process *a = world_make(world, "a"), *b = world_make(world, "b");
	struct view view = view_of(world);
	struct told started = TOLD, told;
	struct script script;
	struct ptable_ref ref;

	world_run_as(world, a, 2147480000);
	ref = world_begin(world, b, &started);
	atomic_store(&ptable_at(world->table, ref.index)->pid, 2147480001);
	assert_int_equal(run(world, "join all", &script, &told), 0);
	world_fail(world, ref, ENOENT);
	assert_int_equal(told.times, 1);
	assert_int_equal(script_wake(&script, &view, told.error), -ESRCH);
	assert_memory_equal(world->why.sentence, "b: cannot execute", 17);
	script_finish(&script);
	assert_true(LIST_EMPTY(&a->joining));
}

static void a_start_of_many_that_was_interrupted_is_not_asked_for_twice(void **state)
{
	struct world *world = *state;
	struct process *a = world_make(world, "a"), *b = world_make(world, "b");
	struct view view = view_of(world);
	struct script script;
	enum script_state reached;
	struct told told;
	struct ptable_ref refs[2];

	assert_int_equal(run(world, "start *", &script, &told), 0);
	script_finish(&script);
	refs[0] = world_take_launch(world);
	refs[1] = world_take_launch(world);
	world_succeed(world, refs[0], 2147480000);
	assert_int_equal(told.times, 0);
	assert_int_equal(script_parse(&view, "start *", 7, &script), 0);
	script_resume(&script, SCRIPT_INTERRUPTED, &(struct resumption){ .state = SCRIPT_WAITS_FOR_START });
	assert_int_equal(script_run(&script, &view, &told.waiter, &reached), 0);
	assert_int_equal(reached, SCRIPT_WAITS_FOR_START);
	world_succeed(world, refs[1], 2147480001);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.error, 0);
	assert_int_equal(a->run_count + b->run_count, 2);
	script_finish(&script);
}

static size_t run_for_no_time(struct world *world, struct script *script, struct told *told)
{
	struct view view = view_of(world);
	enum script_state reached;

	script->turn_ends = 1;
	assert_int_equal(script_run(script, &view, &told->waiter, &reached), 0);
	assert_int_equal(reached, script->next < script->count ? SCRIPT_WAITS_FOR_TURN : SCRIPT_DONE);
	return script->next;
}

static void a_script_whose_turn_is_over_goes_on_at_its_next_line(void **state)
{
	static const char text[] = "join any a\njoin a\nclose b\njoin a";
	struct world *world = *state;
	struct view view = view_of(world);
	struct resumption at = {0};
	struct told told = TOLD;
	struct script script;

	for (int i = 0; i < 2; i++) {
		struct process *process = world_make(world, i ? "b" : "a");

		world_run_as(world, process, 2147480000 + i);
		world_end(world, process, 0);
	}
	assert_int_equal(script_parse(&view, text, sizeof text - 1, &script), 0);
	assert_true(script_is_costly(&script));
	for (size_t line = 1; line <= 3; line++)
		assert_int_equal(run_for_no_time(world, &script, &told), line);
	assert_null(manager_by_directory(world->manager, "b"));
	script_place(&script, SCRIPT_WAITS_FOR_TURN, &at);
	assert_int_equal(at.state, SCRIPT_WAITS_FOR_TURN);
	struct script again;
	assert_int_equal(script_parse(&view, text, sizeof text - 1, &again), 0);
	script_resume(&again, SCRIPT_INTERRUPTED, &at);
	assert_int_equal(again.next, 0);
	script_resume(&again, SCRIPT_RESENT, &at);
	assert_int_equal(again.next, 3);
	assert_int_equal(again.done, sizeof text - 1 - 6);
	assert_int_equal(again.again, SCRIPT_ANEW);
	assert_int_equal(again.answer.size, 2);
	assert_int_equal(run_for_no_time(world, &again, &told), 4);
	assert_false(script_is_costly(&again));
	script_finish(&again);
	script_finish(&script);
}

/* A start that was interrupted is sent again, waits for its turn, and is interrupted again: it has begun all the same. */
static void a_line_that_has_begun_is_not_begun_anew_for_waiting_for_its_turn(void **state)
{
	struct world *world = *state;
	struct view view = view_of(world);
	struct resumption at = { .state = SCRIPT_WAITS_FOR_START };
	struct script script;

	world_make(world, "a");
	assert_int_equal(script_parse(&view, "start *", 7, &script), 0);
	/* Also when a server dies meanwhile. */
	for (enum script_again again = SCRIPT_ANEW; again <= SCRIPT_RESENT; again++) {
		script_resume(&script, again == SCRIPT_ANEW ? SCRIPT_INTERRUPTED : again, &at);
		assert_int_equal(script.again, SCRIPT_INTERRUPTED);
		script_place(&script, SCRIPT_WAITS_FOR_TURN, &at);
	}
	script_finish(&script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_line_that_cannot_be_done_is_refused_with_a_sentence),
		IN_WORLD(a_line_has_so_many_patterns_and_no_more),
		IN_WORLD(whom_words_mean_is_chosen_once),
		IN_WORLD(join_of_many_is_told_once_after_the_last_end),
		IN_WORLD(join_any_is_told_at_the_first_end_and_says_whose),
		IN_WORLD(a_join_whose_time_is_over_names_those_that_still_run),
		IN_WORLD(a_join_of_many_ends_when_one_of_them_does_not_start),
		IN_WORLD(a_script_whose_turn_is_over_goes_on_at_its_next_line),
		IN_WORLD(a_line_that_has_begun_is_not_begun_anew_for_waiting_for_its_turn),
		IN_WORLD(a_start_of_many_that_was_interrupted_is_not_asked_for_twice),
	};

	return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
