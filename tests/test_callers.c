/* When callers began, asked of /proc once. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/callers.h"
#include "core/kin.h"

enum { NOBODY = INT_MAX };

static int open_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static pid_t begin(void)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			pause();
		_exit(1);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void the_start_is_that_of_proc_each_time(void **state)
{
	struct callers callers = {0};
	struct kin kin;
	uint64_t start = 0;

	(void)state;
	assert_int_equal(kin_read(getpid(), &kin), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(callers_start(&callers, getpid(), &start), 0);
		assert_int_equal(start, kin.start);
	}
	assert_int_equal(callers.next, 1);
	callers_finish(&callers);
}

static void one_that_has_ended_is_forgotten(void **state)
{
	struct callers callers = {0};
	int before = open_descriptors();
	uint64_t start = 0;
	pid_t pid = begin();

	(void)state;
	assert_int_equal(callers_start(&callers, pid, &start), 0);
	end(pid);
	assert_int_equal(callers_start(&callers, pid, &start), -ESRCH);
	assert_int_equal(callers_start(&callers, NOBODY, &start), -ESRCH);
	assert_int_equal(open_descriptors(), before);
	callers_finish(&callers);
}

static void more_than_there_is_room_for_take_the_place_of_the_oldest(void **state)
{
	enum { MORE = CALLERS_MOST + 3 };
	struct callers callers = {0};
	int before = open_descriptors();
	pid_t pids[MORE];
	struct kin kin;
	uint64_t start;

	(void)state;
	for (int i = 0; i < MORE; i++)
		pids[i] = begin();
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < MORE; i++) {
			assert_int_equal(callers_start(&callers, pids[i], &start), 0);
			assert_int_equal(kin_read(pids[i], &kin), 0);
			assert_int_equal(start, kin.start);
			assert_true(open_descriptors() <= before + CALLERS_MOST);
		}
	for (int i = 0; i < MORE; i++)
		end(pids[i]);
	callers_finish(&callers);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_start_is_that_of_proc_each_time),
		cmocka_unit_test(one_that_has_ended_is_forgotten),
		cmocka_unit_test(more_than_there_is_room_for_take_the_place_of_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
