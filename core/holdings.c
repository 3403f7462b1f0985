#include "core/holdings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/closing.h"
#include "core/shared.h"

enum {
	HOLDINGS_BUCKETS = 1 << 18,
	SPARE_MOST = 500, /* descriptors that are not held: for as many launches at once as there are launchers */
	SPARE_LEAST = 48, /* for a server that holds nothing */
	SPARE_PART = 4,   /* of all, where that is between the two */
	LAST_FDS = 24,    /* not for a launch: what was announced must come */
};

/* The truth about an entry, set after all else of it: from the states the lists can be made anew. */
enum holding_state {
	HOLDING_FREE,
	HOLDING_EXPECTED,
	HOLDING_HELD,
	HOLDING_UNWANTED,
	HOLDING_ENDED, /* in no list */
};

struct holdings_entry {
	uint64_t id;
	int32_t fd; /* -1: none came yet */
	uint8_t kind;
	_Atomic uint8_t state;
	uint16_t zero;
	uint32_t next; /* of its bucket, the unwanted or the free; an index + 1, 0 ends it */
};

/* Sparse: a page that was never touched costs nothing. */
struct holdings {
	pthread_mutex_t mutex;
	_Atomic uint32_t unwanted; /* the first of a list */
	uint32_t free_head, used;
	int32_t fd, limit; /* limit: of numbers for what a launch brings */
	uint32_t most, count; /* expected or held */
	uint32_t buckets[HOLDINGS_BUCKETS];
	struct holdings_entry entries[HOLDINGS_CAPACITY];
};

/* Ids are given one after the other: so their buckets are neighbours, and few pages are touched. Most have stdout and stderr
 * alone. */
static uint32_t *bucket_of(struct holdings *holdings, uint64_t id, unsigned kind)
{
	return &holdings->buckets[(id * 2 + kind % 2) % HOLDINGS_BUCKETS];
}

static void push(struct holdings *holdings, uint32_t *head, uint32_t index)
{
	holdings->entries[index].next = *head;
	*head = index + 1;
}

static void push_unwanted(struct holdings *holdings, uint32_t index)
{
	holdings->entries[index].next = atomic_load(&holdings->unwanted);
	atomic_store(&holdings->unwanted, index + 1);
}

/* Whoever died with the lock may have been in the middle of a list. */
static void rebuild(struct holdings *holdings)
{
	memset(holdings->buckets, 0, sizeof(holdings->buckets));
	holdings->free_head = holdings->count = 0;
	atomic_store(&holdings->unwanted, 0);
	for (uint32_t i = holdings->used; i-- > 0;) {
		struct holdings_entry *entry = &holdings->entries[i];

		switch (atomic_load(&entry->state)) {
		case HOLDING_EXPECTED:
		case HOLDING_HELD:
			push(holdings, bucket_of(holdings, entry->id, entry->kind), i);
			holdings->count++;
			break;
		case HOLDING_UNWANTED:
			push_unwanted(holdings, i);
			break;
		case HOLDING_ENDED:
			break;
		default:
			push(holdings, &holdings->free_head, i);
		}
	}
}

static void lock(struct holdings *holdings)
{
	if (pthread_mutex_lock(&holdings->mutex) != EOWNERDEAD)
		return;
	rebuild(holdings);
	pthread_mutex_consistent(&holdings->mutex);
}

static void unlock(struct holdings *holdings)
{
	pthread_mutex_unlock(&holdings->mutex);
}

