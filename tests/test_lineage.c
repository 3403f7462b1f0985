/* Who runs inside of whom, and what the end of a main process means; the keeper is played by hand. */
#include "world.h"

static void assert_untouched(pid_t pid)
{
	assert_true(world_is_untouched(pid));
}

static void assert_terminated(struct world *world, pid_t pid)
{
	int status = world_reap(world, pid);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static struct process *make_daemonic(struct world *world, const struct caller *caller, const char *name)
{
	struct process *process = world_make_as(world, caller, name);

	process->daemonic = true;
	return process;
}

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
	struct process *parent = make_daemonic(world, &world->caller, NULL), *child, *second, *grandchild;
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

	assert_int_equal(manager_start(world->manager, process, &world->caller, &started.waiter), 0);
	ref = world_take_launch(world);
	pid = world_spawn_with(world, WORLD_WITH_CHILD, &under);
	/* Before the keeper's word of its exec, too. */
	caller.pid = under;
	assert_null(manager_inside(world->manager, &caller, NULL));
	atomic_store(&ptable_at(world->table, ref.index)->pid, pid);
	assert_ptr_equal(manager_inside(world->manager, &caller, NULL), process);
	assert_ptr_equal(world_make_as(world, &caller, NULL)->parent, process);
	world_enter_running(world, ref, pid);
	world_tell(world, MESSAGE_STARTED, ref);
	world_turn(world);
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

	assert_int_equal(manager_start(world->manager, process, &world->caller, &started.waiter), 0);
	ref = world_take_launch(world);
	pid = world_spawn_with(world, WORLD_WITH_CHILD_IN_ITS_OWN_SESSION, &under);
	world_enter_running(world, ref, pid);
	world_tell(world, MESSAGE_STARTED, ref);
	world_turn(world);
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
	struct process *parent = make_daemonic(world, &world->caller, "parent"), *child, *other = world_make(world, "other");
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

	daemonic = make_daemonic(world, &inside, "daemonic");
	plain = make_daemonic(world, &inside, "plain");
	plain->daemonic = false;
	initial = make_daemonic(world, &inside, "initial");
	daemonic_pid = world_run(world, daemonic);
	plain_pid = world_run(world, plain);
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	assert_terminated(world, daemonic_pid);
	assert_untouched(plain_pid);
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
	struct process *process = make_daemonic(world, &world->caller, "x");
	pid_t pid = world_run(world, process);
	int status;

	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	manager_end(world->manager);
	assert_terminated(world, pid);
}

static void a_daemonic_process_that_is_starting_then_is_terminated_when_it_has_started(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make(world, "parent"), *late;
	pid_t pid = world_run(world, parent), late_pid;
	struct caller inside = world_inside(world, pid);
	struct told started = TOLD;
	struct ptable_ref ref;

	late = make_daemonic(world, &inside, "late");
	assert_int_equal(manager_start(world->manager, late, &world->caller, &started.waiter), 0);
	ref = world_take_launch(world);
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	late_pid = world_spawn(world);
	world_enter_running(world, ref, late_pid);
	assert_untouched(late_pid);
	world_tell(world, MESSAGE_STARTED, ref);
	world_turn(world);
	assert_int_equal(started.times, 1);
	assert_int_equal(started.error, 0);
	assert_terminated(world, late_pid);
}

static void a_doomed_start_that_fails_can_be_started_again_in_peace(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make(world, "parent"), *late;
	pid_t pid = world_run(world, parent);
	struct caller inside = world_inside(world, pid);
	struct told started = TOLD;
	struct ptable_ref ref;

	late = make_daemonic(world, &inside, "late");
	assert_int_equal(manager_start(world->manager, late, &world->caller, &started.waiter), 0);
	ref = world_take_launch(world);
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	world_enter_failed(world, ref, LAUNCH_STEP_EXEC, ENOENT);
	world_tell(world, MESSAGE_FAILED, ref);
	world_turn(world);
	assert_int_equal(started.error, -ENOENT);
	assert_untouched(world_run(world, late));
}

static void nothing_of_another_owner_is_terminated(void **state)
{
	struct world *world = *state;
	struct process *parent = world_make(world, "parent"), *hers;
	pid_t pid = world_run(world, parent), her_pid;
	struct caller inside = world_inside(world, pid);

	hers = make_daemonic(world, &inside, "hers");
	her_pid = world_run(world, hers);
	hers->owner++;
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	assert_untouched(her_pid);
	assert_null(hers->parent);
}

