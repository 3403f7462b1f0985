/* Who runs inside of whom, and what the end of a managed process means; the keeper is played by hand. */
#include "world.h"

/* ---- inside ---- */

static void outside_of_all_is_nobodys_child(void **state)
{
	struct world *world = *state;
	struct session *session = (struct session *)world;

	assert_null(manager_inside(world->manager, &world->caller, NULL));
	assert_null(manager_inside(world->manager, &world->caller, &session));
	assert_null(session);
	world_run(world, world_make(world, "runs"));
	assert_null(manager_inside(world->manager, &world->caller, NULL));
	assert_null(world_make(world, "mine")->parent);
}

static void what_is_made_inside_is_a_child_with_pythons_name_and_inherits(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make_daemonic(world, &world->caller, NULL), *child, *second, *grandchild;
	struct caller inside = world_inside(world, world_run(world, parent));

	parent->authkey = malloc(PROCESS_AUTHKEY_SIZE);
	assert_non_null(parent->authkey);
	memset(parent->authkey, 'k', PROCESS_AUTHKEY_SIZE);
	assert_ptr_equal(manager_inside(world->manager, &inside, NULL), parent);
	child = world_make_as(world, &inside, NULL);
	assert_string_equal(child->directory, "Process-1:1");
	assert_ptr_equal(child->parent, parent);
	assert_ptr_equal(LIST_FIRST(&parent->children), child);
	assert_true(child->daemonic);
	assert_memory_equal(child->authkey, parent->authkey, PROCESS_AUTHKEY_SIZE);
	world_make_as(world, &inside, "named");
	second = world_make_as(world, &inside, NULL);
	assert_string_equal(second->directory, "Process-1:3");
	assert_string_equal(world_make(world, NULL)->directory, "Process-2");
	world_run(world, child);
	inside.pid = child->pid;
	grandchild = world_make_as(world, &inside, NULL);
	assert_string_equal(grandchild->directory, "Process-1:1:1");
	assert_ptr_equal(grandchild->parent, child);
}

static void children_and_threads_of_a_process_are_inside_of_it(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told started = TOLD;
	struct caller caller = world->caller;
	struct ptable_ref ref;
	pid_t under, pid;

	ref = world_begin(world, process, &started);
	pid = world_spawn_with(world, WORLD_WITH_CHILD, &under);
	/* Before the keeper's word of its exec, too. */
	caller.pid = under;
	assert_null(manager_inside(world->manager, &caller, NULL));
	atomic_store(&ptable_at(world->table, ref.index)->pid, pid);
	assert_ptr_equal(manager_inside(world->manager, &caller, NULL), process);
	assert_ptr_equal(world_make_as(world, &caller, NULL)->parent, process);
	world_succeed(world, ref, pid);
	assert_ptr_equal(manager_inside(world->manager, &caller, NULL), process);
	caller.pid = pid;
	assert_ptr_equal(manager_inside(world->manager, &caller, NULL), process);
	kill(pid, SIGKILL);
	world_end(world, process, world_reap(world, pid));
	caller.pid = getpid();
	assert_null(manager_inside(world->manager, &caller, NULL));
}

/* A session of its own, made in the process: only the chain of parents leads back. */
static void a_new_session_below_a_process_is_inside_by_the_chain_of_parents(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct told started = TOLD;
	struct caller caller = world->caller;
	struct ptable_ref ref;
	pid_t pid, under;

	ref = world_begin(world, process, &started);
	pid = world_spawn_with(world, WORLD_WITH_CHILD_IN_ITS_OWN_SESSION, &under);
	world_succeed(world, ref, pid);
	assert_int_equal(getsid(under), under);
	caller.pid = under;
	assert_ptr_equal(manager_inside(world->manager, &caller, NULL), process);
}

static void a_caller_without_a_pid_is_inside_of_nothing(void **state)
{
	struct world *world = *state;
	struct caller nobody = world->caller;

	world_run(world, world_make(world, "runs"));
	nobody.pid = 0;
	assert_null(manager_inside(world->manager, &nobody, NULL));
	nobody.pid = 2147480000;
	assert_null(manager_inside(world->manager, &nobody, NULL));
}

static void inside_of_itself_a_join_is_a_deadlock_and_a_daemonic_one_starts_nothing(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make_daemonic(world, &world->caller, "parent"), *child, *other = world_make(world, "other");
	struct caller inside = world_inside(world, world_run(world, parent));
	struct told told = TOLD;

	assert_int_equal(manager_join(world->manager, parent, &inside, &told.waiter), -EDEADLK);
	assert_string_equal(world->why.sentence, "cannot join current process");
	assert_false(told.waiter.waiting);
	child = world_make_as(world, &inside, NULL);
	assert_int_equal(manager_start(world->manager, child, &inside, &told.waiter), -EPERM);
	assert_string_equal(world->why.sentence, "daemonic processes are not allowed to have children");
	assert_int_equal(child->state, PROCESS_INITIAL);
	world_run(world, other);
	assert_int_equal(manager_join(world->manager, other, &inside, &told.waiter), 0);
	waiter_cancel(&told.waiter);
}

