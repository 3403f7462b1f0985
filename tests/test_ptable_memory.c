/* The table as memory that two processes map, one of which may be killed in it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/table.h"

static void an_overflow_is_taken_once_in_whatever_process_it_was_set(void **state)
{
	struct ptable *table = *state;
	pid_t pid;

	assert_false(ptable_take_overflow(table));
	pid = fork();
	if (pid == 0) {
		ptable_set_overflow(table);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(ptable_take_overflow(table));
	assert_false(ptable_take_overflow(table));
}

static void what_one_process_writes_the_other_reads(void **state)
{
	struct ptable *table = *state;
	struct ptable_ref ref = claim(table), found;
	pid_t pid = fork();

	if (pid == 0) {
		ptable_bind_pid(table, getpid(), ref.index);
		ptable_at(table, ref.index)->status = 42;
		_exit(!ptable_step(table, ref, PTABLE_CLAIMED, PTABLE_ENDED));
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(ptable_state(table, ref), PTABLE_ENDED);
	assert_int_equal(ptable_at(table, ref.index)->status, 42);
	assert_true(ptable_find_pid(table, pid, &found));
	assert_int_equal(found.index, ref.index);
}

static void who_maps_the_tables_descriptor_sees_the_same_entries(void **state)
{
	struct ptable *table = *state, *mapped;
	struct ptable_ref ref = claim(table), next;
	int descriptor = ptable_fd(table), ends[2];

	assert_int_equal(fcntl(descriptor, F_GETFD), FD_CLOEXEC);
	assert_int_equal(ptable_map(descriptor, &mapped), 0);
	assert_ptr_not_equal(mapped, table);
	assert_int_equal(ptable_state(mapped, ref), PTABLE_CLAIMED);
	assert_true(ptable_step(mapped, ref, PTABLE_CLAIMED, PTABLE_LAUNCHING));
	assert_int_equal(ptable_state(table, ref), PTABLE_LAUNCHING);
	assert_int_equal(ptable_claim(mapped, 2, 1, &next), 0);
	assert_int_not_equal(next.index, ref.index);
	ptable_unmap(mapped);
	assert_int_equal(ptable_state(table, next), PTABLE_CLAIMED);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(ptable_map(ends[0], &mapped), -EINVAL);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(ptable_map(ends[0], &mapped), -EBADF);
}

static void a_table_made_under_a_small_limit_of_file_sizes_is_whole_and_the_limit_stays(void **state)
{
	struct rlimit before, small, after;
	struct ptable *table;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 4096, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(ptable_create(&table), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &after), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(after.rlim_cur, 4096);
	ptable_at(table, PTABLE_CAPACITY - 1)->id = 5;
	ptable_destroy(table);
}

static void a_hard_limit_of_file_sizes_below_the_table_gives_efbig(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct ptable *table;

		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, 4096 });
		_exit(ptable_create(&table) != -EFBIG);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static size_t kib_of(const struct ptable *table)
{
	struct stat st;

	assert_int_equal(fstat(ptable_fd(table), &st), 0);
	return (size_t)st.st_blocks / 2;
}

static void a_launch_takes_few_bytes_until_it_ends(void **state)
{
	enum { LAUNCHES = 10000, EACH = 64 };
	struct ptable *table = *state;
	size_t before = kib_of(table);

	for (int i = 0; i < LAUNCHES; i++) {
		struct ptable_ref ref = claim(table);

		assert_true(ptable_step(table, ref, PTABLE_CLAIMED, PTABLE_RUNNING));
	}
	assert_true(kib_of(table) - before <= LAUNCHES * EACH / 1024);
}

/* What a server leaves that is killed in the middle of a claim or a release. */
static void recovery_makes_every_free_entry_claimable_and_leaves_the_others_alone(void **state)
{
	enum { ENTRIES = 12 };
	struct ptable *table = *state;
	struct ptable_ref refs[ENTRIES], found;
	uint32_t free_count = 0;

	for (int i = 0; i < ENTRIES; i++)
		refs[i] = claim(table);
	for (int i = 0; i < ENTRIES; i++)
		ptable_step(table, refs[i], PTABLE_CLAIMED, every_state[i % STATES]);
	ptable_recover(table);
	for (int i = 0; i < ENTRIES; i++) {
		if (every_state[i % STATES] == PTABLE_FREE)
			free_count++;
		else
			assert_int_equal(ptable_state(table, refs[i]), every_state[i % STATES]);
	}
	assert_int_equal(free_count, 2);
	for (uint32_t i = 0; i < free_count; i++) {
		found = claim(table);
		assert_int_equal(found.index, refs[i * STATES].index);
		assert_int_equal(found.generation, refs[i * STATES].generation + 1);
	}
	assert_int_equal(claim(table).index, refs[ENTRIES - 1].index + 1);
	ptable_recover(table);
	assert_int_equal(claim(table).index, refs[ENTRIES - 1].index + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_overflow_is_taken_once_in_whatever_process_it_was_set),
		TEST(what_one_process_writes_the_other_reads),
		TEST(who_maps_the_tables_descriptor_sees_the_same_entries),
		TEST(a_table_made_under_a_small_limit_of_file_sizes_is_whole_and_the_limit_stays),
		TEST(a_hard_limit_of_file_sizes_below_the_table_gives_efbig),
		TEST(a_launch_takes_few_bytes_until_it_ends),
		TEST(recovery_makes_every_free_entry_claimable_and_leaves_the_others_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
