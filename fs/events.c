#include "fs/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name of 255 bytes, each of them \ooo, and the rest. */
enum { LINE_ROOM = 2048 };

/* A second in words. */
struct stamp {
	time_t second;
	char words[32];
};

/* Byte number n is at n % around. Lines are dropped whole, the oldest first. */
struct events {
	uint64_t first, end;
	uint64_t dropped, count; /* events before first, and before end */
	struct waiter_list waiters;
	struct observer_list observers;
	struct text line; /* room for the longest, so that no event is lost for want of memory */
	size_t room, around;
	char *bytes, *own; /* own: to be freed */
	struct stamp stamp;
};

size_t events_memory(size_t room)
{
	return room * 2;
}

struct events *events_create(size_t room)
{
	char *own = malloc(events_memory(room));
	struct events *events = own ? events_create_in(own, room) : NULL;
	if (events)
		events->own = own;
	else
		free(own);
	return events;
}

struct events *events_create_in(void *memory, size_t room)
{
	struct events *events = malloc(sizeof *events);
	if (!events)
		return NULL;
	*events = (struct events){ .room = room, .around = events_memory(room), .bytes = memory };
	static const char ROOM_FOR_A_LINE[LINE_ROOM];
	text_append(&events->line, ROOM_FOR_A_LINE, sizeof ROOM_FOR_A_LINE);
	if (text_status(&events->line)) {
		free(events);
		return NULL;
	}
	LIST_INIT(&events->waiters);
	LIST_INIT(&events->observers);
	return events;
}

void events_destroy(struct events *events)
{
	if (!events)
		return;
	text_finish(&events->line);
	free(events->own);
	free(events);
}

/* ---- what outlives them ---- */

void events_pack(const struct events *events, struct text *out)
{
	record_put_number(out, events->first);
	record_put_number(out, events->end - events->first);
	record_put_number(out, events->dropped);
	record_put_number(out, events->count - events->dropped);
}

int events_unpack(struct events *events, struct record_reader *from)
{
	uint64_t first = record_number(from), size = record_number(from), dropped = record_number(from);
	uint64_t lines = record_number(from);
	if (from->bad || size > events->room || lines > size || first > UINT64_MAX - size)
		return -EPROTO;
	events->first = first;
	events->end = first + size;
	events->dropped = dropped;
	events->count = dropped + lines;
	return 0;
}

void events_pack_reader(const struct events_reader *reader, struct text *out)
{
	record_put_number(out, reader->at);
	record_put_number(out, reader->offset);
	record_put_number(out, reader->from);
	record_put_number(out, reader->passed);
	record_put_number(out, reader->in_line);
	record_put_bytes(out, reader->note + reader->note_at, reader->note_size - reader->note_at);
}

int events_unpack_reader(struct events_reader *reader, struct record_reader *from)
{
	struct events_reader found = { .at = record_number(from) };
	size_t size;
	found.offset = record_number(from);
	found.from = record_number(from);
	found.passed = record_number(from);
	found.in_line = record_number(from);
	const char *note = record_bytes(from, &size);
	if (from->bad || size > sizeof found.note)
		return -EPROTO;
	if (note)
		memcpy(found.note, note, size);
	found.note_size = (unsigned)size;
	*reader = found;
	return 0;
}

static char byte_at(const struct events *events, uint64_t at)
{
	return events->bytes[at % events->around];
}

static void copy_out(const struct events *events, uint64_t at, char *out, size_t size)
{
	size_t place = at % events->around;
	size_t part = size < events->around - place ? size : events->around - place;
	memcpy(out, events->bytes + place, part);
	memcpy(out + part, events->bytes, size - part);
}

static void copy_in(struct events *events, const char *bytes, size_t size)
{
	size_t place = events->end % events->around;
	size_t part = size < events->around - place ? size : events->around - place;
	memcpy(events->bytes + place, bytes, part);
	memcpy(events->bytes, bytes + part, size - part);
	events->end += size;
}

static void drop_first(struct events *events)
{
	/* In the memory of a server that died there may be fewer lines than it had said. */
	while (events->first != events->end && byte_at(events, events->first++) != '\n')
		continue;
	events->dropped++;
}

/* ---- a line ---- */

/* Most come in the same second as the one before. */
static void add_time(struct text *out, struct timespec when, struct stamp *last)
{
	struct tm tm;
	if (when.tv_sec != last->second || !*last->words) {
		*last = (struct stamp){ .second = when.tv_sec };
		if (gmtime_r(&when.tv_sec, &tm))
			strftime(last->words, sizeof last->words, "%Y-%m-%dT%H:%M:%S", &tm);
	}
	text_printf(out, "%s.%06ldZ ", last->words, when.tv_nsec / 1000);
}

