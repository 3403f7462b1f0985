/* What a launched program finds: its arguments, directory, session, signals, descriptors and streams. */
#include "launching.h"

#include "core/holdings.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void arguments_environment_umask_and_directory_are_those_given(void **state)
{
	struct fixture *fixture = *state;
	mode_t before = umask(027);
	char expected[128], directory[4096];
	SPEC(spec, "/bin/sh", "-c", "echo $0 $# $1$2 $A; umask; pwd; env | wc -l", "zero", "one", "");

	umask(before);
	spec.envp = LIST("A=value");
	spec.umask = 0137;
	spec.cwd = fixture->directory;
	snprintf(expected, sizeof(expected), "zero 2 one value\n0137\n%s\n", fixture->directory);
	assert_memory_equal(capture(fixture, &spec), expected, strlen(expected));
	assert_int_equal(umask(before), before);
	assert_non_null(getcwd(directory, sizeof(directory)));
	assert_string_not_equal(directory, fixture->directory);
}

static void without_a_directory_the_child_has_ours(void **state)
{
	char directory[4096];
	SPEC(spec, "/bin/sh", "-c", "/bin/pwd -P | tr -d '\\n'");

	assert_non_null(getcwd(directory, sizeof(directory)));
	spec.cwd = NULL;
	assert_string_equal(capture(*state, &spec), directory);
}

static void the_child_leads_a_session_of_its_own(void **state)
{
	struct fixture *fixture = *state;
	SPEC(spec, "/bin/sleep", "1000");
	struct ptable_entry *entry = launch(fixture, &spec, 0);

	assert_int_equal(getsid(entry->pid), entry->pid);
	assert_int_equal(getpgid(entry->pid), entry->pid);
	kill(entry->pid, SIGKILL);
	wait_for(entry);
}

static void the_child_has_no_signal_blocked_or_ignored_whatever_we_have(void **state)
{
	static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGQUIT };
	sigset_t all, before;
	const char *text;
	SPEC(spec, "/bin/cat", "/proc/self/status");

	for (size_t i = 0; i < 4; i++)
		signal(ignored[i], SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	text = capture(*state, &spec);
	sigprocmask(SIG_SETMASK, &before, NULL);
	for (size_t i = 0; i < 4; i++)
		signal(ignored[i], SIG_DFL);
	assert_non_null(strstr(text, "SigBlk:\t0000000000000000\n"));
	assert_non_null(strstr(text, "SigIgn:\t0000000000000000\n"));
	assert_non_null(strstr(text, "SigCgt:\t0000000000000000\n"));
}

static void the_child_has_three_descriptors_however_many_we_have(void **state)
{
	struct fixture *fixture = *state;
	int fds[200];
	SPEC(spec, fixture->self, "report");

	for (int i = 0; i < 200; i++)
		fds[i] = dup(0);
	assert_string_equal(capture(fixture, &spec), "0 1 2 ");
	for (int i = 0; i < 200; i++)
		close(fds[i]);
}

static int forbid_close_range(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(rules) / sizeof(rules[0]), rules };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int try_without_close_range(struct fixture *fixture)
{
	SPEC(spec, fixture->self, "report");

	CHECK(forbid_close_range() == 0);
	CHECK(syscall(SYS_close_range, 100, 100, 0) == -1 && errno == ENOSYS);
	for (int i = 0; i < 200; i++)
		CHECK(dup(0) >= 0);
	CHECK(strcmp(capture(fixture, &spec), "0 1 2 ") == 0);
	return 0;
}

static void a_kernel_without_close_range_gives_three_descriptors_too(void **state)
{
	assert_int_equal(in_a_process(*state, try_without_close_range), 0);
}

/* Streams of every number at once, wanted in every order. */
static int try_streams_in_another_order(struct fixture *fixture)
{
	static const int orders[][3] = { { 0, 1, 2 }, { 2, 0, 1 }, { 1, 2, 0 }, { 0, 2, 1 }, { 2, 1, 0 }, { 1, 0, 2 },
					 { 1, 1, 1 }, { 2, 2, 2 }, { 0, 0, 0 } };
	char paths[3][64];

	for (int i = 0; i < 3; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/stream%d", fixture->directory, i);
		close(i);
		CHECK(open(paths[i], O_RDWR | O_CREAT | O_EXCL, 0600) == i);
	}
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		const int *order = orders[i];
		char expected[256], found[256];
		SPEC(spec, "/bin/sh", "-c", "readlink /proc/self/fd/0 && readlink /proc/self/fd/1 && readlink /proc/self/fd/2");

		spec.stdin_fd = order[0];
		spec.stdout_fd = order[1];
		spec.stderr_fd = order[2];
		CHECK(ftruncate(order[1], 0) == 0 && lseek(order[1], 0, SEEK_SET) == 0);
		wait_for(launch(fixture, &spec, 0));
		CHECK(lseek(order[1], 0, SEEK_SET) == 0);
		slurp(order[1], found, sizeof(found));
		snprintf(expected, sizeof(expected), "%s\n%s\n%s\n", paths[order[0]], paths[order[1]], paths[order[2]]);
		CHECK(strcmp(found, expected) == 0);
	}
	return 0;
}

