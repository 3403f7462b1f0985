/* Programs that hold the session open are main processes; the keeper is played by hand. */
#include "world.h"

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
	daemonic = world_make_daemonic(world, &caller, "daemonic");
	assert_ptr_equal(daemonic->session, session);
	assert_null(daemonic->parent);
	caller.pid = under;
	plain = world_make_daemonic(world, &caller, "plain");
	plain->daemonic = false;
	assert_ptr_equal(plain->session, session);
	assert_null(world_make(world, "mine")->session);
	daemonic_pid = world_run(world, daemonic);
	plain_pid = world_run(world, plain);
	kill(opener, SIGKILL);
	world_reap(world, opener);
	AWAIT(world, !daemonic->session);
	world_assert_terminated(world, daemonic_pid);
	world_assert_untouched(plain_pid);
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
	daemonic = world_make_daemonic(world, &world->caller, "daemonic");
	assert_ptr_equal(daemonic->session, session);
	pid = world_run(world, daemonic);
	world_assert_untouched(pid);
	manager_close_session(world->manager, session);
	world_assert_terminated(world, pid);
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

struct closing {
	struct waiter waiter;
	bool known;
};

static void on_known(struct waiter *waiter, int error)
{
	assert_int_equal(error, 0);
	((struct closing *)waiter)->known = true;
}

/* A descriptor was closed by that thread, and what that means is known. */
static void check(struct world *world, struct session *session, pid_t thread, const char *path)
{
	struct closing closing = { .waiter.on_done = on_known };

	if (manager_check_session(session, thread, path + strlen("/tmp/"), &closing.waiter))
		AWAIT(world, closing.known);
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
	check(world, session, getpid(), path);
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_ptr_equal(found, session);
	close(second);
	/* Another one's close says nothing of the opener. */
	check(world, session, other, path);
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_ptr_equal(found, session);
	check(world, session, getpid(), path);
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_null(found);
	check(world, session, getpid(), path);
	manager_close_session(world->manager, session);
	unlink(path);
}

/* Of a close that comes during a search it is not known whether that has seen it. */
static void closes_that_come_while_one_is_looked_at_are_looked_at_too(void **state)
{
	enum { CLOSES = 50 };
	struct world *world = *state;
	char path[] = "/tmp/test_lineage.XXXXXX";
	struct closing closings[CLOSES] = {0};
	int first = mkstemp(path);
	struct session *session, *found;

	assert_true(first >= 0);
	assert_int_equal(manager_open_session(world->manager, &world->caller, &session), 0);
	for (int i = 0; i < CLOSES; i++) {
		if (i == CLOSES - 1)
			close(first);
		closings[i].waiter.on_done = on_known;
		assert_int_equal(manager_check_session(session, getpid(), path + strlen("/tmp/"), &closings[i].waiter), 1);
	}
	for (int i = 0; i < CLOSES; i++)
		AWAIT(world, closings[i].known);
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_null(found);
	manager_close_session(world->manager, session);
	unlink(path);
}

static void a_session_that_is_opened_again_while_it_is_looked_at_goes_on(void **state)
{
	struct world *world = *state;
	struct closing closing = { .waiter.on_done = on_known };
	struct session *first, *second, *found;

	assert_int_equal(manager_open_session(world->manager, &world->caller, &first), 0);
	assert_int_equal(manager_check_session(first, getpid(), "nothing", &closing.waiter), 1);
	assert_int_equal(manager_open_session(world->manager, &world->caller, &second), 0);
	assert_ptr_equal(second, first);
	AWAIT(world, closing.known);
	assert_null(manager_inside(world->manager, &world->caller, &found));
	assert_ptr_equal(found, first);
	manager_close_session(world->manager, second);
	manager_close_session(world->manager, first);
}

static void a_session_that_is_gone_before_it_is_known_is_not_asked_for_again(void **state)
{
	struct world *world = *state;
	struct closing closing = { .waiter.on_done = on_known };
	struct session *session;

	assert_int_equal(manager_open_session(world->manager, &world->caller, &session), 0);
	assert_int_equal(manager_check_session(session, getpid(), "nothing", &closing.waiter), 1);
	manager_close_session(world->manager, session);
	assert_true(closing.known);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_session_makes_its_program_a_main_process_until_it_ends),
		IN_WORLD(closing_the_session_is_its_end),
		IN_WORLD(a_session_opened_twice_lasts_until_both_are_closed),
		IN_WORLD(a_session_lasts_until_its_opener_has_no_descriptor_of_it),
		IN_WORLD(closes_that_come_while_one_is_looked_at_are_looked_at_too),
		IN_WORLD(a_session_that_is_opened_again_while_it_is_looked_at_goes_on),
		IN_WORLD(a_session_that_is_gone_before_it_is_known_is_not_asked_for_again),
		IN_WORLD(inside_of_a_managed_process_its_session_does_not_count),
		IN_WORLD(who_cannot_be_identified_or_is_gone_opens_no_session),
	};

	return cmocka_run_group_tests_name("lineage_session", tests, NULL, NULL);
}
