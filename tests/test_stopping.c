#include "world.h"

#include "core/manager_private.h"
#include "core/record.h"
#include "core/signals.h"
#include "core/stopping.h"

/* ---- names ---- */

static void a_signal_is_known_by_every_name_and_number(void **state)
{
	const struct {
		const char *word;
		int number;
	} rows[] = {
		{ "TERM", SIGTERM }, { "SIGTERM", SIGTERM }, { "sigterm", SIGTERM }, { "15", SIGTERM }, { "KILL", SIGKILL },
		{ "RTMIN", SIGRTMIN }, { "SIGRTMIN+1", SIGRTMIN + 1 }, { "rtmax-1", SIGRTMAX - 1 }, { "RTMAX", SIGRTMAX },
		{ "", -EINVAL }, { "0", -EINVAL }, { "65", -EINVAL }, { "-1", -EINVAL }, { "SIG", -EINVAL },
		{ "TERM ", -EINVAL }, { "9x", -EINVAL }, { "RTMIN-1", -EINVAL }, { "RTMAX+1", -EINVAL }, { "RTMIN+", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(signal_parse(rows[i].word), rows[i].number);
}

static void the_name_that_is_shown_means_the_same_signal(void **state)
{
	(void)state;
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct text text = { 0 };
		char *name;

		signal_add_name(&text, number);
		name = text_take(&text, NULL);
		assert_int_equal(signal_parse(name), number);
		free(name);
	}
}

/* ---- stopping ---- */

static void a_plan_is_what_was_set_or_the_usual(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, NULL);
	struct stop_plan plan = stopping_plan(process);

	assert_int_equal(plan.signal, SIGTERM);
	assert_true(plan.patience == 10 && plan.limit == 0);
	assert_null(process->stopping);
	plan = (struct stop_plan){ SIGUSR1, 2.5, 7 };
	assert_int_equal(stopping_set_plan(process, &plan), 0);
	plan = stopping_plan(process);
	assert_int_equal(plan.signal, SIGUSR1);
	assert_true(plan.patience == 2.5 && plan.limit == 7);
}

static void a_stop_before_the_start_is_refused_and_after_the_end_nothing(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, NULL);

	assert_int_equal(manager_stop(world->manager, process, &world->why), -ESRCH);
	world_run(world, process);
	world_end(world, process, 0);
	assert_int_equal(manager_stop(world->manager, process, NULL), 0);
	assert_int_equal(process->status, 0);
}

static void a_stop_sends_its_signal_and_wakes_the_paused(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, NULL);
	struct stop_plan plan = { SIGUSR1, 1000, 0 };
	pid_t pid = world_run(world, process);
	int status;

	assert_int_equal(stopping_set_plan(process, &plan), 0);
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(manager_stop(world->manager, process, NULL), 0);
	assert_int_equal(WTERMSIG(world_reap(world, pid)), SIGUSR1);
	/* Its timer goes with the end: the teardown finds no handle. */
	world_end(world, process, SIGUSR1);
}

static void what_does_not_end_in_time_is_killed(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, NULL);
	struct stop_plan plan = { SIGURG, 0.05, 0 };
	pid_t pid = world_run(world, process);
	int64_t before = world_clock();
	int status = 0;

	assert_int_equal(stopping_set_plan(process, &plan), 0);
	assert_int_equal(manager_stop(world->manager, process, NULL), 0);
	AWAIT(world, waitpid(pid, &status, WNOHANG) == pid);
	world->children[0] = 0;
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_true(world_clock() - before >= 50);
	assert_false(stopping_is_timed_out(process));
}

static void without_patience_it_is_killed_at_once(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, NULL);
	struct stop_plan plan = { SIGURG, 0, 0 };
	pid_t pid = world_run(world, process);

	assert_int_equal(stopping_set_plan(process, &plan), 0);
	assert_int_equal(manager_stop(world->manager, process, NULL), 0);
	assert_int_equal(WTERMSIG(world_reap(world, pid)), SIGKILL);
}

