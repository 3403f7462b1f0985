/* The end of the mount, also with a command; the keeper is played by hand. */
#include "world.h"

/* ---- the end of the mount ---- */

static void an_end_with_nothing_running_is_finished_at_once_and_once(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told told = TOLD;

	assert_false(manager_is_ending(world->manager));
	manager_end(world->manager);
	manager_end(world->manager);
	assert_true(manager_is_ending(world->manager));
	assert_int_equal(world->finished, 1);
	assert_int_equal(world->finished_error, 0);
	assert_int_equal(manager_start(world->manager, process, &world->caller, &told.waiter), -ESHUTDOWN);
	assert_non_null(strstr(world->why.sentence, "the mount is ending"));
	world_close_keeper(world);
	world_turn(world);
	assert_int_equal(world->finished, 1);
}

static void the_end_terminates_the_daemonic_and_joins_the_others(void **state)
{
	struct world *world = *state;
	struct process *daemonic = world_make_daemonic(world, &world->caller, "daemonic"), *plain = world_make(world, "plain"),
		       *leased, *starting = world_make(world, "starting");
	struct session *session;
	struct told started = TOLD, joined = TOLD;
	struct ptable_ref ref;
	pid_t daemonic_pid = world_run(world, daemonic), plain_pid = world_run(world, plain), leased_pid;

	assert_int_equal(manager_open_session(world->manager, &world->caller, &session), 0);
	leased = world_make_daemonic(world, &world->caller, "leased");
	leased_pid = world_run(world, leased);
	ref = world_begin(world, starting, &started);
	assert_int_equal(manager_join(world->manager, daemonic, &world->caller, &joined.waiter), 0);
	manager_end(world->manager);
	world_assert_untouched(plain_pid);
	world_end(world, daemonic, (world_assert_terminated(world, daemonic_pid), SIGTERM));
	assert_int_equal(joined.times, 1);
	world_end(world, leased, (world_assert_terminated(world, leased_pid), SIGTERM));
	kill(plain_pid, SIGKILL);
	world_end(world, plain, world_reap(world, plain_pid));
	assert_int_equal(world->finished, 0);
	world_fail(world, ref, ENOENT);
	assert_int_equal(started.times, 1);
	assert_int_equal(world->finished, 1);
	assert_int_equal(world->finished_error, 0);
	manager_close_session(world->manager, session);
}

static void what_passes_to_an_ending_mount_is_terminated_if_daemonic_whoever_owns_it(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make(world, "parent"), *hers;
	pid_t pid = world_run(world, parent), her_pid;
	struct caller inside = world_inside(world, pid);

	hers = world_run_hers(world, &inside, &her_pid);
	manager_end(world->manager);
	world_assert_untouched(pid);
	world_assert_untouched(her_pid);
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	world_assert_terminated(world, her_pid);
	assert_int_equal(world->finished, 0);
	world_end(world, hers, SIGTERM);
	assert_int_equal(world->finished, 1);
}

static void the_first_signal_ends_the_mount_and_the_second_kills_what_is_left(void **state)
{
	struct world *world = *state;
	struct process *plain = world_make(world, "plain"), *hangs = world_make(world, "hangs");
	struct told started = TOLD;
	struct ptable_ref ref;
	pid_t pid = world_run(world, plain), hanging;

	/* An exec that hangs has a child already. */
	ref = world_begin(world, hangs, &started);
	hanging = world_spawn(world);
	atomic_store(&ptable_at(world->table, ref.index)->pid, hanging);
	world_tell_signal(world, SIGTERM);
	assert_true(manager_is_ending(world->manager));
	world_assert_untouched(pid);
	world_assert_untouched(hanging);
	world_tell_signal(world, SIGINT);
	assert_int_equal(WTERMSIG(world_reap(world, hanging)), SIGKILL);
	world_end(world, plain, world_reap(world, pid));
	assert_int_equal(plain->status, SIGKILL);
	world_enter_failed(world, ref, LAUNCH_STEP_EXEC, 0);
	world_tell(world, MESSAGE_FAILED, ref);
	world_turn(world);
	assert_int_equal(started.error, -ECANCELED);
	assert_int_equal(world->finished, 1);
}

/* ---- with a command ---- */

