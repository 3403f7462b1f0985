/*
 * servers: the keeper and one server after the other: each test is a keeper in a process of its own, and what it executes as a
 * server is a function of the test, which is told the how-manieth it is.
 */
#ifndef PROCFS_MP_TESTS_SERVERS_H
#define PROCFS_MP_TESTS_SERVERS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/keeper.h"

#include "support.h"

enum { DEADLINE_SECONDS = 120, NEWS_MAX = 16 };

struct server {
	struct ptable *table;
	struct holdings *holdings;
	int socket_fd;
	int number; /* 0: the first */
	enum keeper_program program;
	int pipe[2];
};

struct scene {
	int (*server)(struct server *);
	int status;              /* what the last server ends with */
	enum keeper_event news[NEWS_MAX];
	unsigned news_count;
	int servers;             /* so many in all */
	int spawn_error;         /* of the installed program, -errno */
	int failures, failure;   /* so many calls for the same program give this, -errno */
	unsigned patience_ms;
	bool (*has_settled)(const struct server *, pid_t); /* the keeper goes on, and its patience begins, when it has; NULL: at once */
};

/* One keeper's: spawn's and on_news's context. */
struct stage {
	const struct scene *scene;
	struct server server;
	struct keeper keeper;
	struct keeper_news news[NEWS_MAX];
	unsigned news_count;
	int servers, failures;
};

static inline void pause_a_little(void)
{
	const struct timespec time = { 0, 1000000 };

	nanosleep(&time, NULL);
}

static inline int on_spawn(void *context, enum keeper_program program, int server_socket_fd, pid_t *out)
{
	struct stage *stage = context;

	if (program == KEEPER_INSTALLED && stage->scene->spawn_error)
		return stage->scene->spawn_error;
	if (stage->servers && program == KEEPER_SAME && stage->failures < stage->scene->failures) {
		stage->failures++;
		return stage->scene->failure;
	}
	stage->server.number = stage->servers++;
	stage->server.program = program;
	stage->server.socket_fd = server_socket_fd;
	*out = fork();
	if (*out == 0) {
		close(stage->keeper.socket_fd);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(DEADLINE_SECONDS);
		_exit(stage->scene->server(&stage->server));
	}
	while (*out > 0 && stage->scene->has_settled && !stage->scene->has_settled(&stage->server, *out))
		pause_a_little();
	return *out < 0 ? -errno : 0;
}

static inline void on_news(void *context, const struct keeper_news *news)
{
	struct stage *stage = context;

	if (stage->news_count < NEWS_MAX)
		stage->news[stage->news_count] = *news;
	stage->news_count++;
}

static inline int run_keeper(const struct scene *scene)
{
	static struct stage stage;
	int ends[2], status = -1;

	stage.scene = scene;
	alarm(DEADLINE_SECONDS);
	CHECK(keeper_prepare() == 0);
	CHECK(ptable_create(&stage.server.table) == 0);
	CHECK(holdings_create(&stage.server.holdings) == 0);
	CHECK(pipe2(stage.server.pipe, O_CLOEXEC) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	stage.keeper = (struct keeper){
		.table = stage.server.table, .holdings = stage.server.holdings, .socket_fd = ends[0],
		.spawn = on_spawn, .on_news = on_news, .context = &stage, .patience_ms = scene->patience_ms,
	};
	CHECK(on_spawn(&stage, KEEPER_SAME, ends[1], &stage.keeper.server) == 0);
	close(ends[1]);
	ptable_set_ready(stage.server.table, stage.keeper.server);
	CHECK(keeper_run(&stage.keeper, &status) == 0);
	keeper_kill_all(stage.server.table);
	CHECK(status == scene->status);
	CHECK(stage.servers == scene->servers);
	CHECK(stage.failures == scene->failures);
	CHECK(stage.news_count == scene->news_count);
	for (unsigned i = 0; i < scene->news_count; i++)
		CHECK(stage.news[i].event == scene->news[i]);
	CHECK(scene->spawn_error == 0 || stage.news[0].error == scene->spawn_error);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
	return 0;
}

static inline int play(const struct scene *scene)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(run_keeper(scene));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static inline _Noreturn void be_killed(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

#endif
