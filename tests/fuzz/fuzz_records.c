/* Whatever a journal holds of a process, a lock, a write that waits or a reader: it is refused, or what was taken is packed, taken
 * again and packed alike. The first byte chooses what it is taken for. */
#include "core/locks.h"
#include "core/process_record.h"
#include "fs/events.h"
#include "fs/follow.h"
#include "fs/resumption.h"
#include "tests/fuzz/fuzz.h"

static int take_process(struct record_reader *from, struct text *out)
{
	struct process *process;
	struct process_ties ties;
	int error = process_unpack(7, from, &process, &ties);

	if (error)
		return error;
	require(process->state <= PROCESS_BETWEEN && *process->directory, "a process has a state and a directory");
	process_pack(process, &ties, out);
	process_destroy(process);
	return 0;
}

static int take_configuration(struct record_reader *from, struct text *out)
{
	struct process *process = process_create("x", "1");
	int error = process ? process_unpack_configuration(process, from) : -ENOMEM;

	if (!error)
		process_pack_configuration(process, out);
	process_destroy(process);
	return error;
}

static int take_lock(struct record_reader *from, struct text *out)
{
	struct locks locks = { .last_id = 0 };
	struct lock *lock;
	int error = lock_unpack(&locks, from, &lock);

	if (!error) {
		require(locks_by_id(&locks, lock->id) == lock, "a lock is found by its number");
		require(lock->removed || locks_by_name(&locks, lock->name) == lock, "and by its name");
		lock_pack(lock, out);
	}
	locks_finish(&locks);
	return error;
}

static int take_resumption(struct record_reader *from, struct text *out)
{
	struct resumption *at = NULL;
	int error = resumption_unpack(from, &at);

	if (!error)
		resumption_pack(at, out);
	resumption_destroy(at);
	return error;
}

static int take_reader_of_events(struct record_reader *from, struct text *out)
{
	struct events_reader reader;
	int error = events_unpack_reader(&reader, from);

	if (!error)
		events_pack_reader(&reader, out);
	return error;
}

static int take_reader_of_output(struct record_reader *from, struct text *out)
{
	struct reader *reader;
	int error = follow_unpack(from, &reader);

	if (error)
		return error;
	follow_pack(reader, out);
	free(reader);
	return 0;
}

static int (*const takers[])(struct record_reader *from, struct text *out) = {
	take_process, take_configuration, take_lock, take_resumption, take_reader_of_events, take_reader_of_output,
};

/* Result: whether it was taken, and *out is what was packed of it. */
static bool take(unsigned which, const char *bytes, size_t size, struct text *out)
{
	struct record_reader from = record_reader_of(bytes, size);
	int error = takers[which](&from, out);

	require(from.at >= bytes && from.at <= bytes + size, "nothing is read beyond the end");
	require(!error || error == -EPROTO || error == -ENOMEM, "a refusal is one of those");
	return !error && !text_status(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned which = size ? *data % (sizeof(takers) / sizeof(takers[0])) : 0;
	struct text first = { 0 }, second = { 0 };
	/* In a memory of exactly that size, so that a sanitizer sees a read beyond it. */
	char *bytes = size > 1 ? malloc(size - 1) : NULL;

	if (!bytes)
		return 0;
	memcpy(bytes, data + 1, size - 1);
	if (take(which, bytes, size - 1, &first)) {
		require(take(which, first.data, first.size, &second), "what was packed is taken");
		require(first.size == second.size && !memcmp(first.data, second.data, first.size), "and packed alike");
	}
	text_finish(&first);
	text_finish(&second);
	free(bytes);
	return 0;
}
