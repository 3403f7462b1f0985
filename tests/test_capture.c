/* What is kept of output: memory files that a child writes, cut at the front, and readers that wait for more. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/capture.h"
#include "tests/carrying.h"

enum { LONGEST_MS = 20000, TOLD_MOST = 1000 };

struct world {
	uv_loop_t loop;
	uv_timer_t limit;
	struct porter *porter;
	struct captures *set;
	struct process *process;
	int child_fd;
	struct waiter waiter;
	struct observer observer;
	int told, error, observed;
	bool too_late;
};

static void on_told(struct waiter *waiter, int error)
{
	struct world *world = (struct world *)((char *)waiter - offsetof(struct world, waiter));

	world->told++;
	world->error = error;
}

static void on_observed(struct observer *observer)
{
	struct world *world = (struct world *)((char *)observer - offsetof(struct world, observer));

	world->observed++;
}

static void on_limit(uv_timer_t *timer)
{
	((struct world *)timer->data)->too_late = true;
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	uv_loop_init(&world->loop);
	uv_timer_init(&world->loop, &world->limit);
	world->limit.data = world;
	uv_timer_start(&world->limit, on_limit, LONGEST_MS, 0);
	world->porter = begin_porter(&world->loop);
	assert_int_equal(captures_create(&world->loop, world->porter, &world->set), 0);
	world->process = process_create("x", "1");
	assert_non_null(capture_of(world->set, world->process));
	world->waiter.on_done = on_told;
	world->observer.on_ended = on_observed;
	world->child_fd = capture_open(world->process, 0);
	assert_true(world->child_fd >= 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	close(world->child_fd);
	process_destroy(world->process);
	captures_destroy(world->set);
	uv_close((uv_handle_t *)&world->limit, NULL);
	porter_detach(world->porter);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	porter_destroy(world->porter);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	free(world);
	return 0;
}

static void begin(struct world *world)
{
	process_begin_start(world->process);
	process_succeed_start(world->process, 1, (struct timespec){ .tv_sec = 1 });
	capture_begin(world->process);
}

static void say(struct world *world, const char *words)
{
	assert_int_equal(write(world->child_fd, words, strlen(words)), strlen(words));
}

static void say_much(struct world *world, size_t size)
{
	char *bytes = calloc(1, size);

	assert_int_equal(write(world->child_fd, bytes, size), size);
	free(bytes);
}

static blkcnt_t blocks(const struct world *world)
{
	struct stat st;

	assert_int_equal(fstat(world->process->output_fd[0], &st), 0);
	return st.st_blocks;
}

/* What was dropped is kept at once. */
static void turn(struct world *world)
{
	captures_cut(world->set);
	uv_run(&world->loop, UV_RUN_ONCE);
}

#define AWAIT(world, condition) \
	do { \
		while (!(condition) && !(world)->too_late) \
			turn(world); \
		assert_true(condition); \
	} while (0)

static void what_is_written_can_be_read_from_any_place(void **state)
{
	struct world *world = *state;
	char bytes[16];
	struct value room = { bytes, sizeof bytes };
	uint64_t position = 2;

	say(world, "hello");
	assert_int_equal(capture_window(world->process, 0).end, 5);
	assert_int_equal(capture_read(world->process, 0, &position, &room), 3);
	assert_memory_equal(bytes, "llo", 3);
	assert_int_equal(position, 5);
	assert_int_equal(capture_read(world->process, 0, &position, &room), 0);
	position = 0;
	assert_int_equal(capture_read(world->process, 1, &position, &room), 0);
}

static void who_waits_is_told_of_growth_once(void **state)
{
	struct world *world = *state;
	struct capture *capture = world->process->capture;

	begin(world);
	capture_expect(capture);
	waiter_wait(&capture->readers, &world->waiter);
	observer_watch(&capture->observers, &world->observer);
	say(world, "x");
	AWAIT(world, world->told);
	assert_int_equal(world->error, 0);
	assert_int_equal(world->observed, 1);
	say(world, "y");
	AWAIT(world, !capture->busy);
	assert_int_equal(world->told, 1);
}

