/* What is sent arrives as it was sent, whatever its size and descriptors, or nothing of it. */
#include "messages.h"

static void a_message_arrives_as_it_was_sent(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t kind = MESSAGE_STARTED; kind <= MESSAGE_SIGNAL; kind++) {
		struct message sent = { kind, -7, some_ref }, got;

		assert_int_equal(message_send(fixture->sockets[KEEPER], &sent), 0);
		assert_int_equal(message_receive(fixture->sockets[SERVER], &got), 0);
		assert_int_equal(got.kind, kind);
		assert_int_equal(got.value, -7);
		assert_int_equal(got.ref.index, some_ref.index);
		assert_int_equal(got.ref.generation, some_ref.generation);
	}
}

static void receive_with_nothing_there_gives_eagain(void **state)
{
	struct fixture *fixture = *state;
	struct message got;

	assert_int_equal(message_receive(fixture->sockets[SERVER], &got), -EAGAIN);
}

static void send_with_no_room_gives_eagain_and_loses_nothing_sent(void **state)
{
	struct fixture *fixture = *state;
	struct message message = { MESSAGE_ENDED, 0, some_ref }, got;
	int sent = 0, received = 0, result;

	while ((result = message_send(fixture->sockets[KEEPER], &message)) == 0)
		message.value = ++sent;
	assert_int_equal(result, -EAGAIN);
	assert_true(sent > 0);
	while (message_receive(fixture->sockets[SERVER], &got) == 0)
		assert_int_equal(got.value, received++);
	assert_int_equal(received, sent);
	assert_int_equal(message_send(fixture->sockets[KEEPER], &message), 0);
}

static void a_report_without_room_leaves_the_overflow_flag(void **state)
{
	struct fixture *fixture = *state;
	struct message message = { MESSAGE_ENDED, 0, some_ref }, got;

	message_report(fixture->sockets[KEEPER], fixture->table, &message);
	assert_false(ptable_take_overflow(fixture->table));
	while (message_send(fixture->sockets[KEEPER], &message) == 0)
		continue;
	message_report(fixture->sockets[KEEPER], fixture->table, &message);
	assert_true(ptable_take_overflow(fixture->table));
	while (message_receive(fixture->sockets[SERVER], &got) == 0)
		continue;
	message_report(fixture->sockets[KEEPER], fixture->table, &message);
	assert_false(ptable_take_overflow(fixture->table));
}

static void everything_with_nobody_there_gives_epipe_and_no_signal(void **state)
{
	struct fixture *fixture = *state;
	struct message message = { MESSAGE_ENDED, 0, some_ref };
	struct message_received_launch received;
	struct message_launch launch;
	struct launch_spec spec = some_spec();

	close_end(fixture, SERVER);
	assert_int_equal(message_send(fixture->sockets[KEEPER], &message), -EPIPE);
	assert_int_equal(message_receive(fixture->sockets[KEEPER], &message), -EPIPE);
	assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), -EPIPE);
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	assert_int_equal(message_send_launch(fixture->sockets[KEEPER], &launch), -EPIPE);
	message_launch_finish(&launch);
}

static void who_left_with_unread_messages_is_gone_all_the_same(void **state)
{
	struct fixture *fixture = *state;
	struct message message = { MESSAGE_ENDED, 0, some_ref };
	struct message_received_launch received;

	assert_int_equal(message_send(fixture->sockets[KEEPER], &message), 0);
	close_end(fixture, SERVER);
	assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), -EPIPE);
	assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), -EPIPE);
}

