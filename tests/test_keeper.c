#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/keeper.h"
#include "core/launchers.h"
#include "core/message.h"

/*
 * Each test is a keeper in a process of its own and, as its child, a server that is the test's body.
 * A body gives 0 when all was right. Only a process that is stuck meets the deadline.
 */
enum { DEADLINE_SECONDS = 120 };

struct server {
	struct ptable *table;
	int socket_fd;
	int lease_fd;
	const char *hanging; /* a target that hangs until the lease is given up (fcntl(2), F_SETLEASE) */
};

#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			return 1;                                               \
		}                                                               \
	} while (0)

#define SPEC(spec, ...)                                                         \
	const char *const spec##_argv[] = { __VA_ARGS__, NULL };                \
	const char *const spec##_candidates[] = { spec##_argv[0], NULL };       \
	const struct launch_spec spec##_given = {                               \
		.cwd = "/", .candidates = spec##_candidates, .argv = spec##_argv, .envp = environment, \
		.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1,               \
	};                                                                      \
	struct launch_spec spec = spec##_given

static const char *const environment[] = { "PATH=/usr/bin:/bin", NULL };

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

static int run_server(struct server *server, int (*body)(struct server *))
{
	alarm(DEADLINE_SECONDS);
	return body(server);
}

struct scene {
	int (*server)(struct server *);
	const struct launch_spec *command;
	int (*afterwards)(struct ptable *table); /* in the keeper, or NULL */
	int status;                              /* what the server ends with */
	int lease_fd;
	const char *hanging;
};

static int run_keeper(const struct scene *scene)
{
	struct server server = { .lease_fd = scene->lease_fd, .hanging = scene->hanging };
	struct keeper keeper = { .command = scene->command };
	int sockets[2], before, status = -1;

	alarm(DEADLINE_SECONDS);
	signal(SIGUSR1, SIG_IGN);
	CHECK(keeper_prepare() == 0);
	CHECK(ptable_create(&server.table) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
	server.socket_fd = sockets[0];
	keeper.socket_fd = sockets[1];
	keeper.table = server.table;
	keeper.server = fork();
	if (keeper.server == 0) {
		close(sockets[1]);
		_exit(run_server(&server, scene->server));
	}
	CHECK(keeper.server > 0);
	close(sockets[0]);
	before = count_fds();
	CHECK(keeper_run(&keeper, &status) == 0);
	CHECK(count_fds() == before);
	CHECK(status == scene->status);
	if (scene->afterwards)
		CHECK(scene->afterwards(server.table) == 0);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
	return 0;
}

static int play(struct scene scene)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(run_keeper(&scene));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
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

/* Orphans of a test come here (PR_SET_CHILD_SUBREAPER): none may be left, alive or dead. */
static int teardown(void **state)
{
	int left = 0;

	(void)state;
	while (waitid(P_ALL, 0, &(siginfo_t){ .si_pid = 0 }, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0) {
		left++;
		kill_children();
		waitpid(-1, NULL, __WALL);
	}
	if (left)
		fprintf(stderr, "%d processes are left\n", left);
	return left ? -1 : 0;
}

static int start(struct server *server, const struct launch_spec *spec, struct ptable_ref *out)
{
	struct pollfd writable = { server->socket_fd, POLLOUT, 0 };
	struct message_launch launch;
	int result;

	CHECK(ptable_claim(server->table, 1, 1, out) == 0);
	CHECK(message_launch_init(&launch, *out, spec) == 0);
	while ((result = message_send_launch(server->socket_fd, &launch)) == -EAGAIN)
		poll(&writable, 1, -1);
	message_launch_finish(&launch);
	CHECK(result == 0);
	return 0;
}

static int next_message(struct server *server, struct message *out)
{
	struct pollfd readable = { server->socket_fd, POLLIN, 0 };

	CHECK(poll(&readable, 1, -1) == 1);
	CHECK(message_receive(server->socket_fd, out) == 0);
	return 0;
}

static int expect(struct server *server, enum message_kind kind, struct ptable_ref ref)
{
	struct message message;

	CHECK(next_message(server, &message) == 0);
	CHECK(message.kind == kind);
	CHECK(message.ref.index == ref.index);
	CHECK(message.ref.generation == ref.generation);
	return 0;
}

/* What is told by no message is looked at until it is so. */
static void pause_a_little(void)
{
	const struct timespec time = { 0, 1000000 };

	nanosleep(&time, NULL);
}

static int read_all(int fd, char *text, size_t size)
{
	size_t done = 0;
	ssize_t got;

	while (done < size - 1 && (got = read(fd, text + done, size - 1 - done)) > 0)
		done += (size_t)got;
	text[done] = '\0';
	return (int)done;
}

static int starts_and_signals_one(struct server *server)
{
	struct ptable_ref ref;
	struct ptable_entry *entry;
	SPEC(spec, "/bin/sleep", "1000");

	CHECK(start(server, &spec, &ref) == 0);
	CHECK(expect(server, MESSAGE_STARTED, ref) == 0);
	entry = ptable_at(server->table, ref.index);
	CHECK(ptable_state(server->table, ref) == PTABLE_RUNNING);
	CHECK(entry->started.tv_sec > 0);
	CHECK(ptable_signal(server->table, ref, SIGTERM) == 0);
	CHECK(expect(server, MESSAGE_ENDED, ref) == 0);
	CHECK(ptable_state(server->table, ref) == PTABLE_ENDED);
	CHECK(WIFSIGNALED(entry->status) && WTERMSIG(entry->status) == SIGTERM);
	CHECK(entry->ended.tv_sec >= entry->started.tv_sec);
	CHECK(entry->usage.maxrss_kib > 0 && entry->usage.minflt > 0 && entry->usage.nvcsw + entry->usage.nivcsw > 0);
	CHECK(ptable_signal(server->table, ref, SIGTERM) == -ESRCH);
	return 0;
}

static void a_start_and_an_end_are_told_with_status_and_usage(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = starts_and_signals_one }), 0);
}