static int begin_mutex(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attributes;
	int error = pthread_mutexattr_init(&attributes);

	if (error)
		return -error;
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	error = pthread_mutex_init(mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return -error;
}

int holdings_create(struct holdings **out)
{
	struct holdings *holdings;
	int fd, error = shared_create("procfs-mp-holdings", sizeof(*holdings), &fd);

	if (error)
		return error;
	error = holdings_map(fd, &holdings);
	if (error)
		goto close_fd;
	error = begin_mutex(&holdings->mutex);
	if (error)
		goto unmap;
	holdings->fd = fd;
	holdings->limit = INT_MAX;
	holdings->most = HOLDINGS_CAPACITY;
	*out = holdings;
	return 0;
unmap:
	holdings_unmap(holdings);
close_fd:
	close(fd);
	return error;
}

void holdings_destroy(struct holdings *holdings)
{
	struct holding holding;
	uint32_t cursor = 0;

	if (!holdings)
		return;
	holdings_sweep(holdings);
	while (holdings_next(holdings, &cursor, &holding))
		close(holding.fd);
	close(holdings->fd);
	holdings_unmap(holdings);
}

int holdings_fd(const struct holdings *holdings)
{
	return holdings->fd;
}

int holdings_map(int fd, struct holdings **out)
{
	void *memory;
	int error = shared_map(fd, sizeof(**out), &memory);

	if (!error)
		*out = memory;
	return error;
}

size_t holdings_size(void)
{
	return sizeof(struct holdings);
}

void holdings_unmap(struct holdings *holdings)
{
	munmap(holdings, sizeof(*holdings));
}

void holdings_set_limit(struct holdings *holdings, int descriptors)
{
	int spare = descriptors / SPARE_PART;

	spare = spare > SPARE_MOST ? SPARE_MOST : spare < SPARE_LEAST ? SPARE_LEAST : spare;
	lock(holdings);
	holdings->limit = descriptors - LAST_FDS;
	holdings->most = descriptors > spare ? (uint32_t)(descriptors - spare) : 0;
	unlock(holdings);
}

unsigned holdings_count(struct holdings *holdings)
{
	lock(holdings);
	unsigned count = holdings->count;
	unlock(holdings);
	return count;
}

/* Result: where its index + 1 stands, 0 there: nothing is held or expected. */
static uint32_t *find(struct holdings *holdings, uint64_t id, unsigned kind)
{
	uint32_t *at = bucket_of(holdings, id, kind);

	while (*at) {
		struct holdings_entry *entry = &holdings->entries[*at - 1];

		if (entry->id == id && entry->kind == kind)
			break;
		at = &entry->next;
	}
	return at;
}

bool holdings_has_room(struct holdings *holdings, uint64_t id, unsigned kinds)
{
	unsigned more = 0;

	lock(holdings);
	for (unsigned kind = 0; kind < HOLDING_KINDS; kind++)
		more += kinds >> kind & 1 && !*find(holdings, id, kind);
	bool found = !more || holdings->count + more <= holdings->most;
	unlock(holdings);
	return found;
}

static int add(struct holdings *holdings, const struct holding *holding, enum holding_state state)
{
	struct holdings_entry *entry;
	uint32_t index = holdings->used;

	if (holdings->count >= holdings->most)
		return -EMFILE;
	if (holdings->free_head) {
		index = holdings->free_head - 1;
		holdings->free_head = holdings->entries[index].next;
	} else if (index == HOLDINGS_CAPACITY) {
		return -ENOSPC;
	} else {
		holdings->used++;
	}
	entry = &holdings->entries[index];
	entry->id = holding->id;
	entry->kind = (uint8_t)holding->kind;
	entry->fd = holding->fd;
	atomic_store(&entry->state, state);
	push(holdings, bucket_of(holdings, entry->id, entry->kind), index);
	holdings->count++;
	return 0;
}

/* Result: 0 and the descriptor that is to be closed, -1: none. */
static int keep(struct holdings *holdings, const struct holding *holding, bool expected, int *superseded)
{
	uint32_t found = *find(holdings, holding->id, holding->kind);

	*superseded = -1;
	if (!found)
		return expected ? -ENOENT : add(holdings, holding, HOLDING_HELD);
	*superseded = holdings->entries[found - 1].fd;
	holdings->entries[found - 1].fd = holding->fd;
	atomic_store(&holdings->entries[found - 1].state, HOLDING_HELD);
	return 0;
}

/* Result: the same under another number, when it can be had. */
static int lift(const struct holdings *holdings, int fd)
{
	int high = fd < HOLDINGS_FROM && HOLDINGS_FROM < holdings->limit ? fcntl(fd, F_DUPFD_CLOEXEC, HOLDINGS_FROM) : -1;

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* A program can hold its pipe, and who was to close it last may have died. fd: -1, none. */
static void close_held(enum holding_kind kind, int fd)
{
	if (fd >= 0 && kind == HOLDING_STDIN_PIPE)
		closing_begin(&fd, 1);
	else if (fd >= 0)
		close(fd);
}

static int keep_locked(struct holdings *holdings, const struct holding *holding, bool expected)
{
	/* The number is the lowest that was free. */
	bool few_left = !expected && holding->fd >= holdings->limit;
	const struct holding lifted = { holding->id, holding->kind, lift(holdings, holding->fd) };
	int superseded = -1, error;

	lock(holdings);
	error = few_left ? -EMFILE : keep(holdings, &lifted, expected, &superseded);
	unlock(holdings);
	close_held(holding->kind, error ? lifted.fd : superseded);
	return error;
}

int holdings_keep(struct holdings *holdings, const struct holding *holding)
{
	return keep_locked(holdings, holding, false);
}

int holdings_keep_expected(struct holdings *holdings, const struct holding *holding)
{
	return keep_locked(holdings, holding, true);
}

static void free_entry(struct holdings *holdings, uint32_t index)
{
	holdings->entries[index].fd = -1;
	atomic_store(&holdings->entries[index].state, HOLDING_FREE);
	push(holdings, &holdings->free_head, index);
}

static void sweep(struct holdings *holdings)
{
	uint32_t at;

	while ((at = atomic_load(&holdings->unwanted))) {
		struct holdings_entry *entry = &holdings->entries[at - 1];

		atomic_store(&holdings->unwanted, entry->next);
		close_held(entry->kind, entry->fd);
		free_entry(holdings, at - 1);
	}
}

void holdings_sweep(struct holdings *holdings)
{
	if (atomic_load(&holdings->unwanted) == 0)
		return;
	lock(holdings);
	sweep(holdings);
	unlock(holdings);
}

void holdings_let_go(struct holdings *holdings, const struct holding *over)
{
	int fds[2] = { -1, over->fd };

	lock(holdings);
	if (over->id < holdings->used && atomic_load(&holdings->entries[over->id].state) == HOLDING_ENDED) {
		fds[0] = holdings->entries[over->id].fd;
		free_entry(holdings, (uint32_t)over->id);
	}
	unlock(holdings);
	if (fds[0] >= 0)
		closing_begin(fds, 2);
	else
		close(over->fd);
}

/* Out of its list, which *at is in. */
static void take_out(struct holdings *holdings, uint32_t *at, enum holding_state state)
{
	struct holdings_entry *entry = &holdings->entries[*at - 1];

	atomic_store(&entry->state, state);
	*at = entry->next;
	holdings->count--;
}

static void drop(struct holdings *holdings, uint32_t *at)
{
	uint32_t index = *at - 1;

	take_out(holdings, at, HOLDING_UNWANTED);
	push_unwanted(holdings, index);
}

static void drop_if_ended(struct holdings *holdings, uint32_t index)
{
	if (atomic_load(&holdings->entries[index].state) != HOLDING_ENDED)
		return;
	atomic_store(&holdings->entries[index].state, HOLDING_UNWANTED);
	push_unwanted(holdings, index);
}

void holdings_settle(struct holdings *holdings)
{
	lock(holdings);
	for (uint32_t i = 0; i < holdings->used; i++) {
		const struct holdings_entry *entry = &holdings->entries[i];

		if (atomic_load(&entry->state) == HOLDING_EXPECTED && entry->fd < 0) {
			drop(holdings, find(holdings, entry->id, entry->kind));
		} else {
			drop_if_ended(holdings, i);
		}
	}
	sweep(holdings);
	unlock(holdings);
}

int holdings_expect(struct holdings *holdings, uint64_t id, enum holding_kind kind)
{
	const struct holding holding = { id, kind, -1 };
	int error = 0;

	lock(holdings);
	if (!*find(holdings, id, kind))
		error = add(holdings, &holding, HOLDING_EXPECTED);
	unlock(holdings);
	return error;
}

static void drop_kinds(struct holdings *holdings, uint64_t id, unsigned from, unsigned to)
{
	if (!holdings)
		return;
	lock(holdings);
	for (unsigned kind = from; kind <= to; kind++) {
		uint32_t *at = find(holdings, id, kind);

		if (*at)
			drop(holdings, at);
	}
	unlock(holdings);
}

void holdings_drop(struct holdings *holdings, uint64_t id, enum holding_kind kind)
{
	drop_kinds(holdings, id, kind, kind);
}

void holdings_drop_all(struct holdings *holdings, uint64_t id)
{
	drop_kinds(holdings, id, 0, HOLDING_KINDS - 1);
}

int holdings_end(struct holdings *holdings, uint64_t id, enum holding_kind kind, uint64_t *out)
{
	int error = -ENOENT;

	lock(holdings);
	uint32_t *at = find(holdings, id, kind);

	if (*at && atomic_load(&holdings->entries[*at - 1].state) == HOLDING_HELD) {
		*out = *at - 1;
		take_out(holdings, at, HOLDING_ENDED);
		error = 0;
	}
	unlock(holdings);
	return error;
}

void holdings_drop_ended(struct holdings *holdings, uint64_t ended)
{
	lock(holdings);
	drop_if_ended(holdings, (uint32_t)ended);
	unlock(holdings);
}

bool holdings_next(struct holdings *holdings, uint32_t *cursor, struct holding *out)
{
	while (*cursor < holdings->used) {
		const struct holdings_entry *entry = &holdings->entries[(*cursor)++];

		if (atomic_load(&entry->state) != HOLDING_HELD)
			continue;
		*out = (struct holding){ entry->id, (enum holding_kind)entry->kind, entry->fd };
		return true;
	}
	return false;
}
