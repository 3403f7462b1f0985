#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/launch.h"

/* Any user but ours: no account is needed. */
enum { STRANGER = 54321, STRANGERS_GROUP = 54322, DEADLINE_SECONDS = 60 };

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct fixture {
	struct ptable *table;
	char directory[32];
	char self[4096]; /* this program, which tells what it was given when run as `report` */
	int fds;
	sigset_t mask;
};

static int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture || ptable_create(&fixture->table))
		return -1;
	strcpy(fixture->directory, "/tmp/test_launch.XXXXXX");
	if (!mkdtemp(fixture->directory) || chmod(fixture->directory, 0755) < 0)
		return -1;
	if (readlink("/proc/self/exe", fixture->self, sizeof(fixture->self) - 1) < 0)
		return -1;
	sigprocmask(SIG_SETMASK, NULL, &fixture->mask);
	fixture->fds = count_fds();
	*state = fixture;
	return 0;
}

static void remove_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(path);
}

static void kill_children(void)
{
	FILE *file = fopen("/proc/thread-self/children", "re");
	int pid;

	while (file && fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (file)
		fclose(file);
}

/* Every test ends here: whatever it launched, nothing is left of it. */
static int teardown(void **state)
{
	struct fixture *fixture = *state;
	siginfo_t info;
	sigset_t mask;
	int wrong = 0;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0) {
		wrong = fprintf(stderr, "a child is left\n");
		kill_children();
		waitpid(-1, NULL, __WALL);
	}
	if (count_fds() != fixture->fds)
		wrong = fprintf(stderr, "a descriptor is left\n");
	for (int number = 1; number <= SIGRTMAX; number++)
		if (sigismember(&mask, number) != sigismember(&fixture->mask, number))
			wrong = fprintf(stderr, "signal %d: the mask has changed\n", number);
	remove_directory(fixture->directory);
	ptable_destroy(fixture->table);
	free(fixture);
	return wrong ? -1 : 0;
}

static struct launch_spec spec_of(const char *const *argv)
{
	static const char *const environment[] = { "PATH=/usr/bin:/bin", NULL };

	return (struct launch_spec){
		.umask = 022,
		.cwd = "/",
		.candidates = argv,
		.argv = argv,
		.envp = environment,
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
	};
}

/* The first of argv alone is the candidate: the rest would be tried too. */
#define SPEC(spec, ...)                                                         \
	const char *const spec##_argv[] = { __VA_ARGS__, NULL };                \
	const char *const spec##_candidates[] = { spec##_argv[0], NULL };       \
	struct launch_spec spec = spec_of(spec##_argv);                         \
	spec.candidates = spec##_candidates

static struct ptable_ref claim(struct fixture *fixture)
{
	struct ptable_ref ref;

	assert_int_equal(ptable_claim(fixture->table, 1, 1, &ref), 0);
	assert_true(ptable_step(fixture->table, ref, PTABLE_CLAIMED, PTABLE_LAUNCHING));
	return ref;
}

static struct ptable_entry *launch(struct fixture *fixture, const struct launch_spec *spec, int expected)
{
	struct ptable_ref ref = claim(fixture);
	struct ptable_entry *entry = ptable_at(fixture->table, ref.index);

	assert_int_equal(launch_run(spec, fixture->table, ref), expected);
	assert_int_equal(ptable_state(fixture->table, ref), expected ? PTABLE_FAILED : PTABLE_RUNNING);
	return entry;
}

static int wait_for(struct ptable_entry *entry)
{
	int status = -1;

	assert_int_equal(waitpid(entry->pid, &status, 0), entry->pid);
	return status;
}

static void slurp(int fd, char *text, size_t size)
{
	size_t done = 0;
	ssize_t got;

	while (done < size - 1 && (got = read(fd, text + done, size - 1 - done)) > 0)
		done += (size_t)got;
	text[done] = '\0';
}

/* What the launched program prints. */
static char *capture(struct fixture *fixture, struct launch_spec *spec)
{
	static char text[65536];
	int fds[2];
	struct ptable_entry *entry;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	spec->stdout_fd = fds[1];
	entry = launch(fixture, spec, 0);
	close(fds[1]);
	slurp(fds[0], text, sizeof(text));
	close(fds[0]);
	assert_int_equal(wait_for(entry), 0);
	return text;
}

/* Runs `body` in a process of its own, which it may spoil; it gives 0 or the line of what went wrong. */
static int in_a_process(struct fixture *fixture, int (*body)(struct fixture *))
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(body(fixture));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define CHECK(condition)                                                          \
	do {                                                                      \
		if (!(condition)) {                                               \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);   \
			return 1;                                                 \
		}                                                                 \
	} while (0)

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: only root can become another user\n");
	skip();
}

