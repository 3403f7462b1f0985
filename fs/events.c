#include "fs/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name of 255 bytes, each of them \ooo, and the rest. */
enum { LINE_ROOM = 2048 };

/* Byte number n is at n % room. Lines are dropped whole, the oldest first. */
struct events {
	uint64_t first, end;
	uint64_t dropped, count; /* events before first, and before end */
	struct waiter_list waiters;
	struct observer_list observers;
	struct text line; /* room for the longest, so that no event is lost for want of memory */
	size_t room;
	char bytes[];
};

struct events *events_create(size_t room)
{
	struct events *events = malloc(sizeof *events + room);
	if (!events)
		return NULL;
	*events = (struct events){ .room = room };
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
	if (events)
		text_finish(&events->line);
	free(events);
}

static void copy_out(const struct events *events, uint64_t at, char *out, size_t size)
{
	size_t place = at % events->room;
	size_t part = size < events->room - place ? size : events->room - place;
	memcpy(out, events->bytes + place, part);
	memcpy(out + part, events->bytes, size - part);
}

static void copy_in(struct events *events, const char *bytes, size_t size)
{
	size_t place = events->end % events->room;
	size_t part = size < events->room - place ? size : events->room - place;
	memcpy(events->bytes + place, bytes, part);
	memcpy(events->bytes, bytes + part, size - part);
	events->end += size;
}

static void drop_first(struct events *events)
{
	while (events->bytes[events->first++ % events->room] != '\n')
		continue;
	events->dropped++;
}

/* ---- a line ---- */

static void add_time(struct text *out, struct timespec when)
{
	struct tm tm;
	char stamp[32] = "";
	if (gmtime_r(&when.tv_sec, &tm))
		strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	text_printf(out, "%s.%06ldZ ", stamp, when.tv_nsec / 1000);
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
	add_time(line, when);
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
	reader->in_line = at > events->first && events->bytes[(at - 1) % events->room] != '\n';
	for (uint64_t i = at; i < events->end; i++)
		reader->passed -= events->bytes[i % events->room] == '\n';
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
	add_time(&note, now);
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
