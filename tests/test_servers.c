/* What a server finds that follows another, and which program it is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/keeper.h"
#include "core/launchers.h"
#include "core/message.h"

#include "servers.h"

static const char *const environment[] = { "PATH=/usr/bin:/bin", NULL };

static int send_launch(struct server *server, const char *script, struct ptable_ref ref)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL }, *const candidates[] = { argv[0], NULL };
	const struct launch_spec spec = {
		.cwd = "/", .candidates = candidates, .argv = argv, .envp = environment,
		.stdin_fd = -1, .stdout_fd = server->pipe[1], .stderr_fd = -1,
	};
	struct pollfd writable = { server->socket_fd, POLLOUT, 0 };
	struct message_launch launch;
	int result;

	CHECK(message_launch_init(&launch, ref, &spec) == 0);
	while ((result = message_send_launch(server->socket_fd, &launch)) == -EAGAIN)
		poll(&writable, 1, -1);
	message_launch_finish(&launch);
	CHECK(result == 0);
	return 0;
}

static int start(struct server *server, const char *script, struct ptable_ref *out)
{
	CHECK(ptable_claim(server->table, 1, 1, out) == 0);
	return send_launch(server, script, *out);
}

static void wait_for_state(struct server *server, struct ptable_ref ref, enum ptable_state state)
{
	while (ptable_state(server->table, ref) != state)
		pause_a_little();
}

static int expect(struct server *server, enum message_kind kind, int value)
{
	struct pollfd readable = { server->socket_fd, POLLIN, 0 };
	struct message message;

	do {
		CHECK(poll(&readable, 1, -1) == 1);
		CHECK(message_receive(server->socket_fd, &message) == 0);
	} while (message.kind != kind);
	CHECK(message.value == value);
	return 0;
}

static int finds_what_runs(struct server *server)
{
	struct ptable_ref ref;
	uint32_t cursor = 0;

	if (server->number == 0) {
		CHECK(start(server, "exec sleep 1000", &ref) == 0);
		CHECK(expect(server, MESSAGE_STARTED, 0) == 0);
		be_killed();
	}
	ptable_set_ready(server->table, getpid());
	CHECK(ptable_next_live(server->table, &cursor, &ref));
	CHECK(ptable_state(server->table, ref) == PTABLE_RUNNING);
	CHECK(ptable_signal(server->table, ref, SIGTERM) == 0);
	CHECK(expect(server, MESSAGE_ENDED, 0) == 0);
	CHECK(ptable_state(server->table, ref) == PTABLE_ENDED);
	CHECK(start(server, "exit 3", &ref) == 0);
	CHECK(expect(server, MESSAGE_ENDED, 0) == 0);
	return 0;
}

static void a_server_that_is_killed_is_followed_by_one_that_finds_what_runs(void **state)
{
	const struct scene scene = { .server = finds_what_runs, .servers = 2, .news = { KEEPER_RESTARTED }, .news_count = 1 };

	(void)state;
	assert_int_equal(play(&scene), 0);
}

static int misses_an_end(struct server *server)
{
	struct ptable_ref ref;
	uint32_t cursor = 0;

	if (server->number == 0) {
		CHECK(start(server, "exec sleep 1000", &ref) == 0);
		CHECK(expect(server, MESSAGE_STARTED, 0) == 0);
		CHECK(kill(ptable_pid(server->table, ref), SIGKILL) == 0);
		be_killed();
	}
	ptable_set_ready(server->table, getpid());
	while (cursor = 0, !ptable_next_finished(server->table, &cursor, &ref))
		pause_a_little();
	CHECK(ptable_at(server->table, ref.index)->status == SIGKILL);
	return 0;
}

static void an_end_that_no_server_sees_is_found_by_the_next(void **state)
{
	const struct scene scene = { .server = misses_an_end, .servers = 2, .news = { KEEPER_RESTARTED }, .news_count = 1 };

	(void)state;
	assert_int_equal(play(&scene), 0);
}

enum { LAUNCHES = 200 };

/* Each launch writes one byte. */
static int dies_in_the_middle_of_starts(struct server *server)
{
	struct ptable_ref ref;
	uint32_t cursor = 0;
	char bytes[2 * LAUNCHES];

	if (server->number == 0) {
		for (int i = 0; i < LAUNCHES; i++)
			CHECK(start(server, "printf x", &ref) == 0);
		be_killed();
	}
	ptable_set_ready(server->table, getpid());
	while (ptable_next_live(server->table, &cursor, &ref))
		if (ptable_state(server->table, ref) == PTABLE_CLAIMED)
			CHECK(send_launch(server, "printf x", ref) == 0);
	for (uint32_t i = 1; i <= LAUNCHES; i++)
		wait_for_state(server, ptable_ref_at(server->table, i), PTABLE_ENDED);
	CHECK(read(server->pipe[0], bytes, sizeof bytes) == LAUNCHES);
	return 0;
}

