/* Input that is kept open: a pipe, what was written before, who waits for room, the end. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/input.h"
#include "tests/carrying.h"

enum { ROOM = 65536, LONGEST_MS = 20000 };

struct world {
	uv_loop_t loop;
	uv_timer_t limit;
	struct porter *porter;
	struct process *process;
	int child_fd;
	struct waiter waiter;
	struct observer observer;
	int told, observed;
	bool too_late;
};

static char some_bytes[2 * ROOM];

static void on_told(struct waiter *waiter, int error)
{
	struct world *world = (struct world *)((char *)waiter - offsetof(struct world, waiter));

	assert_int_equal(error, 0);
	world->told++;
}

static void on_observed(struct observer *observer)
{
	((struct world *)((char *)observer - offsetof(struct world, observer)))->observed++;
}

static void on_limit(uv_timer_t *timer)
{
	((struct world *)timer->data)->too_late = true;
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&world->loop);
	uv_timer_init(&world->loop, &world->limit);
	world->limit.data = world;
	uv_timer_start(&world->limit, on_limit, LONGEST_MS, 0);
	world->porter = begin_porter(&world->loop);
	world->process = process_create("x", "1");
	world->process->configuration.stdin_open = true;
	world->waiter.on_done = on_told;
	world->observer.on_ended = on_observed;
	world->child_fd = -1;
	*state = world;
	return 0;
}

static void close_child(struct world *world)
{
	if (world->child_fd >= 0)
		close(world->child_fd);
	world->child_fd = -1;
}

static int teardown(void **state)
{
	struct world *world = *state;

	close_child(world);
	process_destroy(world->process);
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
	world->child_fd = input_open(&world->loop, world->porter, world->process);
	assert_true(world->child_fd >= 0);
	process_succeed_start(world->process, 1, (struct timespec){ .tv_sec = 1 });
	input_begin(world->process);
}

static void end(struct world *world)
{
	process_end(world->process, 0, (struct timespec){ .tv_sec = 2 });
	input_end(world->process);
}

static size_t read_all(struct world *world)
{
	static char bytes[4 * ROOM];
	ssize_t got;
	size_t size = 0;

	fcntl(world->child_fd, F_SETFL, O_NONBLOCK);
	while ((got = read(world->child_fd, bytes, sizeof bytes)) > 0)
		size += (size_t)got;
	return size;
}

#define AWAIT(world, condition) \
	do { \
		while (!(condition) && !(world)->too_late) \
			uv_run(&(world)->loop, UV_RUN_ONCE); \
		assert_true(condition); \
	} while (0)

static void await_read(struct world *world, size_t expected)
{
	size_t size = read_all(world);

	while (size < expected && !world->too_late) {
		uv_run(&world->loop, UV_RUN_NOWAIT);
		size += read_all(world);
	}
	assert_int_equal(size, expected);
}

static bool is_closed(const struct world *world)
{
	return world->process->input->fd < 0;
}

static void what_is_written_is_read_until_the_end(void **state)
{
	struct world *world = *state;
	char bytes[8];

	begin(world);
	assert_int_equal(input_check(world->process->input, NULL), 0);
	assert_int_equal(input_write(world->process->input, "hello", 5, NULL), 5);
	assert_int_equal(read(world->child_fd, bytes, sizeof bytes), 5);
	assert_int_equal(input_finish(world->process, NULL), 0);
	AWAIT(world, is_closed(world));
	assert_int_equal(read(world->child_fd, bytes, sizeof bytes), 0);
	assert_int_equal(input_check(world->process->input, NULL), -EPIPE);
	assert_int_equal(input_write(world->process->input, "x", 1, NULL), -EPIPE);
	assert_int_equal(input_finish(world->process, NULL), 0);
}

static void what_was_written_before_goes_first_and_all_of_it(void **state)
{
	struct world *world = *state;
	size_t size = 0;

	world->process->stdin_fd = memfd_create("stdin", MFD_CLOEXEC);
	for (int i = 0; i < 4; i++)
		assert_int_equal(write(world->process->stdin_fd, some_bytes, sizeof some_bytes), sizeof some_bytes);
	begin(world);
	assert_int_equal(input_write(world->process->input, "x", 1, NULL), -EAGAIN);
	input_wait(world->process->input, &world->waiter);
	assert_int_equal(input_finish(world->process, NULL), 0);
	while (!is_closed(world) && !world->too_late) {
		size += read_all(world);
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	size += read_all(world);
	assert_int_equal(world->told, 1);
	assert_int_equal(size, 4 * sizeof some_bytes);
}

static void a_full_pipe_makes_the_writer_wait_until_there_is_room(void **state)
{
	struct world *world = *state;

	begin(world);
	assert_true(input_observe(world->process->input, &world->observer));
	assert_int_equal(input_write(world->process->input, some_bytes, sizeof some_bytes, NULL), ROOM);
	assert_int_equal(input_write(world->process->input, some_bytes, 1, NULL), -EAGAIN);
	input_wait(world->process->input, &world->waiter);
	assert_false(input_observe(world->process->input, &world->observer));
	await_read(world, ROOM);
	AWAIT(world, world->told && world->observed);
	assert_int_equal(input_write(world->process->input, some_bytes, 1, NULL), 1);
}

static void what_was_read_makes_room_though_nobody_waits_for_it(void **state)
{
	struct world *world = *state;

	begin(world);
	assert_int_equal(input_write(world->process->input, some_bytes, sizeof some_bytes, NULL), ROOM);
	AWAIT(world, !world->process->input->load);
	assert_int_equal(input_write(world->process->input, some_bytes, 1, NULL), -EAGAIN);
	assert_int_equal(read_all(world), ROOM);
	assert_int_equal(input_write(world->process->input, some_bytes, 1, NULL), 1);
}

static void a_reader_that_is_gone_gives_epipe_and_wakes_who_waits(void **state)
{
	struct world *world = *state;
	struct refusal why;

	begin(world);
	assert_int_equal(input_write(world->process->input, some_bytes, sizeof some_bytes, NULL), ROOM);
	input_wait(world->process->input, &world->waiter);
	close_child(world);
	AWAIT(world, world->told);
	assert_int_equal(input_write(world->process->input, "x", 1, &why), -EPIPE);
	assert_non_null(strstr(why.sentence, "closed its input"));
}

static void the_end_of_the_process_wakes_who_waits(void **state)
{
	struct world *world = *state;
	struct refusal why;

	begin(world);
	input_wait(world->process->input, &world->waiter);
	end(world);
	assert_int_equal(world->told, 1);
	assert_int_equal(input_write(world->process->input, "x", 1, &why), -EPIPE);
	assert_non_null(strstr(why.sentence, "has ended"));
	assert_int_equal(input_finish(world->process, NULL), 0);
	assert_true(input_observe(world->process->input, &world->observer));
}

static void a_write_during_the_start_waits_for_its_outcome(void **state)
{
	struct world *world = *state;

	process_begin_start(world->process);
	world->child_fd = input_open(&world->loop, world->porter, world->process);
	assert_int_equal(input_write(world->process->input, "x", 1, NULL), -EAGAIN);
	input_wait(world->process->input, &world->waiter);
	process_fail_start(world->process);
	input_end(world->process);
	assert_int_equal(world->told, 1);
	close_child(world);
	begin(world);
	assert_int_equal(input_write(world->process->input, "x", 1, NULL), 1);
}

static void await_room(struct world *world)
{
	world->told = 0;
	input_wait(world->process->input, &world->waiter);
	AWAIT(world, world->told);
}

static void small_writes_fill_a_pipe_no_sooner_than_large_ones(void **state)
{
	struct world *world = *state;

	begin(world);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(input_write(world->process->input, "x", 1, NULL), 1);
	assert_true(input_observe(world->process->input, &world->observer));
	assert_int_equal(input_finish(world->process, NULL), 0);
	size_t size = 0;
	while (world->process->input->fd >= 0 && !world->too_late) {
		size += read_all(world);
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	assert_int_equal(size + read_all(world), 1000);
}

static void what_is_not_larger_than_pipe_buf_is_not_divided(void **state)
{
	struct world *world = *state;

	begin(world);
	assert_int_equal(input_write(world->process->input, some_bytes, ROOM - 100, NULL), ROOM - 100);
	assert_int_equal(input_write(world->process->input, some_bytes, 101, NULL), -EAGAIN);
	assert_int_equal(input_write(world->process->input, some_bytes, 100, NULL), 100);
}

static void the_memory_of_what_was_read_is_given_back(void **state)
{
	struct world *world = *state;
	struct stat st;

	begin(world);
	for (int i = 0; i < 200; i++) {
		size_t done = 0;
		while (done < ROOM && !world->too_late) {
			ssize_t written = input_write(world->process->input, some_bytes, ROOM - done, NULL);
			if (written < 0)
				await_room(world);
			else
				done += (size_t)written;
		}
		await_read(world, ROOM);
	}
	AWAIT(world, world->process->input->cut > 190 * ROOM);
	assert_int_equal(fstat(world->process->input->queue_fd, &st), 0);
	assert_int_equal(st.st_size, 200 * ROOM);
	assert_true(st.st_blocks * 512 <= 40 * ROOM);
}

/* ---- a server that dies ---- */

