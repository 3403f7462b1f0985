#include "world.h"

#include <limits.h>

/* ---- names and numbers ---- */

static void numbers_count_every_construction_and_are_never_used_again(void **state)
{
	struct world *world = *state;
	struct process *first = world_make(world, NULL), *named, *third;

	assert_string_equal(first->directory, "Process-1");
	named = world_make(world, "hello");
	assert_string_equal(process_identity(named), "2");
	assert_int_equal(manager_remove(world->manager, first, NULL), 0);
	third = world_make(world, NULL);
	assert_string_equal(third->directory, "Process-3");
	assert_int_equal(third->id, 3);
}

static void each_of_many_directories_is_found_and_no_other(void **state)
{
	enum { MANY = 1000 };
	struct world *world = *state;
	struct process *made[MANY];
	char name[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "worker-%d", i);
		made[i] = world_make(world, name);
	}
	for (int i = 0; i < MANY; i += 2)
		assert_int_equal(manager_remove(world->manager, made[i], NULL), 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "worker-%d", i);
		assert_ptr_equal(manager_by_directory(world->manager, name), i % 2 ? made[i] : NULL);
	}
	assert_null(manager_by_directory(world->manager, "worker"));
}

static void a_number_whose_name_is_taken_is_passed_over(void **state)
{
	struct world *world = *state;

	world_make(world, "Process-2");
	world_make(world, "Process-3");
	assert_string_equal(world_make(world, NULL)->directory, "Process-4");
	assert_string_equal(world_make(world, NULL)->directory, "Process-5");
}

static void what_is_refused_counts_nothing_and_makes_nothing(void **state)
{
	struct world *world = *state;
	struct process *process = NULL;

	world_make(world, "taken");
	assert_int_equal(manager_make(world->manager, &world->caller, "taken", &process), -EEXIST);
	assert_int_equal(manager_make(world->manager, &world->caller, "all", &process), -EINVAL);
	assert_null(process);
	assert_string_equal(world_make(world, NULL)->directory, "Process-2");
	assert_null(manager_after(world->manager, 2));
}

static void names_are_refused_with_their_errno_and_sentence(void **state)
{
	struct world *world = *state;
	char longest[NAME_MAX + 2];
	const struct {
		const char *name;
		int error;
		const char *part;
	} rows[] = {
		{ "all", -EINVAL, "'all' is a word of the verbs" },
		{ "any", -EINVAL, "'any'" },
		{ "tree", -EINVAL, "'tree'" },
		{ ".", -EINVAL, "'.'" },
		{ "..", -EINVAL, "'..'" },
		{ "", -EINVAL, "''" },
		{ "taken", -EEXIST, "there is a process named taken" },
		{ longest, -ENAMETOOLONG, "at most 255 bytes" },
		{ longest + 1, 0, "" },
		{ "All", 0, "" },
		{ "alls", 0, "" },
		{ "...", 0, "" },
		{ "with blank\nand\xff", 0, "" },
		{ "-", 0, "" },
	};

	memset(longest, 'n', sizeof(longest));
	longest[NAME_MAX + 1] = '\0';
	world_make(world, "taken");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process *process;

		world->why.sentence[0] = '\0';
		assert_int_equal(manager_make(world->manager, &world->caller, rows[i].name, &process), rows[i].error);
		assert_non_null(strstr(world->why.sentence, rows[i].part));
		if (!rows[i].error)
			assert_ptr_equal(manager_by_directory(world->manager, rows[i].name), process);
	}
}

static void a_new_process_is_its_makers(void **state)
{
	struct world *world = *state;
	struct caller other = world->caller;
	struct process *process;

	world->surroundings.uid = 0;
	other.uid = 4711;
	other.gid = 4712;
	manager_set_start_method(world->manager, START_FORKSERVER);
	process = world_make_as(world, &other, "hers");
	assert_int_equal(process->owner, 4711);
	assert_int_equal(process->group, 4712);
	assert_int_equal(process->state, PROCESS_INITIAL);
	assert_int_equal(process->configuration.start_method, START_FORKSERVER);
	assert_true(process->created.tv_sec > 0);
	assert_null(process->parent);
	assert_true(manager_may(process, &other));
	other.uid = 0;
	assert_true(manager_may(process, &other));
	other.uid = 4713;
	assert_false(manager_may(process, &other));
}