static void what_is_not_a_message_gives_eproto(void **state)
{
	struct fixture *fixture = *state;
	static const uint32_t unknown[6] = { 77 }, launch[6] = { MESSAGE_LAUNCH };
	static const uint32_t far_index[6] = { MESSAGE_ENDED, 0, 0, 0, PTABLE_CAPACITY, 0 };
	static const char bytes[100] = { MESSAGE_ENDED };
	struct message got;

	send(fixture->sockets[KEEPER], unknown, sizeof(unknown), 0);
	send(fixture->sockets[KEEPER], launch, sizeof(launch), 0);
	send(fixture->sockets[KEEPER], far_index, sizeof(far_index), 0);
	send(fixture->sockets[KEEPER], bytes, 1, 0);
	send(fixture->sockets[KEEPER], bytes, 23, 0);
	send(fixture->sockets[KEEPER], bytes, 25, 0);
	send(fixture->sockets[KEEPER], bytes, 100, 0);
	for (int i = 0; i < 7; i++)
		assert_int_equal(message_receive(fixture->sockets[SERVER], &got), -EPROTO);
	assert_int_equal(message_receive(fixture->sockets[SERVER], &got), -EAGAIN);
}

static void a_launch_arrives_as_it_was_sent(void **state)
{
	struct launch_spec spec = some_spec();
	struct message_received_launch received;

	travel(*state, &spec, &received);
	assert_int_equal(received.spec.stdin_fd & received.spec.stdout_fd & received.spec.stderr_fd, -1);
	message_received_launch_finish(&received);
}

static void a_launch_of_almost_nothing_arrives(void **state)
{
	struct launch_spec spec = {
		.candidates = LIST(NULL), .argv = LIST(NULL), .envp = LIST(NULL),
		.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1,
	};
	struct message_received_launch received;

	travel(*state, &spec, &received);
	message_received_launch_finish(&received);
}

static ino_t inode(int fd)
{
	struct stat stat;

	assert_int_equal(fstat(fd, &stat), 0);
	return stat.st_ino;
}

static void any_set_of_descriptors_arrives_in_its_places_closed_on_exec(void **state)
{
	struct fixture *fixture = *state;

	for (int set = 0; set < 8; set++) {
		struct launch_spec spec = some_spec();
		struct message_received_launch received;
		int *const sent[] = { &spec.stdin_fd, &spec.stdout_fd, &spec.stderr_fd };
		int *const got[] = { &received.spec.stdin_fd, &received.spec.stdout_fd, &received.spec.stderr_fd };
		int pipes[3][2];

		for (int i = 0; i < 3; i++) {
			assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
			if (set & 1 << i)
				*sent[i] = pipes[i][0];
		}
		travel(fixture, &spec, &received);
		for (int i = 0; i < 3; i++) {
			if (set & 1 << i) {
				assert_int_equal(inode(*got[i]), inode(pipes[i][0]));
				assert_int_equal(fcntl(*got[i], F_GETFD), FD_CLOEXEC);
			} else {
				assert_int_equal(*got[i], -1);
			}
			close(pipes[i][0]);
			close(pipes[i][1]);
		}
		message_received_launch_finish(&received);
	}
}

static void the_same_descriptor_thrice_arrives_thrice(void **state)
{
	struct launch_spec spec = some_spec();
	struct message_received_launch received;

	spec.stdin_fd = spec.stdout_fd = spec.stderr_fd = 0;
	travel(*state, &spec, &received);
	assert_int_not_equal(received.spec.stdin_fd, received.spec.stdout_fd);
	assert_int_not_equal(received.spec.stdout_fd, received.spec.stderr_fd);
	message_received_launch_finish(&received);
}

static void a_launch_can_wait_after_its_descriptors_were_closed(void **state)
{
	struct fixture *fixture = *state;
	struct launch_spec spec = some_spec();
	struct message_received_launch received;
	struct message_launch launch;
	int fds[2];
	ino_t wanted;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	wanted = inode(fds[1]);
	spec.stdout_fd = fds[1];
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(message_send_launch(fixture->sockets[SERVER], &launch), 0);
	message_launch_finish(&launch);
	assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), 0);
	assert_int_equal(inode(received.spec.stdout_fd), wanted);
	message_received_launch_finish(&received);
}

