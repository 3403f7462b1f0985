/* The manager with a real keeper: this program is the server that a keeper has forked, as in a mount. */
#include "world.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/keeper.h"
#include "core/kin.h"

/* Of the server, for all its tests. */
struct halves {
	struct ptable *table;
	int socket_fd;
};

static struct halves halves;

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	int socket_fd;

	if (!world || world_begin_loop(world))
		return -1;
	socket_fd = fcntl(halves.socket_fd, F_DUPFD_CLOEXEC, 3);
	world->table = halves.table;
	world->keeper_fd = -1;
	*state = world;
	return socket_fd < 0 ? -1 : world_begin_manager(world, socket_fd, false);
}

/* Each test ends with nothing running; what is still in the socket is of launches that are over. */
static int teardown(void **state)
{
	struct world *world = *state;
	struct ptable_ref ref;
	uint32_t cursor = 0;
	bool lives = ptable_next_live(world->table, &cursor, &ref);

	if (lives)
		fprintf(stderr, "a process is left\n");
	return world_destroy(world) || lives ? -1 : 0;
}

#define TOGETHER(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)

static struct process *make(struct world *world, const char *target, const char *args)
{
	struct process *process = world_make(world, NULL);
	enum words_problem problem;

	assert_int_equal(value_set(&process->configuration.target, target, strlen(target)), 0);
	assert_int_equal(words_split(&process->configuration.args, args, strlen(args), &problem), 0);
	return process;
}

/* Result: what the start came to. */
static int start(struct world *world, struct process *process)
{
	struct told told = TOLD;

	assert_int_equal(manager_start(world->manager, process, &world->caller, &told.waiter), 0);
	AWAIT(world, told.times);
	return told.error;
}

static int join(struct world *world, struct process *process)
{
	struct told told = TOLD;
	int code = 1000, result = manager_join(world->manager, process, &world->caller, &told.waiter);

	assert_true(result >= 0);
	AWAIT(world, result || told.times);
	assert_true(process_exitcode(process, &code));
	return code;
}

static size_t output_size(const struct process *process, int which)
{
	struct stat stat;

	if (process->output_fd[which] < 0)
		return 0; /* nothing was written and nobody can any more */
	assert_int_equal(fstat(process->output_fd[which], &stat), 0);
	return (size_t)stat.st_size;
}

static void assert_output(const struct process *process, int which, const char *expected)
{
	char bytes[256];
	ssize_t size = 0;

	if (output_size(process, which) > 0)
		size = pread(process->output_fd[which], bytes, sizeof(bytes), 0);
	assert_int_equal(size, strlen(expected));
	assert_memory_equal(bytes, expected, strlen(expected));
}

static void kill_and_join(struct world *world, struct process *process)
{
	assert_int_equal(manager_signal(world->manager, process, SIGKILL, NULL), 0);
	assert_int_equal(join(world, process), -SIGKILL);
}

static void a_program_runs_writes_and_ends_with_its_code(void **state)
{
	struct world *world = *state;
	struct process *process = make(world, "sh", "-c 'echo out; echo err >&2; exit 3'");

	assert_int_equal(start(world, process), 0);
	assert_int_equal(join(world, process), 3);
	assert_output(process, 0, "out\n");
	assert_output(process, 1, "err\n");
	assert_true(process->pid > 0);
	assert_true(process->ended.tv_sec >= process->started.tv_sec && process->started.tv_sec >= process->created.tv_sec);
	assert_false(manager_is_alive(world->manager, process));
}

static void its_parent_is_the_keeper_and_its_session_its_own(void **state)
{
	struct world *world = *state;
	struct process *process = make(world, "sleep", "1000");
	struct kin kin;

	assert_int_equal(start(world, process), 0);
	assert_true(manager_is_alive(world->manager, process));
	assert_int_equal(kin_read(manager_pid(world->manager, process), &kin), 0);
	assert_int_equal(kin.parent, getppid());
	assert_int_equal(manager_keeper_pid(world->manager), getppid());
	assert_int_equal(kin.session, process->pid);
	kill_and_join(world, process);
}

static void what_was_written_to_stdin_is_its_whole_input(void **state)
{
	struct world *world = *state;
	struct process *process = make(world, "cat", ""), *without = make(world, "cat", "");

	process->stdin_fd = memfd_create("stdin", MFD_CLOEXEC);
	assert_int_equal(write(process->stdin_fd, "line\n", 5), 5);
	assert_int_equal(start(world, process), 0);
	assert_int_equal(join(world, process), 0);
	assert_output(process, 0, "line\n");
	assert_int_equal(start(world, without), 0);
	assert_int_equal(join(world, without), 0);
	assert_output(without, 0, "");
}

