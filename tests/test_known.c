#include "world.h"

#include "fs/known.h"

static char *shown(int (*show)(const struct view *, struct text *), const struct view *view)
{
	struct text out = {0};

	assert_int_equal(show(view, &out), 0);
	return text_take(&out, NULL);
}

static void expect(int (*show)(const struct view *, struct text *), const struct view *view, const char *expected)
{
	char *got = shown(show, view);

	assert_string_equal(got, expected);
	free(got);
}

static void expect_part(int (*show)(const struct view *, struct text *), const struct view *view, const char *part)
{
	char *got = shown(show, view);

	assert_non_null(strstr(got, part));
	free(got);
}

static void nothing_is_known_before_the_start(void **state)
{
	struct world *world = *state;
	struct view view = { world->manager, world_make(world, "x"), &world->caller, false };

	expect(started_show, &view, "");
	expect(ended_show, &view, "");
	expect(rusage_show, &view, "");
	expect_part(status_json_show, &view, "\"rusage\": null");
}

/* The keeper has recorded the end, and its word of it is still on the way: the pid may be another's by now. */
static void what_has_ended_is_read_from_the_table_before_its_end_is_told(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct view view = { world->manager, process, &world->caller, false };

	world_run(world, process);
	expect_part(rusage_show, &view, "nivcsw ");
	ptable_end_at(world->table, process->launch.index)->usage = (struct usage){
		.utime = { 7, 25 }, .stime = { 0, 999999 }, .maxrss_kib = 1, .minflt = 2, .majflt = 3, .inblock = 4, .oublock = 5,
		.nvcsw = 6, .nivcsw = 7,
	};
	ptable_at(world->table, process->launch.index)->status = 0;
	assert_true(ptable_step(world->table, process->launch, PTABLE_RUNNING, PTABLE_ENDED));
	expect(rusage_show, &view, "utime 7.000025\nstime 0.999999\nmaxrss 1\nminflt 2\nmajflt 3\ninblock 4\noublock 5\nnvcsw 6\nnivcsw 7\n");
	assert_int_equal(process->state, PROCESS_RUNNING);
	world_tell(world, MESSAGE_ENDED, process->launch);
	world_turn(world);
	assert_int_equal(process->state, PROCESS_ENDED);
	expect(rusage_show, &view, "utime 7.000025\nstime 0.999999\nmaxrss 1\nminflt 2\nmajflt 3\ninblock 4\noublock 5\nnvcsw 6\nnivcsw 7\n");
}

static void times_are_in_utc_to_the_microsecond(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct view view = { world->manager, process, &world->caller, false };

	world_run(world, process);
	world_end(world, process, 0);
	process->started = (struct moment){ 951782400, 1999 };
	process->ended = (struct moment){ 4102444799, 999999999 };
	expect(started_show, &view, "2000-02-29T00:00:00.000001Z\n");
	expect(ended_show, &view, "2099-12-31T23:59:59.999999Z\n");
	expect_part(status_json_show, &view, "\"started\": \"2000-02-29T00:00:00.000001Z\", \"ended\": \"2099-12-31T23:59:59.999999Z\"");
}

static void the_signal_that_ended_it_has_its_name(void **state)
{
	static const struct {
		int signals, status;
		const char *json, *cell;
	} ends[] = {
		{ 0, 7 << 8, "\"exitcode\": 7, \"signal\": null, \"core_dumped\": false", " 7         -  " },
		{ 1, SIGTERM, "\"exitcode\": -15, \"signal\": \"SIGTERM\", \"core_dumped\": false", " -15       SIGTERM " },
		{ 1, SIGSEGV | 0x80, "\"exitcode\": -11, \"signal\": \"SIGSEGV\", \"core_dumped\": true", " -11       SIGSEGV+core " },
		{ 1, 34, "\"exitcode\": -34, \"signal\": \"SIGRTMIN\", \"core_dumped\": false", " -34       SIGRTMIN " },
		{ 1, 36, "\"exitcode\": -36, \"signal\": \"SIGRTMIN+2\", \"core_dumped\": false", " -36       SIGRTMIN+2 " },
		{ 1, 33, "\"exitcode\": -33, \"signal\": \"SIG33\", \"core_dumped\": false", " -33       SIG33 " },
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct process *process = world_make(world, "x");
		struct view view = { world->manager, process, &world->caller, false };
		struct view root = { world->manager, NULL, &world->caller, false };
		struct text name = {0};
		bool dumped;

		world_run(world, process);
		world_end(world, process, ends[i].status);
		assert_int_equal(add_ending_signal(&name, process, &dumped), ends[i].signals ? ends[i].status & 0x7f : 0);
		text_finish(&name);
		expect_part(status_json_show, &view, ends[i].json);
		expect_part(all_status_json_show, &root, ends[i].json);
		expect_part(all_status_show, &root, ends[i].cell);
		assert_int_equal(manager_remove(world->manager, process, NULL), 0);
	}
}

static void of_none_there_is_an_empty_list_and_a_heading(void **state)
{
	struct world *world = *state;
	struct view root = { world->manager, NULL, &world->caller, false };

	expect(all_status_json_show, &root, "[\n\n]\n");
	expect(all_status_show, &root, "NAME  STATE  PID  EXITCODE  SIGNAL  DAEMON  OWNER  STARTED  ENDED  TARGET\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(nothing_is_known_before_the_start),
		IN_WORLD(what_has_ended_is_read_from_the_table_before_its_end_is_told),
		IN_WORLD(times_are_in_utc_to_the_microsecond),
		IN_WORLD(the_signal_that_ended_it_has_its_name),
		IN_WORLD(of_none_there_is_an_empty_list_and_a_heading),
	};

	return cmocka_run_group_tests_name("known", tests, NULL, NULL);
}