static const char *make_file(struct fixture *fixture, const char *name, const char *text, mode_t mode)
{
	static char paths[4][64];
	static unsigned next;
	char *path = paths[next++ % 4];
	int fd;

	snprintf(path, sizeof(paths[0]), "%s/%s", fixture->directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static void launch_of_a_program_leaves_it_running_with_its_pid_and_time(void **state)
{
	struct fixture *fixture = *state;
	struct timespec before, after;
	struct ptable_entry *entry;
	struct ptable_ref found;
	SPEC(spec, "/bin/sleep", "1000");

	clock_gettime(CLOCK_REALTIME, &before);
	entry = launch(fixture, &spec, 0);
	clock_gettime(CLOCK_REALTIME, &after);
	assert_in_range(entry->started.tv_sec, before.tv_sec, after.tv_sec);
	assert_true(ptable_find_pid(fixture->table, entry->pid, &found));
	assert_ptr_equal(ptable_at(fixture->table, found.index), entry);
	assert_int_equal(ptable_signal(fixture->table, found, SIGTERM), 0);
	assert_int_equal(WTERMSIG(wait_for(entry)), SIGTERM);
}

static void the_exit_status_is_the_programs_own(void **state)
{
	SPEC(spec, "/bin/sh", "-c", "exit 77");

	assert_int_equal(WEXITSTATUS(wait_for(launch(*state, &spec, 0))), 77);
}

static void launch_of_an_entry_that_is_not_launching_does_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct ptable_ref ref = claim(fixture);
	SPEC(spec, "/bin/true");

	ptable_step(fixture->table, ref, PTABLE_LAUNCHING, PTABLE_FAILED);
	assert_int_equal(launch_run(&spec, fixture->table, ref), -EINVAL);
	ptable_release(fixture->table, ref);
	claim(fixture);
	assert_int_equal(launch_run(&spec, fixture->table, ref), -EINVAL);
}

static void expect_failure(struct fixture *fixture, const struct launch_spec *spec, enum launch_step step, int error)
{
	for (uint32_t flags = 0; flags <= (geteuid() == 0 ? LAUNCH_AS_USER : 0); flags++) {
		struct launch_spec as = *spec;
		struct ptable_entry *entry;
		struct ptable_ref found;

		as.flags |= flags;
		as.uid = STRANGER;
		as.gid = STRANGERS_GROUP;
		entry = launch(fixture, &as, -error);
		assert_int_equal(entry->step, step);
		assert_int_equal(entry->error, error);
		assert_int_equal(entry->candidate, 0);
		assert_true(entry->pid > 0);
		assert_false(ptable_find_pid(fixture->table, entry->pid, &found));
	}
}

static void every_error_of_exec_is_told_and_leaves_no_child(void **state)
{
	struct fixture *fixture = *state;
	static char name_too_long[300];
	char loop[64];
	const char *busy = make_file(fixture, "busy", "#!/bin/true\n", 0777);
	int busy_fd = open(busy, O_WRONLY | O_CLOEXEC);

	memset(name_too_long, 'x', sizeof(name_too_long) - 1);
	snprintf(loop, sizeof(loop), "%s/loop", fixture->directory);
	assert_int_equal(symlink(loop, loop), 0);
	const struct {
		const char *target;
		int error;
	} rows[] = {
		{ "/nonexistent", ENOENT },
		{ "", ENOENT },
		{ "/etc/passwd/x", ENOTDIR },
		{ "/etc/passwd", EACCES },
		{ "/etc", EACCES },
		{ make_file(fixture, "text", "echo this is not run by a shell\n", 0777), ENOEXEC },
		{ make_file(fixture, "empty", "", 0777), ENOEXEC },
		{ make_file(fixture, "orphan", "#!/nonexistent\n", 0777), ENOENT },
		{ loop, ELOOP },
		{ name_too_long, ENAMETOOLONG },
		{ busy, ETXTBSY },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SPEC(spec, rows[i].target);

		expect_failure(fixture, &spec, LAUNCH_STEP_EXEC, rows[i].error);
	}
	close(busy_fd);
}

static void an_argument_that_is_too_long_gives_e2big(void **state)
{
	char *argument = malloc(1 << 20);

	memset(argument, 'x', (1 << 20) - 1);
	argument[(1 << 20) - 1] = '\0';
	SPEC(spec, "/bin/true", argument);
	expect_failure(*state, &spec, LAUNCH_STEP_EXEC, E2BIG);
	free(argument);
}

static void every_error_of_the_directory_is_told(void **state)
{
	SPEC(spec, "/bin/true");

	spec.cwd = "/nonexistent";
	expect_failure(*state, &spec, LAUNCH_STEP_CWD, ENOENT);
	spec.cwd = "/etc/passwd";
	expect_failure(*state, &spec, LAUNCH_STEP_CWD, ENOTDIR);
	spec.cwd = "";
	expect_failure(*state, &spec, LAUNCH_STEP_CWD, ENOENT);
}

static void the_directory_is_entered_as_the_user_who_the_child_becomes(void **state)
{
	struct fixture *fixture = *state;
	SPEC(spec, "/bin/true");

	need_root();
	assert_int_equal(chmod(fixture->directory, 0700), 0);
	spec.cwd = fixture->directory;
	assert_int_equal(wait_for(launch(fixture, &spec, 0)), 0);
	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	assert_int_equal(launch(fixture, &spec, -EACCES)->step, LAUNCH_STEP_CWD);
}

static void a_stream_that_is_not_open_is_told(void **state)
{
	SPEC(spec, "/bin/true");

	spec.stdout_fd = 900;
	expect_failure(*state, &spec, LAUNCH_STEP_STREAMS, EBADF);
}

static int become_a_stranger(void)
{
	return setresgid(STRANGERS_GROUP, STRANGERS_GROUP, STRANGERS_GROUP) ||
	       setresuid(STRANGER, STRANGER, STRANGER);
}

static int try_another_user_as_a_stranger(struct fixture *fixture)
{
	struct ptable_ref ref = claim(fixture);
	struct ptable_entry *entry = ptable_at(fixture->table, ref.index);
	SPEC(spec, "/bin/true");

	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER + 1;
	spec.gid = STRANGERS_GROUP;
	if (geteuid() == 0)
		CHECK(become_a_stranger() == 0);
	CHECK(launch_run(&spec, fixture->table, ref) == -EPERM);
	CHECK(entry->step == LAUNCH_STEP_USER && entry->error == EPERM);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
	return 0;
}

static void who_is_not_root_cannot_launch_as_another_user(void **state)
{
	assert_int_equal(in_a_process(*state, try_another_user_as_a_stranger), 0);
}

static int try_a_user_with_capabilities_kept(struct fixture *fixture)
{
	struct ptable_ref ref = claim(fixture);
	struct ptable_entry *entry = ptable_at(fixture->table, ref.index);
	SPEC(spec, "/bin/true");

	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0);
	CHECK(launch_run(&spec, fixture->table, ref) == -EPERM);
	CHECK(entry->step == LAUNCH_STEP_USER);
	return 0;
}

