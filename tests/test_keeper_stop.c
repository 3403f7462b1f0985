/* Who is stopped and goes on while the keeper hears of it. */
#include "keeping.h"

#include <sched.h>

#include "core/kin.h"

bool __real_ptable_find_pid(struct ptable *table, pid_t pid, struct ptable_ref *out);
bool __wrap_ptable_find_pid(struct ptable *table, pid_t pid, struct ptable_ref *out);

/* The keeper looks for one that was stopped: that one goes on now. */
bool __wrap_ptable_find_pid(struct ptable *table, pid_t pid, struct ptable_ref *out)
{
	if (kin_is_stopped(pid)) {
		kill(pid, SIGCONT);
		while (kin_is_stopped(pid))
			sched_yield();
	}
	return __real_ptable_find_pid(table, pid, out);
}

static int stops_one(struct server *server)
{
	struct ptable_ref ref;
	SPEC(spec, "/bin/sleep", "1000");

	CHECK(start(server, &spec, &ref) == 0);
	CHECK(expect(server, MESSAGE_STARTED, ref) == 0);
	CHECK(ptable_signal(server->table, ref, SIGSTOP) == 0);
	CHECK(expect(server, MESSAGE_PAUSED, ref) == 0);
	CHECK(expect(server, MESSAGE_CONTINUED, ref) == 0);
	CHECK(ptable_signal(server->table, ref, SIGTERM) == 0);
	CHECK(expect(server, MESSAGE_ENDED, ref) == 0);
	return 0;
}

static void one_that_goes_on_while_its_stop_is_told_is_told_to_go_on(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = stops_one }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_goes_on_while_its_stop_is_told_is_told_to_go_on),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
