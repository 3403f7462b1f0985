/* Starts that fail or are refused, and those of other users; the keeper is played by hand. */
#include "world.h"

#include <sys/resource.h>
#include <sys/stat.h>

/* A pid of nobody, for processes that are not signalled: above every pid that a kernel gives. */
enum { SOME_PID = 2147480000 };

static const struct {
	enum launch_step step;
	int error;
	int result;
	const char *part;
} failures[] = {
	{ LAUNCH_STEP_EXEC, ENOENT, -ENOENT, "cannot execute prog: it is in no directory of PATH (No such file or directory)" },
	{ LAUNCH_STEP_EXEC, EACCES, -EACCES, "cannot execute /bin/prog: Permission denied" },
	{ LAUNCH_STEP_EXEC, ENOEXEC, -ENOEXEC, "cannot execute /bin/prog: Exec format error" },
	{ LAUNCH_STEP_EXEC, E2BIG, -E2BIG, "cannot execute /bin/prog: Argument list too long" },
	{ LAUNCH_STEP_EXEC, 0, -ECANCELED, "it was killed before it could" },
	{ LAUNCH_STEP_CWD, ENOENT, -ENOENT, "cannot enter the directory /srv: No such file or directory" },
	{ LAUNCH_STEP_USER, EPERM, -EPERM, "cannot become user" },
	{ LAUNCH_STEP_STREAMS, EMFILE, -EMFILE, "cannot make a process: Too many open files" },
	{ LAUNCH_STEP_CLONE, EAGAIN, -EAGAIN, "cannot make a process: Resource temporarily unavailable" },
};

static void a_failed_start_tells_why_leaves_nothing_and_can_be_corrected(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct process *process = world_make(world, NULL);
		struct told start = TOLD, other = TOLD, again = TOLD;
		struct ptable_ref ref;

		assert_int_equal(value_set(&process->configuration.target, "prog", 4), 0);
		assert_int_equal(process_set_detail(process, DETAIL_CWD, "/srv", 4), 0);
		ref = world_begin(world, process, &start);
		assert_int_equal(manager_await_start(process, &other.waiter), 0);
		ptable_at(world->table, ref.index)->candidate = 1;
		world_enter_failed(world, ref, failures[i].step, failures[i].error);
		world_tell(world, MESSAGE_FAILED, ref);
		world_turn(world);
		assert_int_equal(start.times, 1);
		assert_int_equal(start.error, failures[i].result);
		assert_int_equal(other.error, failures[i].result);
		assert_non_null(process->error);
		assert_non_null(strstr(process->error, failures[i].part));
		assert_int_equal(process->state, PROCESS_INITIAL);
		assert_int_equal(manager_pid(world->manager, process), 0);
		assert_int_equal(manager_check_initial(process, NULL), 0);
		assert_int_equal(world_count_live(world), 0);
		ref = world_begin(world, process, &again);
		assert_int_equal(ptable_at(world->table, ref.index)->run, 2);
		world_succeed(world, ref, SOME_PID);
		assert_int_equal(again.times, 1);
		assert_int_equal(again.error, 0);
		assert_null(process->error);
		world_end(world, process, 0);
	}
}

static void a_start_that_hangs_can_be_joined_and_killed_and_its_failure_is_told_to_all(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told start = TOLD, join = TOLD;
	struct ptable_ref ref = world_begin(world, process, &start);
	pid_t pid = world_spawn(world);

	assert_int_equal(manager_join(world->manager, process, &world->caller, &join.waiter), -ESRCH);
	atomic_store(&ptable_at(world->table, ref.index)->pid, pid);
	assert_int_equal(manager_pid(world->manager, process), pid);
	assert_int_equal(manager_join(world->manager, process, &world->caller, &join.waiter), 0);
	assert_int_equal(manager_signal(world->manager, process, SIGKILL, NULL), 0);
	assert_int_equal(WTERMSIG(world_reap(world, pid)), SIGKILL);
	world_enter_failed(world, ref, LAUNCH_STEP_EXEC, 0);
	world_tell(world, MESSAGE_FAILED, ref);
	world_turn(world);
	assert_int_equal(start.error, -ECANCELED);
	assert_int_equal(join.times, 1);
	assert_int_equal(join.error, -ESRCH);
	assert_int_equal(process->state, PROCESS_INITIAL);
}

