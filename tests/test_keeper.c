/* What the keeper launches and reaps, and what it tells of it. */
#include "keeping.h"

static int starts_and_signals_one(struct server *server)
{
	struct ptable_ref ref;
	struct ptable_entry *entry;
	const struct usage *usage;
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
	CHECK(ptable_end_at(server->table, ref.index)->ended.tv_sec >= entry->started.tv_sec);
	usage = &ptable_end_at(server->table, ref.index)->usage;
	CHECK(usage->maxrss_kib > 0 && usage->minflt > 0 && usage->nvcsw + usage->nivcsw > 0);
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
	const struct usage *usage;
	struct message message;
	SPEC(spec, "/bin/sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 77");

	CHECK(start(server, &spec, &ref) == 0);
	do
		CHECK(next_message(server, &message) == 0);
	while (message.kind == MESSAGE_STARTED);
	entry = ptable_at(server->table, ref.index);
	CHECK(message.kind == MESSAGE_ENDED);
	CHECK(WIFEXITED(entry->status) && WEXITSTATUS(entry->status) == 77);
	usage = &ptable_end_at(server->table, message.ref.index)->usage;
	CHECK(usage->utime.tv_sec > 0 || usage->utime.tv_usec > 0 || usage->stime.tv_usec > 0);
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
	slurp(fds[0], text, sizeof(text));
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
	slurp(out[0], text, sizeof(text));
	orphan = atoi(text);
	CHECK(orphan > 1);
	while (ptable_state(server->table, ref) != PTABLE_ENDED)
		pause_a_little();
	snprintf(path, sizeof(path), "/proc/%d/status", orphan);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	slurp(fd, status, sizeof(status));
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
		CHECK(message.ref.generation == i + 1);
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
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
