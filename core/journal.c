#include "core/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/layout.h"
#include "core/shared.h"

/* A half is far larger than what is ever used of it: pages that were never touched cost nothing. */
#define HALF_SIZE ((uint64_t)4 << 30)

enum {
	HEADER_SIZE = 4096 + JOURNAL_MEMORY,
	LEAST_LIMIT = 128 << 10, /* before it a compaction is not worth its while, and its pages are kept for the next */
	GROWTH = 2,            /* times what counted at the last compaction */
};

#define REMOVED (UINT32_C(1) << 31)

static const char MAGIC[8] = "mp-jrnl";

struct journal_header {
	char magic[8];
	uint32_t version;
	_Atomic uint32_t active;       /* which half */
	_Atomic uint64_t committed[2]; /* bytes of each that count */
};

struct record_header {
	uint32_t size;
	uint32_t kind; /* | REMOVED */
	uint64_t key;
};

struct journal {
	int fd;
	struct journal_header *header;
	unsigned half; /* that is written to: not the active one during a compaction */
	uint64_t end;
	uint64_t limit;
	bool failed, had_failed; /* a put; had: one before the compaction that is under way */
	bool missed; /* something that failed since the last attempt to put all */
	struct text record; /* that is being written */
};

uint64_t journal_size(void)
{
	return HEADER_SIZE + 2 * HALF_SIZE;
}

