/*
 * events: what has changed in the set of processes, a line each, kept in a ring of bytes for any number of
 * readers.
 *
 * Owns: the lines, where each reader is, who waits for the next. Must not know: FUSE.
 */
#ifndef PROCFS_MP_EVENTS_H
#define PROCFS_MP_EVENTS_H

#include "core/manager.h"
#include "core/record.h"

enum { EVENTS_ROOM = 1 << 20 };

struct events;

/* Where one open is. */
struct events_reader {
	uint64_t at;     /* the next byte, counted from the first event of all */
	uint64_t offset; /* the file offset that it has for this open */
	uint64_t from;   /* from this offset on the two have gone side by side */
	uint64_t passed; /* how many events lie before it */
	bool in_line;    /* the last byte that was read ended no line */
	char note[96];   /* "gap": to be read first */
	unsigned note_size, note_at;
};

/* room: how many bytes are kept, at least 4096. Result: NULL without memory. */
struct events *events_create(size_t room);
/* The same in memory that outlives it: events_memory(room) bytes, which stay the caller's. */
struct events *events_create_in(void *memory, size_t room);
/* Twice the room: lines that are added overwrite nothing of what was kept when events_pack was last called, until they are
 * more than the room themselves. */
size_t events_memory(size_t room);

/* Which bytes of the memory are lines. */
void events_pack(const struct events *events, struct text *out);
/* Into one that was created in the same memory. Result: 0, or -EPROTO, and it is as it was. */
int events_unpack(struct events *events, struct record_reader *from);
/* Where a reader is; it may be read from then on. Result of unpack: 0, or -EPROTO. */
void events_pack_reader(const struct events_reader *reader, struct text *out);
int events_unpack_reader(struct events_reader *reader, struct record_reader *from);
/* Nobody may wait. NULL is allowed. */
void events_destroy(struct events *events);

/* Adds a line and tells who waits. */
void events_add(struct events *events, const struct process *process, enum manager_event event, struct timespec when);

/* How many bytes there have been. */
uint64_t events_end(const struct events *events);

/* The reader is at the first event still kept. */
void events_begin(const struct events *events, struct events_reader *reader);

/* Moves to a file offset, unless it is there. Back over what this open has just read: to that byte (shells that read a
 * line give back the rest so). Elsewhere: to that byte of all, or the first kept, or the end. */
void events_seek(const struct events *events, struct events_reader *reader, uint64_t offset);

/* Result: how many bytes were read; 0 at the end. One that fell behind reads how many events it has lost. */
size_t events_read(const struct events *events, struct events_reader *reader, char *bytes, size_t size);
bool events_ready(const struct events *events, const struct events_reader *reader);

/* Told 0 with the next event. */
struct waiter_list *events_waiters(struct events *events);
struct observer_list *events_observers(struct events *events);

#endif
