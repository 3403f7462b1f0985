/* Servers that have to follow another, and do not become ready. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/kin.h"
#include "core/revival.h"

#include "servers.h"

/* The second one hangs. */
static int hangs_once(struct server *server)
{
	if (server->number == 0)
		be_killed();
	while (server->number == 1)
		pause();
	ptable_set_ready(server->table, getpid());
	return 0;
}

static bool hangs_or_is_ready(const struct server *server, pid_t pid)
{
	struct timespec since;

	return server->number < 2 || ptable_ready(server->table, &since) == pid;
}

static void one_that_does_not_become_ready_is_killed_and_followed(void **state)
{
	const struct scene scene = {
		.server = hangs_once, .has_settled = hangs_or_is_ready, .patience_ms = 1, .servers = 3,
		.news = { KEEPER_LATE, KEEPER_RESTARTED }, .news_count = 2,
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

static int hangs(struct server *server)
{
	if (server->number == 0)
		be_killed();
	for (;;)
		pause();
}

static void three_that_do_not_become_ready_end_the_mount(void **state)
{
	const struct scene scene = {
		.server = hangs, .patience_ms = 1, .servers = 4, .status = SIGKILL,
		.news = { KEEPER_LATE, KEEPER_LATE, KEEPER_LATE, KEEPER_GAVE_UP }, .news_count = 4,
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

/* How often it has waited. */
static long looks_of(pid_t pid)
{
	char path[64], line[256];
	long count = 0;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		sscanf(line, "voluntary_ctxt_switches: %ld", &count);
	if (file)
		fclose(file);
	return count;
}

/* Lets the server go on when the keeper, whose patience is at its end, has looked at it several times. */
static int continue_when_it_was_late(struct server *server, pid_t stopped, pid_t keeper)
{
	alarm(DEADLINE_SECONDS);
	while (!kin_is_stopped(stopped))
		pause_a_little();
	for (long before = looks_of(keeper); looks_of(keeper) < before + 10;)
		pause_a_little();
	ptable_set_ready(server->table, stopped);
	return kill(stopped, SIGCONT);
}

static int is_stopped_before_it_is_ready(struct server *server)
{
	pid_t self = getpid(), keeper = getppid();
	int status;

	if (server->number == 0)
		be_killed();
	pid_t other = fork();
	if (other == 0)
		_exit(continue_when_it_was_late(server, self, keeper));
	raise(SIGSTOP);
	CHECK(waitpid(other, &status, 0) == other && status == 0);
	return 0;
}

static bool runs_or_stands_still(const struct server *server, pid_t pid)
{
	return server->number != 1 || kin_is_stopped(pid);
}

static void one_that_is_stopped_has_time_until_it_goes_on(void **state)
{
	const struct scene scene = {
		.server = is_stopped_before_it_is_ready, .has_settled = runs_or_stands_still, .patience_ms = 1, .servers = 2,
		.news = { KEEPER_RESTARTED }, .news_count = 1,
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

enum { KILLS = REVIVAL_KILLS_AT_ONCE + 5 };

static int is_killed_before_it_is_ready(struct server *server)
{
	if (server->number <= KILLS)
		be_killed();
	ptable_set_ready(server->table, getpid());
	return 0;
}

static void many_that_are_killed_before_they_are_ready_are_followed(void **state)
{
	const struct scene scene = {
		.server = is_killed_before_it_is_ready, .servers = KILLS + 2, .news = { KEEPER_RESTARTED }, .news_count = 1,
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

static int is_ready_when_there_is_one(struct server *server)
{
	if (server->number == 0)
		be_killed();
	ptable_set_ready(server->table, getpid());
	return 0;
}

static void one_that_cannot_be_executed_for_lack_of_something_is_tried_again(void **state)
{
	static const int lacking[] = { -ENOMEM, -EAGAIN, -EMFILE, -ENFILE };

	(void)state;
	for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++) {
		const struct scene scene = {
			.server = is_ready_when_there_is_one, .servers = 2, .failures = 3, .failure = lacking[i],
			.news = { KEEPER_RESTARTED }, .news_count = 1,
		};

		assert_int_equal(play(&scene), 0);
	}
}

static void one_that_cannot_be_executed_at_all_ends_the_mount(void **state)
{
	const struct scene scene = {
		.server = is_ready_when_there_is_one, .servers = 1, .failures = 1, .failure = -ENOEXEC, .status = SIGKILL,
		.news = { KEEPER_GAVE_UP }, .news_count = 1,
	};

	(void)state;
	assert_int_equal(play(&scene), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_does_not_become_ready_is_killed_and_followed),
		cmocka_unit_test(three_that_do_not_become_ready_end_the_mount),
		cmocka_unit_test(many_that_are_killed_before_they_are_ready_are_followed),
		cmocka_unit_test(one_that_cannot_be_executed_for_lack_of_something_is_tried_again),
		cmocka_unit_test(one_that_cannot_be_executed_at_all_ends_the_mount),
		cmocka_unit_test(one_that_is_stopped_has_time_until_it_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