static void who_cannot_be_identified_or_become_makes_nothing(void **state)
{
	struct world *world = *state;
	static const struct {
		uid_t mounts;
		pid_t pid;
		uid_t uid;
		int error;
	} rows[] = {
		{ 1000, 0, 1000, -EPERM },
		{ 1000, -1, 1000, -EPERM },
		{ 0, 0, 0, -EPERM },
		{ 0, 1, (uid_t)-1, -EPERM },
		{ 1000, 1, 1001, -EPERM },
		{ 1000, 1, 0, -EPERM },
		{ 1000, 1, 1000, 0 },
		{ 0, 1, 1001, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct caller caller = { .pid = rows[i].pid, .uid = rows[i].uid, .gid = 5, .why = &world->why };
		struct process *process;

		world->surroundings.uid = rows[i].mounts;
		assert_int_equal(manager_make(world->manager, &caller, NULL, &process), rows[i].error);
	}
}

/* ---- the roster ---- */

enum { MANY = 12000 };

static void assert_roster(struct world *world, const bool *there)
{
	uint64_t id = 0;

	for (uint64_t i = 1; i <= MANY; i++) {
		struct process *process = manager_by_id(world->manager, i);

		assert_int_equal(process != NULL, there[i]);
		if (!there[i])
			continue;
		assert_int_equal(process->id, i);
		assert_ptr_equal(manager_after(world->manager, id), process);
		assert_ptr_equal(manager_by_directory(world->manager, process->directory), process);
		id = i;
	}
	assert_null(manager_after(world->manager, id));
}

static void ten_thousand_are_found_and_listed_in_order_whatever_was_removed(void **state)
{
	struct world *world = *state;
	bool *there = calloc(MANY + 1, sizeof(*there));

	assert_non_null(there);
	for (uint64_t i = 1; i <= MANY; i++)
		there[world_make_as(world, &world->caller, NULL)->id] = true;
	assert_roster(world, there);
	/* Every third, all of the middle, the last; each way the roster has other holes or is packed. */
	for (uint64_t i = 1; i <= MANY; i++) {
		if (i % 3 != 1 && (i < 4000 || i > 9000) && i != MANY)
			continue;
		assert_int_equal(manager_remove(world->manager, manager_by_id(world->manager, i), NULL), 0);
		there[i] = false;
		if (i % 1500 == 0)
			assert_roster(world, there);
	}
	assert_roster(world, there);
	assert_int_equal(world_make_as(world, &world->caller, NULL)->id, MANY + 1);
	assert_non_null(manager_by_id(world->manager, MANY + 1));
	free(there);
}

static void a_walk_goes_on_behind_what_is_removed_on_the_way(void **state)
{
	struct world *world = *state;
	struct process *process;
	uint64_t id = 0;
	unsigned seen = 0;

	for (unsigned i = 0; i < 1000; i++)
		world_make_as(world, &world->caller, NULL);
	while ((process = manager_after(world->manager, id))) {
		id = process->id;
		assert_int_equal(id, ++seen);
		assert_int_equal(manager_remove(world->manager, process, NULL), 0);
		assert_null(manager_by_id(world->manager, id));
	}
	assert_int_equal(seen, 1000);
	assert_null(manager_after(world->manager, 0));
}

static void a_removed_name_is_free_again(void **state)
{
	struct world *world = *state;

	assert_int_equal(manager_remove(world->manager, world_make(world, "x"), NULL), 0);
	assert_null(manager_by_directory(world->manager, "x"));
	assert_int_equal(world_make(world, "x")->id, 2);
}

static void on_observed(struct observer *observer)
{
	*(unsigned *)(observer + 1) += 1;
}

static void removing_tells_who_observes_that_there_is_nothing_more(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct {
		struct observer observer;
		unsigned times;
	} seen = { .observer = { .on_ended = on_observed } };

	observer_watch(&process->observers, &seen.observer);
	assert_int_equal(manager_remove(world->manager, process, NULL), 0);
	assert_int_equal(seen.times, 1);
	assert_false(seen.observer.observing);
}

/* ---- verbs and states ---- */

enum reached { INITIAL, STARTING, RUNNING, ENDED };

static struct process *bring_to(struct world *world, enum reached reached, struct told *started)
{
	struct process *process = world_make(world, NULL);
	pid_t pid;

	if (reached == INITIAL)
		return process;
	assert_int_equal(manager_start(world->manager, process, &world->caller, &started->waiter), 0);
	if (reached == STARTING)
		return process;
	pid = world_spawn(world);
	world_enter_running(world, world_take_launch(world), pid);
	world_tell(world, MESSAGE_STARTED, process->launch);
	world_turn(world);
	if (reached == RUNNING)
		return process;
	kill(pid, SIGKILL);
	world_end(world, process, world_reap(world, pid));
	return process;
}

static int do_start(struct world *world, struct process *process, struct told *told)
{
	return manager_start(world->manager, process, &world->caller, &told->waiter);
}

static int do_await_start(struct world *world, struct process *process, struct told *told)
{
	(void)world;
	return manager_await_start(process, &told->waiter);
}

static int do_join(struct world *world, struct process *process, struct told *told)
{
	return manager_join(world->manager, process, &world->caller, &told->waiter);
}

static int do_signal(struct world *world, struct process *process, struct told *told)
{
	(void)told;
	return manager_signal(world->manager, process, SIGCONT, &world->why);
}

static int do_check(struct world *world, struct process *process, struct told *told)
{
	(void)told;
	return manager_check_initial(process, &world->why);
}

static int do_remove(struct world *world, struct process *process, struct told *told)
{
	(void)told;
	return manager_remove(world->manager, process, &world->why);
}

static const struct {
	int (*verb)(struct world *, struct process *, struct told *);
	struct {
		int result;
		const char *part;
	} in[ENDED + 1];
} verbs[] = {
	{ do_start, { { 0, "" }, { -EALREADY, "cannot start a process twice" }, { -EALREADY, "cannot start a process twice" },
		      { -EALREADY, "cannot start a process twice" } } },
	{ do_await_start, { { -EALREADY, "" }, { 0, "" }, { -EALREADY, "" }, { -EALREADY, "" } } },
	{ do_join, { { -ESRCH, "can only join a started process" }, { -ESRCH, "can only join a started process" }, { 0, "" },
		     { 1, "" } } },
	{ do_signal, { { -ESRCH, "started process" }, { -ESRCH, "started process" }, { 0, "" }, { 0, "" } } },
	{ do_check, { { 0, "" }, { -EBUSY, "process has already started" }, { -EBUSY, "process has already started" },
		      { -EBUSY, "process has already started" } } },
	{ do_remove, { { 0, "" }, { -EBUSY, "Cannot close a process while it is still running." },
		       { -EBUSY, "You should first call join() or terminate()." }, { 0, "" } } },
};

static void each_verb_has_its_errno_and_sentence_in_each_state(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		for (enum reached reached = INITIAL; reached <= ENDED; reached++) {
			struct told started = TOLD, told = TOLD;
			struct process *process = bring_to(world, reached, &started);
			enum process_state before = process->state;
			int result;

			world->why.sentence[0] = '\0';
			result = verbs[i].verb(world, process, &told);
			assert_int_equal(result, verbs[i].in[reached].result);
			assert_non_null(strstr(world->why.sentence, verbs[i].in[reached].part));
			assert_int_equal(told.times, 0);
			assert_int_equal(told.waiter.waiting, result == 0 && (verbs[i].verb == do_start ||
				verbs[i].verb == do_await_start || verbs[i].verb == do_join));
			if (result < 0)
				assert_int_equal(process->state, before);
			waiter_cancel(&told.waiter);
			waiter_cancel(&started.waiter);
			if (reached <= STARTING && (verbs[i].verb == do_start || reached == STARTING))
				world_take_launch(world);
		}
	}
}

