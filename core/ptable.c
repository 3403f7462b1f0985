#include "core/ptable.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/shared.h"

/* PID_MAX_LIMIT of 64-bit kernels: no pid is greater. */
enum { PTABLE_PIDS = 4194304 };

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "processes share the words, so they must not hide a lock");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "processes share the pids, so they must not hide a lock");

/* Sparse: a page that was never touched costs nothing. */
struct ptable {
	_Atomic uint32_t used; /* entries below it have been claimed once */
	_Atomic uint32_t overflow;
	uint32_t free_head; /* the server's alone; linked through entry.run; 0 ends it */
	int32_t fd;         /* of the process that made it */
	_Atomic int32_t ready;
	struct timespec ready_since;
	struct ptable_entry entries[PTABLE_CAPACITY];
	struct ptable_end ends[PTABLE_CAPACITY];
	_Atomic uint32_t index_by_pid[PTABLE_PIDS]; /* index + 1; 0 is none */
};

static uint64_t word_of(uint64_t generation, enum ptable_state state)
{
	return generation << 8 | (uint64_t)state;
}

static enum ptable_state state_in(uint64_t word)
{
	return (enum ptable_state)(word & 0xff);
}

static bool is_live(enum ptable_state state)
{
	return state == PTABLE_CLAIMED || state == PTABLE_LAUNCHING || state == PTABLE_RUNNING;
}

static bool is_final(enum ptable_state state)
{
	return state == PTABLE_FAILED || state == PTABLE_ENDED;
}

int ptable_create(struct ptable **out)
{
	int fd, error = shared_create("procfs-mp-table", sizeof(**out), &fd);

	if (error)
		return error;
	error = ptable_map(fd, out);
	if (error) {
		close(fd);
		return error;
	}
	(*out)->fd = fd;
	atomic_store(&(*out)->used, PTABLE_COMMAND + 1);
	return 0;
}

void ptable_destroy(struct ptable *table)
{
	if (!table)
		return;
	close(table->fd);
	ptable_unmap(table);
}

int ptable_fd(const struct ptable *table)
{
	return table->fd;
}

int ptable_map(int fd, struct ptable **out)
{
	void *memory;
	int error = shared_map(fd, sizeof(**out), &memory);

	if (!error)
		*out = memory;
	return error;
}

size_t ptable_size(void)
{
	return sizeof(struct ptable);
}

void ptable_unmap(struct ptable *table)
{
	munmap(table, sizeof(*table));
}

void ptable_recover(struct ptable *table)
{
	uint32_t head = 0;

	/* From the last to the first, so that the lowest are claimed first. */
	for (uint32_t index = atomic_load(&table->used); --index > PTABLE_COMMAND;) {
		if (state_in(atomic_load(&table->entries[index].word)) != PTABLE_FREE)
			continue;
		table->entries[index].run = head;
		head = index;
	}
	table->free_head = head;
}

void ptable_set_ready(struct ptable *table, pid_t pid)
{
	clock_gettime(CLOCK_MONOTONIC, &table->ready_since);
	atomic_store(&table->ready, pid);
}

pid_t ptable_ready(const struct ptable *table, struct timespec *since)
{
	pid_t pid = atomic_load(&table->ready);

	*since = table->ready_since;
	return pid;
}

struct ptable_entry *ptable_at(struct ptable *table, uint32_t index)
{
	assert(index < PTABLE_CAPACITY);
	return &table->entries[index];
}

struct ptable_end *ptable_end_at(struct ptable *table, uint32_t index)
{
	assert(index < PTABLE_CAPACITY);
	return &table->ends[index];
}

static int take_free(struct ptable *table, uint32_t *out)
{
	uint32_t index = table->free_head;

	if (index != 0) {
		table->free_head = table->entries[index].run;
		*out = index;
		return 0;
	}
	index = atomic_load(&table->used);
	if (index == PTABLE_CAPACITY)
		return -EAGAIN;
	atomic_store(&table->used, index + 1);
	*out = index;
	return 0;
}

int ptable_claim(struct ptable *table, uint64_t id, uint32_t run, struct ptable_ref *out)
{
	struct ptable_entry *entry;
	struct ptable_ref ref;
	int error = take_free(table, &ref.index);

	if (error)
		return error;
	entry = ptable_at(table, ref.index);
	ref.generation = (atomic_load(&entry->word) >> 8) + 1;
	atomic_store(&entry->pid, 0);
	entry->run = run;
	entry->id = id;
	entry->error = 0;
	entry->step = 0;
	atomic_store(&entry->stopped, false);
	entry->status = 0;
	entry->candidate = 0;
	entry->started = (struct timespec){ .tv_sec = 0 };
	atomic_store(&entry->word, word_of(ref.generation, PTABLE_CLAIMED));
	*out = ref;
	return 0;
}