static void one_that_runs_too_long_is_stopped_and_known_for_it(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, NULL);
	struct stop_plan plan = { SIGUSR2, 1000, 0.05 };
	int status = 0;
	pid_t pid;

	assert_int_equal(stopping_set_plan(process, &plan), 0);
	pid = world_run(world, process);
	assert_false(stopping_is_timed_out(process));
	AWAIT(world, waitpid(pid, &status, WNOHANG) == pid);
	world->children[0] = 0;
	assert_int_equal(WTERMSIG(status), SIGUSR2);
	assert_true(stopping_is_timed_out(process));
	world_end(world, process, status);
	assert_true(stopping_is_timed_out(process));
}

static void one_that_ended_before_its_end_was_told_is_not_known_for_it(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, NULL);
	struct stop_plan plan = { SIGUSR2, 1000, 0.05 };
	int64_t begun;

	assert_int_equal(stopping_set_plan(process, &plan), 0);
	world_run(world, process);
	begun = world_clock();
	world_enter_ended(world, process->launch, 0);
	AWAIT(world, world_clock() - begun > 200);
	assert_false(stopping_is_timed_out(process));
	world_tell(world, MESSAGE_ENDED, process->launch);
	AWAIT(world, process->state == PROCESS_ENDED);
}

/* What a server that died has kept of a limit that was due at that millisecond. */
static void take_limit(struct world *world, struct process *process, uint64_t due)
{
	const double patience = 1000, limit = 1;
	struct text text = { 0 };
	struct record_reader from;

	record_put_number(&text, true);
	record_put_number(&text, SIGTERM);
	record_put_bytes(&text, &patience, sizeof(patience));
	record_put_bytes(&text, &limit, sizeof(limit));
	record_put_number(&text, false);
	record_put_number(&text, false);
	record_put_number(&text, due + 1);
	from = (struct record_reader){ text.data, text.data + text.size, false, false };
	assert_int_equal(stopping_unpack(world->manager, process, &from), 0);
	assert_ptr_equal(from.at, from.end);
	text_finish(&text);
}

static void assert_same_kept(const struct process *one, const struct process *other)
{
	struct text first = { 0 }, second = { 0 };

	stopping_pack(one, &first);
	stopping_pack(other, &second);
	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.data, second.data, first.size);
	text_finish(&first);
	text_finish(&second);
}

static void one_whose_limit_was_due_before_its_end_is_known_for_it_whichever_server_hears_of_that(void **state)
{
	enum { DUE = 2005 };
	struct world *world = *state;

	for (uint64_t over = DUE - 1; over <= DUE + 1; over++) {
		struct process *process = world_make(world, NULL), *again = world_make(world, NULL);

		world_run(world, process);
		take_limit(world, process, DUE);
		take_limit(world, again, DUE);
		assert_same_kept(process, again);
		stopping_on_over(again);
		ptable_end_at(world->table, process->launch.index)->over =
			(struct timespec){ .tv_sec = 2, .tv_nsec = (long)(over - 2000) * 1000000 };
		world_enter_ended(world, process->launch, SIGTERM);
		outcome_scan(world->manager); /* as a new server does, before any timer */
		assert_int_equal(process->state, PROCESS_ENDED);
		assert_int_equal(stopping_is_timed_out(process), over >= DUE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_is_known_by_every_name_and_number),
		cmocka_unit_test(the_name_that_is_shown_means_the_same_signal),
		IN_WORLD(a_plan_is_what_was_set_or_the_usual),
		IN_WORLD(a_stop_before_the_start_is_refused_and_after_the_end_nothing),
		IN_WORLD(a_stop_sends_its_signal_and_wakes_the_paused),
		IN_WORLD(what_does_not_end_in_time_is_killed),
		IN_WORLD(without_patience_it_is_killed_at_once),
		IN_WORLD(one_that_runs_too_long_is_stopped_and_known_for_it),
		IN_WORLD(one_that_ended_before_its_end_was_told_is_not_known_for_it),
		IN_WORLD(one_whose_limit_was_due_before_its_end_is_known_for_it_whichever_server_hears_of_that),
	};

	return cmocka_run_group_tests_name("stopping", tests, NULL, NULL);
}