static void a_child_that_could_go_back_to_root_is_refused(void **state)
{
	need_root();
	assert_int_equal(in_a_process(*state, try_a_user_with_capabilities_kept), 0);
}

static void as_another_user_the_child_is_that_user_with_those_groups_and_no_way_back(void **state)
{
	static const gid_t groups[] = { 7, 54400, 54401 };
	SPEC(spec, "/bin/cat", "/proc/self/status");
	const char *text;

	need_root();
	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	spec.groups = groups;
	spec.group_count = 3;
	text = capture(*state, &spec);
	assert_non_null(strstr(text, "Uid:\t54321\t54321\t54321\t54321\n"));
	assert_non_null(strstr(text, "Gid:\t54322\t54322\t54322\t54322\n"));
	assert_non_null(strstr(text, "Groups:\t7 54400 54401 \n"));
	assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapEff:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapAmb:\t0000000000000000\n"));
	spec.group_count = 0;
	assert_non_null(strstr(capture(*state, &spec), "Groups:\t \n"));
	assert_int_equal(geteuid(), 0);
}

static void as_our_own_user_the_child_keeps_what_we_have(void **state)
{
	SPEC(spec, "/bin/cat", "/proc/self/status");
	char line[64];
	const char *text = capture(*state, &spec);

	snprintf(line, sizeof(line), "Uid:\t%u\t%u\t%u\t%u\n", getuid(), geteuid(), geteuid(), geteuid());
	assert_non_null(strstr(text, line));
	assert_non_null(strstr(text, "NoNewPrivs:\t0\n"));
}

