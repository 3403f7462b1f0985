/*
 * messages: what the tests of core/message share: both ends of a socket, and a launch that has everything.
 */
#ifndef PROCFS_MP_TESTS_MESSAGES_H
#define PROCFS_MP_TESTS_MESSAGES_H

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "core/message.h"
#include "spec.h"

enum { SERVER, KEEPER };

struct fixture {
	int sockets[2];
	int fds;
	struct ptable *table;
};

static const struct ptable_ref some_ref = { 12345, 0x123456789abcdef };
static const gid_t some_groups[] = { 1, 50, 4294967294 };

static inline int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture || ptable_create(&fixture->table))
		return -1;
	fixture->fds = count_fds();
	*state = fixture;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fixture->sockets);
}

static inline void close_end(struct fixture *fixture, int end)
{
	if (fixture->sockets[end] >= 0)
		close(fixture->sockets[end]);
	fixture->sockets[end] = -1;
}

static inline int teardown(void **state)
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

static inline struct launch_spec some_spec(void)
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

static inline void assert_same_strings(const char *const *one, const char *const *other)
{
	for (; *one; one++, other++) {
		assert_non_null(*other);
		assert_string_equal(*one, *other);
	}
	assert_null(*other);
}

static inline void assert_same_spec(const struct launch_spec *one, const struct launch_spec *other)
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
static inline void travel(struct fixture *fixture, const struct launch_spec *spec, struct message_received_launch *out)
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

/* An argument that makes the launch `size` bytes long: some_spec() with it and nothing else as argv. */
static inline char *argument_of(size_t size)
{
	char *argument = malloc(size + 1);

	memset(argument, 'x', size);
	argument[size] = '\0';
	return argument;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
