#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/table.h"

static void finish(struct ptable *table, struct ptable_ref ref)
{
	assert_true(ptable_step(table, ref, PTABLE_CLAIMED, PTABLE_FAILED));
	ptable_release(table, ref);
}

static pid_t start_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* A test that fails leaves nothing. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	return pid;
}

static void claim_gives_an_entry_with_nothing_of_the_launch_before(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref first = claim(table), second;
	struct ptable_entry *entry = ptable_at(table, first.index);

	entry->pid = 17;
	entry->error = EACCES;
	entry->step = LAUNCH_STEP_EXEC;
	ptable_set_stopped(table, first, true);
	entry->status = 9;
	entry->candidate = 2;
	entry->started.tv_sec = 5;
	finish(table, first);
	assert_int_equal(ptable_claim(table, 123456789012, 7, &second), 0);
	assert_int_equal(second.index, first.index);
	assert_int_equal(ptable_state(table, second), PTABLE_CLAIMED);
	assert_int_equal(ptable_pid(table, second), 0);
	assert_int_equal(entry->id, 123456789012);
	assert_int_equal(entry->run, 7);
	assert_int_equal(entry->error | entry->step | entry->status | entry->candidate, 0);
	assert_int_equal(entry->started.tv_sec, 0);
	assert_true(ptable_step(table, second, PTABLE_CLAIMED, PTABLE_RUNNING));
	assert_false(ptable_is_stopped(table, second));
}

static void what_was_stopped_is_known_of_a_launch_that_has_not_ended(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref old = claim(table), ref;

	finish(table, old);
	ref = claim(table);
	assert_true(ptable_step(table, ref, PTABLE_CLAIMED, PTABLE_LAUNCHING));
	ptable_set_stopped(table, ref, true);
	assert_true(ptable_is_stopped(table, ref));
	assert_false(ptable_is_stopped(table, old));
	assert_true(ptable_step(table, ref, PTABLE_LAUNCHING, PTABLE_RUNNING));
	assert_true(ptable_is_stopped(table, ref));
	ptable_set_stopped(table, ref, false);
	assert_false(ptable_is_stopped(table, ref));
	ptable_set_stopped(table, ref, true);
	assert_true(ptable_step(table, ref, PTABLE_RUNNING, PTABLE_ENDED));
	assert_false(ptable_is_stopped(table, ref));
}

static void every_claim_has_a_generation_of_its_own(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref before = claim(table);

	for (int i = 0; i < 1000; i++) {
		struct ptable_ref ref;

		finish(table, before);
		ref = claim(table);
		assert_int_equal(ref.index, before.index);
		assert_int_equal(ref.generation, before.generation + 1);
		assert_int_equal(ptable_ref_at(table, ref.index).generation, ref.generation);
		before = ref;
	}
}

static void a_ref_of_an_older_generation_can_do_nothing(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref old = claim(table), ref;

	finish(table, old);
	ref = claim(table);
	ptable_at(table, ref.index)->pid = start_sleeper();
	assert_int_equal(ptable_state(table, old), PTABLE_FREE);
	assert_int_equal(ptable_pid(table, old), 0);
	assert_false(ptable_step(table, old, PTABLE_CLAIMED, PTABLE_RUNNING));
	assert_int_equal(ptable_signal(table, old, SIGKILL), -ESRCH);
	assert_true(ptable_step(table, ref, PTABLE_CLAIMED, PTABLE_ENDED));
	ptable_release(table, old);
	assert_int_equal(ptable_state(table, ref), PTABLE_ENDED);
	assert_int_equal(waitpid(ptable_pid(table, ref), NULL, WNOHANG), 0);
	kill(ptable_pid(table, ref), SIGKILL);
	assert_int_equal(waitpid(ptable_pid(table, ref), NULL, 0), ptable_pid(table, ref));
}

static void the_commands_entry_is_never_claimed_not_even_after_its_release(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref command = ptable_ref_at(table, PTABLE_COMMAND);

	assert_int_not_equal(claim(table).index, PTABLE_COMMAND);
	assert_true(ptable_step(table, command, PTABLE_FREE, PTABLE_LAUNCHING));
	assert_true(ptable_step(table, command, PTABLE_LAUNCHING, PTABLE_ENDED));
	ptable_release(table, command);
	assert_int_equal(ptable_state(table, command), PTABLE_FREE);
	for (int i = 0; i < 10; i++)
		assert_int_not_equal(claim(table).index, PTABLE_COMMAND);
}

static void a_full_table_gives_eagain_until_something_is_released(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref ref, kept = { 0, 0 };

	for (uint32_t i = 1; i < PTABLE_CAPACITY; i++) {
		assert_int_equal(ptable_claim(table, i, 1, &ref), 0);
		if (i == 77)
			kept = ref;
	}
	assert_int_equal(ptable_claim(table, 1, 1, &ref), -EAGAIN);
	finish(table, kept);
	assert_int_equal(ptable_claim(table, 1, 1, &ref), 0);
	assert_int_equal(ref.index, kept.index);
	assert_int_equal(ptable_claim(table, 1, 1, &ref), -EAGAIN);
}

