/* Launches with a keeper that is played by hand: what it says may be late, lost or doubled. */
#include "world.h"

#include <fcntl.h>
#include <sys/stat.h>

/* A pid of nobody, for processes that are not signalled: above every pid that a kernel gives. */
enum { SOME_PID = 2147480000 };

static void a_start_asks_the_keeper_for_what_is_configured(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct message_received_launch launch;
	struct told told = TOLD;
	enum words_problem problem;

	assert_int_equal(words_split(&process->configuration.args, "a 'b c'", 7, &problem), 0);
	assert_int_equal(manager_start(world->manager, process, &world->caller, &told.waiter), 0);
	assert_int_equal(told.times, 0);
	assert_int_equal(world_receive_launch(world, &launch), 0);
	assert_string_equal(launch.spec.candidates[0], "/bin/true");
	assert_string_equal(launch.spec.argv[2], "b c");
	assert_int_equal(launch.spec.stdin_fd, -1);
	assert_true(launch.spec.stdout_fd >= 0 && launch.spec.stderr_fd >= 0);
	assert_int_equal(ptable_at(world->table, launch.ref.index)->id, process->id);
	assert_int_equal(ptable_at(world->table, launch.ref.index)->run, 1);
	assert_int_equal(write(launch.spec.stdout_fd, "out", 3), 3);
	assert_int_equal(write(launch.spec.stderr_fd, "err", 3), 3);
	message_received_launch_finish(&launch);
	waiter_cancel(&told.waiter);
}

static void input_is_read_from_its_beginning_and_cannot_be_written(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct message_received_launch launch;
	struct told told = TOLD;
	char bytes[8];

	process->stdin_fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(process->stdin_fd >= 0);
	assert_int_equal(write(process->stdin_fd, "input", 5), 5);
	assert_int_equal(manager_start(world->manager, process, &world->caller, &told.waiter), 0);
	assert_int_equal(world_receive_launch(world, &launch), 0);
	assert_int_equal(read(launch.spec.stdin_fd, bytes, sizeof(bytes)), 5);
	assert_memory_equal(bytes, "input", 5);
	assert_int_equal(write(launch.spec.stdin_fd, "x", 1), -1);
	message_received_launch_finish(&launch);
	waiter_cancel(&told.waiter);
}

static void started_then_ended_is_told_to_each_who_waits_for_it(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told start = TOLD, second = TOLD, join = TOLD, late = TOLD;
	struct ptable_ref ref = world_begin(world, process, &start);
	int code;

	assert_int_equal(manager_await_start(process, &second.waiter), 0);
	world_turn(world);
	assert_int_equal(start.times + second.times, 0);
	world_succeed(world, ref, SOME_PID);
	assert_int_equal(start.times, 1);
	assert_int_equal(start.error, 0);
	assert_int_equal(second.times, 1);
	assert_int_equal(manager_pid(world->manager, process), SOME_PID);
	assert_int_equal(manager_join(world->manager, process, &world->caller, &join.waiter), 0);
	world_turn(world);
	assert_int_equal(join.times, 0);
	world_end(world, process, W_EXITCODE(3, 0));
	assert_int_equal(join.times, 1);
	assert_int_equal(join.error, 0);
	assert_int_equal(start.times, 1);
	assert_true(process_exitcode(process, &code));
	assert_int_equal(code, 3);
	assert_true(process->started.tv_sec > 0 && process->ended.tv_sec >= process->started.tv_sec);
	assert_int_equal(manager_join(world->manager, process, &world->caller, &late.waiter), 1);
	assert_false(late.waiter.waiting);
	assert_int_equal(world_count_live(world), 0);
}

static void an_end_that_is_told_before_the_start_tells_both(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told start = TOLD;
	struct ptable_ref ref = world_begin(world, process, &start);

	world_enter_running(world, ref, SOME_PID);
	world_enter_ended(world, ref, W_EXITCODE(0, 0));
	world_tell(world, MESSAGE_ENDED, ref);
	world_tell(world, MESSAGE_STARTED, ref);
	world_turn(world);
	assert_int_equal(start.times, 1);
	assert_int_equal(start.error, 0);
	assert_int_equal(process->state, PROCESS_ENDED);
	assert_int_equal(process->pid, SOME_PID);
	assert_true(process->started.tv_sec > 0);
}

