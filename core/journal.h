/*
 * journal: what outlives a server that dies: records in a memory file that the keeper holds and the server maps.
 *
 * A record has a key and bytes; the last one put under a key is the one that counts. Records become valid together, by
 * journal_commit(): a server that dies before has changed nothing. When superseded records are too many, all that count
 * are written once more into the other half of the file, which then takes its place. No memory is needed for any of it.
 * One writer. Must not know: what records mean.
 */
#ifndef PROCFS_MP_JOURNAL_H
#define PROCFS_MP_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text.h"

/* Replayed in this order, so that what others refer to comes first. A number means the same for ever. */
enum record_kind {
	RECORD_MANAGER = 1,
	RECORD_USER,
	RECORD_SESSION,
	RECORD_PROCESS,
	RECORD_CONFIGURATION, /* of a process: frozen by its start */
	RECORD_SERVER,
	RECORD_EVENTS,
	RECORD_LOCK,
	RECORD_HANDLE,
	RECORD_ANSWER, /* a reply that may not have reached the kernel */
	RECORD_INIT,   /* the request that the connection began with */
};

struct record {
	enum record_kind kind;
	uint64_t key;
	const void *bytes;
	size_t size;
};

struct journal;

enum { JOURNAL_MEMORY = 4 << 20 };

/* A new, empty file (CLOEXEC). Result: its descriptor, or -errno. */
int journal_make(void);

/* Of the file: its layout, as far as a number can tell it. */
uint64_t journal_size(void);

/* Maps it; the descriptor stays the caller's. Result: 0 and *out (journal_close unmaps); -EPROTO: it is of another format;
 * -ENOMEM, fstat(2)'s and mmap(2)'s errno. */
int journal_open(int fd, struct journal **out);
/* NULL is allowed. */
void journal_close(struct journal *journal);

/* Result: 0; -ENOSPC: there is no room, and the journal is not whole: what was committed last counts, until all that counts was put again
 * (journal_begin_compaction). */
int journal_put(struct journal *journal, const struct record *record);
int journal_remove(struct journal *journal, enum record_kind kind, uint64_t key);
/* A record is written where it will lie: begin gives an empty text, and end puts what it says; before that nothing else may be put,
 * and one that is never ended was never begun. Result of end: as of journal_put. */
struct text *journal_begin_record(struct journal *journal);
int journal_end_record(struct journal *journal, enum record_kind kind, uint64_t key);
/* Whether anything was to be put or removed since the last commit. */
bool journal_has_changes(const struct journal *journal);
bool journal_is_whole(const struct journal *journal);
/* Nothing is committed that is not whole. */
void journal_commit(struct journal *journal);

/* JOURNAL_MEMORY bytes of the same file, all 0 at first, for what is too much to be put again at each change. */
void *journal_memory(struct journal *journal);

/* Nothing was ever committed. */
bool journal_is_empty(const struct journal *journal);

/* Every record that counts, by kind and then key. The bytes stay valid until the second compaction from then.
 * Result: 0; what take returned when it was not 0; -EPROTO: it makes no sense; -ENOMEM. */
int journal_replay(struct journal *journal, int (*take)(void *context, const struct record *record), void *context);

/* After a commit: whether superseded records are too many. */
bool journal_wants_compaction(const struct journal *journal);
/* Between the two, everything that counts is to be put again. The second commits, and the journal is whole; when a put failed,
 * all that was committed is as it was, as after journal_abandon_compaction, and a journal that was not whole is not. */
void journal_begin_compaction(struct journal *journal);
void journal_end_compaction(struct journal *journal);
void journal_abandon_compaction(struct journal *journal);

#endif