static void execs_errno_reaches_who_starts_and_corrected_it_starts(void **state)
{
	static const struct {
		const char *target, *cwd;
		int error;
		const char *part;
	} rows[] = {
		{ "/no/such/thing", "", -ENOENT, "cannot execute /no/such/thing: No such file or directory" },
		{ "no-such-program", "", -ENOENT, "cannot execute no-such-program: it is in no directory of PATH" },
		{ "/etc/passwd", "", -EACCES, "cannot execute /etc/passwd: Permission denied" },
		{ "/etc", "", -EACCES, "cannot execute /etc: Permission denied" },
		{ "/etc/passwd/x", "", -ENOTDIR, "cannot execute /etc/passwd/x: Not a directory" },
		{ "/bin/true", "/no/such/place", -ENOENT, "cannot enter the directory /no/such/place: No such file or directory" },
		{ "/bin/true", "/etc/passwd", -ENOTDIR, "cannot enter the directory /etc/passwd: Not a directory" },
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process *process = make(world, rows[i].target, "");

		assert_int_equal(process_set_detail(process, DETAIL_CWD, rows[i].cwd, strlen(rows[i].cwd)), 0);
		assert_int_equal(start(world, process), rows[i].error);
		assert_non_null(strstr(process->error, rows[i].part));
		assert_int_equal(process->state, PROCESS_INITIAL);
		assert_int_equal(manager_pid(world->manager, process), 0);
		assert_int_equal(value_set(&process->configuration.target, "true", 4), 0);
		assert_int_equal(process_set_detail(process, DETAIL_CWD, NULL, 0), 0);
		assert_int_equal(start(world, process), 0);
		assert_null(process->error);
		assert_int_equal(join(world, process), 0);
	}
}

static void an_argument_that_the_kernel_finds_too_long_is_e2big(void **state)
{
	enum { LONGER_THAN_AN_ARGUMENT = 200 << 10 };
	struct world *world = *state;
	char *argument = malloc(LONGER_THAN_AN_ARGUMENT + 1);
	struct process *process;

	assert_non_null(argument);
	memset(argument, 'a', LONGER_THAN_AN_ARGUMENT);
	argument[LONGER_THAN_AN_ARGUMENT] = '\0';
	process = make(world, "true", argument);
	assert_int_equal(start(world, process), -E2BIG);
	assert_non_null(strstr(process->error, "Argument list too long"));
	free(argument);
}

static void ends_by_signals_have_their_numbers_below_zero(void **state)
{
	static const int numbers[] = { SIGTERM, SIGKILL, SIGUSR1, SIGINT, SIGHUP };
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct process *process = make(world, "sleep", "1000");

		assert_int_equal(start(world, process), 0);
		assert_int_equal(manager_signal(world->manager, process, numbers[i], NULL), 0);
		assert_int_equal(join(world, process), -numbers[i]);
		assert_int_equal(manager_signal(world->manager, process, numbers[i], NULL), 0);
	}
}

static void a_stopped_process_is_paused_and_alive(void **state)
{
	struct world *world = *state;
	struct process *process = make(world, "sleep", "1000");

	assert_int_equal(start(world, process), 0);
	assert_int_equal(manager_signal(world->manager, process, SIGSTOP, NULL), 0);
	AWAIT(world, manager_is_paused(world->manager, process));
	assert_true(manager_is_alive(world->manager, process));
	assert_int_equal(manager_signal(world->manager, process, SIGCONT, NULL), 0);
	AWAIT(world, !manager_is_paused(world->manager, process));
	kill_and_join(world, process);
}

static void many_at_once_each_have_their_own_end(void **state)
{
	enum { MANY = 60 };
	struct world *world = *state;
	struct process *processes[MANY];
	struct told told[MANY];

	for (int i = 0; i < MANY; i++) {
		char args[32];

		snprintf(args, sizeof(args), "-c 'exit %d'", i);
		processes[i] = make(world, "sh", args);
		told[i] = (struct told)TOLD;
		assert_int_equal(manager_start(world->manager, processes[i], &world->caller, &told[i].waiter), 0);
	}
	for (int i = 0; i < MANY; i++) {
		AWAIT(world, told[i].times);
		assert_int_equal(told[i].error, 0);
		assert_int_equal(join(world, processes[i]), i);
	}
}

static bool is_keepers(pid_t pid)
{
	struct kin kin;

	return !kin_read(pid, &kin) && kin.parent == getppid();
}

