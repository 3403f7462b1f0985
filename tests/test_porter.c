/* Who does what may wait: bytes into a pipe, the front of a file, the last close of a pipe; many at once, and one that waits. */
#include "tests/carrying.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/detached.h"

enum { LONGEST_MS = 100000, MANY = 3000, PIPE_SIZE = 65536 };

struct world {
	uv_loop_t loop;
	uv_timer_t limit;
	struct porter *porter;
	int file_fd;
	int pipe_fds[2];
	int fds;
	int told;
	struct porter_result result;
	bool too_late, gone;
};

/* What the porter is to meet: it begins no threads. Shared with it. */
static struct {
	atomic_bool here;
	atomic_int met;
} *lack;

int __real_detached_begin(size_t stack, void *(*work)(void *argument), void *argument);
int __wrap_detached_begin(size_t stack, void *(*work)(void *argument), void *argument);

int __wrap_detached_begin(size_t stack, void *(*work)(void *argument), void *argument)
{
	if (!atomic_load(&lack->here))
		return __real_detached_begin(stack, work, argument);
	atomic_fetch_add(&lack->met, 1);
	return -EAGAIN;
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
	world->file_fd = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(pipe2(world->pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	world->fds = count_fds();
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	assert_int_equal(count_fds(), world->fds);
	close(world->file_fd);
	close(world->pipe_fds[0]);
	close(world->pipe_fds[1]);
	porter_detach(world->porter);
	uv_close((uv_handle_t *)&world->limit, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	porter_destroy(world->porter);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	free(world);
	return 0;
}

#define AWAIT(world, condition) \
	do { \
		while (!(condition) && !(world)->too_late) \
			uv_run(&(world)->loop, UV_RUN_ONCE); \
		assert_true(condition); \
	} while (0)

static void on_done(void *context, const struct porter_wish *wish, const struct porter_result *result)
{
	struct world *world = context;

	(void)wish;
	world->told++;
	world->result = *result;
}

static struct porter_wish wish_of(struct world *world, enum porter_kind kind)
{
	return (struct porter_wish){ .kind = kind, .fds = { world->file_fd, -1 }, .on_done = on_done, .context = world };
}

static void move_to(struct world *world, uint64_t to)
{
	struct porter_wish wish = wish_of(world, PORTER_MOVE);

	wish.fds[1] = world->pipe_fds[1];
	wish.to = to;
	world->told = 0;
	assert_int_equal(porter_begin(world->porter, &wish, NULL), 0);
	AWAIT(world, world->told);
	assert_int_equal(world->result.error, 0);
}

static void bytes_are_moved_as_far_as_they_may_be(void **state)
{
	struct world *world = *state;
	char bytes[16];

	assert_int_equal(pwrite(world->file_fd, "hello you", 9, 0), 9);
	move_to(world, 5);
	assert_int_equal(world->result.at, 5);
	assert_int_equal(world->result.unread, 5);
	assert_int_equal(world->result.size, PIPE_SIZE);
	assert_int_equal(read(world->pipe_fds[0], bytes, sizeof bytes), 5);
	move_to(world, 9);
	assert_int_equal(world->result.at, 9);
	assert_int_equal(read(world->pipe_fds[0], bytes, sizeof bytes), 4);
	assert_memory_equal(bytes, " you", 4);
	move_to(world, 9);
	assert_int_equal(world->result.unread, 0);
}

static void a_full_pipe_takes_the_rest_later(void **state)
{
	static char bytes[PIPE_SIZE];
	struct world *world = *state;

	assert_int_equal(ftruncate(world->file_fd, PIPE_SIZE + 100), 0);
	move_to(world, PIPE_SIZE + 100);
	assert_int_equal(world->result.at, PIPE_SIZE);
	assert_int_equal(world->result.unread, PIPE_SIZE);
	assert_int_equal(read(world->pipe_fds[0], bytes, sizeof bytes), PIPE_SIZE);
	move_to(world, PIPE_SIZE + 100);
	assert_int_equal(world->result.at, PIPE_SIZE + 100);
	assert_int_equal(world->result.unread, 100);
}

static void what_nobody_reads_is_passed_over(void **state)
{
	struct world *world = *state;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pwrite(world->file_fd, "hello", 5, 0), 5);
	close(world->pipe_fds[0]);
	move_to(world, 5);
	assert_int_equal(world->result.at, 5);
	world->pipe_fds[0] = dup(world->file_fd);
}

static int64_t memory_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (int64_t)st.st_blocks * 512;
}

static void the_front_of_a_file_is_given_back_unless_it_began_anew(void **state)
{
	static char bytes[1 << 20];
	struct world *world = *state;
	struct porter_wish wish = wish_of(world, PORTER_CUT);

	assert_int_equal(pwrite(world->file_fd, bytes, sizeof bytes, 0), sizeof bytes);
	wish.to = sizeof bytes;
	assert_int_equal(porter_begin(world->porter, &wish, NULL), 0);
	AWAIT(world, world->told);
	assert_int_equal(memory_of(world->file_fd), 0);
	assert_int_equal(ftruncate(world->file_fd, 0), 0);
	assert_int_equal(pwrite(world->file_fd, "anew", 4, 0), 4);
	assert_int_equal(porter_begin(world->porter, &wish, NULL), 0);
	AWAIT(world, world->told == 2);
	assert_true(memory_of(world->file_fd) > 0);
}

/* Result: whether its reader has reached the end. */
static bool is_over(const struct world *world)
{
	char byte;

	return read(world->pipe_fds[0], &byte, 1) == 0;
}

/* Loads that wait until both of others[] are closed. */
static void begin_closes(struct world *world, int count, int others[2])
{
	struct porter_wish wish = wish_of(world, PORTER_CLOSE);

	assert_int_equal(pipe2(others, O_CLOEXEC), 0);
	wish.fds[0] = world->pipe_fds[1];
	wish.fds[1] = others[0];
	for (int i = 0; i < count; i++)
		assert_int_equal(porter_begin(world->porter, &wish, NULL), 0);
}

static void close_both(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void a_pipe_is_closed_after_everybody_else_has_done_so(void **state)
{
	struct world *world = *state;
	const struct porter_wish wish = wish_of(world, PORTER_CUT);
	int others[2];

	begin_closes(world, 1, others);
	close(others[0]);
	close(world->pipe_fds[1]);
	world->pipe_fds[1] = dup(world->file_fd);
	assert_int_equal(porter_begin(world->porter, &wish, NULL), 0);
	AWAIT(world, world->told == 1);
	assert_false(is_over(world));
	close(others[1]);
	AWAIT(world, world->told == 2);
	assert_true(is_over(world));
}

static void many_loads_that_wait_hold_up_no_other(void **state)
{
	struct world *world = *state;
	int others[2];

	begin_closes(world, 20, others);
	assert_int_equal(pwrite(world->file_fd, "hello", 5, 0), 5);
	move_to(world, 5);
	assert_int_equal(world->told, 1);
	assert_int_equal(world->result.at, 5);
	world->told = 0;
	close_both(others);
	AWAIT(world, world->told == 20);
}

/* Threads are done with short loads and leave while others take loads that wait. */
static void somebody_listens_however_many_threads_leave(void **state)
{
	struct world *world = *state;
	const struct porter_wish brief = wish_of(world, PORTER_CUT);

	for (int round = 0; round < 2000; round++) {
		int first[2], second[2];

		world->told = 0;
		begin_closes(world, 4, first);
		close_both(first);
		begin_closes(world, 4, second);
		assert_int_equal(porter_begin(world->porter, &brief, NULL), 0);
		AWAIT(world, world->told == 5);
		close_both(second);
		AWAIT(world, world->told == 9);
	}
}

static void where_threads_lack_the_loads_wait_until_there_are_some(void **state)
{
	struct world *world = *state;
	const struct porter_wish brief = wish_of(world, PORTER_CUT);
	int others[2];

	atomic_store(&lack->here, true);
	begin_closes(world, 20, others);
	assert_int_equal(porter_begin(world->porter, &brief, NULL), 0);
	while (atomic_load(&lack->met) < 20)
		sched_yield();
	assert_int_equal(world->told, 0);
	atomic_store(&lack->here, false);
	AWAIT(world, world->told == 1);
	close_both(others);
	AWAIT(world, world->told == 21);
}

static void more_loads_than_the_channel_has_room_for_are_done_in_the_end(void **state)
{
	struct world *world = *state;
	struct porter_wish wish = wish_of(world, PORTER_CUT);

	for (int i = 0; i < MANY; i++)
		assert_int_equal(porter_begin(world->porter, &wish, NULL), 0);
	assert_true(count_fds() > world->fds);
	AWAIT(world, world->told == MANY);
}

static void who_has_forgotten_a_load_is_not_told(void **state)
{
	struct world *world = *state;
	struct porter_wish wish = wish_of(world, PORTER_CUT);
	struct porter_load *load;

	assert_int_equal(porter_begin(world->porter, &wish, &load), 0);
	porter_forget(load);
	porter_forget(NULL);
	move_to(world, 0);
	assert_int_equal(world->told, 1);
}

/* Another porter, as a new server has one: it waits until the first is done, and goes on where that was. */
static void no_two_porters_move_from_one_file_at_a_time(void **state)
{
	struct world *world = *state;
	struct porter *other = begin_porter(&world->loop);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct porter_wish wish = wish_of(world, PORTER_MOVE);

	assert_int_equal(pwrite(world->file_fd, "hello", 5, 0), 5);
	assert_int_equal(fcntl(world->file_fd, F_SETLK, &whole), 0);
	wish.fds[1] = world->pipe_fds[1];
	wish.to = 5;
	assert_int_equal(porter_begin(world->porter, &wish, NULL), 0);
	assert_int_equal(porter_begin(other, &wish, NULL), 0);
	wish.kind = PORTER_CUT;
	wish.to = 0;
	assert_int_equal(porter_begin(other, &wish, NULL), 0);
	AWAIT(world, world->told == 1);
	assert_int_equal(lseek(world->file_fd, 0, SEEK_CUR), 0);
	whole.l_type = F_UNLCK;
	assert_int_equal(fcntl(world->file_fd, F_SETLK, &whole), 0);
	AWAIT(world, world->told == 3);
	assert_int_equal(world->result.at, 5);
	assert_int_equal(world->result.unread, 5);
	porter_detach(other);
	uv_run(&world->loop, UV_RUN_NOWAIT);
	porter_destroy(other);
}

static void on_gone(void *context)
{
	((struct world *)context)->gone = true;
}

static void its_death_is_told(void **state)
{
	struct world *world = *state;
	struct porter *other;
	struct porter_wish wish = wish_of(world, PORTER_CUT);

	/* No other is to die with it. */
	porter_detach(world->porter);
	uv_run(&world->loop, UV_RUN_NOWAIT);
	porter_destroy(world->porter);
	world->fds = count_fds();
	assert_int_equal(porter_create(NULL, &other), 0);
	assert_int_equal(porter_attach(other, &world->loop, on_gone, world), 0);
	kill_children();
	AWAIT(world, world->gone);
	assert_int_equal(porter_begin(other, &wish, NULL), 0);
	assert_int_equal(world->told, 0);
	porter_detach(other);
	uv_run(&world->loop, UV_RUN_NOWAIT);
	porter_destroy(other);
	assert_int_equal(count_fds(), world->fds);
	world->porter = begin_porter(&world->loop);
	world->fds = count_fds();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_are_moved_as_far_as_they_may_be),
		TEST(a_full_pipe_takes_the_rest_later),
		TEST(what_nobody_reads_is_passed_over),
		TEST(the_front_of_a_file_is_given_back_unless_it_began_anew),
		TEST(a_pipe_is_closed_after_everybody_else_has_done_so),
		TEST(many_loads_that_wait_hold_up_no_other),
		TEST(somebody_listens_however_many_threads_leave),
		TEST(where_threads_lack_the_loads_wait_until_there_are_some),
		TEST(more_loads_than_the_channel_has_room_for_are_done_in_the_end),
		TEST(who_has_forgotten_a_load_is_not_told),
		TEST(no_two_porters_move_from_one_file_at_a_time),
		TEST(its_death_is_told),
	};

	lack = mmap(NULL, sizeof *lack, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return lack == MAP_FAILED || cmocka_run_group_tests(tests, NULL, NULL);
}