static void ignore_queued(struct input *input)
{
	(void)input;
}

/* What the next server has: what was kept, and the descriptors that the keeper holds. */
static void replace_server(struct world *world, const struct input_past *past)
{
	int pipe_fd = dup(world->process->input->fd), queue_fd = dup(world->process->input->queue_fd);

	process_destroy(world->process);
	world->process = process_create("x", "1");
	world->process->configuration.stdin_open = true;
	process_begin_start(world->process);
	process_succeed_start(world->process, 1, (struct timespec){ .tv_sec = 1 });
	assert_int_equal(input_take(&world->loop, world->porter, world->process, past), 0);
	assert_int_equal(input_adopt(world->process->input, pipe_fd), 0);
	world->process->input->queue_fd = queue_fd;
	input_begin(world->process);
}

static void assert_read(struct world *world, const char *expected)
{
	char bytes[100] = "";
	ssize_t got;
	size_t size = 0;

	fcntl(world->child_fd, F_SETFL, O_NONBLOCK);
	while (size < strlen(expected) && !world->too_late) {
		uv_run(&world->loop, UV_RUN_NOWAIT);
		got = read(world->child_fd, bytes + size, sizeof bytes - 1 - size);
		size += got > 0 ? (size_t)got : 0;
	}
	assert_string_equal(bytes, expected);
	assert_int_equal(read(world->child_fd, bytes, sizeof bytes), -1);
}

