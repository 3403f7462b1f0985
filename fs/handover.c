#include "fs/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/journal.h"
#include "core/layout.h"
#include "core/message_bytes.h"
#include "core/ptable.h"
#include "core/shared.h"
#include "fs/events.h"

enum {
	HANDOVER_STRINGS = 4,
	HANDOVER_MAX = 1 << 20, /* bytes: far more than three paths can be */
	HANDOVER_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

/* Parts of what is shared. What else lies in the journal's memory begins behind the events. */
enum { SIZE_TABLE, SIZE_ENTRY, SIZE_HOLDINGS, SIZE_JOURNAL, SIZE_EVENTS, SIZE_LAUNCH, SIZE_TERMS, SIZES };

/* Behind it the strings, each ended by NUL. */
struct handover_head {
	struct layout layout;
	uint32_t umask;
	int32_t fds[HANDOVER_FDS];
	uint8_t allow_other;
	uint8_t debug;
	uint8_t has_command;
	uint8_t in_background;
	uint64_t processes, bytes; /* of each user */
	uint64_t sizes[SIZES];
};

static void measure(uint64_t sizes[static SIZES])
{
	sizes[SIZE_TABLE] = ptable_size();
	sizes[SIZE_ENTRY] = sizeof(struct ptable_entry);
	sizes[SIZE_HOLDINGS] = holdings_size();
	sizes[SIZE_JOURNAL] = journal_size();
	sizes[SIZE_EVENTS] = events_memory(EVENTS_ROOM);
	sizes[SIZE_LAUNCH] = sizeof(struct message_head);
	sizes[SIZE_TERMS] = sizeof(struct launch_terms);
}

static void add_bytes(struct text *bytes, const struct handover *handover)
{
	const char *const strings[HANDOVER_STRINGS] = {
		handover->mountpoint, handover->base_directory, handover->options, handover->badness,
	};
	struct handover_head head = {
		.layout = layout,
		.umask = handover->umask,
		.allow_other = handover->allow_other,
		.debug = handover->debug,
		.has_command = handover->has_command,
		.in_background = handover->in_background,
		.processes = handover->limits.processes,
		.bytes = handover->limits.bytes,
	};
	measure(head.sizes);
	for (int i = 0; i < HANDOVER_FDS; i++)
		head.fds[i] = handover->fds[i];
	text_append(bytes, &head, sizeof head);
	for (int i = 0; i < HANDOVER_STRINGS; i++)
		text_append(bytes, strings[i], strlen(strings[i]) + 1);
}

int handover_write(const struct handover *handover, int *out)
{
	struct text bytes = {0};
	int fd = -1;

	add_bytes(&bytes, handover);
	int error = text_status(&bytes);
	if (!error)
		error = shared_create("procfs-mp-handover", bytes.size, &fd);
	if (error)
		goto finish_bytes;
	if (pwrite(fd, bytes.data, bytes.size, 0) != (ssize_t)bytes.size || fcntl(fd, F_ADD_SEALS, HANDOVER_SEALS)) {
		error = -ENOMEM;
		close(fd);
	}
finish_bytes:
	text_finish(&bytes);
	if (!error)
		*out = fd;
	return error;
}

static int refuse_foreign(struct refusal *why)
{
	return refuse(why, EINVAL, "--serve is what procfs-mp says to itself: nothing came with it");
}

/* Result: 0 and what the strings are in *out, which has one NUL more than it needs. */
static int read_bytes(int fd, char **out, size_t *size, struct refusal *why)
{
	struct stat stat;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_WRITE) || fstat(fd, &stat) || stat.st_size > HANDOVER_MAX ||
	    stat.st_size < (off_t)sizeof(struct layout))
		return refuse_foreign(why);
	*size = (size_t)stat.st_size;
	*out = calloc(1, *size + 1);
	if (!*out)
		return -ENOMEM;
	if (pread(fd, *out, *size, 0) == (ssize_t)*size)
		return 0;
	free(*out);
	return refuse_foreign(why);
}

static int check_sizes(const struct handover_head *head, struct refusal *why)
{
	uint64_t sizes[SIZES];

	measure(sizes);
	for (int i = 0; i < SIZES; i++)
		if (head->sizes[i] != sizes[i])
			return refuse(why, EPROTO, "what this program would share with the keeper is of another size: part %d "
				"takes %" PRIu64 " bytes there and %" PRIu64 " here", i, head->sizes[i], sizes[i]);
	return 0;
}

/* Whether this program may touch anything that the keeper and the server before share. Result: 0 and *head. */
static int read_head(const char *bytes, size_t size, struct handover_head *head, struct refusal *why)
{
	struct layout theirs;

	memcpy(&theirs, bytes, sizeof theirs);
	if (memcmp(theirs.magic, layout.magic, sizeof theirs.magic) != 0)
		return refuse_foreign(why);
	if (theirs.version != layout.version)
		return refuse(why, EPROTO, "what the keeper shares with its server has layout %" PRIu32 ", this program knows layout %"
			PRIu32 ": it can't serve this mount", theirs.version, layout.version);
	if (size < sizeof *head)
		return refuse_foreign(why);
	memcpy(head, bytes, sizeof *head);
	return check_sizes(head, why);
}

static int take_strings(struct handover *out, size_t size, struct refusal *why)
{
	const char **const strings[HANDOVER_STRINGS] = {
		&out->mountpoint, &out->base_directory, &out->options, &out->badness,
	};
	const char *next = out->memory + sizeof(struct handover_head), *end = out->memory + size;

	for (int i = 0; i < HANDOVER_STRINGS; i++) {
		if (next >= end)
			return refuse_foreign(why);
		*strings[i] = next;
		next += strlen(next) + 1;
	}
	return next == end ? 0 : refuse_foreign(why);
}

int handover_read(int fd, struct handover *out, struct refusal *why)
{
	struct handover_head head;
	size_t size = 0;

	*out = (struct handover){0};
	int error = read_bytes(fd, &out->memory, &size, why);
	if (error) {
		out->memory = NULL;
		return error;
	}
	error = read_head(out->memory, size, &head, why);
	if (!error)
		error = take_strings(out, size, why);
	if (error) {
		handover_finish(out);
		return error;
	}
	for (int i = 0; i < HANDOVER_FDS; i++)
		out->fds[i] = head.fds[i];
	out->umask = head.umask;
	out->allow_other = head.allow_other;
	out->debug = head.debug;
	out->has_command = head.has_command;
	out->in_background = head.in_background;
	out->limits = (struct share_limits){ .processes = head.processes, .bytes = head.bytes };
	return 0;
}

void handover_finish(struct handover *handover)
{
	free(handover->memory);
	*handover = (struct handover){0};
}
