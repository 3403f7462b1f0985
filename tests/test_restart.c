#include "world.h"

#include "core/restart.h"

enum { PID = 2147480000, EXIT_1 = 1 << 8 };

static struct process *runs(struct world *world, enum restart_policy policy)
{
	struct process *process = world_make(world, "x");

	assert_int_equal(restart_set_policy(world->manager, process, policy), 0);
	world_run_as(world, process, PID);
	return process;
}

/* The next run has been asked for. */
static struct ptable_ref take_rerun(struct world *world, struct process *process)
{
	AWAIT(world, process->state == PROCESS_STARTING);
	assert_true(process->rerun);
	return world_take_launch(world);
}

static void run_again(struct world *world, struct process *process)
{
	struct ptable_ref ref = take_rerun(world, process);

	world_succeed(world, ref, PID);
	assert_int_equal(process->state, PROCESS_RUNNING);
}

static void a_policy_has_one_of_three_names(void **state)
{
	enum restart_policy policy;

	(void)state;
	for (int i = RESTART_NO; i <= RESTART_ALWAYS; i++) {
		assert_int_equal(restart_policy_parse(restart_policy_name(i), &policy), 0);
		assert_int_equal(policy, i);
	}
	assert_int_equal(restart_policy_parse("", &policy), -EINVAL);
	assert_int_equal(restart_policy_parse("Always", &policy), -EINVAL);
}

static void delays_double_to_a_limit(void **state)
{
	unsigned delay = restart_next_delay(0);

	(void)state;
	assert_int_equal(delay, 100);
	for (unsigned expected = 200; expected < RESTART_LONGEST_MS; expected *= 2) {
		delay = restart_next_delay(delay);
		assert_int_equal(delay, expected);
	}
	assert_int_equal(restart_next_delay(delay), RESTART_LONGEST_MS);
	assert_int_equal(restart_next_delay(RESTART_LONGEST_MS), RESTART_LONGEST_MS);
}

/* status, and whether it is run again under each policy */
static const struct {
	int status;
	bool again[3];
	const char *reason;
} ends[] = {
	{ 0, { false, false, true }, "exited 0" },
	{ EXIT_1, { false, true, true }, "exited 1" },
	{ 255 << 8, { false, true, true }, "exited 255" },
	{ SIGSEGV, { false, true, true }, "SIGSEGV" },
	{ SIGABRT | 0x80, { false, true, true }, "SIGABRT" },
	{ SIGTERM, { false, true, true }, "SIGTERM" },
	{ 40, { false, true, true }, "signal 40" },
};

static void the_policy_says_after_which_ends_another_run_follows(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		for (int policy = RESTART_NO; policy <= RESTART_ALWAYS; policy++) {
			struct process *process = runs(world, policy);

			world_end(world, process, ends[i].status);
			assert_int_equal(process->state, ends[i].again[policy] ? PROCESS_BETWEEN : PROCESS_ENDED);
			if (ends[i].again[policy]) {
				assert_string_equal(restart_reason(process), ends[i].reason);
				restart_forbid(process);
				AWAIT(world, process->state == PROCESS_ENDED);
			}
			assert_int_equal(process->status, ends[i].status);
			assert_int_equal(manager_remove(world->manager, process, NULL), 0);
		}
	}
}

static void joiners_are_told_of_the_last_end_only(void **state)
{
	struct world *world = *state;
	struct process *process = runs(world, RESTART_ON_FAILURE);
	struct told told = TOLD, late = TOLD;
	int code;

	assert_int_equal(manager_join(world->manager, process, &world->caller, &told.waiter), 0);
	for (unsigned i = 1; i <= 3; i++) {
		world_end(world, process, EXIT_1);
		assert_true(restart_due(process) > 0);
		assert_true(manager_is_alive(world->manager, process));
		assert_int_equal(manager_pid(world->manager, process), 0);
		assert_false(process_exitcode(process, &code));
		assert_int_equal(process->ended.tv_sec, 0);
		run_again(world, process);
		assert_int_equal(restart_count(process), i);
		assert_int_equal(process->run_count, i + 1);
	}
	assert_int_equal(manager_join(world->manager, process, &world->caller, &late.waiter), 0);
	world_end(world, process, 0);
	assert_int_equal(told.times + late.times, 2);
	assert_true(process_exitcode(process, &code));
	assert_int_equal(code, 0);
}

static void what_needs_an_end_is_refused_between_two_runs(void **state)
{
	struct world *world = *state;
	struct process *process = runs(world, RESTART_ALWAYS);
	struct told told = TOLD;

	world_end(world, process, 0);
	assert_int_equal(manager_start(world->manager, process, &world->caller, &told.waiter), -EALREADY);
	assert_int_equal(manager_await_start(process, &told.waiter), -EALREADY);
	assert_int_equal(manager_remove(world->manager, process, &world->why), -EBUSY);
	assert_int_equal(manager_reset(world->manager, process, &world->why), -EBUSY);
	assert_int_equal(manager_check_initial(process, &world->why), -EBUSY);
	assert_int_equal(manager_signal(world->manager, process, SIGHUP, &world->why), -ESRCH);
	assert_int_equal(process->state, PROCESS_BETWEEN);
}

