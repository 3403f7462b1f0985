#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/kin.h"

/* Above every pid that a kernel gives. */
enum { NOBODY = INT_MAX };

struct child {
	const char *command;      /* its name in /proc, or NULL */
	const char *const *envp;  /* executes a program with it, when not NULL */
	bool leads;               /* a session of its own */
};

/* Returns when all that was asked is done. */
static pid_t begin(struct child child)
{
	static const char *const argv[] = { "sleep", "1000", NULL };
	pid_t parent = getpid(), pid;
	int ends[2];
	char byte;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || (child.leads && setsid() < 0))
			_exit(1);
		if (child.command)
			prctl(PR_SET_NAME, child.command);
		if (child.envp)
			execve("/bin/sleep", (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)child.envp);
		close(ends[0]);
		close(ends[1]);
		for (;;)
			pause();
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void parent_and_session_are_read_whatever_the_command_is_called(void **state)
{
	static const char *const names[] = {
		"plain", "two words", ")", "a) R 1 1 1", "((((", "x) T (y", ") S 0 0 0 0 0", "\n) \t(", "99999 (", "",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pid_t pid = begin((struct child){ .command = names[i], .leads = i % 2 });
		struct kin kin;

		assert_int_equal(kin_read(pid, &kin), 0);
		assert_int_equal(kin.parent, getpid());
		assert_int_equal(kin.session, i % 2 ? pid : getsid(0));
		assert_false(kin_is_stopped(pid));
		end(pid);
	}
}

static void a_start_lies_between_now_before_and_now_after(void **state)
{
	uint64_t before = kin_now(), after;
	pid_t pid = begin((struct child){ 0 });
	struct kin kin, own;

	(void)state;
	after = kin_now();
	assert_int_equal(kin_read(pid, &kin), 0);
	assert_in_range(kin.start, before, after);
	assert_int_equal(kin_read(getpid(), &own), 0);
	assert_true(own.start <= kin.start);
	end(pid);
}

static void nobody_is_esrch(void **state)
{
	struct kin kin;
	uint64_t number;
	pid_t pid;

	(void)state;
	assert_int_equal(kin_read(NOBODY, &kin), -ESRCH);
	assert_int_equal(kin_process_of(NOBODY, &pid), -ESRCH);
	assert_int_equal(kin_environment_number(NOBODY, "X", &number), -ESRCH);
	assert_false(kin_has_open(NOBODY, "/dev/null"));
	assert_false(kin_is_stopped(NOBODY));
}

static void *answer_of_a_thread(void *argument)
{
	pid_t thread = (pid_t)syscall(SYS_gettid), *process = argument;
	struct kin kin;

	if (thread == getpid() || kin_process_of(thread, process) || kin_read(thread, &kin))
		return NULL;
	return kin.parent == getppid() && kin.session == getsid(0) ? process : NULL;
}

static void a_thread_is_led_back_to_its_process(void **state)
{
	pthread_t thread;
	pid_t process = 0;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, answer_of_a_thread, &process), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_non_null(result);
	assert_int_equal(process, getpid());
	assert_int_equal(kin_process_of(getpid(), &process), 0);
	assert_int_equal(process, getpid());
}

#define ENVIRONMENT(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void the_environment_says_a_number_or_nothing(void **state)
{
	static char large[300000];
	memset(large, 'x', sizeof(large) - 1);
	/* A single string may have 128 KiB: three of them. */
	large[100000] = large[200000] = '\0';
	const struct {
		const char *const *envp;
		int error;
		uint64_t number;
	} rows[] = {
		{ ENVIRONMENT("X=12"), 0, 12 },
		{ ENVIRONMENT("A=1", "X=0", "B=2"), 0, 0 },
		{ ENVIRONMENT("X=18446744073709551615"), 0, UINT64_MAX },
		{ ENVIRONMENT(large, large + 100001, large + 200001, "X=7"), 0, 7 },
		{ ENVIRONMENT("A=1"), -ENOENT, 0 },
		{ ENVIRONMENT("XY=5", "X", "=X=5", " X=5"), -ENOENT, 0 },
		{ ENVIRONMENT("X="), -ENOENT, 0 },
		{ ENVIRONMENT("X=12x"), -ENOENT, 0 },
		{ ENVIRONMENT("X= 12"), -ENOENT, 0 },
		{ ENVIRONMENT("X=-12"), -ENOENT, 0 },
		{ ENVIRONMENT("X=+12"), -ENOENT, 0 },
		{ ENVIRONMENT("X=18446744073709551616"), -ENOENT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pid_t pid = begin((struct child){ .envp = rows[i].envp });
		uint64_t number = 99;

		assert_int_equal(kin_environment_number(pid, "X", &number), rows[i].error);
		assert_true(number == (rows[i].error ? 99 : rows[i].number));
		end(pid);
	}
}

static void an_open_path_is_found_until_its_last_descriptor_is_closed(void **state)
{
	char path[] = "/tmp/test_kin.XXXXXX", longer[64];
	int first = mkstemp(path), second = dup(first);

	(void)state;
	assert_true(first >= 0 && second >= 0);
	const char *name = path + strlen("/tmp/");
	strcat(strcpy(longer, name), "x");
	assert_true(kin_has_open(getpid(), name));
	assert_false(kin_has_open(getpid(), longer));
	assert_false(kin_has_open(getpid(), name + 1));
	assert_false(kin_has_open(getpid(), "test_kin."));
	close(first);
	assert_true(kin_has_open(getpid(), name));
	close(second);
	assert_false(kin_has_open(getpid(), name));
	unlink(path);
}

static void stopped_is_what_a_signal_stopped(void **state)
{
	pid_t pid = begin((struct child){ .command = "a) T (b" });
	int status;

	(void)state;
	assert_false(kin_is_stopped(pid));
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(kin_is_stopped(pid));
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, WCONTINUED), pid);
	assert_false(kin_is_stopped(pid));
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parent_and_session_are_read_whatever_the_command_is_called),
		cmocka_unit_test(a_start_lies_between_now_before_and_now_after),
		cmocka_unit_test(nobody_is_esrch),
		cmocka_unit_test(a_thread_is_led_back_to_its_process),
		cmocka_unit_test(the_environment_says_a_number_or_nothing),
		cmocka_unit_test(an_open_path_is_found_until_its_last_descriptor_is_closed),
		cmocka_unit_test(stopped_is_what_a_signal_stopped),
	};

	return cmocka_run_group_tests_name("kin", tests, NULL, NULL);
}