static int starts_programs_that_use_time(struct server *server)
{
	struct ptable_ref ref;
	struct ptable_entry *entry;
	struct message message;
	SPEC(spec, "/bin/sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 77");

	CHECK(start(server, &spec, &ref) == 0);
	do
		CHECK(next_message(server, &message) == 0);
	while (message.kind == MESSAGE_STARTED);
	entry = ptable_at(server->table, ref.index);
	CHECK(message.kind == MESSAGE_ENDED);
	CHECK(WIFEXITED(entry->status) && WEXITSTATUS(entry->status) == 77);
	CHECK(entry->usage.utime.tv_sec > 0 || entry->usage.utime.tv_usec > 0 || entry->usage.stime.tv_usec > 0);
	return 0;
}

static void an_end_is_told_with_the_time_that_was_used(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = starts_programs_that_use_time }), 0);
}

static int starts_what_is_missing(struct server *server)
{
	struct ptable_ref ref;
	SPEC(spec, "/nonexistent");

	CHECK(start(server, &spec, &ref) == 0);
	CHECK(expect(server, MESSAGE_FAILED, ref) == 0);
	CHECK(ptable_state(server->table, ref) == PTABLE_FAILED);
	CHECK(ptable_at(server->table, ref.index)->error == ENOENT);
	CHECK(ptable_at(server->table, ref.index)->step == LAUNCH_STEP_EXEC);
	return 0;
}

static void a_failure_is_told(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = starts_what_is_missing }), 0);
}

static int looks_at_a_child(struct server *server)
{
	struct ptable_ref ref;
	char text[8192], parent[32];
	int fds[2];
	SPEC(spec, "/bin/cat", "/proc/self/status");

	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	spec.stdout_fd = fds[1];
	CHECK(start(server, &spec, &ref) == 0);
	close(fds[1]);
	read_all(fds[0], text, sizeof(text));
	snprintf(parent, sizeof(parent), "PPid:\t%d\n", getppid());
	CHECK(strstr(text, parent));
	CHECK(strstr(text, "SigIgn:\t0000000000000000\n"));
	CHECK(strstr(text, "SigBlk:\t0000000000000000\n"));
	while (ptable_state(server->table, ref) != PTABLE_ENDED)
		pause_a_little();
	return 0;
}

