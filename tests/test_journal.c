/* The last record put under a key counts, what was not committed never was, and a compaction changes nothing that counts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/journal.h"
#include "core/text.h"

static struct journal *open_journal(int fd)
{
	struct journal *journal;
	assert_int_equal(journal_open(fd, &journal), 0);
	return journal;
}

static void put(struct journal *journal, enum record_kind kind, uint64_t key, const char *string)
{
	assert_int_equal(journal_put(journal, &(struct record){ kind, key, string, strlen(string) }), 0);
}

static int write_down(void *context, const struct record *record)
{
	text_printf(context, "%d.%d=%.*s ", record->kind, (int)record->key, (int)record->size, (const char *)record->bytes);
	return 0;
}

static void expect(int fd, const char *expected)
{
	struct journal *journal = open_journal(fd);
	struct text text = {0};
	text_add(&text, "");
	assert_int_equal(journal_replay(journal, write_down, &text), 0);
	char *found = text_take(&text, NULL);
	assert_string_equal(found, expected);
	free(found);
	journal_close(journal);
}

static void the_last_record_of_a_key_counts_in_the_order_of_kinds(void **state)
{
	(void)state;
	int fd = journal_make();
	struct journal *journal = open_journal(fd);
	assert_true(journal_is_empty(journal));
	put(journal, RECORD_HANDLE, 1, "handle");
	put(journal, RECORD_PROCESS, 2, "old");
	put(journal, RECORD_PROCESS, 1, "");
	put(journal, RECORD_PROCESS, 2, "new");
	put(journal, RECORD_PROCESS, 3, "gone");
	journal_remove(journal, RECORD_PROCESS, 3);
	assert_true(journal_has_changes(journal));
	journal_commit(journal);
	assert_false(journal_has_changes(journal));
	assert_false(journal_is_empty(journal));
	journal_close(journal);
	expect(fd, "4.1= 4.2=new 9.1=handle ");
	close(fd);
}

static void what_was_not_committed_never_was(void **state)
{
	(void)state;
	int fd = journal_make();
	struct journal *journal = open_journal(fd);
	put(journal, RECORD_USER, 1, "a");
	journal_commit(journal);
	put(journal, RECORD_USER, 1, "b");
	put(journal, RECORD_USER, 2, "c");
	journal_close(journal);
	expect(fd, "2.1=a ");
	journal = open_journal(fd);
	put(journal, RECORD_USER, 2, "d");
	journal_commit(journal);
	journal_close(journal);
	expect(fd, "2.1=a 2.2=d ");
	close(fd);
}

static void fill(struct journal *journal)
{
	char bytes[1000];
	memset(bytes, 'x', sizeof bytes);
	while (!journal_wants_compaction(journal)) {
		assert_int_equal(journal_put(journal, &(struct record){ RECORD_PROCESS, 7, bytes, sizeof bytes }), 0);
		journal_commit(journal);
	}
}

static void a_compaction_that_ends_takes_the_place(void **state)
{
	(void)state;
	int fd = journal_make();
	struct journal *journal = open_journal(fd);
	for (int i = 0; i < 3; i++) {
		fill(journal);
		journal_begin_compaction(journal);
		put(journal, RECORD_PROCESS, 7, "all");
		journal_end_compaction(journal);
		assert_false(journal_wants_compaction(journal));
		put(journal, RECORD_PROCESS, 8, i % 2 ? "odd" : "even");
		journal_commit(journal);
	}
	journal_close(journal);
	expect(fd, "4.7=all 4.8=even ");
	close(fd);
}

static void a_compaction_that_never_ended_has_changed_nothing(void **state)
{
	(void)state;
	int fd = journal_make();
	struct journal *journal = open_journal(fd);
	put(journal, RECORD_PROCESS, 7, "kept");
	journal_commit(journal);
	journal_begin_compaction(journal);
	put(journal, RECORD_PROCESS, 7, "half");
	journal_close(journal);
	expect(fd, "4.7=kept ");
	journal = open_journal(fd);
	journal_begin_compaction(journal);
	put(journal, RECORD_PROCESS, 7, "half");
	journal_abandon_compaction(journal);
	put(journal, RECORD_PROCESS, 9, "after");
	journal_commit(journal);
	journal_close(journal);
	expect(fd, "4.7=kept 4.9=after ");
	close(fd);
}

static void a_record_that_is_written_where_it_lies_is_as_any_other(void **state)
{
	(void)state;
	int fd = journal_make();
	struct journal *journal = open_journal(fd);
	put(journal, RECORD_USER, 1, "first");
	text_add(journal_begin_record(journal), "never ended");
	struct text *text = journal_begin_record(journal);
	text_add(text, "in ");
	text_printf(text, "%s", "place");
	assert_int_equal(journal_end_record(journal, RECORD_USER, 2), 0);
	journal_begin_record(journal);
	assert_int_equal(journal_end_record(journal, RECORD_USER, 3), 0);
	put(journal, RECORD_USER, 4, "last");
	journal_commit(journal);
	text_add(journal_begin_record(journal), "not ended either");
	assert_false(journal_has_changes(journal));
	journal_commit(journal);
	journal_close(journal);
	expect(fd, "2.1=first 2.2=in place 2.3= 2.4=last ");
	close(fd);
}

static void put_too_much(struct journal *journal)
{
	assert_int_equal(journal_put(journal, &(struct record){ RECORD_USER, 1, "", (size_t)UINT32_MAX + 1 }), -ENOSPC);
	assert_false(journal_is_whole(journal));
	assert_true(journal_has_changes(journal));
}

static void what_was_committed_counts_until_a_journal_that_lacks_something_is_whole_again(void **state)
{
	(void)state;
	int fd = journal_make();
	struct journal *journal = open_journal(fd);
	put(journal, RECORD_USER, 1, "before");
	journal_commit(journal);
	put(journal, RECORD_USER, 2, "with it");
	put_too_much(journal);
	journal_commit(journal);
	assert_int_equal(journal_remove(journal, RECORD_USER, 1), -ENOSPC);
	journal_commit(journal);
	expect(fd, "2.1=before ");
	for (int i = 0; i < 2; i++) {
		journal_begin_compaction(journal);
		put(journal, RECORD_USER, 2, "half");
		put_too_much(journal);
		journal_end_compaction(journal);
		assert_false(journal_is_whole(journal));
		assert_false(journal_has_changes(journal));
		expect(fd, "2.1=before ");
	}
	journal_begin_compaction(journal);
	put(journal, RECORD_USER, 2, "all");
	journal_end_compaction(journal);
	assert_true(journal_is_whole(journal));
	expect(fd, "2.2=all ");
	put(journal, RECORD_USER, 3, "after");
	journal_commit(journal);
	journal_close(journal);
	expect(fd, "2.2=all 2.3=after ");
	close(fd);
}

static void a_file_that_is_none_is_refused(void **state)
{
	(void)state;
	struct journal *journal;
	int fd = journal_make();
	assert_int_equal(pwrite(fd, "other", 5, 0), 5);
	assert_int_equal(journal_open(fd, &journal), -EPROTO);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(journal_open(fd, &journal), -EPROTO);
	close(fd);
	assert_int_equal(journal_open(fd, &journal), -EBADF);
}

static int refuse_all(void *context, const struct record *record)
{
	(void)context;
	(void)record;
	return -ENOMEM;
}

static void a_replay_ends_with_the_first_refusal(void **state)
{
	(void)state;
	int fd = journal_make();
	struct journal *journal = open_journal(fd);
	put(journal, RECORD_USER, 1, "a");
	journal_commit(journal);
	assert_int_equal(journal_replay(journal, refuse_all, NULL), -ENOMEM);
	journal_close(journal);
	close(fd);
}

/* As a torn page or a flipped bit may have it: more is said to count than was ever put. */
static void what_was_never_written_is_no_record(void **state)
{
	(void)state;
	enum { OF_THE_FIRST_HALF = 16 };
	uint64_t committed;
	struct text text = {0};
	int fd = journal_make();
	struct journal *journal = open_journal(fd);
	put(journal, RECORD_USER, 1, "a");
	journal_commit(journal);
	journal_close(journal);
	assert_int_equal(pread(fd, &committed, sizeof committed, OF_THE_FIRST_HALF), sizeof committed);
	assert_int_equal(committed, 16 + 8);
	committed += 64;
	assert_int_equal(pwrite(fd, &committed, sizeof committed, OF_THE_FIRST_HALF), sizeof committed);
	journal = open_journal(fd);
	assert_int_equal(journal_replay(journal, write_down, &text), -EPROTO);
	assert_int_equal(text.size, 0);
	journal_close(journal);
	text_finish(&text);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_record_of_a_key_counts_in_the_order_of_kinds),
		cmocka_unit_test(what_was_not_committed_never_was),
		cmocka_unit_test(a_compaction_that_ends_takes_the_place),
		cmocka_unit_test(a_compaction_that_never_ended_has_changed_nothing),
		cmocka_unit_test(a_record_that_is_written_where_it_lies_is_as_any_other),
		cmocka_unit_test(what_was_committed_counts_until_a_journal_that_lacks_something_is_whole_again),
		cmocka_unit_test(a_file_that_is_none_is_refused),
		cmocka_unit_test(a_replay_ends_with_the_first_refusal),
		cmocka_unit_test(what_was_never_written_is_no_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
