#include "core/message_bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct message_head) == 26 * sizeof(uint32_t), "padding would travel");
static_assert(sizeof(struct launch_terms) == 16 + LAUNCH_LIMITS_MAX * 24, "padding would travel");

static size_t measure(const char *const *strings, uint32_t *count)
{
	size_t size = 0;
	uint32_t i = 0;

	while (strings[i])
		size += strlen(strings[i++]) + 1;
	*count = i;
	return size;
}

static char *append(char *at, const char *string)
{
	size_t size = strlen(string) + 1;

	memcpy(at, string, size);
	return at + size;
}

static char *append_all(char *at, const char *const *strings)
{
	while (*strings)
		at = append(at, *strings++);
	return at;
}

static size_t terms_size(const struct message_head *head)
{
	return head->has_terms ? sizeof(struct launch_terms) : 0;
}

static bool has_path(const struct message_head *head, int output)
{
	return head->output_to[output] == LAUNCH_TO_FILE;
}

int message_bytes_measure(struct message_head *head, struct ptable_ref ref, const struct launch_spec *spec)
{
	size_t size = spec->cwd ? strlen(spec->cwd) + 1 : 0;

	*head = (struct message_head){
		.kind = MESSAGE_LAUNCH,
		.index = ref.index,
		.generation = ref.generation,
		.flags = spec->flags,
		.uid = spec->uid,
		.gid = spec->gid,
		.umask = spec->umask,
		.group_count = spec->group_count,
		.has_cwd = spec->cwd != NULL,
		.has_terms = spec->terms != NULL,
		.inherit_pid = spec->inherit_pid,
		.mount_device = spec->mount_device,
	};
	for (int i = 0; i < 2; i++) {
		head->output_to[i] = spec->outputs[i].to;
		head->output_number[i] = spec->outputs[i].number;
		size += has_path(head, i) ? strlen(spec->outputs[i].path) + 1 : 0;
	}
	size += measure(spec->candidates, &head->candidate_count);
	size += measure(spec->argv, &head->argument_count);
	size += measure(spec->envp, &head->environment_count);
	if (spec->cgroups)
		size += measure(spec->cgroups, &head->cgroup_count);
	if (spec->group_count > MESSAGE_GROUPS_MAX)
		return -E2BIG;
	if (size > MESSAGE_LAUNCH_MAX - sizeof(*head) - terms_size(head) - spec->group_count * sizeof(gid_t))
		return -E2BIG;
	head->strings_size = (uint32_t)size;
	return 0;
}

size_t message_bytes_size(const struct message_head *head)
{
	return sizeof(*head) + terms_size(head) + head->group_count * sizeof(gid_t) + head->strings_size;
}

void message_bytes_fill(void *bytes, const struct message_head *head, const struct launch_spec *spec)
{
	size_t groups_size = head->group_count * sizeof(gid_t);
	char *at = bytes;

	memcpy(at, head, sizeof(*head));
	at += sizeof(*head);
	if (spec->terms)
		memcpy(at, spec->terms, sizeof(*spec->terms));
	at += terms_size(head);
	if (groups_size)
		memcpy(at, spec->groups, groups_size);
	at += groups_size;
	if (spec->cwd)
		at = append(at, spec->cwd);
	for (int i = 0; i < 2; i++)
		if (has_path(head, i))
			at = append(at, spec->outputs[i].path);
	at = append_all(at, spec->candidates);
	at = append_all(at, spec->argv);
	at = append_all(at, spec->envp);
	if (spec->cgroups)
		append_all(at, spec->cgroups);
}

static bool outputs_are_sound(const struct message_head *head)
{
	return head->output_to[0] < LAUNCH_TO_COUNT && head->output_to[1] < LAUNCH_TO_COUNT &&
	       !(head->output_to[0] == LAUNCH_TO_OTHER && head->output_to[1] == LAUNCH_TO_OTHER);
}

static bool head_is_sound(const struct message_head *head, size_t size)
{
	size_t fixed = sizeof(*head) + terms_size(head);
	size_t rest = size < fixed ? 0 : size - fixed;
	size_t strings = (size_t)head->has_cwd + head->candidate_count + head->argument_count +
			 head->environment_count + head->cgroup_count + has_path(head, 0) + has_path(head, 1);

	return outputs_are_sound(head) && head->kind == MESSAGE_LAUNCH && head->index < PTABLE_CAPACITY && head->index != PTABLE_COMMAND &&
	       !(head->flags & ~(uint32_t)(LAUNCH_AS_USER | LAUNCH_FOREGROUND | LAUNCH_RAISES | LAUNCH_INTO_GROUP)) &&
	       !(head->umask & ~0777U) && head->streams < 1U << (MESSAGE_STREAMS + MESSAGE_HELD) && head->memory <= 1 && head->has_cwd <= 1 &&
	       head->has_terms <= 1 && !head->padding && size >= fixed && size <= MESSAGE_LAUNCH_MAX &&
	       head->group_count <= MESSAGE_GROUPS_MAX &&
	       head->group_count * sizeof(gid_t) <= rest &&
	       head->strings_size == rest - head->group_count * sizeof(gid_t) && strings <= head->strings_size;
}