static struct ptable_ref begin_command(struct world *world, pid_t pid)
{
	struct ptable_ref ref = ptable_ref_at(world->table, PTABLE_COMMAND);

	assert_true(ptable_step(world->table, ref, PTABLE_FREE, PTABLE_LAUNCHING));
	world_succeed(world, ref, pid);
	return ref;
}

static void the_end_of_the_command_is_the_end_of_the_mount(void **state)
{
	struct world *world = *state;
	struct process *daemonic = world_make_daemonic(world, &world->caller, "daemonic");
	pid_t pid = world_run(world, daemonic);
	struct ptable_ref ref = begin_command(world, 2147480000);

	assert_false(manager_is_ending(world->manager));
	world_enter_ended(world, ref, 0);
	world_tell(world, MESSAGE_ENDED, ref);
	world_turn(world);
	assert_true(manager_is_ending(world->manager));
	world_assert_terminated(world, pid);
	assert_int_equal(world->finished, 0);
	world_end(world, daemonic, SIGTERM);
	assert_int_equal(world->finished, 1);
}

static void a_command_that_cannot_be_run_ends_the_mount_too(void **state)
{
	struct world *world = *state;
	struct ptable_ref ref = ptable_ref_at(world->table, PTABLE_COMMAND);

	assert_true(ptable_step(world->table, ref, PTABLE_FREE, PTABLE_LAUNCHING));
	world_fail(world, ref, ENOENT);
	assert_int_equal(world->finished, 1);
}

static void the_end_of_the_command_is_found_in_the_table_when_its_message_was_lost(void **state)
{
	struct world *world = *state;
	struct ptable_ref ref = begin_command(world, 2147480000);

	world_enter_ended(world, ref, 0);
	ptable_set_overflow(world->table);
	world_tell(world, MESSAGE_STARTED, (struct ptable_ref){ 1000, 77 });
	world_turn(world);
	assert_int_equal(world->finished, 1);
}

static void an_unmount_waits_for_the_command(void **state)
{
	struct world *world = *state;
	struct ptable_ref ref = begin_command(world, 2147480000);

	manager_end(world->manager);
	assert_int_equal(world->finished, 0);
	world_enter_ended(world, ref, 0);
	world_tell(world, MESSAGE_ENDED, ref);
	world_turn(world);
	assert_int_equal(world->finished, 1);
}

static void the_first_signal_is_the_commands_and_the_second_kills_all(void **state)
{
	struct world *world = *state;
	struct process *plain = world_make(world, "plain");
	pid_t pid = world_run(world, plain), command = world_spawn(world);
	struct ptable_ref ref = begin_command(world, command);

	world_tell_signal(world, SIGTERM);
	assert_false(manager_is_ending(world->manager));
	world_assert_untouched(pid);
	world_assert_untouched(command);
	world_tell_signal(world, SIGTERM);
	assert_true(manager_is_ending(world->manager));
	assert_int_equal(WTERMSIG(world_reap(world, command)), SIGKILL);
	world_end(world, plain, world_reap(world, pid));
	assert_int_equal(world->finished, 0);
	world_enter_ended(world, ref, SIGKILL);
	world_tell(world, MESSAGE_ENDED, ref);
	world_turn(world);
	assert_int_equal(world->finished, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(an_end_with_nothing_running_is_finished_at_once_and_once),
		IN_WORLD(the_end_terminates_the_daemonic_and_joins_the_others),
		IN_WORLD(what_passes_to_an_ending_mount_is_terminated_if_daemonic_whoever_owns_it),
		IN_WORLD(the_first_signal_ends_the_mount_and_the_second_kills_what_is_left),
		IN_WORLD_WITH_COMMAND(the_end_of_the_command_is_the_end_of_the_mount),
		IN_WORLD_WITH_COMMAND(a_command_that_cannot_be_run_ends_the_mount_too),
		IN_WORLD_WITH_COMMAND(the_end_of_the_command_is_found_in_the_table_when_its_message_was_lost),
		IN_WORLD_WITH_COMMAND(an_unmount_waits_for_the_command),
		IN_WORLD_WITH_COMMAND(the_first_signal_is_the_commands_and_the_second_kills_all),
	};

	return cmocka_run_group_tests_name("lineage_end", tests, NULL, NULL);
}