static void another_owners_key_is_not_inherited(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make(world, "parent");
	struct caller inside = world_inside(world, world_run(world, parent));

	parent->authkey = calloc(1, PROCESS_AUTHKEY_SIZE);
	world->surroundings.uid = 0;
	inside.uid = world->caller.uid + 1;
	assert_null(world_make_as(world, &inside, "hers")->authkey);
}

/* ---- the end of a managed process ---- */

static void at_its_end_its_daemonic_children_are_terminated_and_the_others_pass_to_the_mount(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make(world, "parent"), *daemonic, *plain, *initial;
	pid_t pid = world_run(world, parent), daemonic_pid, plain_pid;
	struct caller inside = world_inside(world, pid);

	daemonic = world_make_daemonic(world, &inside, "daemonic");
	plain = world_make_daemonic(world, &inside, "plain");
	plain->daemonic = false;
	initial = world_make_daemonic(world, &inside, "initial");
	daemonic_pid = world_run(world, daemonic);
	plain_pid = world_run(world, plain);
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	world_assert_terminated(world, daemonic_pid);
	world_assert_untouched(plain_pid);
	assert_null(daemonic->parent);
	assert_null(plain->parent);
	assert_null(initial->parent);
	assert_true(LIST_EMPTY(&parent->children));
	assert_int_equal(manager_remove(world->manager, parent, NULL), 0);
	assert_int_equal(initial->state, PROCESS_INITIAL);
	/* It was the mount's already when its keeper's word came. */
	world_end(world, daemonic, SIGTERM);
	assert_int_equal(daemonic->state, PROCESS_ENDED);
}

static void a_stopped_daemonic_process_is_terminated_too(void **state)
{
	struct world *world = *state;
	struct process *process = world_make_daemonic(world, &world->caller, "x");
	pid_t pid = world_run(world, process);
	int status;

	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	manager_end(world->manager);
	world_assert_terminated(world, pid);
}

static void a_daemonic_process_that_is_starting_then_is_terminated_when_it_has_started(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make(world, "parent"), *late;
	pid_t pid = world_run(world, parent), late_pid;
	struct caller inside = world_inside(world, pid);
	struct told started = TOLD;
	struct ptable_ref ref;

	late = world_make_daemonic(world, &inside, "late");
	ref = world_begin(world, late, &started);
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	late_pid = world_spawn(world);
	world_enter_running(world, ref, late_pid);
	world_assert_untouched(late_pid);
	world_tell(world, MESSAGE_STARTED, ref);
	world_turn(world);
	assert_int_equal(started.times, 1);
	assert_int_equal(started.error, 0);
	world_assert_terminated(world, late_pid);
}

static void a_doomed_start_that_fails_can_be_started_again_in_peace(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make(world, "parent"), *late;
	pid_t pid = world_run(world, parent);
	struct caller inside = world_inside(world, pid);
	struct told started = TOLD;
	struct ptable_ref ref;

	late = world_make_daemonic(world, &inside, "late");
	ref = world_begin(world, late, &started);
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	world_fail(world, ref, ENOENT);
	assert_int_equal(started.error, -ENOENT);
	world_assert_untouched(world_run(world, late));
}

static void nothing_of_another_owner_is_terminated(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make(world, "parent"), *hers;
	pid_t pid = world_run(world, parent), her_pid;
	struct caller inside = world_inside(world, pid);

	hers = world_run_hers(world, &inside, &her_pid);
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	world_assert_untouched(her_pid);
	assert_null(hers->parent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(outside_of_all_is_nobodys_child),
		IN_WORLD(what_is_made_inside_is_a_child_with_pythons_name_and_inherits),
		IN_WORLD(children_and_threads_of_a_process_are_inside_of_it),
		IN_WORLD(a_new_session_below_a_process_is_inside_by_the_chain_of_parents),
		IN_WORLD(a_caller_without_a_pid_is_inside_of_nothing),
		IN_WORLD(inside_of_itself_a_join_is_a_deadlock_and_a_daemonic_one_starts_nothing),
		IN_WORLD(another_owners_key_is_not_inherited),
		IN_WORLD(at_its_end_its_daemonic_children_are_terminated_and_the_others_pass_to_the_mount),
		IN_WORLD(a_stopped_daemonic_process_is_terminated_too),
		IN_WORLD(a_daemonic_process_that_is_starting_then_is_terminated_when_it_has_started),
		IN_WORLD(a_doomed_start_that_fails_can_be_started_again_in_peace),
		IN_WORLD(nothing_of_another_owner_is_terminated),
	};

	return cmocka_run_group_tests_name("lineage", tests, NULL, NULL);
}
