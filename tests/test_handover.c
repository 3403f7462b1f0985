#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/layout.h"
#include "fs/handover.h"
#include "fs/serving.h"

static const struct handover given = {
	.mountpoint = "/mnt/a b", .base_directory = "/home", .options = "fsname=procfs-mp,subtype=procfs-mp", .badness = "17",
	.fds = {3, 4, 5, 6, 7, 8},
	.umask = 027, .allow_other = true, .has_command = true,
};

static int write_given(void)
{
	int fd = -1;
	assert_int_equal(handover_write(&given, &fd), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	return fd;
}

/* A copy of what a keeper writes, cut to `size` bytes, with one byte of it changed. */
static int write_changed(size_t size, size_t changed, int seals)
{
	char bytes[4096];
	int fd = write_given(), copy = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ssize_t whole = pread(fd, bytes, sizeof bytes, 0);

	assert_true(whole > 0 && copy >= 0);
	close(fd);
	if (size > (size_t)whole)
		size = (size_t)whole;
	if (changed < size)
		bytes[changed] = (char)(bytes[changed] + 1);
	assert_int_equal(pwrite(copy, bytes, size, 0), (ssize_t)size);
	assert_int_equal(fcntl(copy, F_ADD_SEALS, seals), 0);
	return copy;
}

static int read_and_close(int fd, struct refusal *why)
{
	struct handover read;
	int error = handover_read(fd, &read, why);
	if (!error)
		handover_finish(&read);
	close(fd);
	return error;
}

static void what_the_keeper_wrote_is_what_the_server_reads(void **state)
{
	struct handover read;
	struct refusal why = {0};
	int fd = write_given();

	(void)state;
	assert_int_equal(handover_read(fd, &read, &why), 0);
	assert_string_equal(read.mountpoint, given.mountpoint);
	assert_string_equal(read.base_directory, given.base_directory);
	assert_string_equal(read.options, given.options);
	assert_string_equal(read.badness, given.badness);
	assert_memory_equal(read.fds, given.fds, sizeof given.fds);
	assert_int_equal(read.umask, 027);
	assert_true(read.allow_other && read.has_command && !read.debug && !read.in_background);
	handover_finish(&read);
	close(fd);
}

static void nobody_can_write_to_it_any_more(void **state)
{
	int fd = write_given();

	(void)state;
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
}

static void what_no_keeper_wrote_is_refused_with_a_sentence(void **state)
{
	int ends[2];
	struct refusal why = {0};

	(void)state;
	assert_int_equal(read_and_close(-1, &why), -EINVAL);
	assert_non_null(strstr(why.sentence, "--serve"));
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(read_and_close(ends[0], &why), -EINVAL);
	close(ends[1]);
	assert_int_equal(read_and_close(open("/etc/passwd", O_RDONLY | O_CLOEXEC), &why), -EINVAL);
	assert_int_equal(read_and_close(write_changed(4096, 4096, F_SEAL_SHRINK), &why), -EINVAL);
	assert_int_equal(read_and_close(write_changed(4096, 4096, F_SEAL_WRITE), &why), 0);
	assert_int_equal(read_and_close(write_changed(4096, 0, F_SEAL_WRITE), &why), -EINVAL);
}

static void any_cut_is_refused(void **state)
{
	struct refusal why;
	int fd = write_given();
	off_t whole = lseek(fd, 0, SEEK_END);

	(void)state;
	close(fd);
	for (off_t size = 0; size < whole; size++)
		assert_int_equal(read_and_close(write_changed((size_t)size, 4096, F_SEAL_WRITE), &why), -EINVAL);
}

static void a_layout_of_another_version_is_refused_as_such(void **state)
{
	struct refusal why = {0};
	size_t at = offsetof(struct layout, version);

	(void)state;
	assert_int_equal(read_and_close(write_changed(4096, at, F_SEAL_WRITE), &why), -EPROTO);
	assert_non_null(strstr(why.sentence, "layout"));
	/* However much of it that version has. */
	assert_int_equal(read_and_close(write_changed(sizeof layout, at, F_SEAL_WRITE), &why), -EPROTO);
}

static void what_is_shared_is_of_the_same_size_on_both_sides(void **state)
{
	struct refusal why = {0};
	size_t strings = strlen(given.mountpoint) + strlen(given.base_directory) + strlen(given.options) + strlen(given.badness) + 4;
	int fd = write_given();
	size_t whole = (size_t)lseek(fd, 0, SEEK_END);

	(void)state;
	close(fd);
	/* The last of the numbers before the strings. */
	for (size_t i = 1; i <= sizeof(uint64_t); i++) {
		assert_int_equal(read_and_close(write_changed(4096, whole - strings - i, F_SEAL_WRITE), &why), -EPROTO);
		assert_non_null(strstr(why.sentence, "another size"));
	}
}

static void only_the_whole_internal_argument_means_a_server(void **state)
{
	char *whole[] = {"procfs-mp", "--serve", "3", "/mnt", NULL};
	char *word[] = {"procfs-mp", "--serve", NULL};
	char *other[] = {"procfs-mp", "-f", "3", "/mnt", NULL};

	(void)state;
	assert_true(serving_is_meant(4, whole));
	assert_false(serving_is_meant(2, word));
	assert_false(serving_is_meant(4, other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_keeper_wrote_is_what_the_server_reads),
		cmocka_unit_test(nobody_can_write_to_it_any_more),
		cmocka_unit_test(what_no_keeper_wrote_is_refused_with_a_sentence),
		cmocka_unit_test(any_cut_is_refused),
		cmocka_unit_test(a_layout_of_another_version_is_refused_as_such),
		cmocka_unit_test(what_is_shared_is_of_the_same_size_on_both_sides),
		cmocka_unit_test(only_the_whole_internal_argument_means_a_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