static void a_launch_that_ended_before_anything_was_told_needs_one_message_of_any_kind(void **state)
{
	static const enum message_kind kinds[] = { MESSAGE_STARTED, MESSAGE_ENDED, MESSAGE_FAILED };
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct process *process = world_make(world, NULL);
		struct told start = TOLD;
		struct ptable_ref ref = world_begin(world, process, &start);

		world_enter_running(world, ref, SOME_PID);
		world_enter_ended(world, ref, W_EXITCODE(0, SIGKILL));
		world_tell(world, kinds[i], ref);
		world_turn(world);
		assert_int_equal(start.times, 1);
		assert_int_equal(process->state, PROCESS_ENDED);
	}
}

static void doubled_and_stale_messages_change_nothing(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x"), *next = world_make(world, "next");
	struct told start = TOLD, join = TOLD, later = TOLD;
	struct ptable_ref ref = world_begin(world, process, &start), second;

	world_enter_running(world, ref, SOME_PID);
	for (int i = 0; i < 3; i++)
		world_tell(world, MESSAGE_STARTED, ref);
	world_turn(world);
	assert_int_equal(start.times, 1);
	assert_int_equal(manager_join(world->manager, process, &world->caller, &join.waiter), 0);
	world_end(world, process, 0);
	second = world_begin(world, next, &later);
	assert_int_equal(second.index, ref.index);
	for (enum message_kind kind = MESSAGE_STARTED; kind <= MESSAGE_ENDED; kind++)
		world_tell(world, kind, ref);
	world_tell(world, MESSAGE_ENDED, (struct ptable_ref){ PTABLE_CAPACITY - 1, 77 });
	world_tell(world, MESSAGE_STARTED, second);
	world_turn(world);
	assert_int_equal(join.times, 1);
	assert_int_equal(process->state, PROCESS_ENDED);
	assert_int_equal(next->state, PROCESS_STARTING);
	assert_int_equal(later.times, 0);
	waiter_cancel(&later.waiter);
}

static void a_message_about_a_removed_process_is_passed_over(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told start = TOLD;
	struct ptable_ref ref = world_begin(world, process, &start);

	world_fail(world, ref, ENOENT);
	assert_int_equal(manager_remove(world->manager, process, NULL), 0);
	world_tell(world, MESSAGE_FAILED, ref);
	world_tell(world, MESSAGE_ENDED, ref);
	world_turn(world);
	assert_int_equal(start.times, 1);
}

/* As many as the socket takes; they are about a launch that nobody knows. */
static unsigned fill(struct world *world)
{
	struct message message = { .kind = MESSAGE_STARTED, .ref = { 1000, 77 } };
	unsigned count = 0;

	while (message_send(world->keeper_fd, &message) == 0)
		count++;
	return count;
}

static void what_found_no_room_in_the_socket_is_found_in_the_table(void **state)
{
	struct world *world = *state;
	struct process *runs = world_make(world, "runs"), *starts = world_make(world, "starts"),
		       *fails = world_make(world, "fails"), *waits = world_make(world, "waits");
	struct told told[4] = { TOLD, TOLD, TOLD, TOLD }, join = TOLD;
	struct ptable_ref ref[4];
	struct message message = { .kind = MESSAGE_ENDED };

	world_run_as(world, runs, SOME_PID);
	assert_int_equal(manager_join(world->manager, runs, &world->caller, &join.waiter), 0);
	ref[1] = world_begin(world, starts, &told[1]);
	ref[2] = world_begin(world, fails, &told[2]);
	ref[3] = world_begin(world, waits, &told[3]);
	assert_true(fill(world) > 0);
	world_enter_ended(world, runs->launch, 0);
	message.ref = runs->launch;
	message_report(world->keeper_fd, world->table, &message);
	world_enter_running(world, ref[1], SOME_PID + 1);
	message_report(world->keeper_fd, world->table, &message);
	world_enter_failed(world, ref[2], LAUNCH_STEP_EXEC, EACCES);
	message_report(world->keeper_fd, world->table, &message);
	AWAIT(world, told[2].times);
	assert_int_equal(runs->state, PROCESS_ENDED);
	assert_int_equal(join.times, 1);
	assert_int_equal(starts->state, PROCESS_RUNNING);
	assert_int_equal(told[1].times, 1);
	assert_int_equal(told[2].error, -EACCES);
	assert_int_equal(waits->state, PROCESS_STARTING);
	assert_int_equal(told[3].times, 0);
	assert_false(ptable_take_overflow(world->table));
	waiter_cancel(&told[3].waiter);
}