static void what_was_kept_and_not_moved_is_moved_by_the_next_server(void **state)
{
	struct world *world = *state;

	begin(world);
	world->process->input->on_queued = ignore_queued;
	assert_int_equal(input_write(world->process->input, "hello", 5, NULL), 5);
	replace_server(world, &(struct input_past){ .end = 5 });
	assert_read(world, "hello");
}

static void what_was_moved_is_not_moved_again(void **state)
{
	struct world *world = *state;

	begin(world);
	assert_int_equal(input_write(world->process->input, "hello", 5, NULL), 5);
	replace_server(world, &(struct input_past){ .end = 5 });
	await_room(world);
	assert_int_equal(input_write(world->process->input, " you", 4, NULL), 4);
	assert_read(world, "hello you");
}

static void what_was_not_kept_was_never_written(void **state)
{
	struct world *world = *state;

	begin(world);
	world->process->input->on_queued = ignore_queued;
	assert_int_equal(input_write(world->process->input, "hello", 5, NULL), 5);
	replace_server(world, &(struct input_past){ .end = 0 });
	assert_int_equal(input_write(world->process->input, "bye", 3, NULL), 3);
	assert_read(world, "bye");
}

static void a_kept_end_comes_after_what_was_not_yet_moved(void **state)
{
	struct world *world = *state;

	begin(world);
	world->process->input->on_queued = ignore_queued;
	assert_int_equal(input_write(world->process->input, "hello", 5, NULL), 5);
	assert_int_equal(input_finish(world->process, NULL), 0);
	assert_true(world->process->input->fd >= 0);
	replace_server(world, &(struct input_past){ .end = 5, .ending = true });
	AWAIT(world, is_closed(world));
	char bytes[8];
	assert_int_equal(read(world->child_fd, bytes, sizeof bytes), 5);
	assert_int_equal(read(world->child_fd, bytes, sizeof bytes), 0);
}

static void an_end_that_makes_no_sense_is_refused(void **state)
{
	struct world *world = *state;
	struct refusal why;

	assert_int_equal(input_finish(world->process, &why), -ESRCH);
	world->process->configuration.stdin_open = false;
	process_begin_start(world->process);
	process_succeed_start(world->process, 1, (struct timespec){ .tv_sec = 1 });
	assert_int_equal(input_finish(world->process, &why), -EINVAL);
	assert_non_null(strstr(why.sentence, "stdin_open"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read_until_the_end),
		TEST(what_was_written_before_goes_first_and_all_of_it),
		TEST(a_full_pipe_makes_the_writer_wait_until_there_is_room),
		TEST(what_was_read_makes_room_though_nobody_waits_for_it),
		TEST(a_reader_that_is_gone_gives_epipe_and_wakes_who_waits),
		TEST(the_end_of_the_process_wakes_who_waits),
		TEST(a_write_during_the_start_waits_for_its_outcome),
		TEST(small_writes_fill_a_pipe_no_sooner_than_large_ones),
		TEST(what_is_not_larger_than_pipe_buf_is_not_divided),
		TEST(the_memory_of_what_was_read_is_given_back),
		TEST(what_was_kept_and_not_moved_is_moved_by_the_next_server),
		TEST(what_was_moved_is_not_moved_again),
		TEST(what_was_not_kept_was_never_written),
		TEST(a_kept_end_comes_after_what_was_not_yet_moved),
		TEST(an_end_that_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