struct remover {
	struct waiter waiter;
	struct world *world;
	struct process *process;
	int result;
};

static void on_done_remove(struct waiter *waiter, int error)
{
	struct remover *remover = (struct remover *)waiter;

	remover->result = error ? manager_remove(remover->world->manager, remover->process, NULL) : -EINVAL;
}

static void who_is_told_of_a_failed_start_may_remove_the_process(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct remover remover = { { .on_done = on_done_remove }, world, process, -EINVAL };
	struct told other = TOLD, join = TOLD;
	struct ptable_ref ref;

	assert_int_equal(manager_start(world->manager, process, &world->caller, &remover.waiter), 0);
	ref = world_take_launch(world);
	assert_int_equal(manager_await_start(process, &other.waiter), 0);
	atomic_store(&ptable_at(world->table, ref.index)->pid, SOME_PID);
	assert_int_equal(manager_join(world->manager, process, &world->caller, &join.waiter), 0);
	world_fail(world, ref, ENOENT);
	assert_int_equal(remover.result, 0);
	assert_null(manager_by_directory(world->manager, "x"));
	assert_int_equal(other.times, 1);
	assert_int_equal(other.error, -ENOENT);
	assert_int_equal(join.times, 1);
	assert_int_equal(join.error, -ESRCH);
}

static void nothing_to_run_is_einval_and_says_what_to_write_where(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told told = TOLD;

	value_clear(&process->configuration.target);
	assert_int_equal(manager_start(world->manager, process, &world->caller, &told.waiter), -EINVAL);
	assert_non_null(strstr(world->why.sentence, "target"));
	assert_non_null(strstr(world->why.sentence, "run"));
	assert_false(told.waiter.waiting);
	assert_int_equal(process->state, PROCESS_INITIAL);
	assert_int_equal(process_set_detail(process, DETAIL_RUN, "exit 0", 6), 0);
	world_begin(world, process, &told);
	waiter_cancel(&told.waiter);
}

static void who_cannot_be_identified_starts_nothing(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct caller nobody = world->caller;
	struct told told = TOLD;

	nobody.pid = 0;
	assert_int_equal(manager_start(world->manager, process, &nobody, &told.waiter), -EPERM);
	assert_non_null(strstr(world->why.sentence, "cannot be identified"));
	assert_int_equal(process->state, PROCESS_INITIAL);
}

static void too_large_a_launch_is_e2big_and_takes_no_entry(void **state)
{
	enum { MORE_THAN_A_MESSAGE = 9 << 20 };
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	char *large = malloc(MORE_THAN_A_MESSAGE);
	struct told told = TOLD;
	enum words_problem problem;

	assert_non_null(large);
	memset(large, 'a', MORE_THAN_A_MESSAGE);
	assert_int_equal(words_split(&process->configuration.args, large, MORE_THAN_A_MESSAGE, &problem), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(manager_start(world->manager, process, &world->caller, &told.waiter), -E2BIG);
		assert_non_null(strstr(world->why.sentence, strerror(E2BIG)));
		assert_int_equal(process->state, PROCESS_INITIAL);
		assert_false(told.waiter.waiting);
		assert_int_equal(world_count_live(world), 0);
	}
	words_finish(&process->configuration.args);
	world_begin(world, process, &told);
	waiter_cancel(&told.waiter);
	free(large);
}

static void without_descriptors_a_start_is_refused_and_works_later(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct rlimit before, none;
	struct told told = TOLD;
	int error;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	error = manager_start(world->manager, process, &world->caller, &told.waiter);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(error, -EMFILE);
	assert_int_equal(process->state, PROCESS_INITIAL);
	assert_int_equal(world_count_live(world), 0);
	world_begin(world, process, &told);
	waiter_cancel(&told.waiter);
}

