/*
 * keeping: what the tests of the keeper share. Each is a keeper in a process of its own and, as its child, a server
 * that is the test's body. A body gives 0 when all was right. Only a process that is stuck meets the deadline.
 */
#ifndef PROCFS_MP_TESTS_KEEPING_H
#define PROCFS_MP_TESTS_KEEPING_H

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "core/keeper.h"
#include "core/launchers.h"
#include "core/message.h"
#include "spec.h"

enum { DEADLINE_SECONDS = 120 };

struct server {
	struct ptable *table;
	int socket_fd;
	int lease_fd;
	const char *hanging; /* a target that hangs until the lease is given up (fcntl(2), F_SETLEASE) */
};

static inline int run_server(struct server *server, int (*body)(struct server *))
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

static inline int run_keeper(const struct scene *scene)
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

static inline int play(struct scene scene)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(run_keeper(&scene));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Orphans of a test come here (PR_SET_CHILD_SUBREAPER): none may be left, alive or dead. */
static inline int teardown(void **state)
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

static inline int start(struct server *server, const struct launch_spec *spec, struct ptable_ref *out)
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

static inline int next_message(struct server *server, struct message *out)
{
	struct pollfd readable = { server->socket_fd, POLLIN, 0 };

	CHECK(poll(&readable, 1, -1) == 1);
	CHECK(message_receive(server->socket_fd, out) == 0);
	return 0;
}

static inline int expect(struct server *server, enum message_kind kind, struct ptable_ref ref)
{
	struct message message;

	CHECK(next_message(server, &message) == 0);
	CHECK(message.kind == kind);
	CHECK(message.ref.index == ref.index);
	CHECK(message.ref.generation == ref.generation);
	return 0;
}

/* What is told by no message is looked at until it is so. */
static inline void pause_a_little(void)
{
	const struct timespec time = { 0, 1000000 };

	nanosleep(&time, NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

#endif
