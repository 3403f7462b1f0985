#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/capture.h"
#include "core/cgroup_tree.h"
#include "core/process.h"

static const struct timespec some_time = { 12, 34 };

static struct process *make(void)
{
	struct process *process = process_create("worker", "2:1");

	assert_non_null(process);
	return process;
}

/* With a target, arguments and its records it is to be less than 1 KiB; what runs has the others, too. */
static void a_process_takes_few_bytes(void **state)
{
	(void)state;
	assert_true(sizeof(struct process) <= 416);
	assert_true(sizeof(struct capture) <= 152);
	assert_true(sizeof(struct cgroup_tree) <= 40);
	assert_true(sizeof(struct ptable_entry) <= 56);
}

static bool begin(struct process *process)
{
	return process_begin_start(process);
}

static bool fail_it(struct process *process)
{
	return process_fail_start(process);
}

static bool succeed(struct process *process)
{
	return process_succeed_start(process, 77, some_time);
}

static bool end(struct process *process)
{
	return process_end(process, 0, some_time);
}

static void a_new_process_is_initial_and_has_nothing(void **state)
{
	struct process *process = make();
	int code;

	(void)state;
	assert_int_equal(process->state, PROCESS_INITIAL);
	assert_string_equal(process->directory, "worker");
	assert_string_equal(process_identity(process), "2:1");
	assert_int_equal(process->pid, 0);
	assert_int_equal(process->stdin_fd, -1);
	assert_int_equal(process->output_fd[0], -1);
	assert_int_equal(process->output_fd[1], -1);
	assert_int_equal(process->configuration.umask, PROCESS_UMASK_DEFAULT);
	assert_false(process_is_started(process));
	assert_false(process_is_running(process));
	assert_false(process_exitcode(process, &code));
	process_destroy(process);
}

enum { BEGIN, FAIL, SUCCEED, END, STEPS, NO = -1 };

/* From a state by a step to a state; NO: not legal. */
static const int next_state[][STEPS] = {
	[PROCESS_INITIAL] = { PROCESS_STARTING, NO, NO, NO },
	[PROCESS_STARTING] = { NO, PROCESS_INITIAL, PROCESS_RUNNING, NO },
	[PROCESS_RUNNING] = { NO, NO, NO, PROCESS_ENDED },
	[PROCESS_ENDED] = { NO, NO, NO, NO },
};

static void from_each_state_only_its_steps_are_legal_and_the_others_change_nothing(void **state)
{
	bool (*const steps[STEPS])(struct process *) = { begin, fail_it, succeed, end };

	(void)state;
	for (int from = PROCESS_INITIAL; from <= PROCESS_ENDED; from++) {
		for (int step = 0; step < STEPS; step++) {
			struct process *process = make();
			struct process before;
			int to = next_state[from][step];

			process->state = (enum process_state)from;
			before = *process;
			assert_int_equal(steps[step](process), to != NO);
			if (to == NO)
				assert_memory_equal(process, &before, sizeof(before));
			else
				assert_int_equal(process->state, to);
			process_destroy(process);
		}
	}
}

static void a_life_keeps_what_was_learned_of_it(void **state)
{
	struct process *process = make();

	(void)state;
	assert_true(process_begin_start(process));
	assert_int_equal(process->run_count, 1);
	assert_false(process_is_started(process));
	assert_true(process_fail_start(process));
	process->launch = (struct ptable_ref){ 5, 6 };
	assert_true(process_begin_start(process));
	assert_int_equal(process->run_count, 2);
	assert_int_equal(process->launch.generation, 0);
	assert_true(process_succeed_start(process, 77, some_time));
	assert_true(process_is_started(process) && process_is_running(process));
	assert_int_equal(process->pid, 77);
	assert_int_equal(process->started.tv_sec, 12);
	assert_true(process_end(process, 0, some_time));
	assert_true(process_is_started(process) && !process_is_running(process));
	assert_int_equal(process->pid, 77);
	assert_int_equal(process->ended.tv_nsec, 34);
	process_destroy(process);
}