/* The number that stands alone in its output. */
static pid_t told_pid(struct world *world, struct process *process)
{
	char bytes[32] = "";

	AWAIT(world, output_size(process, 0) > 0 && pread(process->output_fd[0], bytes, sizeof(bytes) - 1, 0) > 0 &&
		     strchr(bytes, '\n'));
	return atoi(bytes);
}

static void an_orphan_in_a_session_of_its_own_is_inside_by_its_environment(void **state)
{
	struct world *world = *state;
	struct process *process = make(world, "sh", "-c '(setsid sh -c \"echo \\$\\$; exec sleep 1000\" &); exec sleep 1000'");
	struct caller orphan = world->caller;

	assert_int_equal(start(world, process), 0);
	orphan.pid = told_pid(world, process);
	AWAIT(world, is_keepers(orphan.pid));
	assert_int_equal(getsid(orphan.pid), orphan.pid);
	/* While it executes sleep it has no environment for a moment. */
	AWAIT(world, manager_inside(world->manager, &orphan, NULL) == process);
	/* Anybody can write an environment: it is believed about a process of the same user only. */
	orphan.uid++;
	assert_null(manager_inside(world->manager, &orphan, NULL));
	orphan.uid--;
	kill_and_join(world, process);
	assert_null(manager_inside(world->manager, &orphan, NULL));
	kill(orphan.pid, SIGKILL);
	AWAIT(world, !is_keepers(orphan.pid));
}

static void at_the_end_of_the_mount_the_daemonic_are_terminated_and_the_others_awaited(void **state)
{
	struct world *world = *state;
	struct process *daemonic = make(world, "sleep", "1000"), *plain = make(world, "sleep", "1000");
	int code;

	daemonic->daemonic = true;
	assert_int_equal(start(world, daemonic), 0);
	assert_int_equal(start(world, plain), 0);
	manager_end(world->manager);
	assert_int_equal(join(world, daemonic), -SIGTERM);
	assert_int_equal(plain->state, PROCESS_RUNNING);
	assert_int_equal(world->finished, 0);
	assert_int_equal(manager_signal(world->manager, plain, SIGUSR1, NULL), 0);
	AWAIT(world, world->finished);
	assert_int_equal(world->finished_error, 0);
	assert_true(process_exitcode(plain, &code));
	assert_int_equal(code, -SIGUSR1);
}

static void signals_to_the_keeper_end_the_mount_and_kill_what_is_left(void **state)
{
	struct world *world = *state;
	struct process *plain = make(world, "sleep", "1000");
	int code;

	assert_int_equal(start(world, plain), 0);
	kill(getppid(), SIGTERM);
	AWAIT(world, manager_is_ending(world->manager));
	assert_int_equal(plain->state, PROCESS_RUNNING);
	assert_int_equal(world->finished, 0);
	kill(getppid(), SIGINT);
	AWAIT(world, world->finished);
	assert_true(process_exitcode(plain, &code));
	assert_int_equal(code, -SIGKILL);
}

static int serve(void)
{
	const struct CMUnitTest tests[] = {
		TOGETHER(a_program_runs_writes_and_ends_with_its_code),
		TOGETHER(its_parent_is_the_keeper_and_its_session_its_own),
		TOGETHER(what_was_written_to_stdin_is_its_whole_input),
		TOGETHER(execs_errno_reaches_who_starts_and_corrected_it_starts),
		TOGETHER(an_argument_that_the_kernel_finds_too_long_is_e2big),
		TOGETHER(ends_by_signals_have_their_numbers_below_zero),
		TOGETHER(a_stopped_process_is_paused_and_alive),
		TOGETHER(many_at_once_each_have_their_own_end),
		TOGETHER(an_orphan_in_a_session_of_its_own_is_inside_by_its_environment),
		TOGETHER(at_the_end_of_the_mount_the_daemonic_are_terminated_and_the_others_awaited),
		TOGETHER(signals_to_the_keeper_end_the_mount_and_kill_what_is_left),
	};

	return cmocka_run_group_tests_name("together", tests, NULL, NULL);
}

int main(void)
{
	struct keeper keeper = { 0 };
	int ends[2], status;

	if (keeper_prepare() || ptable_create(&halves.table) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return 1;
	signal(SIGINT, SIG_DFL);
	keeper.server = fork();
	if (keeper.server == 0) {
		close(ends[1]);
		halves.socket_fd = ends[0];
		return serve();
	}
	close(ends[0]);
	keeper.table = halves.table;
	keeper.socket_fd = ends[1];
	if (keeper.server < 0 || keeper_run(&keeper, &status))
		return 1;
	keeper_kill_all(keeper.table);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
