/* What is no message, or no launch, is refused and harms nobody. */
#include "messages.h"

/* Reads all that a spec points to; the strings can't be longer than what they came from. */
static size_t measure(const struct launch_spec *spec)
{
	const char *const *const vectors[] = { spec->candidates, spec->argv, spec->envp, spec->cgroups };
	size_t size = spec->cwd ? strlen(spec->cwd) + 1 : 0;
	gid_t any = 0;

	for (size_t i = 0; i < 4; i++)
		for (const char *const *at = vectors[i]; *at; at++)
			size += strlen(*at) + 1;
	for (uint32_t i = 0; i < spec->group_count; i++)
		any |= spec->groups[i];
	for (uint32_t i = 0; spec->terms && i < spec->terms->limit_count; i++) {
		assert_in_range(spec->terms->limits[i].resource, 0, RLIM_NLIMITS - 1);
		assert_true(spec->terms->limits[i].soft <= spec->terms->limits[i].hard);
	}
	assert_in_range(any, 0, UINT32_MAX);
	return size + spec->group_count * sizeof(gid_t);
}

/* The bytes lie at the end of an allocation of exactly their size, so a sanitizer sees a read beyond them. */
static int decode_copy(const void *bytes, size_t size)
{
	struct message_received_launch out;
	char *copy = malloc(size ? size : 1);
	int result;

	memcpy(copy, bytes, size);
	result = message_decode_launch(copy, size, &out);
	free(copy);
	if (result == 0) {
		assert_in_range(measure(&out.spec), 0, size);
		message_received_launch_finish(&out);
	}
	return result;
}

static void a_launch_cut_or_lengthened_anywhere_gives_eproto(void **state)
{
	struct launch_spec spec = some_spec();
	struct message_launch launch;
	char longer[1024] = { 0 };

	(void)state;
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	assert_int_equal(decode_copy(launch.bytes, launch.size), 0);
	for (size_t size = 0; size < launch.size; size++)
		assert_int_equal(decode_copy(launch.bytes, size), -EPROTO);
	memcpy(longer, launch.bytes, launch.size);
	for (size_t size = launch.size + 1; size <= sizeof(longer); size++)
		assert_int_equal(decode_copy(longer, size), -EPROTO);
	message_launch_finish(&launch);
}

static void a_launch_with_any_byte_changed_is_refused_or_a_launch(void **state)
{
	struct launch_spec spec = some_spec();
	struct message_launch launch;
	unsigned char *bytes;
	int refused = 0;

	(void)state;
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	bytes = launch.bytes;
	for (size_t at = 0; at < launch.size; at++) {
		unsigned char before = bytes[at];

		for (int value = 0; value < 256; value++) {
			int result;

			bytes[at] = (unsigned char)value;
			result = decode_copy(bytes, launch.size);
			assert_true(result == 0 || result == -EPROTO);
			refused += result != 0;
		}
		bytes[at] = before;
	}
	assert_true(refused > 0);
	/* The last byte ends the last string. */
	bytes[launch.size - 1] = 'x';
	assert_int_equal(decode_copy(bytes, launch.size), -EPROTO);
	message_launch_finish(&launch);
}

static void counts_that_overflow_give_eproto(void **state)
{
	struct launch_spec spec = some_spec();
	struct message_launch launch;

	(void)state;
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	for (size_t at = 16; at < 64; at += 4) {
		static const uint32_t values[] = { 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 0x3fffffff, 0x40000001 };
		uint32_t before;

		memcpy(&before, (char *)launch.bytes + at, 4);
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			int result;

			memcpy((char *)launch.bytes + at, &values[i], 4);
			result = decode_copy(launch.bytes, launch.size);
			/* uid and gid may be anything. */
			assert_int_equal(result, at == 20 || at == 24 ? 0 : -EPROTO);
		}
		memcpy((char *)launch.bytes + at, &before, 4);
	}
	message_launch_finish(&launch);
}

static void a_launch_for_the_commands_entry_or_none_gives_eproto(void **state)
{
	static const uint32_t indexes[] = { PTABLE_COMMAND, PTABLE_CAPACITY, UINT32_MAX };
	struct launch_spec spec = some_spec();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct message_launch launch;

		assert_int_equal(message_launch_init(&launch, (struct ptable_ref){ indexes[i], 1 }, &spec), 0);
		assert_int_equal(decode_copy(launch.bytes, launch.size), -EPROTO);
		message_launch_finish(&launch);
	}
}

static void send_with_fds(int socket_fd, void *bytes, size_t size, size_t count)
{
	static const int fds[SENT_DESCRIPTORS_MAX];

	assert_int_equal(send_with_descriptors(socket_fd, (struct iovec){ bytes, size }, fds, count), size);
}

static void descriptors_that_were_not_announced_are_closed_and_refused(void **state)
{
	struct fixture *fixture = *state;
	struct launch_spec spec = some_spec();
	struct message_received_launch received;
	struct message_launch launch;

	spec.stdin_fd = 0;
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	for (size_t count = 0; count <= SENT_DESCRIPTORS_MAX; count++) {
		int before = count_fds(), result;

		send_with_fds(fixture->sockets[SERVER], launch.bytes, launch.size, count);
		result = message_receive_launch(fixture->sockets[KEEPER], &received);
		if (count == 1) {
			assert_int_equal(result, 0);
			message_received_launch_finish(&received);
		} else {
			assert_int_equal(result, count > 6 ? -EMFILE : -EPROTO);
			assert_int_equal(received.ref.index, some_ref.index);
			assert_int_equal(received.ref.generation, some_ref.generation);
		}
		assert_int_equal(count_fds(), before);
	}
	message_launch_finish(&launch);
}