/* ---- sessions ---- */

static void a_session_makes_its_program_a_main_process_until_it_ends(void **state)
{
	struct world *world = *state;
	struct session *session, *found;
	struct process *daemonic, *plain;
	pid_t under, opener = world_spawn_with(world, WORLD_WITH_CHILD, &under), daemonic_pid, plain_pid;
	struct caller caller = world_inside(world, opener);

	assert_int_equal(manager_open_session(world->manager, &caller, &session), 0);
	assert_null(manager_inside(world->manager, &caller, &found));
	assert_ptr_equal(found, session);
	daemonic = make_daemonic(world, &caller, "daemonic");
	assert_ptr_equal(daemonic->session, session);
	assert_null(daemonic->parent);
	caller.pid = under;
	plain = make_daemonic(world, &caller, "plain");
	plain->daemonic = false;
	assert_ptr_equal(plain->session, session);
	assert_null(world_make(world, "mine")->session);
	daemonic_pid = world_run(world, daemonic);
	plain_pid = world_run(world, plain);
	kill(opener, SIGKILL);
	world_reap(world, opener);
	AWAIT(world, !daemonic->session);
	assert_terminated(world, daemonic_pid);
	assert_untouched(plain_pid);
	assert_null(plain->session);
	manager_close_session(world->manager, session);
}

static void closing_the_session_is_its_end(void **state)
{
	struct world *world = *state;
	struct session *session, *found;
	struct process *daemonic;
	pid_t pid;

	assert_int_equal(manager_open_session(world->manager, &world->caller, &session), 0);
	daemonic = make_daemonic(world, &world->caller, "daemonic");
	assert_ptr_equal(daemonic->session, session);
	pid = world_run(world, daemonic);
	assert_untouched(pid);
	manager_close_session(world->manager, session);
	assert_terminated(world, pid);
	assert_null(daemonic->session);
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_null(found);
}

static void a_session_opened_twice_lasts_until_both_are_closed(void **state)
{
	struct world *world = *state;
	struct session *first, *second, *found;

	assert_int_equal(manager_open_session(world->manager, &world->caller, &first), 0);
	assert_int_equal(manager_open_session(world->manager, &world->caller, &second), 0);
	manager_close_session(world->manager, second);
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_ptr_equal(found, first);
	manager_close_session(world->manager, first);
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_null(found);
}

static void a_session_lasts_until_its_opener_has_no_descriptor_of_it(void **state)
{
	struct world *world = *state;
	char path[] = "/tmp/test_lineage.XXXXXX";
	pid_t other = world_spawn(world);
	int first = mkstemp(path), second = dup(first);
	struct session *session, *found;

	assert_true(first >= 0 && second >= 0);
	assert_int_equal(manager_open_session(world->manager, &world->caller, &session), 0);
	close(first);
	manager_check_session(world->manager, session, getpid(), path + strlen("/tmp/"));
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_ptr_equal(found, session);
	close(second);
	/* Another one's close says nothing of the opener. */
	manager_check_session(world->manager, session, other, path + strlen("/tmp/"));
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_ptr_equal(found, session);
	manager_check_session(world->manager, session, getpid(), path + strlen("/tmp/"));
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_null(found);
	manager_check_session(world->manager, session, getpid(), path + strlen("/tmp/"));
	manager_close_session(world->manager, session);
	unlink(path);
}

static void inside_of_a_managed_process_its_session_does_not_count(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x"), *child;
	struct caller inside = world_inside(world, world_run(world, process));
	struct session *session;

	assert_int_equal(manager_open_session(world->manager, &world->caller, &session), 0);
	child = world_make_as(world, &inside, "child");
	assert_ptr_equal(child->parent, process);
	assert_null(child->session);
	manager_close_session(world->manager, session);
}

