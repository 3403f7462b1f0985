/* The main command, launches that are no launches or hang, and how server and keeper end. */
#include "keeping.h"

static int expects_the_commands_signals(struct server *server)
{
	struct ptable_ref command = { PTABLE_COMMAND, 0 };
	struct ptable_entry *entry = ptable_at(server->table, PTABLE_COMMAND);
	struct message message;

	CHECK(expect(server, MESSAGE_STARTED, command) == 0);
	CHECK(getsid(entry->pid) == getsid(0) && getpgid(entry->pid) == getpgrp());
	/* SIGINT is the terminal's to give: were it told, it would be before SIGTERM. */
	CHECK(kill(getppid(), SIGINT) == 0);
	CHECK(kill(getppid(), SIGQUIT) == 0);
	CHECK(kill(getppid(), SIGTERM) == 0);
	CHECK(next_message(server, &message) == 0);
	CHECK(message.kind == MESSAGE_SIGNAL && message.value == SIGTERM);
	CHECK(expect(server, MESSAGE_ENDED, command) == 0);
	CHECK(WIFSIGNALED(entry->status) && WTERMSIG(entry->status) == SIGTERM);
	return 0;
}

static void sigterm_reaches_server_and_command_and_sigint_neither(void **state)
{
	SPEC(command, "/bin/sleep", "1000");

	(void)state;
	command.flags = LAUNCH_FOREGROUND;
	assert_int_equal(play((struct scene){ .server = expects_the_commands_signals, .command = &command }), 0);
}

static int expects_a_failed_command(struct server *server)
{
	CHECK(expect(server, MESSAGE_FAILED, (struct ptable_ref){ PTABLE_COMMAND, 0 }) == 0);
	CHECK(ptable_at(server->table, PTABLE_COMMAND)->error == ENOENT);
	return 0;
}

static void a_command_that_cannot_be_run_is_told(void **state)
{
	SPEC(command, "/nonexistent");

	(void)state;
	command.flags = LAUNCH_FOREGROUND;
	assert_int_equal(play((struct scene){ .server = expects_a_failed_command, .command = &command }), 0);
}

static int ends_with_42(struct server *server)
{
	(void)server;
	return 42;
}

static int ends_by_a_signal(struct server *server)
{
	(void)server;
	return raise(SIGKILL);
}

static void the_keeper_ends_with_the_servers_status(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = ends_with_42, .status = W_EXITCODE(42, 0) }), 0);
	assert_int_equal(play((struct scene){ .server = ends_by_a_signal, .status = SIGKILL }), 0);
}

static int sends_garbage(struct server *server)
{
	static char garbage[1000];
	struct message_launch launch;
	struct ptable_ref ref, other;
	SPEC(spec, "/bin/sleep", "1000");

	for (size_t size = 1; size < sizeof(garbage); size += 10)
		CHECK(send(server->socket_fd, garbage, size, 0) == (ssize_t)size);
	/* It can be told which launch this was. */
	CHECK(ptable_claim(server->table, 1, 1, &ref) == 0);
	CHECK(message_launch_init(&launch, ref, &spec) == 0);
	CHECK(send(server->socket_fd, launch.bytes, launch.size - 1, 0) == (ssize_t)launch.size - 1);
	message_launch_finish(&launch);
	CHECK(expect(server, MESSAGE_FAILED, ref) == 0);
	CHECK(ptable_at(server->table, ref.index)->error == EPROTO);
	CHECK(start(server, &spec, &other) == 0);
	CHECK(expect(server, MESSAGE_STARTED, other) == 0);
	CHECK(ptable_signal(server->table, other, SIGKILL) == 0);
	CHECK(expect(server, MESSAGE_ENDED, other) == 0);
	return 0;
}

static void a_launch_that_cannot_be_read_fails_and_the_next_one_starts(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = sends_garbage }), 0);
}

static int sends_one_twice(struct server *server)
{
	struct message_launch launch;
	struct ptable_ref ref;
	SPEC(spec, "/bin/sleep", "1000");

	CHECK(ptable_claim(server->table, 1, 1, &ref) == 0);
	CHECK(message_launch_init(&launch, ref, &spec) == 0);
	CHECK(message_send_launch(server->socket_fd, &launch) == 0);
	CHECK(expect(server, MESSAGE_STARTED, ref) == 0);
	CHECK(message_send_launch(server->socket_fd, &launch) == 0);
	message_launch_finish(&launch);
	CHECK(ptable_signal(server->table, ref, SIGKILL) == 0);
	CHECK(expect(server, MESSAGE_ENDED, ref) == 0);
	return 0;
}

static void a_launch_that_comes_twice_is_done_once(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = sends_one_twice }), 0);
}

/* The lease is the test's, so that it outlives keeper and server. */
static int play_hanging(struct scene scene)
{
	char path[] = "/tmp/test_keeper.XXXXXX";
	int fd = mkstemp(path), status;

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0755), 0);
	assert_int_equal(write(fd, "#!/bin/true\n", 12), 12);
	close(fd);
	scene.hanging = path;
	scene.lease_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(scene.lease_fd >= 0);
	signal(SIGIO, SIG_IGN);
	if (fcntl(scene.lease_fd, F_SETLEASE, F_WRLCK) < 0) {
		print_message("skipped: no lease on a file in /tmp: %s\n", strerror(errno));
		close(scene.lease_fd);
		unlink(path);
		skip();
	}
	status = play(scene);
	close(scene.lease_fd);
	unlink(path);
	return status;
}

static bool hangs(struct server *server, struct ptable_ref ref)
{
	char path[64], where[512];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/wchan", ptable_pid(server->table, ref));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	slurp(fd, where, sizeof(where));
	close(fd);
	return strstr(where, "break_lease") != NULL;
}