static void bytes_that_are_no_launch_are_refused_and_the_next_one_arrives(void **state)
{
	struct fixture *fixture = *state;
	struct launch_spec spec = some_spec();
	struct message_received_launch received;
	static char garbage[60000];

	memset(garbage, 0xa5, sizeof(garbage));
	send_with_fds(fixture->sockets[SERVER], garbage, 1, 3);
	send_with_fds(fixture->sockets[SERVER], garbage, 64, 0);
	send_with_fds(fixture->sockets[SERVER], garbage, sizeof(garbage), 4);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), -EPROTO);
		assert_int_equal(received.ref.index, PTABLE_COMMAND);
	}
	travel(fixture, &spec, &received);
	message_received_launch_finish(&received);
}

static void a_memory_file_that_is_no_launch_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct launch_spec spec = some_spec();
	char *argument = argument_of(100000);
	static const off_t sizes[] = { 0, 1, 63, 64, 65, 100000, 200000, MESSAGE_LAUNCH_MAX + 1, (off_t)1 << 40 };

	spec.argv = LIST(argument);
	spec.stdin_fd = 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct message_received_launch received;
		struct message_launch launch;

		assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
		assert_int_equal(ftruncate(launch.memory_fd, sizes[i]), 0);
		assert_int_equal(message_send_launch(fixture->sockets[SERVER], &launch), 0);
		message_launch_finish(&launch);
		assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), -EPROTO);
		assert_int_equal(received.ref.generation, some_ref.generation);
	}
	free(argument);
}

static void without_room_for_descriptors_the_launch_gives_emfile_and_its_ref(void **state)
{
	struct fixture *fixture = *state;
	struct launch_spec spec = some_spec();
	struct message_received_launch received;
	struct message_launch launch;
	struct rlimit before, limit;
	int lowest;

	spec.stdin_fd = spec.stdout_fd = 0;
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	assert_int_equal(message_send_launch(fixture->sockets[SERVER], &launch), 0);
	lowest = dup(0);
	close(lowest);
	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	limit.rlim_cur = (rlim_t)lowest + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(received.ref.index, some_ref.index);
	message_launch_finish(&launch);
}

static void a_descriptor_to_be_held_arrives_with_what_it_is_for(void **state)
{
	struct fixture *fixture = *state;
	struct message_received_launch received;
	int ends[2];
	const struct holding *got = &received.hold;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(message_send_hold(fixture->sockets[SERVER],
		&(struct holding){ 123456789012, HOLDING_RESULT, ends[1] }), 0);
	assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), 0);
	assert_true(received.is_hold);
	assert_int_equal(got->id, 123456789012);
	assert_int_equal(got->kind, HOLDING_RESULT);
	assert_int_equal(fcntl(got->fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(got->fd, "x", 1), 1);
	message_received_launch_finish(&received);
	close(ends[0]);
	close(ends[1]);
}

static void a_hold_that_is_none_gives_eproto_and_leaves_no_descriptor(void **state)
{
	static struct { uint32_t kind, holding; uint64_t id; } good = { MESSAGE_HOLD, 0, 1 },
		bad = { MESSAGE_HOLD, HOLDING_KINDS, 1 };
	struct fixture *fixture = *state;
	struct message_received_launch received;

	send_with_fds(fixture->sockets[SERVER], &bad, sizeof(bad), 1);
	send_with_fds(fixture->sockets[SERVER], &good, sizeof(good), 0);
	send_with_fds(fixture->sockets[SERVER], &good, sizeof(good), 2);
	send_with_fds(fixture->sockets[SERVER], &good, sizeof(good) - 1, 1);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), -EPROTO);
		assert_int_equal(received.ref.index, PTABLE_COMMAND);
	}
	send_with_fds(fixture->sockets[SERVER], &good, sizeof(good), 1);
	assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], &received), 0);
	message_received_launch_finish(&received);
}

static void what_is_to_be_held_of_a_launch_arrives_beside_its_streams(void **state)
{
	struct fixture *fixture = *state;
	struct launch_spec spec = some_spec();
	struct message_received_launch received;
	struct stat sent, got;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	for (int which = 0; which < 4; which++) {
		spec.stdout_fd = which & 1 ? 0 : -1;
		spec.held_fds[0] = which & 2 ? ends[0] : 0;
		spec.held_fds[1] = ends[1];
		travel(fixture, &spec, &received);
		assert_int_equal(received.spec.held_fds[0] > 0, which >> 1);
		assert_int_equal(fstat(ends[1], &sent) | fstat(received.spec.held_fds[1], &got), 0);
		assert_int_equal(sent.st_ino, got.st_ino);
		message_received_launch_finish(&received);
		assert_int_equal(received.spec.held_fds[1], 0);
	}
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_launch_cut_or_lengthened_anywhere_gives_eproto),
		TEST(a_launch_with_any_byte_changed_is_refused_or_a_launch),
		TEST(counts_that_overflow_give_eproto),
		TEST(a_launch_for_the_commands_entry_or_none_gives_eproto),
		TEST(descriptors_that_were_not_announced_are_closed_and_refused),
		TEST(bytes_that_are_no_launch_are_refused_and_the_next_one_arrives),
		TEST(a_memory_file_that_is_no_launch_is_refused),
		TEST(without_room_for_descriptors_the_launch_gives_emfile_and_its_ref),
		TEST(a_descriptor_to_be_held_arrives_with_what_it_is_for),
		TEST(a_hold_that_is_none_gives_eproto_and_leaves_no_descriptor),
		TEST(what_is_to_be_held_of_a_launch_arrives_beside_its_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
