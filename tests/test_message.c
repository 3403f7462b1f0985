#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/message.h"

enum { SERVER, KEEPER };

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct fixture {
	int sockets[2];
	int fds;
	struct ptable *table;
};

static const struct ptable_ref some_ref = { 12345, 0x123456789abcdef };
static const gid_t some_groups[] = { 1, 50, 4294967294 };

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

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture || ptable_create(&fixture->table))
		return -1;
	fixture->fds = count_fds();
	*state = fixture;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fixture->sockets);
}

static void close_end(struct fixture *fixture, int end)
{
	if (fixture->sockets[end] >= 0)
		close(fixture->sockets[end]);
	fixture->sockets[end] = -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	int wrong;

	close_end(fixture, SERVER);
	close_end(fixture, KEEPER);
	wrong = count_fds() != fixture->fds;
	if (wrong)
		fprintf(stderr, "a descriptor is left\n");
	ptable_destroy(fixture->table);
	free(fixture);
	return wrong ? -1 : 0;
}

static struct launch_spec some_spec(void)
{
	static const char *const candidates[] = { "/bin/a", "/usr/bin/a", NULL };
	static const char *const arguments[] = { "a", "", "two words", "\377\n", NULL };
	static const char *const environment[] = { "A=1", "B=", NULL };
	static const char *const cgroups[] = { "/sys/fs/cgroup/a/cgroup.procs", "b", NULL };
	static const struct launch_terms terms = {
		.nice = -20,
		.has_nice = 1,
		.limit_count = 2,
		.limits = { { .resource = 7, .soft = 64, .hard = 128 }, { .resource = 0, .hard = LAUNCH_UNLIMITED } },
	};

	return (struct launch_spec){
		.flags = LAUNCH_AS_USER,
		.uid = 1000,
		.gid = 4294967294,
		.group_count = 3,
		.groups = some_groups,
		.umask = 0137,
		.cwd = "/some where",
		.candidates = candidates,
		.argv = arguments,
		.envp = environment,
		.terms = &terms,
		.cgroups = cgroups,
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
		.outputs = { { LAUNCH_TO_FILE, 0, "log of it" }, { LAUNCH_TO_INHERITED, 7, NULL } },
		.inherit_pid = 4321,
		.mount_device = 0x123456789a,
	};
}

static void assert_same_strings(const char *const *one, const char *const *other)
{
	for (; *one; one++, other++) {
		assert_non_null(*other);
		assert_string_equal(*one, *other);
	}
	assert_null(*other);
}

static void assert_same_spec(const struct launch_spec *one, const struct launch_spec *other)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(one->outputs[i].to, other->outputs[i].to);
		assert_int_equal(one->outputs[i].number, other->outputs[i].number);
		assert_int_equal(!one->outputs[i].path, !other->outputs[i].path);
		if (one->outputs[i].path)
			assert_string_equal(one->outputs[i].path, other->outputs[i].path);
	}
	assert_int_equal(one->inherit_pid, other->inherit_pid);
	assert_int_equal(one->mount_device, other->mount_device);
	assert_int_equal(one->flags, other->flags);
	assert_int_equal(one->uid, other->uid);
	assert_int_equal(one->gid, other->gid);
	assert_int_equal(one->umask, other->umask);
	assert_int_equal(one->group_count, other->group_count);
	if (one->group_count)
		assert_memory_equal(one->groups, other->groups, one->group_count * sizeof(gid_t));
	assert_int_equal(!one->cwd, !other->cwd);
	if (one->cwd)
		assert_string_equal(one->cwd, other->cwd);
	assert_same_strings(one->candidates, other->candidates);
	assert_same_strings(one->argv, other->argv);
	assert_same_strings(one->envp, other->envp);
	assert_int_equal(!one->terms, !other->terms);
	if (one->terms)
		assert_memory_equal(one->terms, other->terms, sizeof(*one->terms));
	if (one->cgroups)
		assert_same_strings(one->cgroups, other->cgroups);
}

/* There and back over the socket. */
static void travel(struct fixture *fixture, const struct launch_spec *spec, struct message_received_launch *out)
{
	struct message_launch launch;

	assert_int_equal(message_launch_init(&launch, some_ref, spec), 0);
	assert_int_equal(message_send_launch(fixture->sockets[SERVER], &launch), 0);
	message_launch_finish(&launch);
	assert_int_equal(message_receive_launch(fixture->sockets[KEEPER], out), 0);
	assert_int_equal(out->ref.index, some_ref.index);
	assert_int_equal(out->ref.generation, some_ref.generation);
	assert_same_spec(spec, &out->spec);
}

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

/* An argument that makes the launch `size` bytes long: some_spec() with it and nothing else as argv. */
static char *argument_of(size_t size)
{
	char *argument = malloc(size + 1);

	memset(argument, 'x', size);
	argument[size] = '\0';
	return argument;
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

/* As message_send_launch, with descriptors that the bytes don't tell of. */
static void send_with_fds(int socket_fd, void *bytes, size_t size, size_t count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = { .bytes = { 0 } };
	static const int fds[8];
	struct iovec vector = { bytes, size };
	struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };

	if (count) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	assert_int_equal(sendmsg(socket_fd, &header, 0), size);
}

static void descriptors_that_were_not_announced_are_closed_and_refused(void **state)
{
	struct fixture *fixture = *state;
	struct launch_spec spec = some_spec();
	struct message_received_launch received;
	struct message_launch launch;

	spec.stdin_fd = 0;
	assert_int_equal(message_launch_init(&launch, some_ref, &spec), 0);
	for (size_t count = 0; count <= 8; count++) {
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(a_launch_cut_or_lengthened_anywhere_gives_eproto),
		TEST(a_launch_with_any_byte_changed_is_refused_or_a_launch),
		TEST(counts_that_overflow_give_eproto),
		TEST(a_launch_for_the_commands_entry_or_none_gives_eproto),
		TEST(descriptors_that_were_not_announced_are_closed_and_refused),
		TEST(bytes_that_are_no_launch_are_refused_and_the_next_one_arrives),
		TEST(a_memory_file_that_is_no_launch_is_refused),
		TEST(a_descriptor_to_be_held_arrives_with_what_it_is_for),
		TEST(a_hold_that_is_none_gives_eproto_and_leaves_no_descriptor),
		TEST(what_is_to_be_held_of_a_launch_arrives_beside_its_streams),
		TEST(without_room_for_descriptors_the_launch_gives_emfile_and_its_ref),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