static void of_launches_sent_before_the_death_each_is_done_once(void **state)
{
	const struct scene scene = {
		.server = dies_in_the_middle_of_starts, .servers = 2, .news = { KEEPER_RESTARTED }, .news_count = 1,
	};

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(play(&scene), 0);
}

static int sends_to_be_held(struct server *server)
{
	struct holding held = { 7, HOLDING_RESULT, server->pipe[0] };
	uint32_t cursor = 0;
	char byte = 0;

	if (server->number == 0) {
		CHECK(holdings_expect(server->holdings, 7, HOLDING_RESULT) == 0);
		CHECK(holdings_expect(server->holdings, 8, HOLDING_RESULT) == 0);
		CHECK(message_send_hold(server->socket_fd, &held) == 0);
		be_killed();
	}
	ptable_set_ready(server->table, getpid());
	CHECK(holdings_next(server->holdings, &cursor, &held));
	CHECK(held.id == 7 && held.kind == HOLDING_RESULT && held.fd != server->pipe[0]);
	CHECK(write(server->pipe[1], "x", 1) == 1);
	CHECK(read(held.fd, &byte, 1) == 1 && byte == 'x');
	CHECK(!holdings_next(server->holdings, &cursor, &held));
	return 0;
}

static void what_was_sent_to_be_held_the_next_server_has(void **state)
{
	const struct scene scene = { .server = sends_to_be_held, .servers = 2, .news = { KEEPER_RESTARTED }, .news_count = 1 };

	(void)state;
	assert_int_equal(play(&scene), 0);
}

/* The server asks before it launches: this is for one that has not. */
static int has_no_room_for_an_output(struct server *server)
{
	const char *const argv[] = { "/bin/sh", "-c", "printf x", NULL }, *const candidates[] = { argv[0], NULL };
	const struct launch_spec spec = {
		.cwd = "/", .candidates = candidates, .argv = argv, .envp = environment,
		.stdin_fd = -1, .stdout_fd = server->pipe[1], .stderr_fd = -1, .held_fds = { server->pipe[1], server->pipe[1] },
	};
	struct message_launch launch;
	struct ptable_ref ref;
	char byte;

	holdings_set_limit(server->holdings, 0);
	CHECK(ptable_claim(server->table, 1, 1, &ref) == 0);
	CHECK(message_launch_init(&launch, ref, &spec) == 0);
	CHECK(message_send_launch(server->socket_fd, &launch) == 0);
	CHECK(expect(server, MESSAGE_FAILED, 0) == 0);
	CHECK(ptable_state(server->table, ref) == PTABLE_FAILED);
	CHECK(ptable_at(server->table, ref.index)->error == EMFILE);
	CHECK(ptable_at(server->table, ref.index)->step == LAUNCH_STEP_CLONE);
	ptable_release(server->table, ref);
	holdings_set_limit(server->holdings, 1000);
	CHECK(ptable_claim(server->table, 1, 1, &ref) == 0);
	launch.bytes = NULL;
	CHECK(message_launch_init(&launch, ref, &spec) == 0);
	CHECK(message_send_launch(server->socket_fd, &launch) == 0);
	CHECK(expect(server, MESSAGE_ENDED, 0) == 0);
	CHECK(read(server->pipe[0], &byte, 1) == 1 && byte == 'x');
	return 0;
}

static void a_launch_whose_output_can_not_be_held_fails_before_anything_runs(void **state)
{
	const struct scene scene = { .server = has_no_room_for_an_output, .servers = 1 };

	(void)state;
	assert_int_equal(play(&scene), 0);
}