static int try_with_no_room_for_a_process(struct fixture *fixture)
{
	const struct rlimit limit = { 1, 1 };
	struct ptable_ref ref = claim(fixture);
	struct ptable_entry *entry = ptable_at(fixture->table, ref.index);
	SPEC(spec, "/bin/true");

	CHECK(become_a_stranger() == 0);
	CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
	CHECK(launch_run(&spec, fixture->table, ref) == -EAGAIN);
	CHECK(entry->step == LAUNCH_STEP_CLONE && entry->error == EAGAIN && entry->pid == 0);
	CHECK(ptable_state(fixture->table, ref) == PTABLE_FAILED);
	return 0;
}

static void an_error_of_clone_is_told(void **state)
{
	need_root();
	assert_int_equal(in_a_process(*state, try_with_no_room_for_a_process), 0);
}

static void candidates_are_tried_as_execvp_tries_path(void **state)
{
	struct fixture *fixture = *state;
	const char *forbidden = make_file(fixture, "forbidden", "#!/bin/true\n", 0644);
	const char *garbage = make_file(fixture, "garbage", "garbage", 0755);
	const struct {
		const char *const *candidates;
		int error, candidate;
	} rows[] = {
		{ LIST("/nonexistent", "/bin/true"), 0, 0 },
		{ LIST("/etc/passwd/x", "/bin/true"), 0, 0 },
		{ LIST(forbidden, "/nonexistent", "/bin/true", garbage), 0, 0 },
		{ LIST("/nonexistent", "/nonexistent/2"), ENOENT, 1 },
		{ LIST("/nonexistent", forbidden, "/nonexistent"), EACCES, 1 },
		{ LIST(forbidden, forbidden), EACCES, 0 },
		{ LIST("/nonexistent", garbage, "/bin/true"), ENOEXEC, 1 },
		{ LIST(forbidden, garbage, "/bin/true"), ENOEXEC, 1 },
		{ LIST(NULL), ENOENT, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SPEC(spec, "name");
		struct ptable_entry *entry;

		spec.candidates = rows[i].candidates;
		entry = launch(fixture, &spec, -rows[i].error);
		if (!rows[i].error) {
			assert_int_equal(wait_for(entry), 0);
			continue;
		}
		assert_int_equal(entry->error, rows[i].error);
		assert_int_equal(entry->candidate, rows[i].candidate);
	}
}

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

/* A file whose lease we hold hangs who opens it until we give it up (fcntl(2), F_SETLEASE): an exec that hangs,
 * and SIGIO tells that it does. */
static int lease(struct fixture *fixture, const char **path)
{
	int fd;

	*path = make_file(fixture, "leased", "#!/bin/true\n", 0755);
	fd = open(*path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0) {
		close(fd);
		print_message("skipped: no lease on a file in /tmp: %s\n", strerror(errno));
		skip();
	}
	return fd;
}

struct hanging {
	struct fixture *fixture;
	const struct launch_spec *spec;
	struct ptable_ref ref;
	int result;
};

static void *hang(void *argument)
{
	struct hanging *hanging = argument;

	hanging->result = launch_run(hanging->spec, hanging->fixture->table, hanging->ref);
	return NULL;
}

static void kill_while_it_hangs(struct fixture *fixture, uint32_t flags)
{
	const struct timespec deadline = { DEADLINE_SECONDS, 0 };
	struct hanging hanging = { .fixture = fixture, .ref = claim(fixture) };
	struct ptable_entry *entry = ptable_at(fixture->table, hanging.ref.index);
	const char *path;
	int lease_fd = lease(fixture, &path);
	pthread_t thread;
	sigset_t io;
	SPEC(spec, path);

	spec.flags = flags;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	hanging.spec = &spec;
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	sigprocmask(SIG_BLOCK, &io, NULL);
	assert_int_equal(pthread_create(&thread, NULL, hang, &hanging), 0);
	assert_int_equal(sigtimedwait(&io, NULL, &deadline), SIGIO);
	assert_int_equal(ptable_state(fixture->table, hanging.ref), PTABLE_LAUNCHING);
	/* It can't be seen by who waits for any child, it has a pid, and it can be killed. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_true(ptable_pid(fixture->table, hanging.ref) > 0);
	assert_int_equal(ptable_signal(fixture->table, hanging.ref, SIGKILL), 0);
	pthread_join(thread, NULL);
	sigprocmask(SIG_UNBLOCK, &io, NULL);
	close(lease_fd);
	unlink(path);
	assert_int_equal(hanging.result, -ECANCELED);
	assert_int_equal(ptable_state(fixture->table, hanging.ref), PTABLE_FAILED);
	assert_int_equal(entry->error, 0);
	assert_int_equal(ptable_signal(fixture->table, hanging.ref, SIGKILL), -ESRCH);
}

static void a_child_killed_while_its_exec_hangs_is_reaped_and_told(void **state)
{
	kill_while_it_hangs(*state, 0);
}

static void a_strangers_child_killed_while_its_exec_hangs_is_reaped_and_told(void **state)
{
	need_root();
	kill_while_it_hangs(*state, LAUNCH_AS_USER);
}

enum { THREADS = 4, LAUNCHES = 250 };

struct crowd {
	struct fixture *fixture;
	struct ptable_ref refs[LAUNCHES];
	int wrong;
};

/* Failures and programs that end at once by turns: nobody may wait for another thread's child. */
static void *launch_many(void *argument)
{
	struct crowd *crowd = argument;
	SPEC(missing, "/nonexistent");
	SPEC(present, "/bin/true");

	for (int i = 0; i < LAUNCHES; i++) {
		struct ptable_ref ref = crowd->refs[i];
		int expected = i % 2 ? 0 : -ENOENT;

		crowd->wrong += launch_run(i % 2 ? &present : &missing, crowd->fixture->table, ref) != expected;
		crowd->wrong += ptable_state(crowd->fixture->table, ref) != (expected ? PTABLE_FAILED : PTABLE_RUNNING);
	}
	return NULL;
}

static void launches_in_many_threads_take_nothing_from_each_other(void **state)
{
	struct fixture *fixture = *state;
	static struct crowd crowds[THREADS];
	pthread_t threads[THREADS];
	struct ptable_ref found;
	int status;

	for (int i = 0; i < THREADS; i++) {
		crowds[i] = (struct crowd){ .fixture = fixture };
		for (int j = 0; j < LAUNCHES; j++)
			crowds[i].refs[j] = claim(fixture);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, launch_many, &crowds[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(crowds[i].wrong, 0);
	}
	for (int i = 0; i < THREADS * LAUNCHES / 2; i++) {
		pid_t pid = wait(&status);

		assert_true(pid > 0);
		assert_int_equal(status, 0);
		assert_true(ptable_find_pid(fixture->table, pid, &found));
		assert_int_equal(ptable_pid(fixture->table, found), pid);
		assert_true(ptable_step(fixture->table, found, PTABLE_RUNNING, PTABLE_ENDED));
	}
}

static int report(void)
{
	for (int fd = 0; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- terms and cgroups ---- */

static void terms_are_set_and_are_the_childs_alone(void **state)
{
	struct fixture *fixture = *state;
	struct launch_terms terms = {
		.nice = 11,
		.has_nice = 1,
		.limit_count = 2,
		.limits = { { .resource = RLIMIT_NOFILE, .soft = 33, .hard = 44 }, { .resource = RLIMIT_CORE } },
	};
	struct rlimit before, after;
	int nice = getpriority(PRIO_PROCESS, 0);
	SPEC(spec, "/bin/sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c; cut -d' ' -f19 /proc/self/stat");

	spec.terms = &terms;
	getrlimit(RLIMIT_NOFILE, &before);
	assert_string_equal(capture(fixture, &spec), "33\n44\n0\n11\n");
	getrlimit(RLIMIT_NOFILE, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(getpriority(PRIO_PROCESS, 0), nice);
	terms.nice = nice;
	spec.flags = LAUNCH_RAISES;
	assert_non_null(strstr(capture(fixture, &spec), "33\n44\n0\n"));
}

/* No descriptor may be opened by the child any more, and the streams are there all the same. */
static void the_limit_of_descriptors_does_not_hinder_the_launch(void **state)
{
	struct fixture *fixture = *state;
	struct launch_terms terms = { .limit_count = 1, .limits = { { .resource = RLIMIT_NOFILE, .soft = 3, .hard = 3 } } };
	SPEC(spec, fixture->self, "report");

	spec.terms = &terms;
	for (int raises = 0; raises <= 1; raises++) {
		struct ptable_entry *entry;

		spec.flags = raises ? LAUNCH_RAISES : 0;
		entry = launch(fixture, &spec, 0);
		assert_true(WIFEXITED(wait_for(entry)));
	}
}

static void the_limit_that_cannot_be_set_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct launch_terms terms = {
		.limit_count = 2,
		.limits = { { .resource = RLIMIT_CORE }, { .resource = RLIMIT_NOFILE, .soft = 5, .hard = LAUNCH_UNLIMITED } },
	};
	SPEC(spec, "/bin/true");

	spec.terms = &terms;
	for (int raises = 0; raises <= 1; raises++) {
		struct ptable_entry *entry;

		spec.flags = raises ? LAUNCH_RAISES : 0;
		entry = launch(fixture, &spec, -EPERM);
		assert_int_equal(entry->step, LAUNCH_STEP_LIMITS);
		assert_int_equal(entry->candidate, 1);
	}
}

static void another_user_gets_no_more_than_it_may_unless_they_are_the_superusers(void **state)
{
	struct fixture *fixture = *state;
	struct launch_terms terms = { .nice = getpriority(PRIO_PROCESS, 0) - 1, .has_nice = 1 };
	struct ptable_entry *entry;
	struct rlimit limit;
	SPEC(spec, "/bin/true");

	need_root();
	getrlimit(RLIMIT_NICE, &limit);
	if (limit.rlim_cur)
		skip();
	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	spec.terms = &terms;
	entry = launch(fixture, &spec, -EACCES);
	assert_int_equal(entry->step, LAUNCH_STEP_LIMITS);
	assert_int_equal(entry->candidate, -1);
	spec.flags |= LAUNCH_RAISES;
	entry = launch(fixture, &spec, 0);
	assert_int_equal(wait_for(entry), 0);
}

/* Plain files take the place of cgroup.procs here. */
static void a_zero_is_written_to_each_cgroup_before_the_child_becomes_its_user(void **state)
{
	struct fixture *fixture = *state;
	const char *first = make_file(fixture, "first", "", 0600), *second = make_file(fixture, "second", "", 0600);
	const char *const cgroups[] = { first, second, NULL }, *const wrong[] = { first, "/nowhere", NULL };
	struct ptable_entry *entry;
	SPEC(spec, "/bin/cat", first, second);

	spec.cgroups = cgroups;
	assert_string_equal(capture(fixture, &spec), "00");
	spec.cgroups = wrong;
	entry = launch(fixture, &spec, -ENOENT);
	assert_int_equal(entry->step, LAUNCH_STEP_CGROUP);
	assert_int_equal(entry->candidate, 1);
	if (geteuid())
		return;
	spec.cgroups = cgroups;
	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	entry = launch(fixture, &spec, 0);
	wait_for(entry);
}

/* What is no group of version 2 hinders nobody; the files behind it are entered all the same. */
static void a_child_that_cannot_begin_in_a_group_begins_where_we_are(void **state)
{
	struct fixture *fixture = *state;
	const char *entry = make_file(fixture, "entry", "", 0600);
	const char *const gone[] = { "/nowhere/at/all", entry, NULL }, *const other[] = { "/", entry, NULL };
	SPEC(spec, "/bin/cat", entry);

	spec.flags = LAUNCH_INTO_GROUP;
	spec.cgroups = gone;
	assert_string_equal(capture(fixture, &spec), "0");
	spec.cgroups = other;
	assert_string_equal(capture(fixture, &spec), "0");
	if (geteuid())
		return;
	spec.flags |= LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	wait_for(launch(fixture, &spec, 0));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(terms_are_set_and_are_the_childs_alone),
		TEST(the_limit_of_descriptors_does_not_hinder_the_launch),
		TEST(the_limit_that_cannot_be_set_is_told),
		TEST(another_user_gets_no_more_than_it_may_unless_they_are_the_superusers),
		TEST(a_zero_is_written_to_each_cgroup_before_the_child_becomes_its_user),
		TEST(a_child_that_cannot_begin_in_a_group_begins_where_we_are),
		TEST(launch_of_a_program_leaves_it_running_with_its_pid_and_time),
		TEST(the_exit_status_is_the_programs_own),
		TEST(launch_of_an_entry_that_is_not_launching_does_nothing),
		TEST(every_error_of_exec_is_told_and_leaves_no_child),
		TEST(an_argument_that_is_too_long_gives_e2big),
		TEST(every_error_of_the_directory_is_told),
		TEST(the_directory_is_entered_as_the_user_who_the_child_becomes),
		TEST(a_stream_that_is_not_open_is_told),
		TEST(who_is_not_root_cannot_launch_as_another_user),
		TEST(a_child_that_could_go_back_to_root_is_refused),
		TEST(as_another_user_the_child_is_that_user_with_those_groups_and_no_way_back),
		TEST(as_our_own_user_the_child_keeps_what_we_have),
		TEST(an_error_of_clone_is_told),
		TEST(candidates_are_tried_as_execvp_tries_path),
		TEST(arguments_environment_umask_and_directory_are_those_given),
		TEST(without_a_directory_the_child_has_ours),
		TEST(the_child_leads_a_session_of_its_own),
		TEST(the_child_has_no_signal_blocked_or_ignored_whatever_we_have),
		TEST(the_child_has_three_descriptors_however_many_we_have),
		TEST(a_kernel_without_close_range_gives_three_descriptors_too),
		TEST(streams_arrive_where_they_belong_in_every_order),
		TEST(streams_not_given_are_null_even_when_we_have_none),
		TEST(the_main_command_keeps_our_streams_session_and_nohup),
		TEST(a_child_killed_while_its_exec_hangs_is_reaped_and_told),
		TEST(a_strangers_child_killed_while_its_exec_hangs_is_reaped_and_told),
		TEST(launches_in_many_threads_take_nothing_from_each_other),
	};

	if (argc > 1 && strcmp(argv[1], "report") == 0)
		return report();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