/* ---- another user's ---- */

static void a_start_as_another_user_looks_up_the_account_first(void **state)
{
	struct world *world = *state;
	struct message_received_launch launch;
	struct caller other = world->caller;
	struct told start = TOLD;
	struct process *process;

	world->surroundings.uid = 0;
	other.uid = 54321;
	other.gid = 54322;
	process = world_make_as(world, &other, "hers");
	assert_int_equal(manager_start(world->manager, process, &other, &start.waiter), 0);
	assert_int_equal(process->state, PROCESS_STARTING);
	assert_int_equal(manager_pid(world->manager, process), 0);
	assert_int_equal(manager_start(world->manager, process, &other, &start.waiter), -EALREADY);
	assert_int_equal(manager_remove(world->manager, process, NULL), -EBUSY);
	AWAIT(world, process->launch.generation);
	assert_int_equal(world_receive_launch(world, &launch), 0);
	assert_int_equal(launch.spec.flags, LAUNCH_AS_USER);
	assert_int_equal(launch.spec.uid, 54321);
	assert_int_equal(launch.spec.gid, 54322);
	assert_string_equal(launch.spec.cwd, "/");
	world_succeed(world, launch.ref, SOME_PID);
	assert_int_equal(start.times, 1);
	assert_int_equal(process->state, PROCESS_RUNNING);
	message_received_launch_finish(&launch);
}

static void a_manager_may_be_destroyed_while_an_account_is_looked_up(void **state)
{
	struct world *world = *state;
	struct caller other = world->caller;
	struct told start = TOLD;
	struct process *process;

	world->surroundings.uid = 0;
	other.uid = 54321;
	process = world_make_as(world, &other, "hers");
	assert_int_equal(manager_start(world->manager, process, &other, &start.waiter), 0);
	waiter_cancel(&start.waiter);
	manager_destroy(world->manager);
	world->manager = NULL;
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(start.times, 0);
}

static void what_the_look_up_makes_too_large_fails_like_any_start(void **state)
{
	enum { MORE_THAN_A_MESSAGE = 9 << 20 };
	struct world *world = *state;
	char *large = malloc(MORE_THAN_A_MESSAGE);
	struct caller other = world->caller;
	struct told start = TOLD;
	struct process *process;
	enum words_problem problem;

	assert_non_null(large);
	memset(large, 'a', MORE_THAN_A_MESSAGE);
	world->surroundings.uid = 0;
	other.uid = 54321;
	process = world_make_as(world, &other, "hers");
	assert_int_equal(words_split(&process->configuration.args, large, MORE_THAN_A_MESSAGE, &problem), 0);
	assert_int_equal(manager_start(world->manager, process, &other, &start.waiter), 0);
	AWAIT(world, start.times);
	assert_int_equal(start.error, -E2BIG);
	assert_non_null(strstr(process->error, strerror(E2BIG)));
	assert_int_equal(process->state, PROCESS_INITIAL);
	assert_int_equal(world_count_live(world), 0);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_failed_start_tells_why_leaves_nothing_and_can_be_corrected),
		IN_WORLD(a_start_that_hangs_can_be_joined_and_killed_and_its_failure_is_told_to_all),
		IN_WORLD(who_is_told_of_a_failed_start_may_remove_the_process),
		IN_WORLD(nothing_to_run_is_einval_and_says_what_to_write_where),
		IN_WORLD(who_cannot_be_identified_starts_nothing),
		IN_WORLD(too_large_a_launch_is_e2big_and_takes_no_entry),
		IN_WORLD(without_descriptors_a_start_is_refused_and_works_later),
		IN_WORLD(a_start_as_another_user_looks_up_the_account_first),
		IN_WORLD(a_manager_may_be_destroyed_while_an_account_is_looked_up),
		IN_WORLD(what_the_look_up_makes_too_large_fails_like_any_start),
	};

	return cmocka_run_group_tests_name("start_refused", tests, NULL, NULL);
}