static void the_table_is_not_read_without_the_flag(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told start = TOLD;
	struct ptable_ref ref = world_begin(world, process, &start);

	world_enter_running(world, ref, SOME_PID);
	assert_true(fill(world) > 0);
	world_turn(world);
	assert_int_equal(process->state, PROCESS_STARTING);
	ptable_set_overflow(world->table);
	world_tell(world, MESSAGE_STARTED, (struct ptable_ref){ 1000, 77 });
	world_turn(world);
	assert_int_equal(process->state, PROCESS_RUNNING);
	assert_int_equal(start.times, 1);
}

/* ---- the way to the keeper ---- */

static void launches_that_find_no_room_wait_their_turn_and_all_arrive_in_order(void **state)
{
	enum { COUNT = 40, LINE = 30000 };
	struct world *world = *state;
	struct told told[COUNT];
	char *line = malloc(LINE);

	assert_non_null(line);
	memset(line, 'v', LINE);
	line[0] = 'K';
	line[1] = '=';
	for (int i = 0; i < COUNT; i++) {
		struct process *process = world_make(world, NULL);

		told[i] = (struct told)TOLD;
		assert_int_equal(process_set_detail(process, DETAIL_ENV, line, LINE), 0);
		assert_int_equal(manager_start(world->manager, process, &world->caller, &told[i].waiter), 0);
	}
	for (int i = 0; i < COUNT; i++) {
		struct ptable_ref ref = world_take_launch(world);

		assert_int_equal(ptable_at(world->table, ref.index)->id, i + 1);
		world_succeed(world, ref, SOME_PID + i);
		assert_int_equal(told[i].times, 1);
	}
	free(line);
}

static void the_loss_of_the_keeper_ends_the_mount_once_after_its_last_words(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told start = TOLD;
	struct ptable_ref ref = world_begin(world, process, &start);

	world_enter_running(world, ref, SOME_PID);
	world_tell(world, MESSAGE_STARTED, ref);
	world_close_keeper(world);
	world_turn(world);
	world_turn(world);
	assert_int_equal(process->state, PROCESS_RUNNING);
	assert_int_equal(start.times, 1);
	assert_int_equal(world->finished, 1);
	assert_int_equal(world->finished_error, -EPIPE);
}

static void what_is_no_message_is_the_loss_of_the_keeper(void **state)
{
	struct world *world = *state;

	assert_int_equal(send(world->keeper_fd, "nonsense", 8, 0), 8);
	world_turn(world);
	assert_int_equal(world->finished, 1);
	assert_int_equal(world->finished_error, -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_start_asks_the_keeper_for_what_is_configured),
		IN_WORLD(input_is_read_from_its_beginning_and_cannot_be_written),
		IN_WORLD(started_then_ended_is_told_to_each_who_waits_for_it),
		IN_WORLD(an_end_that_is_told_before_the_start_tells_both),
		IN_WORLD(a_launch_that_ended_before_anything_was_told_needs_one_message_of_any_kind),
		IN_WORLD(doubled_and_stale_messages_change_nothing),
		IN_WORLD(a_message_about_a_removed_process_is_passed_over),
		IN_WORLD(what_found_no_room_in_the_socket_is_found_in_the_table),
		IN_WORLD(the_table_is_not_read_without_the_flag),
		IN_WORLD(launches_that_find_no_room_wait_their_turn_and_all_arrive_in_order),
		IN_WORLD(the_loss_of_the_keeper_ends_the_mount_once_after_its_last_words),
		IN_WORLD(what_is_no_message_is_the_loss_of_the_keeper),
	};

	return cmocka_run_group_tests_name("start", tests, NULL, NULL);
}
