/* A child process of the server ends with it, whenever that is. */
#include "support.h"

#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/servant.h"

enum { LONGEST_MS = 100000 };

static bool server_dies_first;

int __real_prctl(int option, unsigned long argument);
int __wrap_prctl(int option, unsigned long argument);

/* The moment in which nothing tells the servant yet that its server dies. */
int __wrap_prctl(int option, unsigned long argument)
{
	pid_t server = getppid();

	if (server_dies_first && option == PR_SET_PDEATHSIG) {
		kill(server, SIGKILL);
		while (getppid() == server)
			sched_yield();
	}
	return __real_prctl(option, argument);
}

static void wait_for_ever(int channel_fd, const int *fds)
{
	char byte = 0;

	(void)channel_fd;
	(void)!write(fds[0], &byte, 1);
	for (;;)
		pause();
}

/* The server is a process of its own, which is killed; the servant has the only other end of the pipe. */
static int begin_and_be_killed(int fd)
{
	const struct servant_wish wish = { .name = "servant", .fds = { fd, -1 }, .serve = wait_for_ever };
	struct servant servant;

	CHECK(servant_begin(&wish, &servant) == 0);
	close(fd);
	for (;;)
		pause();
}

static pid_t spawn_server(int ends[2])
{
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(begin_and_be_killed(ends[1]));
	}
	close(ends[1]);
	return pid;
}

static void assert_hung_up(int fd)
{
	struct pollfd end = { .fd = fd, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&end, 1, LONGEST_MS), 1);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
}

static void it_ends_with_its_server(void **state)
{
	int ends[2];
	char byte;
	pid_t server = spawn_server(ends);

	(void)state;
	assert_int_equal(read(ends[0], &byte, 1), 1);
	kill(server, SIGKILL);
	assert_int_equal(waitpid(server, NULL, 0), server);
	assert_hung_up(ends[0]);
}

static void it_ends_also_when_its_server_died_before_it_could_be_told(void **state)
{
	int ends[2];

	(void)state;
	server_dies_first = true;
	pid_t server = spawn_server(ends);
	server_dies_first = false;
	assert_int_equal(waitpid(server, NULL, 0), server);
	assert_hung_up(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_ends_with_its_server),
		cmocka_unit_test(it_ends_also_when_its_server_died_before_it_could_be_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