static void a_stop_between_two_runs_is_the_end_and_told_from_the_loop(void **state)
{
	struct world *world = *state;
	struct process *process = runs(world, RESTART_ALWAYS);
	struct told told = TOLD;
	int code;

	assert_int_equal(manager_join(world->manager, process, &world->caller, &told.waiter), 0);
	world_end(world, process, 3 << 8);
	assert_int_equal(manager_end_with(world->manager, process, SIGTERM, &world->why), 0);
	assert_int_equal(told.times, 0);
	AWAIT(world, told.times == 1);
	assert_true(process_exitcode(process, &code));
	assert_int_equal(code, 3);
	assert_int_equal(process->pid, PID);
	assert_true(process->ended.tv_sec > 0);
	assert_int_equal(manager_end_with(world->manager, process, SIGTERM, &world->why), 0);
}

static void a_run_that_is_stopped_is_the_last(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");

	assert_int_equal(restart_set_policy(world->manager, process, RESTART_ALWAYS), 0);
	world_run(world, process);
	assert_int_equal(manager_end_with(world->manager, process, SIGTERM, &world->why), 0);
	world_end(world, process, SIGTERM);
	assert_int_equal(process->state, PROCESS_ENDED);
}

static void a_stop_of_a_run_that_has_no_child_yet_waits_for_it(void **state)
{
	struct world *world = *state;
	struct process *process = runs(world, RESTART_ALWAYS);
	struct ptable_ref ref;
	pid_t pid;

	world_end(world, process, EXIT_1);
	ref = take_rerun(world, process);
	assert_int_equal(manager_end_with(world->manager, process, SIGKILL, &world->why), 0);
	pid = world_spawn(world);
	world_succeed(world, ref, pid);
	assert_int_equal(world_reap(world, pid), SIGKILL);
	world_end(world, process, SIGKILL);
	assert_int_equal(process->state, PROCESS_ENDED);
}

static void a_run_that_cannot_be_executed_is_followed_by_another(void **state)
{
	struct world *world = *state;
	struct process *process = runs(world, RESTART_ON_FAILURE);
	struct told told = TOLD;
	struct ptable_ref ref;
	double first;

	assert_int_equal(manager_join(world->manager, process, &world->caller, &told.waiter), 0);
	world_end(world, process, EXIT_1);
	first = restart_due(process);
	ref = take_rerun(world, process);
	world_fail(world, ref, ENOENT);
	assert_int_equal(process->state, PROCESS_BETWEEN);
	assert_non_null(strstr(restart_reason(process), "cannot execute /bin/true"));
	assert_true(restart_due(process) > first);
	run_again(world, process);
	assert_int_equal(told.times, 0);
	world_end(world, process, 0);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.error, 0);
}

static void the_policy_can_be_changed_at_any_time(void **state)
{
	struct world *world = *state;
	struct process *process = runs(world, RESTART_NO);

	assert_null(process->restart);
	assert_int_equal(restart_set_policy(world->manager, process, RESTART_ALWAYS), 0);
	world_end(world, process, 0);
	assert_int_equal(process->state, PROCESS_BETWEEN);
	assert_int_equal(restart_set_policy(world->manager, process, RESTART_NO), 0);
	AWAIT(world, process->state == PROCESS_ENDED);
}

static void the_end_of_the_mount_gives_up_what_is_due(void **state)
{
	struct world *world = *state;
	struct process *process = runs(world, RESTART_ALWAYS), *other = world_make(world, "other");

	world_run_as(world, other, PID + 1);
	world_end(world, process, 0);
	manager_end(world->manager);
	AWAIT(world, process->state == PROCESS_ENDED);
	assert_int_equal(world->finished, 0);
	world_end(world, other, 0);
	assert_int_equal(world->finished, 1);
}

static void a_reset_leaves_the_configuration_and_nothing_else(void **state)
{
	struct world *world = *state;
	struct process *process = runs(world, RESTART_ON_FAILURE);

	world_end(world, process, EXIT_1);
	run_again(world, process);
	assert_int_equal(manager_end_with(world->manager, process, SIGTERM, NULL), 0);
	world_end(world, process, SIGTERM);
	assert_int_equal(manager_reset(world->manager, process, &world->why), 0);
	assert_int_equal(process->state, PROCESS_INITIAL);
	assert_int_equal(process->pid + process->started.tv_sec + process->ended.tv_sec + process->status, 0);
	assert_int_equal(process->output_fd[0], -1);
	assert_int_equal(restart_count(process), 0);
	assert_null(restart_reason(process));
	assert_int_equal(restart_policy(process), RESTART_ON_FAILURE);
	assert_string_equal(process->configuration.target.bytes, "/bin/true");
	assert_int_equal(manager_reset(world->manager, process, &world->why), 0);
	world_run_as(world, process, PID);
	assert_int_equal(manager_reset(world->manager, process, &world->why), -EBUSY);
	world_end(world, process, EXIT_1);
	assert_int_equal(process->state, PROCESS_BETWEEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_has_one_of_three_names),
		cmocka_unit_test(delays_double_to_a_limit),
		IN_WORLD(the_policy_says_after_which_ends_another_run_follows),
		IN_WORLD(joiners_are_told_of_the_last_end_only),
		IN_WORLD(what_needs_an_end_is_refused_between_two_runs),
		IN_WORLD(a_stop_between_two_runs_is_the_end_and_told_from_the_loop),
		IN_WORLD(a_run_that_is_stopped_is_the_last),
		IN_WORLD(a_stop_of_a_run_that_has_no_child_yet_waits_for_it),
		IN_WORLD(a_run_that_cannot_be_executed_is_followed_by_another),
		IN_WORLD(the_policy_can_be_changed_at_any_time),
		IN_WORLD(the_end_of_the_mount_gives_up_what_is_due),
		IN_WORLD(a_reset_leaves_the_configuration_and_nothing_else),
	};

	return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