static void a_silent_process_is_watched_and_not_looked_at(void **state)
{
	struct world *world = *state;
	struct capture *capture = world->process->capture;

	begin(world);
	assert_true(capture->busy);
	AWAIT(world, !capture->busy);
	assert_int_not_equal(capture->streams[0].watch, 0);
	say(world, "x");
	AWAIT(world, capture->busy);
	assert_int_equal(capture->streams[0].watch, 0);
	AWAIT(world, !capture->busy);
}

static void readers_before_the_start_are_told_of_the_first_bytes(void **state)
{
	struct world *world = *state;
	struct capture *capture = world->process->capture;

	close(world->process->output_fd[0]);
	close(world->child_fd);
	world->process->output_fd[0] = -1;
	capture_expect(capture);
	waiter_wait(&capture->readers, &world->waiter);
	world->child_fd = capture_open(world->process, 0);
	begin(world);
	say(world, "x");
	AWAIT(world, world->told);
}

static void the_end_and_a_removal_tell_everybody(void **state)
{
	struct world *world = *state;
	struct capture *capture = world->process->capture;

	begin(world);
	waiter_wait(&capture->readers, &world->waiter);
	process_end(world->process, 0, (struct timespec){ .tv_sec = 2 });
	capture_end(world->process, 0);
	assert_int_equal(world->told, 1);
	waiter_wait(&capture->readers, &world->waiter);
	capture_end(world->process, -ESRCH);
	assert_int_equal(world->error, -ESRCH);
}

static void the_newest_is_kept_and_the_rest_given_back(void **state)
{
	struct world *world = *state;
	struct capture_window window;
	char bytes[16];
	struct value room = { bytes, sizeof bytes };
	uint64_t position = 0;

	world->process->configuration.output_max = 4096;
	begin(world);
	say_much(world, 1 << 20);
	say(world, "end");
	window = capture_window(world->process, 0);
	assert_int_equal(window.end, (1 << 20) + 3);
	assert_int_equal(window.end - window.first, 4096);
	AWAIT(world, blocks(world) <= 3 * 8);
	assert_true(capture_read(world->process, 0, &position, &room) > 0);
	assert_true(position > (1 << 20) - 4096 - (64 << 10));
	say_much(world, 8192);
	process_end(world->process, 0, (struct timespec){ .tv_sec = 2 });
	capture_end(world->process, 0);
	AWAIT(world, blocks(world) <= 2 * 8);
}

static void what_is_left_behind_is_bounded_after_the_end_too(void **state)
{
	struct world *world = *state;
	struct capture *capture = world->process->capture;

	world->process->configuration.output_max = 4096;
	begin(world);
	process_end(world->process, 0, (struct timespec){ .tv_sec = 2 });
	capture_end(world->process, 0);
	AWAIT(world, !capture->busy);
	assert_int_not_equal(capture->streams[0].watch, 0);
	say_much(world, 4 << 20);
	AWAIT(world, capture->streams[0].dropped && blocks(world) <= 2 * 128);
	AWAIT(world, !capture->busy);
}

static void one_that_nobody_can_write_to_is_not_looked_at_after_the_end(void **state)
{
	struct world *world = *state;
	struct capture *capture = world->process->capture;

	begin(world);
	close(world->child_fd);
	world->child_fd = -1;
	process_end(world->process, 0, (struct timespec){ .tv_sec = 2 });
	capture_end(world->process, 0);
	AWAIT(world, !capture->busy);
	assert_int_equal(capture->streams[0].watch, 0);
}

static void a_destroyed_capture_leaves_its_cut_to_end_alone(void **state)
{
	struct world *world = *state;

	world->process->configuration.output_max = 0;
	begin(world);
	say_much(world, 4 << 20);
	/* Without the loop, which could see a quick cut's own end in the same turn. */
	process_end(world->process, 0, (struct timespec){ .tv_sec = 2 });
	capture_end(world->process, 0);
	captures_cut(world->set);
	assert_non_null(world->process->capture->streams[0].cut);
	process_destroy(world->process);
	world->process = process_create("y", "2");
}