static void a_child_has_the_keeper_as_its_parent_and_no_signal_ignored_or_blocked(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = looks_at_a_child }), 0);
}

static int leaves_an_orphan(struct server *server)
{
	struct ptable_ref ref;
	char text[64], path[64], status[4096], parent[32];
	int in[2], out[2], fd;
	pid_t orphan;
	/* The orphan lives until its input ends; its output ends when it has told its pid. */
	SPEC(spec, "/bin/sh", "-c", "exec 3<&0; sh -c 'echo $$; exec >&-; read x' <&3 3<&- & exit 0");

	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	spec.stdin_fd = in[0];
	spec.stdout_fd = out[1];
	CHECK(start(server, &spec, &ref) == 0);
	close(in[0]);
	close(out[1]);
	read_all(out[0], text, sizeof(text));
	orphan = atoi(text);
	CHECK(orphan > 1);
	while (ptable_state(server->table, ref) != PTABLE_ENDED)
		pause_a_little();
	snprintf(path, sizeof(path), "/proc/%d/status", orphan);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	read_all(fd, status, sizeof(status));
	close(fd);
	snprintf(parent, sizeof(parent), "PPid:\t%d\n", getppid());
	CHECK(strstr(status, parent));
	close(in[1]);
	while (kill(orphan, 0) == 0)
		pause_a_little();
	CHECK(errno == ESRCH);
	return 0;
}

static void an_orphan_comes_to_the_keeper_and_is_reaped(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = leaves_an_orphan }), 0);
}

enum { STORM = 10000, UNREAD = 1500 };

/* Takes what the keeper has to tell: one bit for every launch that has ended. */
static int collect(struct server *server, bool *ended, uint32_t *count)
{
	struct ptable_ref ref;
	struct message message;
	uint32_t cursor = 0;
	int result;

	while ((result = message_receive(server->socket_fd, &message)) == 0) {
		CHECK(message.kind == MESSAGE_STARTED || message.kind == MESSAGE_ENDED);
		if (message.kind == MESSAGE_STARTED || ended[message.ref.index])
			continue;
		CHECK(ptable_state(server->table, message.ref) == PTABLE_ENDED);
		ended[message.ref.index] = true;
		++*count;
	}
	CHECK(result == -EAGAIN);
	if (!ptable_take_overflow(server->table))
		return 0;
	while (ptable_next_finished(server->table, &cursor, &ref)) {
		*count += !ended[ref.index];
		ended[ref.index] = true;
	}
	return 0;
}

static int starts_a_storm(struct server *server)
{
	struct pollfd pollfd = { server->socket_fd, POLLIN, 0 };
	static bool ended[STORM + 1];
	struct message_launch launch = { .bytes = NULL };
	uint32_t started = 0, count = 0;
	struct ptable_ref ref;
	bool waiting = false;
	SPEC(spec, "/bin/true");

	while (count < STORM) {
		while (waiting || started < STORM) {
			if (!waiting) {
				CHECK(ptable_claim(server->table, 1, 1, &ref) == 0);
				CHECK(message_launch_init(&launch, ref, &spec) == 0);
				started++;
			}
			waiting = message_send_launch(server->socket_fd, &launch) == -EAGAIN;
			if (waiting)
				break;
			message_launch_finish(&launch);
		}
		pollfd.events = waiting ? POLLIN | POLLOUT : POLLIN;
		CHECK(poll(&pollfd, 1, -1) == 1);
		CHECK(collect(server, ended, &count) == 0);
	}
	CHECK(count == STORM);
	for (uint32_t i = 1; i <= STORM; i++)
		CHECK(ended[i] && ptable_at(server->table, i)->status == 0 && ptable_at(server->table, i)->started.tv_sec);
	return 0;
}

static void of_ten_thousand_programs_that_end_at_once_no_end_is_lost(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = starts_a_storm }), 0);
}

