/* A launch begins a program, or tells why it did not. */
#include "launching.h"

#include <sys/resource.h>
#include <time.h>

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

static void a_stream_that_is_not_open_is_told(void **state)
{
	SPEC(spec, "/bin/true");

	spec.stdout_fd = 900;
	expect_failure(*state, &spec, LAUNCH_STEP_STREAMS, EBADF);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(launch_of_a_program_leaves_it_running_with_its_pid_and_time),
		TEST(the_exit_status_is_the_programs_own),
		TEST(launch_of_an_entry_that_is_not_launching_does_nothing),
		TEST(every_error_of_exec_is_told_and_leaves_no_child),
		TEST(an_argument_that_is_too_long_gives_e2big),
		TEST(every_error_of_the_directory_is_told),
		TEST(a_stream_that_is_not_open_is_told),
		TEST(an_error_of_clone_is_told),
		TEST(candidates_are_tried_as_execvp_tries_path),
	};

	return RUN(tests, argc, argv);
}