static int is_ready_and_killed(struct server *server)
{
	ptable_set_ready(server->table, getpid());
	if (server->number == 10)
		return 0;
	be_killed();
}

static void ten_kills_are_survived(void **state)
{
	const struct scene scene = {
		.server = is_ready_and_killed, .servers = 11, .news_count = 10,
		.news = { KEEPER_RESTARTED, KEEPER_RESTARTED, KEEPER_RESTARTED, KEEPER_RESTARTED, KEEPER_RESTARTED,
			  KEEPER_RESTARTED, KEEPER_RESTARTED, KEEPER_RESTARTED, KEEPER_RESTARTED, KEEPER_RESTARTED },
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

static int never_is_ready(struct server *server)
{
	struct ptable_ref ref;

	if (server->number > 0)
		return 7;
	CHECK(start(server, "exec sleep 1000", &ref) == 0);
	CHECK(expect(server, MESSAGE_STARTED, 0) == 0);
	be_killed();
}

static void three_that_never_are_ready_end_the_mount_and_what_runs(void **state)
{
	const struct scene scene = {
		.server = never_is_ready, .servers = 4, .news = { KEEPER_GAVE_UP }, .news_count = 1,
		.status = W_EXITCODE(7, 0),
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

static int dies_of_its_own_fault(struct server *server)
{
	ptable_set_ready(server->table, getpid());
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGSEGV, SIG_DFL);
	kill(getpid(), SIGSEGV);
	be_killed();
}

static void five_faults_at_once_end_the_mount(void **state)
{
	const struct scene scene = {
		.server = dies_of_its_own_fault, .servers = 5, .news_count = 5, .status = SIGSEGV,
		.news = { KEEPER_RESTARTED, KEEPER_RESTARTED, KEEPER_RESTARTED, KEEPER_RESTARTED, KEEPER_GAVE_UP },
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

static int wants_an_upgrade(struct server *server)
{
	if (server->number > 0) {
		ptable_set_ready(server->table, getpid());
		return server->program != KEEPER_INSTALLED;
	}
	kill(getppid(), SIGUSR2);
	for (;;)
		pause();
}

static void an_upgrade_kills_the_server_and_the_installed_program_follows(void **state)
{
	const struct scene scene = { .server = wants_an_upgrade, .servers = 2, .news = { KEEPER_UPGRADED }, .news_count = 1 };

	(void)state;
	assert_int_equal(play(&scene), 0);
}

static int is_no_upgrade(struct server *server)
{
	if (server->number == 0) {
		kill(getppid(), SIGUSR2);
		for (;;)
			pause();
	}
	if (server->program == KEEPER_INSTALLED)
		return 1;
	ptable_set_ready(server->table, getpid());
	return 0;
}

static void after_an_upgrade_that_never_is_ready_comes_the_program_of_before(void **state)
{
	const struct scene scene = {
		.server = is_no_upgrade, .servers = 3, .news = { KEEPER_UPGRADE_FAILED, KEEPER_RESTARTED }, .news_count = 2,
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

static void after_an_upgrade_that_cannot_be_executed_comes_the_program_of_before(void **state)
{
	const struct scene scene = {
		.server = is_no_upgrade, .servers = 2, .news = { KEEPER_UPGRADE_FAILED, KEEPER_RESTARTED }, .news_count = 2,
		.spawn_error = -ENOEXEC,
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_that_is_killed_is_followed_by_one_that_finds_what_runs),
		cmocka_unit_test(an_end_that_no_server_sees_is_found_by_the_next),
		cmocka_unit_test(of_launches_sent_before_the_death_each_is_done_once),
		cmocka_unit_test(what_was_sent_to_be_held_the_next_server_has),
		cmocka_unit_test(a_launch_whose_output_can_not_be_held_fails_before_anything_runs),
		cmocka_unit_test(ten_kills_are_survived),
		cmocka_unit_test(three_that_never_are_ready_end_the_mount_and_what_runs),
		cmocka_unit_test(five_faults_at_once_end_the_mount),
		cmocka_unit_test(an_upgrade_kills_the_server_and_the_installed_program_follows),
		cmocka_unit_test(after_an_upgrade_that_never_is_ready_comes_the_program_of_before),
		cmocka_unit_test(after_an_upgrade_that_cannot_be_executed_comes_the_program_of_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
