/* Files in memory that others append to, of both kinds: on a tmpfs of their own, and as memfd_create(2) makes them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/memory_file.h"

enum { NOBODY = 65534, STRIDE = 4096 };

struct pair {
	int place_fd, own_fd, child_fd;
};

static int setup_at(void **state, int place_fd)
{
	struct pair *pair = calloc(1, sizeof *pair);

	*state = pair;
	*pair = (struct pair){ .place_fd = place_fd, .own_fd = -1 };
	pair->child_fd = memory_file_open(pair->place_fd, "stdout", &pair->own_fd);
	return pair->child_fd < 0 || pair->own_fd < 0 ? -1 : 0;
}

static int setup(void **state)
{
	return setup_at(state, -ENOSYS);
}

/* Where no tmpfs can be had the cases say what they say of memfd_create once more. */
static int setup_on_tmpfs(void **state)
{
	return setup_at(state, memory_file_place());
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	if (pair->place_fd >= 0)
		close(pair->place_fd);
	if (pair->child_fd >= 0)
		close(pair->child_fd);
	close(pair->own_fd);
	free(pair);
	return 0;
}

static uint64_t page(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static char byte_at(uint64_t offset)
{
	return (char)(offset / STRIDE + offset % 251);
}

static void append(const struct pair *pair, size_t size, size_t piece)
{
	uint64_t begun = memory_file_size(pair->own_fd);
	char *bytes = malloc(piece);

	for (size_t at = 0; at < size; at += piece) {
		for (size_t i = 0; i < piece; i++)
			bytes[i] = byte_at(begun + at + i);
		assert_int_equal(write(pair->child_fd, bytes, piece), piece);
	}
	free(bytes);
}

static void assert_intact(const struct pair *pair, uint64_t from)
{
	uint64_t size = memory_file_size(pair->own_fd) - from;
	char *bytes = malloc(size);

	assert_int_equal(pread(pair->own_fd, bytes, size, (off_t)from), size);
	for (uint64_t i = 0; i < size; i++)
		if (bytes[i] != byte_at(from + i))
			fail_msg("byte %llu is wrong", (unsigned long long)(from + i));
	free(bytes);
}

static uint64_t memory_of(const struct pair *pair)
{
	struct stat st;

	assert_int_equal(fstat(pair->own_fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void cut(const struct pair *pair, uint64_t from, uint64_t to)
{
	int fd = memory_file_open_for_cutting(pair->own_fd);

	assert_true(fd >= 0);
	assert_int_equal(memory_file_cut(fd, from, to), 0);
	close(fd);
}

static void what_is_left_of_a_cut_is_intact_and_no_more_is_held(void **state)
{
	static const size_t PIECES[] = { 100, 4096, 5000, 65536, 1 << 20, 3 << 20 };
	struct pair *pair = *state;
	uint64_t cut_to = 0;

	for (size_t i = 0; i < sizeof PIECES / sizeof *PIECES; i++) {
		append(pair, 3 << 20, PIECES[i]);
		assert_intact(pair, cut_to);
		uint64_t to = memory_file_size(pair->own_fd) - 1234567;
		cut(pair, cut_to, to);
		cut_to = to;
		assert_intact(pair, cut_to);
		assert_in_range(memory_of(pair), 1234567, 1234567 + 2 * page());
	}
}

static void a_little_takes_a_little(void **state)
{
	struct pair *pair = *state;

	append(pair, 100, 100);
	assert_int_equal(memory_of(pair), page());
	append(pair, 70000, 70000);
	assert_int_equal(memory_of(pair), (70100 + page() - 1) / page() * page());
}

static void every_description_appends(void **state)
{
	struct pair *pair = *state;
	int other_fd = memory_file_open(pair->place_fd, "stdout", &pair->own_fd);
	char bytes[8];

	assert_true(other_fd >= 0);
	assert_int_equal(write(pair->child_fd, "a", 1), 1);
	assert_int_equal(write(other_fd, "b", 1), 1);
	assert_int_equal(write(pair->child_fd, "c", 1), 1);
	assert_int_equal(pread(pair->own_fd, bytes, sizeof bytes, 0), 3);
	assert_memory_equal(bytes, "abc", 3);
	close(other_fd);
}

static void who_writes_is_known_and_our_own_descriptor_counts_for_nobody(void **state)
{
	struct pair *pair = *state;

	assert_true(memory_file_may_be_written(pair->own_fd));
	close(pair->child_fd);
	pair->child_fd = -1;
	assert_false(memory_file_may_be_written(pair->own_fd));
}

static void growth_is_told_once(void **state)
{
	struct pair *pair = *state;
	int inotify_fd = inotify_init1(IN_NONBLOCK);
	struct inotify_event event;

	assert_true(memory_file_watch(inotify_fd, pair->own_fd) >= 0);
	assert_int_equal(read(inotify_fd, &event, sizeof event), -1);
	append(pair, 100, 50);
	assert_int_equal(read(inotify_fd, &event, sizeof event), sizeof event);
	assert_int_equal(event.mask, IN_MODIFY);
	assert_int_equal(read(inotify_fd, &event, sizeof event), sizeof event);
	assert_int_equal(event.mask, IN_IGNORED);
	close(inotify_fd);
}

/* /dev/stdout, of a program that is another user. */
static void another_user_may_open_anew_what_it_was_given(void **state)
{
	struct pair *pair = *state;
	int status;

	if (geteuid() != 0) {
		print_message("# left out: it cannot be had here\n");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		if (dup2(pair->child_fd, STDOUT_FILENO) < 0 || setgid(NOBODY) || setuid(NOBODY))
			_exit(2);
		_exit(open("/proc/self/fd/1", O_WRONLY | O_TRUNC) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Where users may have namespaces; elsewhere there is no place, and that is said. */
static void an_ordinary_user_has_a_place_too(void **state)
{
	struct pair pair = { .own_fd = -1 };
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("# left out: it cannot be had here\n");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		/* A process that has changed its user may not look at itself in /proc before. */
		if (setgid(NOBODY) || setuid(NOBODY) || prctl(PR_SET_DUMPABLE, 1))
			_exit(2);
		pair.place_fd = memory_file_place();
		if (pair.place_fd < 0)
			_exit(3);
		pair.child_fd = memory_file_open(pair.place_fd, "stdout", &pair.own_fd);
		_exit(pair.child_fd < 0 || write(pair.child_fd, "x", 1) != 1 || memory_file_size(pair.own_fd) != 1 ||
		      waitpid(-1, NULL, __WALL) >= 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status == 3 << 8) {
		print_message("# left out: it cannot be had here\n");
		return;
	}
	assert_int_equal(status, 0);
}

static void no_file_has_size_0(void **state)
{
	(void)state;
	assert_int_equal(memory_file_size(-1), 0);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
#define BOTH(claim) TEST(claim), { #claim "_on_tmpfs", claim, setup_on_tmpfs, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_is_left_of_a_cut_is_intact_and_no_more_is_held),
		BOTH(a_little_takes_a_little),
		BOTH(every_description_appends),
		BOTH(who_writes_is_known_and_our_own_descriptor_counts_for_nobody),
		BOTH(growth_is_told_once),
		BOTH(another_user_may_open_anew_what_it_was_given),
		cmocka_unit_test(an_ordinary_user_has_a_place_too),
		TEST(no_file_has_size_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
