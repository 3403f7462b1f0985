/* Memory files that are made ahead are as those that are made when they are wanted. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/memory_file.h"
#include "core/memory_stock.h"

enum { FILES = 5 };

struct pair {
	int own_fd, fd;
};

static int next_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static void open_and_write(struct memory_stock *stock, struct pair *pair, uint64_t size)
{
	pair->own_fd = -1;
	pair->fd = memory_stock_open(stock, "stdout", &pair->own_fd);
	assert_true(pair->fd >= 0);
	assert_int_equal(memory_file_size(pair->own_fd), 0);
	assert_int_equal(fcntl(pair->fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
	assert_true(fcntl(pair->fd, F_GETFD) & fcntl(pair->own_fd, F_GETFD) & FD_CLOEXEC);
	for (uint64_t i = 0; i < size; i++)
		assert_int_equal(write(pair->fd, "", 1), 1);
}

static void each_file_is_given_once(void **state)
{
	struct memory_stock stock;
	struct pair pairs[FILES];

	(void)state;
	memory_stock_begin(&stock);
	for (uint64_t i = 0; i < FILES; i++) {
		if (i % 2 == 0)
			memory_stock_fill(&stock);
		open_and_write(&stock, &pairs[i], i + 1);
	}
	for (uint64_t i = 0; i < FILES; i++) {
		assert_int_equal(memory_file_size(pairs[i].own_fd), i + 1);
		close(pairs[i].own_fd);
		close(pairs[i].fd);
	}
	memory_stock_finish(&stock);
}

static void a_file_that_is_there_gets_another_writer(void **state)
{
	struct memory_stock stock;
	struct pair pair;

	(void)state;
	memory_stock_begin(&stock);
	memory_stock_fill(&stock);
	open_and_write(&stock, &pair, 3);
	int again = memory_stock_open(&stock, "stdout", &pair.own_fd);
	assert_int_equal(write(again, "abc", 3), 3);
	assert_int_equal(memory_file_size(pair.own_fd), 6);
	close(again);
	close(pair.own_fd);
	close(pair.fd);
	memory_stock_finish(&stock);
}

static void what_is_ready_is_closed_at_the_end(void **state)
{
	struct memory_stock stock;
	int before = next_descriptor();

	(void)state;
	memory_stock_begin(&stock);
	memory_stock_fill(&stock);
	memory_stock_fill(&stock);
	memory_stock_finish(&stock);
	assert_int_equal(next_descriptor(), before);
}

/* Each number of descriptors that is left: what can't be made is not there, and nothing is lost. */
static void without_descriptors_less_is_ready(void **state)
{
	struct memory_stock stock;
	struct rlimit limit, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	memory_stock_begin(&stock);
	for (rlim_t left = 0; left < 5; left++) {
		int own_fd = -1, before = next_descriptor();

		none = (struct rlimit){ (rlim_t)before + left, limit.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		memory_stock_fill(&stock);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_true(stock.count <= left / 2);
		while (stock.count > 0) {
			int fd = memory_stock_open(&stock, "stdout", &own_fd);
			close(own_fd);
			close(fd);
			own_fd = -1;
		}
		assert_int_equal(next_descriptor(), before);
	}
	memory_stock_finish(&stock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_file_is_given_once),
		cmocka_unit_test(a_file_that_is_there_gets_another_writer),
		cmocka_unit_test(what_is_ready_is_closed_at_the_end),
		cmocka_unit_test(without_descriptors_less_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