static void who_cannot_be_identified_or_is_gone_opens_no_session(void **state)
{
	struct world *world = *state;
	struct caller nobody = world->caller;
	struct session *session;

	nobody.pid = 0;
	assert_int_equal(manager_open_session(world->manager, &nobody, &session), -EPERM);
	assert_non_null(strstr(world->why.sentence, "cannot be identified"));
	nobody.pid = 2147480000;
	assert_int_equal(manager_open_session(world->manager, &nobody, &session), -ESRCH);
}

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
	struct process *daemonic = make_daemonic(world, &world->caller, "daemonic"), *plain = world_make(world, "plain"),
		       *leased, *starting = world_make(world, "starting");
	struct session *session;
	struct told started = TOLD, joined = TOLD;
	struct ptable_ref ref;
	pid_t daemonic_pid = world_run(world, daemonic), plain_pid = world_run(world, plain), leased_pid;

	assert_int_equal(manager_open_session(world->manager, &world->caller, &session), 0);
	leased = make_daemonic(world, &world->caller, "leased");
	leased_pid = world_run(world, leased);
	assert_int_equal(manager_start(world->manager, starting, &world->caller, &started.waiter), 0);
	ref = world_take_launch(world);
	assert_int_equal(manager_join(world->manager, daemonic, &world->caller, &joined.waiter), 0);
	manager_end(world->manager);
	assert_untouched(plain_pid);
	world_end(world, daemonic, (assert_terminated(world, daemonic_pid), SIGTERM));
	assert_int_equal(joined.times, 1);
	world_end(world, leased, (assert_terminated(world, leased_pid), SIGTERM));
	kill(plain_pid, SIGKILL);
	world_end(world, plain, world_reap(world, plain_pid));
	assert_int_equal(world->finished, 0);
	world_enter_failed(world, ref, LAUNCH_STEP_EXEC, ENOENT);
	world_tell(world, MESSAGE_FAILED, ref);
	world_turn(world);
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

	hers = make_daemonic(world, &inside, "hers");
	her_pid = world_run(world, hers);
	hers->owner++;
	manager_end(world->manager);
	assert_untouched(pid);
	assert_untouched(her_pid);
	kill(pid, SIGKILL);
	world_end(world, parent, world_reap(world, pid));
	assert_terminated(world, her_pid);
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
	assert_int_equal(manager_start(world->manager, hangs, &world->caller, &started.waiter), 0);
	ref = world_take_launch(world);
	hanging = world_spawn(world);
	atomic_store(&ptable_at(world->table, ref.index)->pid, hanging);
	world_tell_signal(world, SIGTERM);
	assert_true(manager_is_ending(world->manager));
	assert_untouched(pid);
	assert_untouched(hanging);
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
	world_enter_running(world, ref, pid);
	world_tell(world, MESSAGE_STARTED, ref);
	world_turn(world);
	return ref;
}

static void the_end_of_the_command_is_the_end_of_the_mount(void **state)
{
	struct world *world = *state;
	struct process *daemonic = make_daemonic(world, &world->caller, "daemonic");
	pid_t pid = world_run(world, daemonic);
	struct ptable_ref ref = begin_command(world, 2147480000);

	assert_false(manager_is_ending(world->manager));
	world_enter_ended(world, ref, 0);
	world_tell(world, MESSAGE_ENDED, ref);
	world_turn(world);
	assert_true(manager_is_ending(world->manager));
	assert_terminated(world, pid);
	assert_int_equal(world->finished, 0);
	world_end(world, daemonic, SIGTERM);
	assert_int_equal(world->finished, 1);
}

static void a_command_that_cannot_be_run_ends_the_mount_too(void **state)
{
	struct world *world = *state;
	struct ptable_ref ref = ptable_ref_at(world->table, PTABLE_COMMAND);

	assert_true(ptable_step(world->table, ref, PTABLE_FREE, PTABLE_LAUNCHING));
	world_enter_failed(world, ref, LAUNCH_STEP_EXEC, ENOENT);
	world_tell(world, MESSAGE_FAILED, ref);
	world_turn(world);
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
	assert_untouched(pid);
	assert_untouched(command);
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
		IN_WORLD(a_session_makes_its_program_a_main_process_until_it_ends),
		IN_WORLD(closing_the_session_is_its_end),
		IN_WORLD(a_session_opened_twice_lasts_until_both_are_closed),
		IN_WORLD(a_session_lasts_until_its_opener_has_no_descriptor_of_it),
		IN_WORLD(inside_of_a_managed_process_its_session_does_not_count),
		IN_WORLD(who_cannot_be_identified_or_is_gone_opens_no_session),
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

	return cmocka_run_group_tests_name("lineage", tests, NULL, NULL);
}