void ptable_release(struct ptable *table, struct ptable_ref ref)
{
	struct ptable_entry *entry = ptable_at(table, ref.index);

	if (!ptable_step(table, ref, PTABLE_ENDED, PTABLE_FREE) && !ptable_step(table, ref, PTABLE_FAILED, PTABLE_FREE))
		return;
	if (ref.index == PTABLE_COMMAND)
		return;
	entry->run = table->free_head;
	table->free_head = ref.index;
}

enum ptable_state ptable_state(struct ptable *table, struct ptable_ref ref)
{
	uint64_t word = atomic_load(&ptable_at(table, ref.index)->word);

	return word >> 8 == ref.generation ? state_in(word) : PTABLE_FREE;
}

struct ptable_ref ptable_ref_at(struct ptable *table, uint32_t index)
{
	return (struct ptable_ref){ index, atomic_load(&ptable_at(table, index)->word) >> 8 };
}

pid_t ptable_pid(struct ptable *table, struct ptable_ref ref)
{
	pid_t pid = atomic_load(&ptable_at(table, ref.index)->pid);

	/* Read before the state: were it read after, it could be the next launch's. */
	return ptable_state(table, ref) == PTABLE_FREE ? 0 : pid;
}

bool ptable_step(struct ptable *table, struct ptable_ref ref, enum ptable_state from, enum ptable_state to)
{
	uint64_t expected = word_of(ref.generation, from);

	return atomic_compare_exchange_strong(&ptable_at(table, ref.index)->word, &expected,
					      word_of(ref.generation, to));
}

void ptable_bind_pid(struct ptable *table, pid_t pid, uint32_t index)
{
	if (pid > 0 && pid < PTABLE_PIDS)
		atomic_store(&table->index_by_pid[pid], index + 1);
}

bool ptable_find_pid(struct ptable *table, pid_t pid, struct ptable_ref *out)
{
	uint32_t found = 0;

	if (pid > 0 && pid < PTABLE_PIDS)
		found = atomic_load(&table->index_by_pid[pid]);
	if (found == 0)
		return false;
	*out = ptable_ref_at(table, found - 1);
	return true;
}

void ptable_unbind_pid(struct ptable *table, pid_t pid)
{
	if (pid > 0 && pid < PTABLE_PIDS)
		atomic_store(&table->index_by_pid[pid], 0);
}

void ptable_set_stopped(struct ptable *table, struct ptable_ref ref, bool stopped)
{
	atomic_store(&ptable_at(table, ref.index)->stopped, stopped);
}

bool ptable_is_stopped(struct ptable *table, struct ptable_ref ref)
{
	bool stopped = atomic_load(&ptable_at(table, ref.index)->stopped);
	enum ptable_state state = ptable_state(table, ref); /* afterwards, as in ptable_pid() */

	return stopped && (state == PTABLE_LAUNCHING || state == PTABLE_RUNNING);
}

int ptable_signal(struct ptable *table, struct ptable_ref ref, int signal_number)
{
	pid_t pid = ptable_pid(table, ref);
	int pidfd, error = 0;

	if (pid == 0 || !is_live(ptable_state(table, ref)))
		return -ESRCH;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		error = -errno;
	/* Still live here means not reaped when pidfd_open looked the pid up, so the pidfd is our child's. */
	if (!is_live(ptable_state(table, ref)))
		error = -ESRCH;
	else if (!error && syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) < 0)
		error = -errno;
	if (pidfd >= 0)
		close(pidfd);
	return error;
}

static bool next_where(struct ptable *table, uint32_t *cursor, struct ptable_ref *out, bool (*wanted)(enum ptable_state))
{
	uint32_t used = atomic_load(&table->used);

	while (*cursor < used) {
		uint32_t index = (*cursor)++;
		uint64_t word = atomic_load(&table->entries[index].word);

		if (wanted(state_in(word))) {
			*out = (struct ptable_ref){ index, word >> 8 };
			return true;
		}
	}
	return false;
}

bool ptable_next_finished(struct ptable *table, uint32_t *cursor, struct ptable_ref *out)
{
	return next_where(table, cursor, out, is_final);
}

bool ptable_next_live(struct ptable *table, uint32_t *cursor, struct ptable_ref *out)
{
	return next_where(table, cursor, out, is_live);
}

void ptable_set_overflow(struct ptable *table)
{
	atomic_store(&table->overflow, 1);
}

bool ptable_take_overflow(struct ptable *table)
{
	return atomic_exchange(&table->overflow, 0) != 0;
}
