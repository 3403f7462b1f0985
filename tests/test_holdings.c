#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/holdings.h"

static int setup(void **state)
{
	struct holdings *holdings;

	if (holdings_create(&holdings))
		return -1;
	*state = holdings;
	return 0;
}

static int teardown(void **state)
{
	holdings_destroy(*state);
	return 0;
}

static int low_fd(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(fd > 0);
	return fd;
}

/* Where what is held lies, so that it keeps its number; where so many are not allowed it does anyway. */
static int new_fd(void)
{
	int low = low_fd(), high = fcntl(low, F_DUPFD_CLOEXEC, HOLDINGS_FROM);

	if (high < 0)
		return low;
	close(low);
	return high;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int keep(struct holdings *holdings, uint64_t id, enum holding_kind kind)
{
	const struct holding holding = { id, kind, new_fd() };

	assert_int_equal(holdings_keep(holdings, &holding), 0);
	return holding.fd;
}

static unsigned count(struct holdings *holdings)
{
	struct holding holding;
	uint32_t cursor = 0;
	unsigned found = 0;

	while (holdings_next(holdings, &cursor, &holding))
		found++;
	return found;
}

static void what_is_kept_is_open_and_found_until_it_is_dropped_and_swept(void **state)
{
	int fd = keep(*state, 7, HOLDING_STDERR);
	struct holding found;
	uint32_t cursor = 0;

	assert_true(holdings_next(*state, &cursor, &found));
	assert_int_equal(found.id, 7);
	assert_int_equal(found.kind, HOLDING_STDERR);
	assert_int_equal(found.fd, fd);
	assert_false(holdings_next(*state, &cursor, &found));
	holdings_sweep(*state);
	assert_true(is_open(fd));
	holdings_drop(*state, 7, HOLDING_STDOUT);
	holdings_drop(*state, 8, HOLDING_STDERR);
	holdings_sweep(*state);
	assert_true(is_open(fd));
	holdings_drop(*state, 7, HOLDING_STDERR);
	assert_int_equal(count(*state), 0);
	assert_true(is_open(fd));
	holdings_sweep(*state);
	assert_false(is_open(fd));
	holdings_drop(*state, 7, HOLDING_STDERR);
	holdings_sweep(*state);
}

static void what_is_kept_again_takes_the_place_of_the_older_one(void **state)
{
	int first = keep(*state, 7, HOLDING_RESULT), second = keep(*state, 7, HOLDING_RESULT);

	assert_false(is_open(first));
	assert_true(is_open(second));
	assert_int_equal(count(*state), 1);
}

static void dropping_all_of_one_leaves_those_of_the_others(void **state)
{
	int others = keep(*state, 8, HOLDING_STDOUT), fds[HOLDING_KINDS];

	for (int kind = 0; kind < HOLDING_KINDS; kind++)
		fds[kind] = keep(*state, 7, (enum holding_kind)kind);
	holdings_drop_all(*state, 7);
	holdings_drop_all(*state, 7);
	holdings_drop_all(NULL, 7);
	holdings_sweep(*state);
	for (int kind = 0; kind < HOLDING_KINDS; kind++)
		assert_false(is_open(fds[kind]));
	assert_true(is_open(others));
	assert_int_equal(count(*state), 1);
}

static void what_was_dropped_before_it_came_is_closed_when_it_comes(void **state)
{
	struct holding late = { 7, HOLDING_STDIN_PIPE, new_fd() };

	assert_int_equal(holdings_expect(*state, 7, HOLDING_STDIN_PIPE), 0);
	assert_int_equal(count(*state), 0);
	holdings_drop_all(*state, 7);
	assert_int_equal(holdings_keep_expected(*state, &late), -ENOENT);
	assert_false(is_open(late.fd));
	assert_int_equal(holdings_expect(*state, 7, HOLDING_STDIN_PIPE), 0);
	assert_int_equal(holdings_expect(*state, 7, HOLDING_STDIN_PIPE), 0);
	late.fd = new_fd();
	assert_int_equal(holdings_keep_expected(*state, &late), 0);
	assert_int_equal(count(*state), 1);
	holdings_settle(*state);
	assert_true(is_open(late.fd));
}

static bool is_hung_up(int fd)
{
	struct pollfd end = { .fd = fd };

	return poll(&end, 1, 0) == 1 && end.revents & POLLHUP;
}

static void what_is_ended_is_closed_when_it_is_let_go_of_and_before_its_witness(void **state)
{
	for (int round = 0; round < 200; round++) {
		int held[2], witness[2];
		struct holding pipe, over = { .kind = HOLDING_OVER };

		assert_int_equal(pipe2(held, O_CLOEXEC), 0);
		assert_int_equal(pipe2(witness, O_CLOEXEC), 0);
		pipe = (struct holding){ 7, HOLDING_STDIN_PIPE, held[1] };
		assert_int_equal(holdings_keep(*state, &pipe), 0);
		assert_int_equal(holdings_end(*state, 7, HOLDING_STDIN_PIPE, &over.id), 0);
		assert_int_equal(holdings_end(*state, 7, HOLDING_STDIN_PIPE, &over.id), -ENOENT);
		assert_int_equal(count(*state), 0);
		holdings_sweep(*state);
		assert_false(is_hung_up(held[0]));
		over.fd = witness[1];
		holdings_let_go(*state, &over);
		assert_int_equal(poll(&(struct pollfd){ .fd = witness[0] }, 1, -1), 1);
		assert_true(is_hung_up(held[0]));
		close(held[0]);
		close(witness[0]);
	}
}

static void of_what_was_not_ended_only_the_witness_is_closed(void **state)
{
	int held = keep(*state, 7, HOLDING_STDIN_PIPE);
	struct holding expected = { 8, HOLDING_STDIN_PIPE, -1 };

	assert_int_equal(holdings_expect(*state, 8, HOLDING_STDIN_PIPE), 0);
	assert_int_equal(holdings_end(*state, 8, HOLDING_STDIN_PIPE, &expected.id), -ENOENT);
	for (uint64_t id = 0; id < 3; id++) {
		const struct holding over = { id, HOLDING_OVER, new_fd() };

		holdings_let_go(*state, &over);
		assert_false(is_open(over.fd));
	}
	assert_true(is_open(held));
	assert_int_equal(count(*state), 1);
}

/* Whoever ended it could not say so, or died before it did. */
static void what_is_ended_and_never_let_go_of_is_closed_with_what_is_dropped(void **state)
{
	for (int settled = 0; settled < 2; settled++) {
		int held[2];
		struct holding pipe;
		uint64_t ended;

		assert_int_equal(pipe2(held, O_CLOEXEC), 0);
		pipe = (struct holding){ 7, HOLDING_STDIN_PIPE, held[1] };
		assert_int_equal(holdings_keep(*state, &pipe), 0);
		assert_int_equal(holdings_end(*state, 7, HOLDING_STDIN_PIPE, &ended), 0);
		if (settled) {
			holdings_settle(*state);
		} else {
			holdings_drop_ended(*state, ended);
			holdings_sweep(*state);
		}
		assert_int_equal(poll(&(struct pollfd){ .fd = held[0] }, 1, -1), 1);
		assert_int_equal(count(*state), 0);
		close(held[0]);
	}
}

static void settling_forgets_what_was_announced_and_never_came(void **state)
{
	struct holding late = { 7, HOLDING_STDIN_FILE, -1 };
	int held = keep(*state, 8, HOLDING_STDOUT), dropped = keep(*state, 9, HOLDING_STDOUT);

	assert_int_equal(holdings_expect(*state, 7, HOLDING_STDIN_FILE), 0);
	holdings_drop_all(*state, 9);
	holdings_settle(*state);
	assert_true(is_open(held));
	assert_false(is_open(dropped));
	late.fd = new_fd();
	assert_int_equal(holdings_keep_expected(*state, &late), -ENOENT);
	assert_int_equal(count(*state), 1);
}

static void low_numbers_are_left_to_others(void **state)
{
	int high = new_fd(), low = low_fd();
	const struct holding holding = { 7, HOLDING_STDOUT, low };
	struct holding found;
	uint32_t cursor = 0;

	close(high);
	assert_int_equal(holdings_keep(*state, &holding), 0);
	assert_true(holdings_next(*state, &cursor, &found));
	assert_true(is_open(found.fd));
	assert_true(fcntl(found.fd, F_GETFD) & FD_CLOEXEC);
	if (high < HOLDINGS_FROM)
		skip(); /* by the limit of this process */
	assert_true(found.fd >= HOLDINGS_FROM);
	assert_false(is_open(low));
}

static void where_hardly_any_are_left_nothing_comes_with_a_launch_and_what_was_stays(void **state)
{
	int first = keep(*state, 7, HOLDING_STDOUT);
	struct holding more = { 7, HOLDING_STDOUT, new_fd() };

	assert_true(more.fd > first);
	holdings_set_limit(*state, more.fd + 1);
	assert_int_equal(holdings_keep(*state, &more), -EMFILE);
	assert_false(is_open(more.fd));
	assert_true(is_open(first));
}

/* Up to the limit: how many there were. */
static uint64_t fill(struct holdings *holdings, int limit)
{
	uint64_t count = 0;

	holdings_set_limit(holdings, limit);
	while (holdings_expect(holdings, count + 1, HOLDING_RESULT) == 0)
		count++;
	assert_int_equal(holdings_count(holdings), count);
	return count;
}

static void no_more_are_announced_than_there_are_descriptors_for(void **state)
{
	static const struct { int limit; uint64_t count; } cases[] = {
		{ 0, 0 }, { 20, 0 }, { 100, 52 }, { 400, 300 }, { 4096, 3596 }, { 20000, 19500 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(fill(*state, cases[i].limit), cases[i].count);
		assert_int_equal(holdings_expect(*state, 1 << 20, HOLDING_STDOUT), -EMFILE);
		for (uint64_t id = 1; id <= cases[i].count; id++)
			holdings_drop_all(*state, id);
		assert_int_equal(holdings_count(*state), 0);
		holdings_settle(*state);
	}
}

static void where_all_are_announced_room_comes_with_what_is_dropped_or_ended(void **state)
{
	const unsigned both = 1U << HOLDING_RESULT | 1U << HOLDING_STDOUT;
	const struct holding unannounced = { 1, HOLDING_STDOUT, new_fd() }, late = { 2, HOLDING_RESULT, new_fd() };
	uint64_t last = fill(*state, 4096), ended;

	assert_true(holdings_has_room(*state, 1, 1U << HOLDING_RESULT));
	assert_false(holdings_has_room(*state, 1, both));
	assert_int_equal(holdings_expect(*state, 1, HOLDING_RESULT), 0);
	assert_int_equal(holdings_keep(*state, &unannounced), -EMFILE);
	assert_false(is_open(unannounced.fd));
	assert_int_equal(holdings_keep_expected(*state, &late), 0);
	assert_int_equal(holdings_count(*state), last);
	holdings_drop(*state, last, HOLDING_RESULT);
	assert_true(holdings_has_room(*state, 1, both));
	assert_false(holdings_has_room(*state, last, both));
	assert_int_equal(holdings_end(*state, 2, HOLDING_RESULT, &ended), 0);
	assert_true(holdings_has_room(*state, last, both));
	holdings_settle(*state);
	assert_int_equal(holdings_count(*state), 0);
	assert_false(is_open(late.fd));
}

static void ten_thousand_are_each_found_again(void **state)
{
	enum { MANY = 10000 };
	static const struct holding nobody = { 0, HOLDING_STDOUT, -1 };
	struct holding holding = nobody;

	/* No descriptors: more than any limit allows. */
	for (uint64_t id = 1; id <= MANY; id++) {
		holding.id = id;
		assert_int_equal(holdings_keep(*state, &holding), 0);
	}
	assert_int_equal(count(*state), MANY);
	for (uint64_t id = 1; id <= MANY; id += 2)
		holdings_drop_all(*state, id);
	holdings_sweep(*state);
	assert_int_equal(count(*state), MANY / 2);
	for (uint64_t id = 2; id <= MANY; id += 2)
		holdings_drop(*state, id, HOLDING_STDOUT);
	holdings_sweep(*state);
	assert_int_equal(count(*state), 0);
}

static void another_process_that_maps_the_table_drops_what_this_one_holds(void **state)
{
	int fd = keep(*state, 7, HOLDING_STDOUT), status;
	pid_t pid = fork();

	if (pid == 0) {
		struct holdings *mapped;

		if (holdings_map(holdings_fd(*state), &mapped))
			_exit(1);
		holdings_drop_all(mapped, 7);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	holdings_sweep(*state);
	assert_false(is_open(fd));
}

/* Again and again in the middle of whatever it does: the lock and the lists survive it. */
static void a_server_that_is_killed_at_any_moment_leaves_the_table_in_order(void **state)
{
	enum { ROUNDS = 60, IDS = 50 };

	for (int round = 0; round < ROUNDS; round++) {
		const struct timespec moment = { 0, (round * 7919) % 1000000 };
		struct holding late = { 0, HOLDING_STDIN_PIPE, -1 };
		pid_t pid;

		for (uint64_t id = 1; id <= IDS; id++)
			keep(*state, id, HOLDING_STDOUT);
		pid = fork();
		if (pid == 0) {
			for (uint64_t ended, id = 1;; id = id % IDS + 1) {
				if (id % 2 && !holdings_end(*state, id, HOLDING_STDOUT, &ended) && id % 3)
					holdings_drop_ended(*state, ended);
				holdings_drop_all(*state, id);
				holdings_expect(*state, id, HOLDING_STDIN_PIPE);
			}
		}
		nanosleep(&moment, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		holdings_settle(*state);
		for (late.id = 1; late.id <= IDS; late.id++) {
			assert_int_equal(holdings_keep_expected(*state, &late), -ENOENT);
			keep(*state, late.id, HOLDING_STDOUT);
		}
		assert_int_equal(count(*state), IDS);
		assert_int_equal(holdings_count(*state), IDS);
		for (uint64_t id = 1; id <= IDS; id++)
			holdings_drop_all(*state, id);
		holdings_sweep(*state);
		assert_int_equal(count(*state), 0);
		assert_int_equal(holdings_count(*state), 0);
	}
}

static void *keep_many(void *argument)
{
	for (uint64_t id = 1; id <= 2000; id++) {
		const struct holding holding = { id, HOLDING_STDOUT, fcntl(0, F_DUPFD_CLOEXEC, 3) };

		holdings_keep(argument, &holding);
		holdings_sweep(argument);
	}
	return NULL;
}

static void several_threads_and_a_server_at_once_lose_nothing(void **state)
{
	pthread_t threads[4];
	int lowest = new_fd(), after;

	close(lowest);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, keep_many, *state), 0);
	for (uint64_t round = 0; round < 20; round++)
		for (uint64_t id = 1; id <= 2000; id++)
			holdings_drop_all(*state, id);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t id = 1; id <= 2000; id++)
		holdings_drop_all(*state, id);
	holdings_sweep(*state);
	assert_int_equal(count(*state), 0);
	after = new_fd();
	close(after);
	assert_int_equal(after, lowest);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_kept_is_open_and_found_until_it_is_dropped_and_swept),
		TEST(what_is_kept_again_takes_the_place_of_the_older_one),
		TEST(dropping_all_of_one_leaves_those_of_the_others),
		TEST(what_was_dropped_before_it_came_is_closed_when_it_comes),
		TEST(what_is_ended_is_closed_when_it_is_let_go_of_and_before_its_witness),
		TEST(of_what_was_not_ended_only_the_witness_is_closed),
		TEST(what_is_ended_and_never_let_go_of_is_closed_with_what_is_dropped),
		TEST(settling_forgets_what_was_announced_and_never_came),
		TEST(low_numbers_are_left_to_others),
		TEST(where_hardly_any_are_left_nothing_comes_with_a_launch_and_what_was_stays),
		TEST(no_more_are_announced_than_there_are_descriptors_for),
		TEST(where_all_are_announced_room_comes_with_what_is_dropped_or_ended),
		TEST(ten_thousand_are_each_found_again),
		TEST(another_process_that_maps_the_table_drops_what_this_one_holds),
		TEST(a_server_that_is_killed_at_any_moment_leaves_the_table_in_order),
		TEST(several_threads_and_a_server_at_once_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
