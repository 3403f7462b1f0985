/* Whatever has become of a journal's bytes: it is refused, or replayed in its order from the bytes that count, and goes on being one.
 * The first three bytes say how many records there were, how many bytes of each, and how many bytes are changed: where and to what
 * say three bytes each. What is left is written over it at a place that two more say. */
#include "core/journal.h"
#include "tests/fuzz/fuzz.h"

#include <unistd.h>

/* Of the file: two halves, and before them a page that says what of them counts, and the memory. */
enum { PAGE = 4096, AHEAD = PAGE + JOURNAL_MEMORY };

struct place {
	uint32_t unused[3], active;
	uint64_t committed[2];
};

struct replay {
	const char *from, *end;
	struct record last;
	unsigned count;
};

static uint64_t half_size(void)
{
	return (journal_size() - AHEAD) / 2;
}

static int take(void *context, const struct record *record)
{
	struct replay *replay = context;
	const char *bytes = record->bytes;
	const struct record *last = &replay->last;

	require(bytes >= replay->from && bytes <= replay->end, "a record begins in what counts of its half");
	require(record->size <= (size_t)(replay->end - bytes), "and ends in it");
	require(record->kind != 0, "it has a kind");
	require(!replay->count++ || record->kind > last->kind || (record->kind == last->kind && record->key > last->key),
		"they come by kind and then key");
	replay->last = *record;
	return 0;
}

static int replay(struct journal *journal, struct replay *out)
{
	const char *halves = (const char *)journal_memory(journal) + JOURNAL_MEMORY;
	const struct place *place = (const void *)(halves - AHEAD);

	*out = (struct replay){ .from = halves + place->active * half_size() };
	out->end = out->from + place->committed[place->active];
	return journal_replay(journal, take, out);
}

static void put(struct journal *journal, unsigned kind, uint64_t key, size_t size)
{
	static const char bytes[256];
	const struct record record = { (enum record_kind)kind, key, bytes, size };

	require(journal_put(journal, &record) == 0, "there is room for a record");
}

static struct journal *open_it(int fd)
{
	struct journal *journal;
	int error = journal_open(fd, &journal);

	require(!error || error == -EPROTO, "a refusal is EPROTO");
	return error ? NULL : journal;
}

/* Some of them in the other half, when the size is odd. */
static int make(unsigned count, unsigned size)
{
	int fd = journal_make();
	struct journal *journal = fd >= 0 ? open_it(fd) : NULL;

	require(journal != NULL, "a new journal can be opened");
	for (unsigned i = 0; i < count; i++) {
		if (i == count / 2 && size & 1)
			journal_begin_compaction(journal);
		put(journal, 1 + i % RECORD_INIT, i / 3, size);
		if (i % 7 == 6)
			journal_remove(journal, (enum record_kind)(1 + (i - 6) % RECORD_INIT), i / 3);
	}
	if (count && size & 1)
		journal_end_compaction(journal);
	else
		journal_commit(journal);
	journal_close(journal);
	return fd;
}

/* In the first page of either half, or in what says which bytes count. */
static off_t offset_of(const uint8_t *where)
{
	off_t in = (where[0] & 0xf) << 8 | where[1];

	return where[0] >> 7 ? AHEAD + in + (where[0] >> 6 & 1) * (off_t)half_size() : in % (off_t)sizeof(struct place);
}

static void change(int fd, const uint8_t *data, size_t size, unsigned changes)
{
	for (; changes && size >= 3; changes--, data += 3, size -= 3)
		require(pwrite(fd, data + 2, 1, offset_of(data)) == 1, "a byte can be changed");
	if (size > 2)
		require(pwrite(fd, data + 2, size - 2, offset_of(data)) == (ssize_t)size - 2, "and many");
}

/* A server that goes on: everything is put once more, and nothing of before is left. */
static void go_on(int fd)
{
	struct journal *journal = open_it(fd);
	struct replay found;

	require(journal != NULL, "what was opened once can be opened again");
	journal_begin_compaction(journal);
	put(journal, RECORD_USER, 7, 9);
	journal_end_compaction(journal);
	journal_close(journal);
	journal = open_it(fd);
	require(journal && !replay(journal, &found), "what was put once more is a journal");
	require(found.count == 1 && found.last.kind == RECORD_USER && found.last.key == 7 && found.last.size == 9, "of that alone");
	journal_close(journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct replay first, second;
	struct journal *journal;
	int fd, error;

	if (size < 3)
		return 0;
	fd = make(data[0], data[1]);
	change(fd, data + 3, size - 3, data[2]);
	journal = open_it(fd);
	if (journal) {
		error = replay(journal, &first);
		require(!error || error == -EPROTO || error == -ENOMEM, "a refusal is one of those");
		require(replay(journal, &second) == error && second.count == first.count, "a replay changes nothing");
		journal_close(journal);
		go_on(fd);
	}
	close(fd);
	return 0;
}