/* One word: a blank is \040. */
static void add_name(struct text *out, const char *name)
{
	char letter[2] = "";
	for (; *name; name++) {
		*letter = *name;
		if (*name == ' ')
			text_add(out, "\\040");
		else
			text_add_name(out, letter);
	}
}

static void add_what(struct text *out, const struct process *process, enum manager_event event)
{
	static const char *const WORDS[] = {
		[MANAGER_CREATED] = "created",
		[MANAGER_STARTED] = "started",
		[MANAGER_EXITED] = "exited",
		[MANAGER_REMOVED] = "removed",
		[MANAGER_RESET] = "reset",
		[MANAGER_PAUSED] = "paused",
		[MANAGER_CONTINUED] = "continued",
	};
	int code;
	text_printf(out, " %s", WORDS[event]);
	if (event == MANAGER_EXITED && process_exitcode(process, &code))
		text_printf(out, " %d", code);
	text_add(out, "\n");
}

void events_add(struct events *events, const struct process *process, enum manager_event event, struct timespec when)
{
	struct text *line = &events->line;
	line->size = 0;
	add_time(line, when, &events->stamp);
	add_name(line, process->directory);
	add_what(line, process, event);
	while (events->end - events->first + line->size > events->room)
		drop_first(events);
	copy_in(events, line->data, line->size);
	events->count++;
	waiters_tell(&events->waiters, 0);
	observers_tell(&events->observers);
}

/* ---- readers ---- */

uint64_t events_end(const struct events *events)
{
	return events->end;
}

void events_begin(const struct events *events, struct events_reader *reader)
{
	*reader = (struct events_reader){ .at = events->first, .passed = events->dropped };
}

void events_seek(const struct events *events, struct events_reader *reader, uint64_t offset)
{
	uint64_t at = offset, from = offset;
	if (offset == reader->offset)
		return;
	if (offset >= reader->from && offset < reader->offset) {
		at = reader->at - (reader->offset - offset);
		from = reader->from;
	}
	if (at < events->first)
		at = events->first;
	if (at > events->end)
		at = events->end;
	*reader = (struct events_reader){ .at = at, .offset = offset, .from = from, .passed = events->count };
	reader->in_line = at > events->first && byte_at(events, at - 1) != '\n';
	for (uint64_t i = at; i < events->end; i++)
		reader->passed -= byte_at(events, i) == '\n';
}

bool events_ready(const struct events *events, const struct events_reader *reader)
{
	return reader->note_at < reader->note_size || reader->at < events->end;
}

/* The line that it was in the middle of is lost too. */
static void note_gap(const struct events *events, struct events_reader *reader)
{
	struct text note = {0};
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	text_add(&note, reader->in_line ? "\n" : "");
	add_time(&note, now, &(struct stamp){0});
	text_printf(&note, "gap %" PRIu64 " events lost\n", events->dropped - reader->passed);
	reader->at = events->first;
	reader->passed = events->dropped;
	reader->in_line = false;
	reader->note_size = reader->note_at = 0;
	if (!text_status(&note) && note.size <= sizeof reader->note) {
		memcpy(reader->note, note.data, note.size);
		reader->note_size = (unsigned)note.size;
	}
	text_finish(&note);
}

static size_t read_note(struct events_reader *reader, char *bytes, size_t size)
{
	size_t left = reader->note_size - reader->note_at;
	if (size > left)
		size = left;
	memcpy(bytes, reader->note + reader->note_at, size);
	reader->note_at += (unsigned)size;
	reader->offset += size;
	if (size)
		reader->from = reader->offset;
	return size;
}

size_t events_read(const struct events *events, struct events_reader *reader, char *bytes, size_t size)
{
	if (reader->at < events->first && reader->note_at == reader->note_size)
		note_gap(events, reader);
	size_t done = read_note(reader, bytes, size);
	if (reader->note_at < reader->note_size || reader->at < events->first)
		return done;
	if (reader->at > events->end)
		reader->at = events->end;
	if (size - done > events->end - reader->at)
		size = done + (size_t)(events->end - reader->at);
	copy_out(events, reader->at, bytes + done, size - done);
	for (size_t i = done; i < size; i++)
		reader->passed += bytes[i] == '\n';
	reader->at += size - done;
	reader->offset += size - done;
	if (size > done)
		reader->in_line = bytes[size - 1] != '\n';
	return size;
}

struct waiter_list *events_waiters(struct events *events)
{
	return &events->waiters;
}

struct observer_list *events_observers(struct events *events)
{
	return &events->observers;
}
