/* Whatever arrives as a launch: it is refused and nothing is touched, or it is, encoded again, the same bytes. The
 * input is taken twice: as it is, and behind a head that fits its size, so that the strings are reached. */
#include "core/message_bytes.h"
#include "tests/fuzz/fuzz.h"

static void check_inside(const struct message_received_launch *launch, const char *string)
{
	const char *begin = launch->memory;

	require(string >= begin && string < begin + launch->size, "a string lies in the launch's memory");
	require(memchr(string, '\0', (size_t)(begin + launch->size - string)) != NULL, "a string ends in it");
}

static void check_list(const struct message_received_launch *launch, const char *const *list, uint32_t count)
{
	uint32_t i;

	for (i = 0; list[i]; i++)
		check_inside(launch, list[i]);
	require(i == count, "a list is as long as the head says");
}

static void check_same(const struct message_received_launch *launch, const void *bytes, size_t size)
{
	struct message_head given, head;
	char *again;

	memcpy(&given, bytes, sizeof(given));
	require(message_bytes_measure(&head, launch->ref, &launch->spec) == 0, "what was taken is not too large");
	head.streams = given.streams;
	head.memory = given.memory;
	require(message_bytes_size(&head) == size, "encoded again it has the same size");
	again = malloc(size);
	if (!again)
		return;
	message_bytes_fill(again, &head, &launch->spec);
	require(memcmp(again, bytes, size) == 0, "encoded again it is the same");
	free(again);
}

static void decode(const void *bytes, size_t size)
{
	struct message_received_launch launch, before;
	struct message_head head;
	int error;

	memset(&launch, 0x5a, sizeof(launch));
	before = launch;
	error = message_decode_launch(bytes, size, &launch);
	if (error) {
		require(error == -EPROTO, "a refusal is EPROTO");
		require(memcmp(&launch, &before, sizeof(launch)) == 0, "a refusal touches nothing");
		return;
	}
	memcpy(&head, bytes, sizeof(head));
	require(launch.ref.index < PTABLE_CAPACITY && launch.ref.index != PTABLE_COMMAND, "the entry is one of the server's");
	require(launch.spec.stdin_fd == -1 && launch.spec.stdout_fd == -1 && launch.spec.stderr_fd == -1, "no descriptor came");
	if (launch.spec.cwd)
		check_inside(&launch, launch.spec.cwd);
	check_list(&launch, launch.spec.candidates, head.candidate_count);
	check_list(&launch, launch.spec.argv, head.argument_count);
	check_list(&launch, launch.spec.envp, head.environment_count);
	check_list(&launch, launch.spec.cgroups, head.cgroup_count);
	require(!launch.spec.terms == !head.has_terms, "terms are there when the head says so");
	require(!head.has_terms || launch.spec.terms->limit_count <= LAUNCH_LIMITS_MAX, "limits have room");
	check_same(&launch, bytes, size);
	free(launch.memory);
}

/* The first bytes say how many of each there are; the rest are groups and strings. */
static void decode_behind_a_head(const uint8_t *data, size_t size)
{
	enum { COUNTS = 6 };
	struct message_head head = { .kind = MESSAGE_LAUNCH, .index = 1, .generation = 7, .umask = 022 };
	char *bytes;

	if (size < COUNTS)
		return;
	head.has_cwd = data[0] & 1;
	head.streams = data[0] >> 1 & 7;
	head.memory = data[0] >> 4 & 1;
	head.has_terms = data[0] >> 5 & 1;
	head.group_count = data[1] & 7;
	head.candidate_count = data[2];
	head.argument_count = data[3];
	head.environment_count = data[4];
	head.cgroup_count = data[5];
	size -= COUNTS;
	head.strings_size = (uint32_t)(size - head.group_count * sizeof(gid_t) -
				       (head.has_terms ? sizeof(struct launch_terms) : 0));
	bytes = malloc(sizeof(head) + size);
	if (!bytes)
		return;
	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), data + COUNTS, size);
	decode(bytes, sizeof(head) + size);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	decode(data, size);
	decode_behind_a_head(data, size);
	return 0;
}