static void the_exit_code_is_pythons(void **state)
{
	static const struct {
		int status, code;
	} rows[] = {
		{ W_EXITCODE(0, 0), 0 },
		{ W_EXITCODE(1, 0), 1 },
		{ W_EXITCODE(255, 0), 255 },
		{ W_EXITCODE(0, SIGHUP), -SIGHUP },
		{ W_EXITCODE(0, SIGKILL), -9 },
		{ W_EXITCODE(0, SIGTERM), -15 },
		{ W_EXITCODE(0, SIGSEGV) | WCOREFLAG, -11 },
		{ W_EXITCODE(0, 64), -64 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process *process = make();
		int code = 1000;

		process->state = PROCESS_RUNNING;
		assert_false(process_exitcode(process, &code));
		assert_int_equal(code, 1000);
		assert_true(process_end(process, rows[i].status, some_time));
		assert_true(process_exitcode(process, &code));
		assert_int_equal(code, rows[i].code);
		process_destroy(process);
	}
}

static void the_name_is_the_directorys_until_it_is_set(void **state)
{
	struct process *process = make();

	(void)state;
	assert_string_equal(process_name(process), "worker");
	process->name = strdup("label");
	assert_string_equal(process_name(process), "label");
	process_destroy(process);
}

static void the_last_refusal_replaces_the_one_before(void **state)
{
	struct process *process = make();

	(void)state;
	process_set_error(process, "first");
	process_set_error(process, "second");
	assert_string_equal(process->error, "second");
	process_set_error(process, NULL);
	assert_null(process->error);
	process_set_error(process, "left for destroy to free");
	process_destroy(process);
}

static void destroy_closes_the_streams_and_takes_null(void **state)
{
	struct process *process = make();
	int ends[2], input = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	process->output_fd[0] = ends[0];
	process->output_fd[1] = ends[1];
	process->stdin_fd = input;
	assert_int_equal(value_set(&process->configuration.target, "x", 1), 0);
	process_destroy(process);
	assert_int_equal(fcntl(ends[0], F_GETFD), -1);
	assert_int_equal(fcntl(ends[1], F_GETFD), -1);
	assert_int_equal(fcntl(input, F_GETFD), -1);
	process_destroy(NULL);
}

/* ---- who waits ---- */

struct probe {
	struct waiter waiter;
	unsigned times;
	int error;
	struct waiter *cancels;
	struct waiter_list *waits_anew;
	struct process *destroys;
};

static void on_probe(struct waiter *waiter, int error)
{
	struct probe *probe = (struct probe *)waiter;

	assert_false(waiter->waiting);
	probe->times++;
	probe->error = error;
	if (probe->cancels)
		waiter_cancel(probe->cancels);
	if (probe->waits_anew)
		waiter_wait(probe->waits_anew, waiter);
	process_destroy(probe->destroys);
	probe->destroys = NULL;
}

#define PROBE { .waiter = { .on_done = on_probe } }

static void everybody_who_waits_is_told_once(void **state)
{
	struct waiter_list list = LIST_HEAD_INITIALIZER(list);
	struct probe probes[3] = { PROBE, PROBE, PROBE };

	(void)state;
	for (int i = 0; i < 3; i++)
		waiter_wait(&list, &probes[i].waiter);
	waiters_tell(&list, -ENOENT);
	waiters_tell(&list, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(probes[i].times, 1);
		assert_int_equal(probes[i].error, -ENOENT);
	}
	waiters_tell(&list, 0);
	assert_true(LIST_EMPTY(&list));
}

static void who_cancels_is_not_told_and_may_cancel_again_and_wait_again(void **state)
{
	struct waiter_list list = LIST_HEAD_INITIALIZER(list);
	struct probe stays = PROBE, goes = PROBE;

	(void)state;
	waiter_cancel(&goes.waiter);
	waiter_wait(&list, &goes.waiter);
	waiter_wait(&list, &stays.waiter);
	waiter_cancel(&goes.waiter);
	waiter_cancel(&goes.waiter);
	waiters_tell(&list, 0);
	assert_int_equal(goes.times, 0);
	assert_int_equal(stays.times, 1);
	waiter_wait(&list, &goes.waiter);
	waiters_tell(&list, -EIO);
	assert_int_equal(goes.times, 1);
	assert_int_equal(stays.times, 1);
}

/* Both ways round, since the order in which they are told is nobody's business. */
static void a_callback_may_cancel_one_that_was_not_called_yet(void **state)
{
	struct waiter_list list = LIST_HEAD_INITIALIZER(list);
	struct probe one = PROBE, other = PROBE;

	(void)state;
	one.cancels = &other.waiter;
	other.cancels = &one.waiter;
	waiter_wait(&list, &one.waiter);
	waiter_wait(&list, &other.waiter);
	waiters_tell(&list, 0);
	assert_int_equal(one.times + other.times, 1);
	assert_true(LIST_EMPTY(&list));
}

static void a_callback_that_waits_anew_is_told_the_next_time(void **state)
{
	struct waiter_list list = LIST_HEAD_INITIALIZER(list);
	struct probe again = PROBE, once = PROBE;

	(void)state;
	again.waits_anew = &list;
	waiter_wait(&list, &again.waiter);
	waiter_wait(&list, &once.waiter);
	waiters_tell(&list, 0);
	assert_int_equal(again.times, 1);
	assert_true(again.waiter.waiting);
	again.waits_anew = NULL;
	waiters_tell(&list, 0);
	assert_int_equal(again.times, 2);
	assert_int_equal(once.times, 1);
}

static void a_callback_may_remove_the_process_and_the_others_are_told_all_the_same(void **state)
{
	struct process *process = make();
	struct probe probes[3] = { PROBE, PROBE, PROBE };

	(void)state;
	for (int i = 0; i < 3; i++)
		waiter_wait(&process->joining, &probes[i].waiter);
	((struct probe *)LIST_FIRST(&process->joining))->destroys = process;
	waiters_tell(&process->joining, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(probes[i].times, 1);
}

/* ---- who observes ---- */

struct look {
	struct observer observer;
	unsigned times;
	struct observer *stops;
};

static void on_look(struct observer *observer)
{
	struct look *look = (struct look *)observer;

	assert_false(observer->observing);
	look->times++;
	if (look->stops)
		observer_stop(look->stops);
}

static void observers_are_told_once_and_may_watch_and_stop_twice(void **state)
{
	struct observer_list list = LIST_HEAD_INITIALIZER(list);
	struct look stays = { .observer = { .on_ended = on_look } }, goes = stays;

	(void)state;
	observer_watch(&list, &stays.observer);
	observer_watch(&list, &stays.observer);
	observer_watch(&list, &goes.observer);
	observer_stop(&goes.observer);
	observer_stop(&goes.observer);
	observers_tell(&list);
	observers_tell(&list);
	assert_int_equal(stays.times, 1);
	assert_int_equal(goes.times, 0);
	observer_watch(&list, &goes.observer);
	observers_tell(&list);
	assert_int_equal(goes.times, 1);
}

static void an_observer_may_stop_another_when_told(void **state)
{
	struct observer_list list = LIST_HEAD_INITIALIZER(list);
	struct look one = { .observer = { .on_ended = on_look } }, other = one;

	(void)state;
	one.stops = &other.observer;
	other.stops = &one.observer;
	observer_watch(&list, &one.observer);
	observer_watch(&list, &other.observer);
	observers_tell(&list);
	assert_int_equal(one.times + other.times, 1);
	assert_true(LIST_EMPTY(&list));
}

/* ---- values ---- */

static void a_value_is_a_copy_ended_by_a_nul_and_size_0_is_none(void **state)
{
	struct value value = { 0 };
	char bytes[] = "abc";

	(void)state;
	assert_int_equal(value_set(&value, bytes, 3), 0);
	bytes[0] = 'X';
	assert_int_equal(value.size, 3);
	assert_string_equal(value.bytes, "abc");
	assert_int_equal(value_set(&value, value.bytes + 1, 2), 0);
	assert_string_equal(value.bytes, "bc");
	assert_int_equal(value_set(&value, NULL, 0), 0);
	assert_null(value.bytes);
	assert_int_equal(value.size, 0);
	assert_int_equal(value_set(&value, "a\0b", 3), 0);
	assert_memory_equal(value.bytes, "a\0b", 4);
	value_clear(&value);
	assert_null(value.bytes);
	value_clear(&value);
}

const char *__asan_default_options(void);

/* Under the address sanitizer a malloc that asks for too much shall fail, as it does without. */
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void a_value_without_memory_stays_as_it_was(void **state)
{
	volatile size_t too_much = SIZE_MAX / 2 - 1;
	struct value value = { 0 };

	(void)state;
	assert_int_equal(value_set(&value, "kept", 4), 0);
	assert_int_equal(value_set(&value, "", too_much), -ENOMEM);
	assert_string_equal(value.bytes, "kept");
	value_clear(&value);
}

static void start_methods_have_pythons_names_and_no_others(void **state)
{
	static const char *const wrong[] = { "", "Spawn", "spawn ", "thread", "forkserve" };
	enum start_method method;

	(void)state;
	for (int i = START_SPAWN; i <= START_FORKSERVER; i++) {
		assert_int_equal(start_method_parse(start_method_name((enum start_method)i), &method), 0);
		assert_int_equal(method, i);
	}
	assert_string_equal(start_method_name(START_FORKSERVER), "forkserver");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(start_method_parse(wrong[i], &method), -EINVAL);
	assert_int_equal(method, START_FORKSERVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_takes_few_bytes),
		cmocka_unit_test(a_new_process_is_initial_and_has_nothing),
		cmocka_unit_test(from_each_state_only_its_steps_are_legal_and_the_others_change_nothing),
		cmocka_unit_test(a_life_keeps_what_was_learned_of_it),
		cmocka_unit_test(the_exit_code_is_pythons),
		cmocka_unit_test(the_name_is_the_directorys_until_it_is_set),
		cmocka_unit_test(the_last_refusal_replaces_the_one_before),
		cmocka_unit_test(destroy_closes_the_streams_and_takes_null),
		cmocka_unit_test(everybody_who_waits_is_told_once),
		cmocka_unit_test(who_cancels_is_not_told_and_may_cancel_again_and_wait_again),
		cmocka_unit_test(a_callback_may_cancel_one_that_was_not_called_yet),
		cmocka_unit_test(a_callback_that_waits_anew_is_told_the_next_time),
		cmocka_unit_test(a_callback_may_remove_the_process_and_the_others_are_told_all_the_same),
		cmocka_unit_test(observers_are_told_once_and_may_watch_and_stop_twice),
		cmocka_unit_test(an_observer_may_stop_another_when_told),
		cmocka_unit_test(a_value_is_a_copy_ended_by_a_nul_and_size_0_is_none),
		cmocka_unit_test(a_value_without_memory_stays_as_it_was),
		cmocka_unit_test(start_methods_have_pythons_names_and_no_others),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