static int reads_nothing_for_long(struct server *server)
{
	static bool ended[UNREAD + 1];
	struct ptable_ref refs[UNREAD];
	uint32_t count = 0;
	SPEC(spec, "/bin/true");

	for (int i = 0; i < UNREAD; i++)
		CHECK(start(server, &spec, &refs[i]) == 0);
	for (int i = 0; i < UNREAD; i++)
		while (ptable_state(server->table, refs[i]) != PTABLE_ENDED)
			pause_a_little();
	/* The last may be recorded and not yet reported: it will be told, in one way or the other. */
	while (count < UNREAD) {
		CHECK(collect(server, ended, &count) == 0);
		pause_a_little();
	}
	CHECK(count == UNREAD);
	return 0;
}

static void ends_that_find_no_room_are_found_in_the_table(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = reads_nothing_for_long }), 0);
}

static int is_told_signals(struct server *server)
{
	static const int numbers[] = { SIGTERM, SIGHUP, SIGINT, SIGTERM };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct message message;

		CHECK(kill(getppid(), numbers[i]) == 0);
		CHECK(next_message(server, &message) == 0);
		CHECK(message.kind == MESSAGE_SIGNAL && message.value == numbers[i]);
	}
	return 0;
}

static void signals_to_the_keeper_are_told(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = is_told_signals }), 0);
}

static int is_told_a_signal_after_room_is_made(struct server *server)
{
	struct message message = { .kind = 0 };
	struct ptable_ref ref;
	uint32_t before = 0;
	SPEC(spec, "/bin/true");

	/* Full: a launch's messages don't find room any more. */
	while (!ptable_take_overflow(server->table))
		CHECK(start(server, &spec, &ref) == 0);
	CHECK(kill(getppid(), SIGTERM) == 0);
	while (message.kind != MESSAGE_SIGNAL) {
		CHECK(next_message(server, &message) == 0);
		before += message.kind != MESSAGE_SIGNAL;
	}
	CHECK(message.value == SIGTERM);
	CHECK(before > 0);
	return 0;
}

static int wait_for_all(struct ptable *table)
{
	keeper_kill_all(table);
	return 0;
}

static void a_signal_that_finds_no_room_is_told_later(void **state)
{
	(void)state;
	assert_int_equal(play((struct scene){ .server = is_told_a_signal_after_room_is_made, .afterwards = wait_for_all }),
			 0);
}

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
	read_all(fd, where, sizeof(where));
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
	CHECK(ptable_signal(server->table, ref, SIGTERM) == 0);
	return 0;
}

static void the_keepers_death_is_seen_by_the_server_while_its_children_live(void **state)
{
	int status, server = -1, child = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(play((struct scene){ .server = kills_the_keeper }), SIGKILL);
	while ((pid = wait(&status)) > 0)
		*(WIFSIGNALED(status) ? &child : &server) = status;
	assert_int_equal(server, 0);
	assert_int_equal(child, SIGTERM);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_start_and_an_end_are_told_with_status_and_usage),
		TEST(an_end_is_told_with_the_time_that_was_used),
		TEST(a_failure_is_told),
		TEST(a_child_has_the_keeper_as_its_parent_and_no_signal_ignored_or_blocked),
		TEST(an_orphan_comes_to_the_keeper_and_is_reaped),
		TEST(of_ten_thousand_programs_that_end_at_once_no_end_is_lost),
		TEST(ends_that_find_no_room_are_found_in_the_table),
		TEST(signals_to_the_keeper_are_told),
		TEST(a_signal_that_finds_no_room_is_told_later),
		TEST(sigterm_reaches_server_and_command_and_sigint_neither),
		TEST(a_command_that_cannot_be_run_is_told),
		TEST(the_keeper_ends_with_the_servers_status),
		TEST(a_launch_that_cannot_be_read_fails_and_the_next_one_starts),
		TEST(a_launch_that_comes_twice_is_done_once),
		TEST(an_exec_that_hangs_holds_up_its_own_start_only),
		TEST(with_every_launcher_hanging_the_next_start_waits_for_one),
		TEST(after_the_servers_death_kill_all_leaves_nothing),
		TEST(the_keepers_death_is_seen_by_the_server_while_its_children_live),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