static void only_a_final_entry_can_be_released_and_only_once(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref ref = claim(table);

	ptable_release(table, ref);
	assert_int_equal(ptable_state(table, ref), PTABLE_CLAIMED);
	assert_true(ptable_step(table, ref, PTABLE_CLAIMED, PTABLE_RUNNING));
	ptable_release(table, ref);
	assert_int_equal(ptable_state(table, ref), PTABLE_RUNNING);
	assert_true(ptable_step(table, ref, PTABLE_RUNNING, PTABLE_ENDED));
	ptable_release(table, ref);
	ptable_release(table, ref);
	assert_int_equal(claim(table).index, ref.index);
	assert_int_not_equal(claim(table).index, ref.index);
}

static void a_step_moves_only_what_is_in_the_state_it_names(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref ref = claim(table);
	struct ptable_entry *entry = ptable_at(table, ref.index);

	for (int is = 0; is < STATES; is++) {
		for (int from = 0; from < STATES; from++) {
			enum ptable_state to = every_state[(is + 1) % STATES];

			entry->word = ref.generation << 8 | (uint64_t)every_state[is];
			assert_int_equal(ptable_step(table, ref, every_state[from], to), is == from);
			assert_int_equal(ptable_state(table, ref), is == from ? to : every_state[is]);
			assert_int_equal(ptable_ref_at(table, ref.index).generation, ref.generation);
		}
	}
}

struct stepper {
	struct ptable *table;
	struct ptable_ref *refs;
	int won;
};

enum { CONTESTED = 20000 };

static void *step_all(void *argument)
{
	struct stepper *stepper = argument;

	for (int i = 0; i < CONTESTED; i++)
		stepper->won += ptable_step(stepper->table, stepper->refs[i], PTABLE_CLAIMED, PTABLE_LAUNCHING);
	return NULL;
}

static void of_many_that_step_at_once_exactly_one_wins(void **state)
{
	static struct ptable_ref refs[CONTESTED];
	struct stepper steppers[4];
	pthread_t threads[4];
	int won = 0;

	for (int i = 0; i < CONTESTED; i++)
		refs[i] = claim(*state);
	for (int i = 0; i < 4; i++) {
		steppers[i] = (struct stepper){ *state, refs, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, step_all, &steppers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		won += steppers[i].won;
	}
	assert_int_equal(won, CONTESTED);
}

static void a_bound_pid_is_found_until_it_is_unbound(void **state)
{
	static const pid_t pids[] = { 1, 2, 1023, 1024, 32768, 4194303 };
	struct ptable *table = *state;
	struct ptable_ref found;

	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
		struct ptable_ref ref = claim(table);

		assert_false(ptable_find_pid(table, pids[i], &found));
		ptable_bind_pid(table, pids[i], ref.index);
		assert_true(ptable_find_pid(table, pids[i], &found));
		assert_int_equal(found.index, ref.index);
		assert_int_equal(found.generation, ref.generation);
		ptable_unbind_pid(table, pids[i]);
		assert_false(ptable_find_pid(table, pids[i], &found));
	}
	ptable_bind_pid(table, 5, PTABLE_COMMAND);
	assert_true(ptable_find_pid(table, 5, &found));
	assert_int_equal(found.index, PTABLE_COMMAND);
}

static void a_pid_that_no_kernel_gives_is_bound_to_nothing(void **state)
{
	static const pid_t pids[] = { 0, -1, INT32_MIN, 4194304, INT32_MAX };
	struct ptable *table = *state;
	struct ptable_ref ref = claim(table), found;

	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
		ptable_bind_pid(table, pids[i], ref.index);
		assert_false(ptable_find_pid(table, pids[i], &found));
		ptable_unbind_pid(table, pids[i]);
	}
}

static void a_pid_used_again_belongs_to_the_later_launch(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref first = claim(table), second = claim(table), found;

	ptable_bind_pid(table, 4711, first.index);
	ptable_unbind_pid(table, 4711);
	finish(table, first);
	ptable_bind_pid(table, 4711, second.index);
	assert_true(ptable_find_pid(table, 4711, &found));
	assert_int_equal(found.index, second.index);
	assert_int_equal(found.generation, second.generation);
}

static void scans_find_every_finished_and_every_live_entry_in_order(void **state)
{
	enum { ENTRIES = 50 };
	struct ptable *table = *state;
	struct ptable_ref refs[ENTRIES], found;
	uint32_t finished = 0, live = 0;

	for (int i = 0; i < ENTRIES; i++) {
		refs[i] = claim(table);
		ptable_step(table, refs[i], PTABLE_CLAIMED, every_state[i % STATES]);
	}
	for (int i = 0; i < ENTRIES; i++) {
		enum ptable_state is = every_state[i % STATES];

		if (is == PTABLE_FREE)
			continue;
		if (is == PTABLE_FAILED || is == PTABLE_ENDED)
			assert_true(ptable_next_finished(table, &finished, &found));
		else
			assert_true(ptable_next_live(table, &live, &found));
		assert_int_equal(found.index, refs[i].index);
		assert_int_equal(found.generation, refs[i].generation);
	}
	assert_false(ptable_next_finished(table, &finished, &found));
	assert_false(ptable_next_live(table, &live, &found));
}