static void streams_arrive_where_they_belong_in_every_order(void **state)
{
	assert_int_equal(in_a_process(*state, try_streams_in_another_order), 0);
}

/* Above what else is kept, as when very many run. */
static void streams_that_lie_high_arrive_too(void **state)
{
	int fds[2], high, low;
	char found[64];
	SPEC(spec, "/bin/sh", "-c", "read x; echo $x; echo /proc/self/fd/*");

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	high = fcntl(fds[1], F_DUPFD_CLOEXEC, HOLDINGS_FROM + 500);
	low = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	spec.stdin_fd = fcntl(low, F_DUPFD_CLOEXEC, HOLDINGS_FROM + 100);
	close(fds[1]);
	close(low);
	if (high < 0 || spec.stdin_fd < 0)
		skip(); /* by the limit of this process */
	spec.stdout_fd = high;
	wait_for(launch(*state, &spec, 0));
	close(high);
	close(spec.stdin_fd);
	slurp(fds[0], found, sizeof(found));
	close(fds[0]);
	assert_non_null(strstr(found, "test_launch_chi\n/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2"));
}

static int try_with_no_streams(struct fixture *fixture)
{
	int pipe_fds[2], out;
	char found[256];
	SPEC(spec, "/bin/sh", "-c", "readlink /proc/self/fd/0 && readlink /proc/self/fd/2");

	CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
	out = fcntl(pipe_fds[1], F_DUPFD_CLOEXEC, 100);
	for (int i = 0; i < 3; i++)
		close(i);
	close(pipe_fds[1]);
	spec.stdout_fd = out;
	wait_for(launch(fixture, &spec, 0));
	close(out);
	slurp(pipe_fds[0], found, sizeof(found));
	CHECK(strcmp(found, "/dev/null\n/dev/null\n") == 0);
	return 0;
}

static void streams_not_given_are_null_even_when_we_have_none(void **state)
{
	assert_int_equal(in_a_process(*state, try_with_no_streams), 0);
}

static int try_foreground(struct fixture *fixture)
{
	int fds[2];
	char found[8192], own[64];
	struct ptable_entry *entry;
	SPEC(spec, "/bin/sh", "-c", "cat /proc/self/stat /proc/self/status");

	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	CHECK(dup2(fds[1], 1) == 1);
	close(fds[1]);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	spec.flags = LAUNCH_FOREGROUND;
	entry = launch(fixture, &spec, 0);
	close(1);
	slurp(fds[0], found, sizeof(found));
	CHECK(wait_for(entry) == 0);
	snprintf(own, sizeof(own), " %d %d ", getpgrp(), getsid(0));
	CHECK(strstr(found, own));
	CHECK(strstr(found, "SigIgn:\t0000000000000001\n"));
	CHECK(strstr(found, "SigBlk:\t0000000000000000\n"));
	return 0;
}

static void the_main_command_keeps_our_streams_session_and_nohup(void **state)
{
	assert_int_equal(in_a_process(*state, try_foreground), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(arguments_environment_umask_and_directory_are_those_given),
		TEST(without_a_directory_the_child_has_ours),
		TEST(the_child_leads_a_session_of_its_own),
		TEST(the_child_has_no_signal_blocked_or_ignored_whatever_we_have),
		TEST(the_child_has_three_descriptors_however_many_we_have),
		TEST(a_kernel_without_close_range_gives_three_descriptors_too),
		TEST(streams_arrive_where_they_belong_in_every_order),
		TEST(streams_that_lie_high_arrive_too),
		TEST(streams_not_given_are_null_even_when_we_have_none),
		TEST(the_main_command_keeps_our_streams_session_and_nohup),
	};

	return RUN(tests, argc, argv);
}