static bool terms_are_sound(const struct launch_terms *terms)
{
	bool sound = terms->has_nice <= 1 && terms->nice >= -20 && terms->nice <= 19 &&
		     terms->limit_count <= LAUNCH_LIMITS_MAX;

	for (uint32_t i = 0; sound && i < terms->limit_count; i++)
		sound = terms->limits[i].resource < RLIM_NLIMITS && terms->limits[i].soft <= terms->limits[i].hard;
	return sound;
}

/* What is left of the strings. */
struct reader {
	const char *at, *end;
	const char **slot; /* where the next pointer goes */
};

static const char *read_string(struct reader *reader)
{
	const char *string = reader->at;
	const char *nul = memchr(string, '\0', (size_t)(reader->end - string));

	if (!nul)
		return NULL;
	reader->at = nul + 1;
	return string;
}

static const char *const *read_strings(struct reader *reader, uint32_t count)
{
	const char **first = reader->slot;

	for (uint32_t i = 0; i < count; i++) {
		*reader->slot = read_string(reader);
		if (!*reader->slot++)
			return NULL;
	}
	*reader->slot++ = NULL;
	return first;
}

static bool read_spec(struct launch_spec *spec, const struct message_head *head, struct reader *reader)
{
	*spec = (struct launch_spec){
		.flags = head->flags,
		.uid = head->uid,
		.gid = head->gid,
		.umask = head->umask,
		.group_count = head->group_count,
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
		.outputs = { { head->output_to[0], head->output_number[0], NULL },
			     { head->output_to[1], head->output_number[1], NULL } },
		.inherit_pid = head->inherit_pid,
		.mount_device = head->mount_device,
	};
	if (head->has_cwd) {
		spec->cwd = read_string(reader);
		if (!spec->cwd)
			return false;
	}
	for (int i = 0; i < 2; i++) {
		spec->outputs[i].path = has_path(head, i) ? read_string(reader) : NULL;
		if (has_path(head, i) && !spec->outputs[i].path)
			return false;
	}
	spec->candidates = read_strings(reader, head->candidate_count);
	spec->argv = spec->candidates ? read_strings(reader, head->argument_count) : NULL;
	spec->envp = spec->argv ? read_strings(reader, head->environment_count) : NULL;
	spec->cgroups = spec->envp ? read_strings(reader, head->cgroup_count) : NULL;
	return spec->cgroups && reader->at == reader->end;
}

int message_decode_launch(const void *bytes, size_t size, struct message_received_launch *out)
{
	struct message_received_launch launch = { .hold.fd = -1 };
	struct message_head head;
	struct reader reader;
	size_t pointers_size, rest;
	char *payload;

	if (size < sizeof(head))
		return -EPROTO;
	memcpy(&head, bytes, sizeof(head));
	if (!head_is_sound(&head, size))
		return -EPROTO;
	/* Pointers first, for their alignment; each of the four vectors ends with NULL. */
	pointers_size = (size_t)head.candidate_count + head.argument_count + head.environment_count + head.cgroup_count + 4;
	pointers_size *= sizeof(char *);
	rest = size - sizeof(head);
	launch.size = pointers_size + rest;
	launch.memory = malloc(launch.size);
	if (!launch.memory)
		return -ENOMEM;
	payload = (char *)launch.memory + pointers_size;
	memcpy(payload, (const char *)bytes + sizeof(head), rest);
	reader.slot = launch.memory;
	reader.at = payload + terms_size(&head) + head.group_count * sizeof(gid_t);
	reader.end = payload + rest;
	if (!read_spec(&launch.spec, &head, &reader) ||
	    (head.has_terms && !terms_are_sound((const void *)payload))) {
		free(launch.memory);
		return -EPROTO;
	}
	launch.spec.terms = head.has_terms ? (const void *)payload : NULL;
	launch.spec.groups = (const gid_t *)(const void *)(payload + terms_size(&head));
	launch.ref = (struct ptable_ref){ head.index, head.generation };
	*out = launch;
	return 0;
}