static void a_scan_finds_the_command_too(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref command = ptable_ref_at(table, PTABLE_COMMAND), found;
	uint32_t cursor = 0;

	assert_false(ptable_next_live(table, &cursor, &found));
	cursor = 0;
	assert_true(ptable_step(table, command, PTABLE_FREE, PTABLE_ENDED));
	assert_true(ptable_next_finished(table, &cursor, &found));
	assert_int_equal(found.index, PTABLE_COMMAND);
}

static void a_signal_reaches_a_live_launch_and_no_other(void **state)
{
	static const struct {
		enum ptable_state is;
		int result;
	} rows[] = {
		{ PTABLE_FREE, -ESRCH }, { PTABLE_CLAIMED, 0 }, { PTABLE_LAUNCHING, 0 }, { PTABLE_RUNNING, 0 },
		{ PTABLE_FAILED, -ESRCH }, { PTABLE_ENDED, -ESRCH },
	};
	struct ptable *table = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ptable_ref ref = claim(table);
		pid_t pid = start_sleeper();
		int status;

		ptable_at(table, ref.index)->pid = pid;
		ptable_step(table, ref, PTABLE_CLAIMED, rows[i].is);
		assert_int_equal(ptable_signal(table, ref, SIGTERM), rows[i].result);
		if (rows[i].result)
			kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WTERMSIG(status), rows[i].result ? SIGKILL : SIGTERM);
	}
}

static void a_signal_before_there_is_a_child_gives_esrch(void **state)
{
	assert_int_equal(ptable_signal(*state, claim(*state), SIGTERM), -ESRCH);
}

static void a_signal_that_does_not_exist_gives_einval(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref ref = claim(table);
	pid_t pid = start_sleeper();

	ptable_at(table, ref.index)->pid = pid;
	assert_int_equal(ptable_signal(table, ref, 99), -EINVAL);
	assert_int_equal(ptable_signal(table, ref, 0), 0);
	assert_int_equal(ptable_signal(table, ref, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(ptable_signal(table, ref, SIGKILL), -ESRCH);
}

static void a_signal_leaves_no_descriptor(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref ref = claim(table);
	int before = dup(0), after;

	close(before);
	ptable_at(table, ref.index)->pid = getpid();
	assert_int_equal(ptable_signal(table, ref, 0), 0);
	assert_int_equal(ptable_signal(table, ref, 99), -EINVAL);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

static void a_claim_is_nobodys_launch_until_a_launcher_has_taken_it(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref ref = claim(table);

	assert_true(ptable_step(table, ref, PTABLE_CLAIMED, PTABLE_LAUNCHING));
	assert_false(ptable_step(table, ref, PTABLE_CLAIMED, PTABLE_LAUNCHING));
	ptable_release(table, ref);
	assert_int_equal(ptable_state(table, ref), PTABLE_LAUNCHING);
}

static void who_is_ready_is_told_with_the_moment(void **state)
{
	struct ptable *table = *state;
	struct timespec since;

	assert_int_equal(ptable_ready(table, &since), 0);
	ptable_set_ready(table, 4711);
	assert_int_equal(ptable_ready(table, &since), 4711);
	assert_true(since.tv_sec || since.tv_nsec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(claim_gives_an_entry_with_nothing_of_the_launch_before),
		TEST(what_was_stopped_is_known_of_a_launch_that_has_not_ended),
		TEST(every_claim_has_a_generation_of_its_own),
		TEST(a_ref_of_an_older_generation_can_do_nothing),
		TEST(the_commands_entry_is_never_claimed_not_even_after_its_release),
		TEST(a_full_table_gives_eagain_until_something_is_released),
		TEST(only_a_final_entry_can_be_released_and_only_once),
		TEST(a_step_moves_only_what_is_in_the_state_it_names),
		TEST(of_many_that_step_at_once_exactly_one_wins),
		TEST(a_bound_pid_is_found_until_it_is_unbound),
		TEST(a_pid_that_no_kernel_gives_is_bound_to_nothing),
		TEST(a_pid_used_again_belongs_to_the_later_launch),
		TEST(scans_find_every_finished_and_every_live_entry_in_order),
		TEST(a_scan_finds_the_command_too),
		TEST(a_signal_reaches_a_live_launch_and_no_other),
		TEST(a_signal_before_there_is_a_child_gives_esrch),
		TEST(a_signal_that_does_not_exist_gives_einval),
		TEST(a_signal_leaves_no_descriptor),
		TEST(a_claim_is_nobodys_launch_until_a_launcher_has_taken_it),
		TEST(who_is_ready_is_told_with_the_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