static void nothing_is_cut_before_that_it_was_dropped_is_kept(void **state)
{
	struct world *world = *state;

	world->process->configuration.output_max = 0;
	begin(world);
	say_much(world, 4 << 20);
	AWAIT(world, world->process->capture->streams[0].uncut);
	assert_int_equal(world->process->capture->streams[0].dropped, 4 << 20);
	assert_null(world->process->capture->streams[0].cut);
	AWAIT(world, blocks(world) == 0);
}

static void a_truncated_stream_begins_anew(void **state)
{
	struct world *world = *state;
	struct capture_window window;

	world->process->configuration.output_max = 100;
	begin(world);
	say_much(world, 1 << 20);
	AWAIT(world, world->process->capture->streams[0].dropped);
	assert_int_equal(ftruncate(world->child_fd, 0), 0);
	say(world, "new");
	window = capture_window(world->process, 0);
	assert_int_equal(window.first, 0);
	assert_int_equal(window.end, 3);
	AWAIT(world, !world->process->capture->streams[0].dropped);
}

/* No descriptor is left for inotify. */
static void without_watches_the_timer_tells_as_long_as_somebody_waits(void **state)
{
	struct world *world = *state;
	struct captures *set;
	struct process *process = process_create("y", "2");
	struct rlimit limit, none;
	struct capture *capture;
	int child_fd;

	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(captures_create(&world->loop, world->porter, &set), 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	capture = capture_of(set, process);
	child_fd = capture_open(process, 1);
	process_begin_start(process);
	process_succeed_start(process, 1, (struct timespec){ .tv_sec = 1 });
	capture_begin(process);
	capture_expect(capture);
	assert_null(capture->streams[1].watch);
	for (int i = 1; i <= 3; i++) {
		waiter_wait(&capture->readers, &world->waiter);
		assert_int_equal(write(child_fd, "x", 1), 1);
		AWAIT(world, world->told == i);
		assert_true(capture->busy);
	}
	process_end(process, 0, (struct timespec){ .tv_sec = 2 });
	capture_end(process, 0);
	close(child_fd);
	AWAIT(world, !capture->busy);
	process_destroy(process);
	captures_destroy(set);
}

/* Asks again for what is not there yet, as a read that waits does. */
static void on_told_too_early(struct waiter *waiter, int error)
{
	struct world *world = (struct world *)((char *)waiter - offsetof(struct world, waiter));

	on_told(waiter, error);
	if (world->told == TOLD_MOST)
		return;
	capture_expect(world->process->capture);
	waiter_wait(&world->process->capture->readers, waiter);
}

/* Each watch that is taken away is an event of inotify's: so many that the kernel drops some. */
static void who_waits_for_what_does_not_come_holds_nobody_up_when_events_were_lost(void **state)
{
	struct world *world = *state;
	struct capture *capture = world->process->capture;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	long most = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld", &most), 1);
	fclose(file);
	begin(world);
	world->waiter.on_done = on_told_too_early;
	for (long i = 0; i <= most; i++) {
		capture_expect(capture);
		capture_end(world->process, 0);
	}
	capture_expect(capture);
	assert_non_null(capture->streams[0].watch);
	waiter_wait(&capture->readers, &world->waiter);
	AWAIT(world, !capture->busy);
	assert_int_equal(world->told, 0);
	waiter_cancel(&world->waiter);
	world->waiter.on_done = on_told;
	waiter_wait(&capture->readers, &world->waiter);
	say(world, "x");
	AWAIT(world, world->told);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_can_be_read_from_any_place),
		TEST(who_waits_is_told_of_growth_once),
		TEST(a_silent_process_is_watched_and_not_looked_at),
		TEST(readers_before_the_start_are_told_of_the_first_bytes),
		TEST(the_end_and_a_removal_tell_everybody),
		TEST(the_newest_is_kept_and_the_rest_given_back),
		TEST(what_is_left_behind_is_bounded_after_the_end_too),
		TEST(one_that_nobody_can_write_to_is_not_looked_at_after_the_end),
		TEST(a_destroyed_capture_leaves_its_cut_to_end_alone),
		TEST(nothing_is_cut_before_that_it_was_dropped_is_kept),
		TEST(a_truncated_stream_begins_anew),
		TEST(without_watches_the_timer_tells_as_long_as_somebody_waits),
		TEST(who_waits_for_what_does_not_come_holds_nobody_up_when_events_were_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
