/* Who is paused and goes on: messages may be lost, late or doubled, and nothing that was told is told again. */
#include "world.h"

enum { SOME_PID = 2147480000 };

static struct process *run_one(struct world *world)
{
	struct process *process = world_make(world, NULL);

	world_run_as(world, process, SOME_PID);
	memset(world->changes, 0, sizeof(world->changes));
	return process;
}

static void each_change_that_a_message_tells_is_told_once(void **state)
{
	/* The letters are messages in their order, as the changes are; stopped is what the table says when they are read. */
	const struct {
		const char *messages;
		bool stopped;
		const char *changes;
	} rows[] = {
		{ "p", true, "p" },    { "pp", true, "p" },	   { "pg", false, "pg" }, { "pgp", true, "pgp" },
		{ "g", false, "" },    { "pgpg", false, "pgpg" }, { "", true, "" },	   { "p", false, "pg" },
		{ "gp", true, "p" },   { "gg", false, "" },	   { "g", true, "p" },
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process *process = run_one(world);

		ptable_set_stopped(world->table, process->launch, rows[i].stopped);
		for (const char *letter = rows[i].messages; *letter; letter++)
			world_tell(world, *letter == 'p' ? MESSAGE_PAUSED : MESSAGE_CONTINUED, process->launch);
		world_turn(world);
		assert_string_equal(world->changes, rows[i].changes);
		world_end(world, process, 0);
	}
}

/* As many as the socket takes; they are about a launch that nobody knows. */
static void fill(struct world *world)
{
	struct message message = { .kind = MESSAGE_STARTED, .ref = { 1000, 77 } };

	while (message_send(world->keeper_fd, &message) == 0)
		continue;
}

static void what_found_no_room_in_the_socket_is_found_in_the_table(void **state)
{
	struct world *world = *state;
	struct process *process = run_one(world);
	struct message message = { .ref = process->launch };

	for (int paused = 1; paused >= 0; paused--) {
		fill(world);
		message.kind = paused ? MESSAGE_PAUSED : MESSAGE_CONTINUED;
		ptable_set_stopped(world->table, process->launch, paused);
		message_report(world->keeper_fd, world->table, &message);
		AWAIT(world, process->paused == paused);
	}
	assert_string_equal(world->changes, "pg");
}

static void a_message_that_is_older_than_what_the_table_has_told_makes_nothing_up(void **state)
{
	struct world *world = *state;
	struct process *process = run_one(world);

	ptable_set_stopped(world->table, process->launch, true);
	ptable_set_overflow(world->table);
	world_tell(world, MESSAGE_STARTED, process->launch);
	world_turn(world);
	world_tell(world, MESSAGE_PAUSED, process->launch);
	world_turn(world);
	assert_string_equal(world->changes, "p");
	world_tell(world, MESSAGE_CONTINUED, process->launch);
	world_turn(world);
	assert_string_equal(world->changes, "pgp");
}

static void one_that_is_paused_before_its_start_is_told_is_paused_after_it(void **state)
{
	struct world *world = *state;

	for (enum message_kind kind = MESSAGE_STARTED; kind <= MESSAGE_PAUSED; kind++) {
		struct process *process = world_make(world, NULL);
		struct told start = TOLD;
		struct ptable_ref ref = world_begin(world, process, &start);

		memset(world->changes, 0, sizeof(world->changes));
		world_enter_running(world, ref, SOME_PID);
		ptable_set_stopped(world->table, ref, true);
		world_tell(world, kind, ref);
		world_turn(world);
		assert_string_equal(world->changes, "sp");
		world_end(world, process, 0);
	}
}

static void one_that_has_ended_neither_pauses_nor_goes_on(void **state)
{
	struct world *world = *state;
	struct process *process = run_one(world);

	ptable_set_stopped(world->table, process->launch, true);
	world_tell(world, MESSAGE_PAUSED, process->launch);
	world_turn(world);
	world_enter_ended(world, process->launch, SIGKILL);
	world_tell(world, MESSAGE_CONTINUED, process->launch);
	world_tell(world, MESSAGE_ENDED, process->launch);
	world_tell(world, MESSAGE_PAUSED, process->launch);
	world_turn(world);
	assert_string_equal(world->changes, "pe");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(each_change_that_a_message_tells_is_told_once),
		IN_WORLD(what_found_no_room_in_the_socket_is_found_in_the_table),
		IN_WORLD(a_message_that_is_older_than_what_the_table_has_told_makes_nothing_up),
		IN_WORLD(one_that_is_paused_before_its_start_is_told_is_paused_after_it),
		IN_WORLD(one_that_has_ended_neither_pauses_nor_goes_on),
	};

	return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