int journal_make(void)
{
	struct journal_header header = { .version = layout.version };
	int fd, error = shared_create("procfs-mp-journal", journal_size(), &fd);
	if (error)
		return error;
	memcpy(header.magic, MAGIC, sizeof MAGIC);
	if (pwrite(fd, &header, sizeof header, 0) == sizeof header)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

void *journal_memory(struct journal *journal)
{
	return (char *)journal->header + HEADER_SIZE - JOURNAL_MEMORY;
}

static char *half_of(const struct journal *journal, unsigned half)
{
	return (char *)journal->header + HEADER_SIZE + half * HALF_SIZE;
}

static uint64_t limit_after(uint64_t size)
{
	uint64_t limit = size * GROWTH;
	return limit < LEAST_LIMIT ? LEAST_LIMIT : limit;
}

int journal_open(int fd, struct journal **out)
{
	struct stat st;
	if (fstat(fd, &st))
		return -errno;
	if ((uint64_t)st.st_size != journal_size())
		return -EPROTO;
	struct journal_header *header = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (header == MAP_FAILED)
		return -errno;
	struct journal *journal = calloc(1, sizeof *journal);
	unsigned half = atomic_load(&header->active);
	bool known = !memcmp(header->magic, MAGIC, sizeof MAGIC) && header->version == layout.version && half < 2;
	if (!journal || !known || atomic_load(&header->committed[half]) > HALF_SIZE) {
		munmap(header, (size_t)st.st_size);
		free(journal);
		return journal ? -EPROTO : -ENOMEM;
	}
	*journal = (struct journal){ .fd = fd, .header = header, .half = half };
	journal->end = atomic_load(&header->committed[half]);
	journal->limit = limit_after(journal->end);
	*out = journal;
	return 0;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	munmap(journal->header, journal_size());
	free(journal);
}

/* ---- writing ---- */

static uint64_t padded(uint64_t size)
{
	return (size + 7) & ~(uint64_t)7;
}

static int fail(struct journal *journal)
{
	journal->failed = journal->missed = true;
	return -ENOSPC;
}

/* bytes: NULL when they are there already. */
static int append(struct journal *journal, const struct record_header *header, const void *bytes)
{
	uint64_t size = sizeof *header + padded(header->size);
	if (journal->failed || size > HALF_SIZE - journal->end)
		return fail(journal);
	char *at = half_of(journal, journal->half) + journal->end;
	memcpy(at, header, sizeof *header);
	if (header->size && bytes)
		memcpy(at + sizeof *header, bytes, header->size);
	journal->end += size;
	return 0;
}

int journal_put(struct journal *journal, const struct record *record)
{
	if (record->size > UINT32_MAX)
		return fail(journal);
	struct record_header header = { (uint32_t)record->size, (uint32_t)record->kind, record->key };
	return append(journal, &header, record->bytes);
}

struct text *journal_begin_record(struct journal *journal)
{
	uint64_t left = HALF_SIZE - journal->end, ahead = sizeof (struct record_header);
	char *at = half_of(journal, journal->half) + journal->end;
	journal->record = left > ahead ? text_in(at + ahead, left - ahead) : text_in(at, 0);
	return &journal->record;
}

int journal_end_record(struct journal *journal, enum record_kind kind, uint64_t key)
{
	const struct text *text = &journal->record;
	if (text_status(text) || text->size > UINT32_MAX)
		return fail(journal);
	return append(journal, &(struct record_header){ (uint32_t)text->size, (uint32_t)kind, key }, NULL);
}

int journal_remove(struct journal *journal, enum record_kind kind, uint64_t key)
{
	struct record_header header = { 0, (uint32_t)kind | REMOVED, key };
	return append(journal, &header, "");
}

bool journal_has_changes(const struct journal *journal)
{
	return journal->missed || journal->end != atomic_load(&journal->header->committed[journal->half]);
}

bool journal_is_whole(const struct journal *journal)
{
	return !journal->failed;
}

void journal_commit(struct journal *journal)
{
	if (!journal->failed)
		atomic_store(&journal->header->committed[journal->half], journal->end);
}

bool journal_is_empty(const struct journal *journal)
{
	return !atomic_load(&journal->header->committed[atomic_load(&journal->header->active)]);
}

/* ---- compaction ---- */

bool journal_wants_compaction(const struct journal *journal)
{
	return journal->end > journal->limit;
}

void journal_begin_compaction(struct journal *journal)
{
	journal->half ^= 1;
	journal->end = 0;
	journal->had_failed = journal->failed;
	journal->failed = journal->missed = false;
	atomic_store(&journal->header->committed[journal->half], 0);
}

/* Pages of the half that is given up are kept as far as the next compaction is sure to write them. */
static void empty_half(const struct journal *journal, unsigned half)
{
	uint64_t used = padded(atomic_load(&journal->header->committed[half]));
	off_t from = (off_t)(HEADER_SIZE + half * HALF_SIZE + LEAST_LIMIT);
	if (used > LEAST_LIMIT)
		(void)!fallocate(journal->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, (off_t)(HALF_SIZE - LEAST_LIMIT));
}

void journal_end_compaction(struct journal *journal)
{
	if (journal->failed) {
		journal_abandon_compaction(journal);
		return;
	}
	journal_commit(journal);
	atomic_store(&journal->header->active, journal->half);
	journal->limit = limit_after(journal->end);
	empty_half(journal, journal->half ^ 1);
}

void journal_abandon_compaction(struct journal *journal)
{
	journal->half ^= 1;
	journal->end = atomic_load(&journal->header->committed[journal->half]);
	journal->limit = limit_after(journal->end);
	journal->failed = journal->had_failed;
	journal->missed = false;
}

/* ---- replay ---- */

struct entry_key {
	uint64_t kind, key;
};

struct entry {
	struct entry_key key;
	const char *bytes;
	uint32_t size;
	bool removed;
	UT_hash_handle hh;
};

static int by_kind_and_key(struct entry *a, struct entry *b)
{
	if (a->key.kind != b->key.kind)
		return a->key.kind < b->key.kind ? -1 : 1;
	return a->key.key < b->key.key ? -1 : a->key.key > b->key.key;
}

static int index_one(struct entry **index, const struct record_header *header)
{
	struct entry_key key = { header->kind & ~REMOVED, header->key };
	struct entry *entry;
	HASH_FIND(hh, *index, &key, sizeof key, entry);
	if (!entry) {
		entry = calloc(1, sizeof *entry);
		if (!entry)
			return -ENOMEM;
		entry->key = key;
		HASH_ADD(hh, *index, key, sizeof entry->key, entry);
		if (!entry->hh.tbl) {
			free(entry);
			return -ENOMEM;
		}
	}
	entry->removed = header->kind & REMOVED;
	entry->bytes = (const char *)(header + 1);
	entry->size = header->size;
	return 0;
}

static int index_all(const struct journal *journal, struct entry **index)
{
	const char *at = half_of(journal, journal->half), *end = at + journal->end;
	int error = 0;
	while (!error && at < end) {
		const struct record_header *header = (const void *)at;
		uint64_t left = (uint64_t)(end - at);
		/* What was never written is all 0, and may be gigabytes. */
		if (left < sizeof *header || padded(header->size) > left - sizeof *header || !(header->kind & ~REMOVED))
			return -EPROTO;
		error = index_one(index, header);
		at += sizeof *header + padded(header->size);
	}
	return error;
}

int journal_replay(struct journal *journal, int (*take)(void *context, const struct record *record), void *context)
{
	struct entry *index = NULL, *entry, *next;
	int error = index_all(journal, &index);
	HASH_SORT(index, by_kind_and_key);
	HASH_ITER(hh, index, entry, next) {
		struct record record = { (enum record_kind)entry->key.kind, entry->key.key, entry->bytes, entry->size };
		if (!error && !entry->removed)
			error = take(context, &record);
		HASH_DEL(index, entry);
		free(entry);
	}
	return error;
}