static void before_the_start_and_after_the_end_nothing_is_alive_or_paused(void **state)
{
	struct world *world = *state;
	struct told started = TOLD;
	struct process *initial = bring_to(world, INITIAL, NULL), *ended = bring_to(world, ENDED, &started);
	int code;

	assert_int_equal(manager_pid(world->manager, initial), 0);
	assert_false(manager_is_alive(world->manager, initial));
	assert_false(manager_is_paused(world->manager, initial));
	assert_true(manager_pid(world->manager, ended) > 0);
	assert_false(manager_is_alive(world->manager, ended));
	assert_false(manager_is_paused(world->manager, ended));
	assert_true(process_exitcode(ended, &code));
	assert_int_equal(code, -SIGKILL);
}

static void signals_reach_the_process_and_paused_is_seen(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	pid_t pid = world_run(world, process);
	int status;

	assert_int_equal(manager_pid(world->manager, process), pid);
	assert_true(manager_is_alive(world->manager, process));
	assert_false(manager_is_paused(world->manager, process));
	assert_int_equal(manager_signal(world->manager, process, SIGSTOP, NULL), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(manager_is_paused(world->manager, process));
	assert_true(manager_is_alive(world->manager, process));
	assert_int_equal(manager_signal(world->manager, process, 1000, &world->why), -EINVAL);
	assert_non_null(strstr(world->why.sentence, strerror(EINVAL)));
	assert_int_equal(manager_signal(world->manager, process, SIGKILL, NULL), 0);
	assert_int_equal(WTERMSIG(world_reap(world, pid)), SIGKILL);
}

/* ---- what is kept of a user ---- */

static void an_authkey_is_drawn_once_for_each_user_and_own_ones_go_first(void **state)
{
	struct world *world = *state;
	struct process *mine = world_make(world, "mine"), *second = world_make(world, "second"), *hers;
	unsigned char a[PROCESS_AUTHKEY_SIZE], b[PROCESS_AUTHKEY_SIZE], own[PROCESS_AUTHKEY_SIZE] = "own";
	struct caller other = world->caller;

	world->surroundings.uid = 0;
	other.uid = world->caller.uid + 1;
	hers = world_make_as(world, &other, "hers");
	assert_int_equal(manager_authkey(world->manager, mine, a), 0);
	assert_int_equal(manager_authkey(world->manager, second, b), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(manager_authkey(world->manager, hers, b), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	second->authkey = malloc(sizeof(own));
	assert_non_null(second->authkey);
	memcpy(second->authkey, own, sizeof(own));
	assert_int_equal(manager_authkey(world->manager, second, b), 0);
	assert_memory_equal(b, own, sizeof(own));
}

static void the_last_refusal_is_kept_for_each_user(void **state)
{
	struct world *world = *state;

	assert_null(manager_error(world->manager, 5));
	manager_set_error(world->manager, 5, "first");
	manager_set_error(world->manager, 6, "sixth");
	manager_set_error(world->manager, 5, "second");
	assert_string_equal(manager_error(world->manager, 5), "second");
	assert_string_equal(manager_error(world->manager, 6), "sixth");
	manager_set_error(world->manager, 5, NULL);
	assert_null(manager_error(world->manager, 5));
}

static void destroy_takes_null_and_what_is_still_starting_or_running(void **state)
{
	struct world *world = *state;
	struct told told = TOLD;

	manager_destroy(NULL);
	world_run(world, world_make(world, "runs"));
	assert_int_equal(manager_start(world->manager, world_make(world, "starts"), &world->caller, &told.waiter), 0);
	world_make(world, "initial");
	waiter_cancel(&told.waiter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(numbers_count_every_construction_and_are_never_used_again),
		IN_WORLD(each_of_many_directories_is_found_and_no_other),
		IN_WORLD(a_number_whose_name_is_taken_is_passed_over),
		IN_WORLD(what_is_refused_counts_nothing_and_makes_nothing),
		IN_WORLD(names_are_refused_with_their_errno_and_sentence),
		IN_WORLD(a_new_process_is_its_makers),
		IN_WORLD(who_cannot_be_identified_or_become_makes_nothing),
		IN_WORLD(ten_thousand_are_found_and_listed_in_order_whatever_was_removed),
		IN_WORLD(a_walk_goes_on_behind_what_is_removed_on_the_way),
		IN_WORLD(a_removed_name_is_free_again),
		IN_WORLD(removing_tells_who_observes_that_there_is_nothing_more),
		IN_WORLD(each_verb_has_its_errno_and_sentence_in_each_state),
		IN_WORLD(before_the_start_and_after_the_end_nothing_is_alive_or_paused),
		IN_WORLD(signals_reach_the_process_and_paused_is_seen),
		IN_WORLD(an_authkey_is_drawn_once_for_each_user_and_own_ones_go_first),
		IN_WORLD(the_last_refusal_is_kept_for_each_user),
		IN_WORLD(destroy_takes_null_and_what_is_still_starting_or_running),
	};

	return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