static void a_descriptor_that_is_not_open_is_refused(void **state)
{
	struct launch_spec spec = some_spec();
	struct message_launch launch;

	(void)state;
	spec.stdin_fd = 0;
	spec.stderr_fd = 900;
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), -EBADF);
}

static size_t size_with_empty_argument(void)
{
	struct launch_spec spec = some_spec();
	struct message_launch launch;
	size_t size;

	spec.argv = LIST("");
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	size = launch.size;
	message_launch_finish(&launch);
	return size;
}

static void launches_of_every_size_arrive_with_their_descriptors(void **state)
{
	size_t empty = size_with_empty_argument();
	const struct {
		size_t size;
		bool in_memory;
	} rows[] = {
		{ 4096, false }, { MESSAGE_INLINE_MAX - 1, false }, { MESSAGE_INLINE_MAX, false },
		{ MESSAGE_INLINE_MAX + 1, true }, { 2 << 20, true }, { MESSAGE_LAUNCH_MAX, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_spec spec = some_spec();
		struct message_received_launch received;
		struct message_launch launch;
		char *argument = argument_of(rows[i].size - empty);

		spec.argv = LIST(argument);
		spec.stdout_fd = 0;
		assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
		assert_int_equal(launch.memory_fd >= 0, rows[i].in_memory);
		message_launch_finish(&launch);
		travel(*state, &spec, &received);
		assert_int_equal(inode(received.spec.stdout_fd), inode(0));
		assert_int_equal(received.spec.stdin_fd, -1);
		message_received_launch_finish(&received);
		free(argument);
	}
}

static void a_launch_that_is_too_large_gives_e2big(void **state)
{
	struct launch_spec spec = some_spec();
	struct message_launch launch;
	char *argument = argument_of(MESSAGE_LAUNCH_MAX - size_with_empty_argument() + 1);

	(void)state;
	spec.argv = LIST(argument);
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), -E2BIG);
	free(argument);
	spec = some_spec();
	spec.group_count = MESSAGE_GROUPS_MAX + 1;
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), -E2BIG);
}

static void a_launch_without_room_gives_eagain_and_can_be_sent_later(void **state)
{
	struct fixture *fixture = *state;
	struct launch_spec spec = some_spec();
	struct message_received_launch received;
	struct message_launch launch;
	int sent = 0, result;

	spec.stdin_fd = 0;
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	while ((result = message_send_launch(fixture->sockets[SERVER], &launch)) == 0)
		sent++;
	assert_int_equal(result, -EAGAIN);
	assert_true(sent > 0);
	for (int i = 0; i < sent; i++) {
		assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), 0);
		message_received_launch_finish(&received);
	}
	assert_int_equal(message_send_launch(fixture->sockets[SERVER], &launch), 0);
	message_launch_finish(&launch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_arrives_as_it_was_sent),
		TEST(receive_with_nothing_there_gives_eagain),
		TEST(send_with_no_room_gives_eagain_and_loses_nothing_sent),
		TEST(a_report_without_room_leaves_the_overflow_flag),
		TEST(everything_with_nobody_there_gives_epipe_and_no_signal),
		TEST(who_left_with_unread_messages_is_gone_all_the_same),
		TEST(what_is_not_a_message_gives_eproto),
		TEST(a_launch_arrives_as_it_was_sent),
		TEST(a_launch_of_almost_nothing_arrives),
		TEST(any_set_of_descriptors_arrives_in_its_places_closed_on_exec),
		TEST(the_same_descriptor_thrice_arrives_thrice),
		TEST(a_launch_can_wait_after_its_descriptors_were_closed),
		TEST(a_descriptor_that_is_not_open_is_refused),
		TEST(launches_of_every_size_arrive_with_their_descriptors),
		TEST(a_launch_that_is_too_large_gives_e2big),
		TEST(a_launch_without_room_gives_eagain_and_can_be_sent_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