enum { HANGING = 10 };

static int starts_beside_hanging_ones(struct server *server)
{
	struct ptable_ref hanging[HANGING], ref;
	struct message message;
	int started = 0;

	SPEC(spec, server->hanging);
	SPEC(other, "/bin/sleep", "1000");
	for (int i = 0; i < HANGING; i++) {
		CHECK(start(server, &spec, &hanging[i]) == 0);
		CHECK(start(server, &other, &ref) == 0);
		CHECK(expect(server, MESSAGE_STARTED, ref) == 0);
		CHECK(ptable_signal(server->table, ref, SIGKILL) == 0);
		CHECK(expect(server, MESSAGE_ENDED, ref) == 0);
		while (ptable_pid(server->table, hanging[i]) == 0)
			pause_a_little();
		CHECK(ptable_state(server->table, hanging[i]) == PTABLE_LAUNCHING);
	}
	CHECK(fcntl(server->lease_fd, F_SETLEASE, F_UNLCK) == 0);
	for (int ended = 0; ended < HANGING; ended += message.kind != MESSAGE_STARTED) {
		CHECK(next_message(server, &message) == 0);
		started += message.kind == MESSAGE_STARTED;
	}
	CHECK(started <= HANGING);
	return 0;
}

static void an_exec_that_hangs_holds_up_its_own_start_only(void **state)
{
	(void)state;
	assert_int_equal(play_hanging((struct scene){ .server = starts_beside_hanging_ones }), 0);
}

static int fills_every_launcher(struct server *server)
{
	static struct ptable_ref hanging[LAUNCHERS_MAX];
	struct ptable_ref ref;

	SPEC(spec, server->hanging);
	SPEC(other, "/bin/sleep", "1000");
	for (int i = 0; i < LAUNCHERS_MAX; i++)
		CHECK(start(server, &spec, &hanging[i]) == 0);
	for (int i = 0; i < LAUNCHERS_MAX; i++)
		while (ptable_pid(server->table, hanging[i]) == 0)
			pause_a_little();
	CHECK(start(server, &other, &ref) == 0);
	/* One that is killed makes room. */
	CHECK(ptable_signal(server->table, hanging[7], SIGKILL) == 0);
	CHECK(expect(server, MESSAGE_FAILED, hanging[7]) == 0);
	CHECK(ptable_at(server->table, hanging[7].index)->error == 0);
	CHECK(expect(server, MESSAGE_STARTED, ref) == 0);
	return 0;
}

static int kill_the_rest(struct ptable *table)
{
	struct ptable_ref ref;
	uint32_t cursor = 0;
	siginfo_t info;

	keeper_kill_all(table);
	while (ptable_next_live(table, &cursor, &ref))
		CHECK(ptable_pid(table, ref) == 0);
	/* Failed launches are reaped by their own threads, right after their entries say so. */
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0)
		pause_a_little();
	return 0;
}

static void with_every_launcher_hanging_the_next_start_waits_for_one(void **state)
{
	(void)state;
	assert_int_equal(play_hanging((struct scene){ .server = fills_every_launcher, .afterwards = kill_the_rest }), 0);
}

static int dies_with_all_running(struct server *server)
{
	struct ptable_ref ref;

	SPEC(hanging, server->hanging);
	SPEC(stubborn, "/bin/sh", "-c", "trap '' TERM HUP INT; exec sleep 1000");
	SPEC(plain, "/bin/sleep", "1000");
	for (int i = 0; i < 5; i++) {
		CHECK(start(server, &stubborn, &ref) == 0);
		CHECK(start(server, &plain, &ref) == 0);
		CHECK(start(server, &hanging, &ref) == 0);
	}
	while (!hangs(server, ref))
		pause_a_little();
	return raise(SIGKILL);
}

static void after_the_servers_death_kill_all_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(play_hanging((struct scene){
				 .server = dies_with_all_running, .afterwards = kill_the_rest, .status = SIGKILL }),
			 0);
}

static int kills_the_keeper(struct server *server)
{
	struct pollfd readable = { server->socket_fd, POLLIN, 0 };
	struct message message;
	struct ptable_ref ref;
	SPEC(spec, "/bin/sleep", "1000");

	CHECK(start(server, &spec, &ref) == 0);
	CHECK(expect(server, MESSAGE_STARTED, ref) == 0);
	CHECK(kill(getppid(), SIGKILL) == 0);
	CHECK(poll(&readable, 1, -1) == 1);
	CHECK(message_receive(server->socket_fd, &message) == -EPIPE);
	return 0;
}

static void the_keepers_death_ends_its_children_and_is_seen_by_the_server(void **state)
{
	int status, server = -1, child = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(play((struct scene){ .server = kills_the_keeper }), SIGKILL);
	while ((pid = wait(&status)) > 0)
		*(WIFSIGNALED(status) ? &child : &server) = status;
	assert_int_equal(server, 0);
	assert_int_equal(child, SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sigterm_reaches_server_and_command_and_sigint_neither),
		TEST(a_command_that_cannot_be_run_is_told),
		TEST(the_keeper_ends_with_the_servers_status),
		TEST(a_launch_that_cannot_be_read_fails_and_the_next_one_starts),
		TEST(a_launch_that_comes_twice_is_done_once),
		TEST(an_exec_that_hangs_holds_up_its_own_start_only),
		TEST(with_every_launcher_hanging_the_next_start_waits_for_one),
		TEST(after_the_servers_death_kill_all_leaves_nothing),
		TEST(the_keepers_death_ends_its_children_and_is_seen_by_the_server),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
