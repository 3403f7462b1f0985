#include "fs/resumption.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/whom.h"

/* Each as what it adds to the one before. */
static void pack_ids(const struct process_ids *ids, struct text *out)
{
	uint64_t last = 0;
	record_put_number(out, ids ? ids->count : 0);
	for (size_t i = 0; ids && i < ids->count; i++) {
		record_put_number(out, ids->id[i] - last);
		last = ids->id[i];
	}
}

static int unpack_ids(struct record_reader *from, struct process_ids **out)
{
	uint64_t count = record_number(from), last = 0;
	if (!count)
		return 0;
	if (from->bad || count > (uint64_t)(from->end - from->at))
		return -EPROTO;
	struct process_ids *ids = malloc(sizeof *ids + count * sizeof *ids->id);
	if (!ids)
		return -ENOMEM;
	ids->count = count;
	for (size_t i = 0; i < count; i++)
		ids->id[i] = last += record_number(from);
	*out = ids;
	return 0;
}

void resumption_pack(const struct resumption *at, struct text *out)
{
	record_put_number(out, at->unique);
	record_put_number(out, (uint64_t)at->state);
	record_put_number(out, at->deadline);
	record_put_number(out, at->next);
	record_put_number(out, at->done);
	pack_ids(at->chosen, out);
	record_put_bytes(out, at->names, at->names_size);
	record_put_bytes(out, at->answer, at->answer_size);
}

int resumption_unpack(struct record_reader *from, struct resumption **out)
{
	struct resumption *at = calloc(1, sizeof *at);
	if (!at)
		return -ENOMEM;
	at->unique = record_number(from);
	at->state = (int)record_number(from);
	at->deadline = record_number(from);
	at->next = record_number(from);
	at->done = record_number(from);
	int error = unpack_ids(from, &at->chosen);
	at->names = record_copy(from, &at->names_size);
	at->answer = record_copy(from, &at->answer_size);
	if (!error && from->bad)
		error = -EPROTO;
	if (error)
		resumption_destroy(at);
	else
		*out = at;
	return error;
}

void resumption_destroy(struct resumption *at)
{
	if (!at)
		return;
	free(at->chosen);
	free(at->names);
	free(at->answer);
	free(at);
}

struct resumption *resumption_take(struct resumption_list *list, uint64_t unique)
{
	struct resumption *at;
	LIST_FOREACH(at, list, link) {
		if (at->unique != unique)
			continue;
		LIST_REMOVE(at, link);
		return at;
	}
	return NULL;
}
