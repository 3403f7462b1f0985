#include "world.h"

#include "core/locks.h"

static struct lock *make(struct locks *locks, const char *name)
{
	struct refusal why;
	struct lock *lock = NULL;

	assert_int_equal(locks_make(locks, name, &why, &lock), 0);
	assert_string_equal(lock->name, name);
	return lock;
}

static void a_lock_is_found_by_name_and_by_id(void **state)
{
	struct locks locks = {0};

	(void)state;
	assert_null(locks_by_name(&locks, "a"));
	assert_null(locks_by_id(&locks, 1));
	struct lock *a = make(&locks, "a"), *b = make(&locks, "b");
	assert_ptr_equal(locks_by_name(&locks, "a"), a);
	assert_ptr_equal(locks_by_name(&locks, "b"), b);
	assert_ptr_equal(locks_by_id(&locks, a->id), a);
	assert_ptr_equal(locks_by_id(&locks, b->id), b);
	assert_int_not_equal(a->id, b->id);
	assert_true(a->created.tv_sec > 0);
	locks_finish(&locks);
}

static void names_are_bounded_and_each_is_one(void **state)
{
	char name[NAME_MAX + 2];
	struct locks locks = {0};
	struct refusal why;
	struct lock *lock;

	(void)state;
	memset(name, 'n', sizeof name - 1);
	name[NAME_MAX + 1] = '\0';
	assert_int_equal(locks_make(&locks, name, &why, &lock), -ENAMETOOLONG);
	assert_non_null(strstr(why.sentence, "255"));
	make(&locks, name + 1);
	assert_int_equal(locks_make(&locks, name + 1, &why, &lock), -EEXIST);
	locks_finish(&locks);
}

static void there_is_an_end_to_their_number(void **state)
{
	char name[16];
	struct locks locks = {0};
	struct refusal why;
	struct lock *lock;

	(void)state;
	for (int i = 0; i < LOCKS_MOST; i++) {
		snprintf(name, sizeof name, "%d", i);
		make(&locks, name);
	}
	assert_int_equal(locks_make(&locks, "more", &why, &lock), -ENOSPC);
	assert_non_null(strstr(why.sentence, "65536"));
	locks_remove(&locks, locks_by_name(&locks, "17"));
	make(&locks, "more");
	locks_finish(&locks);
}

static void a_removed_name_is_free_and_its_id_never_another_locks(void **state)
{
	struct locks locks = {0};

	(void)state;
	uint64_t id = make(&locks, "a")->id;
	locks_remove(&locks, locks_by_name(&locks, "a"));
	assert_null(locks_by_name(&locks, "a"));
	assert_null(locks_by_id(&locks, id));
	assert_true(make(&locks, "a")->id > id);
	locks_finish(&locks);
}

static void one_that_is_open_lives_until_its_last_close(void **state)
{
	struct locks locks = {0};

	(void)state;
	struct lock *old = make(&locks, "a");
	uint64_t id = old->id;
	locks_open(old);
	locks_open(old);
	locks_remove(&locks, old);
	assert_null(locks_by_name(&locks, "a"));
	struct lock *new = make(&locks, "a");
	assert_ptr_equal(locks_by_id(&locks, id), old);
	assert_true(old->removed && !new->removed);
	locks_close(&locks, old);
	assert_ptr_equal(locks_by_id(&locks, id), old);
	locks_close(&locks, old);
	assert_null(locks_by_id(&locks, id));
	locks_open(new);
	locks_close(&locks, new);
	assert_ptr_equal(locks_by_name(&locks, "a"), new);
	locks_finish(&locks);
}

static void a_listing_goes_on_behind_what_was_removed(void **state)
{
	struct locks locks = {0};

	(void)state;
	assert_null(locks_after(&locks, 0));
	struct lock *a = make(&locks, "a"), *b = make(&locks, "b"), *c = make(&locks, "c");
	assert_ptr_equal(locks_after(&locks, 0), a);
	assert_ptr_equal(locks_next(a), b);
	uint64_t id = b->id;
	locks_open(b);
	locks_remove(&locks, b);
	assert_ptr_equal(locks_after(&locks, id), c);
	assert_ptr_equal(locks_after(&locks, a->id), c);
	assert_ptr_equal(locks_next(a), c);
	assert_null(locks_next(c));
	assert_null(locks_after(&locks, c->id));
	locks_close(&locks, b);
	locks_finish(&locks);
}

/* In the order of their making, with an id that was never given before. */
static void locks_come_back_as_they_were_with_those_that_are_removed_and_open(void **state)
{
	struct locks locks = {0}, again = {0};
	struct text kept = {0};
	struct record_reader from;
	struct lock *a, *b, *old, *found;

	(void)state;
	old = make(&locks, "a");
	locks_open(old);
	locks_remove(&locks, old);
	b = make(&locks, "b\n");
	a = make(&locks, "a");
	a->owner = 1000;
	a->group = (gid_t)-1;
	lock_pack(old, &kept);
	lock_pack(b, &kept);
	lock_pack(a, &kept);
	from = (struct record_reader){ kept.data, kept.data + kept.size, false, false };
	assert_int_equal(lock_unpack(&again, &from, NULL), 0);
	assert_int_equal(lock_unpack(&again, &from, &found), 0);
	assert_ptr_equal(found, locks_by_name(&again, "b\n"));
	assert_int_equal(lock_unpack(&again, &from, NULL), 0);
	assert_ptr_equal(from.at, from.end);
	found = locks_by_id(&again, old->id);
	assert_true(found->removed && !found->opens);
	found = locks_by_name(&again, "a");
	assert_true(found->id == a->id && found->owner == 1000 && found->group == (gid_t)-1 && !found->removed);
	assert_true(found->created.tv_sec == a->created.tv_sec && found->created.tv_nsec == a->created.tv_nsec);
	assert_ptr_equal(locks_next(locks_by_name(&again, "b\n")), found);
	assert_true(make(&again, "c")->id > a->id);
	/* As the handles that have it open say. */
	found = locks_by_id(&again, old->id);
	locks_open(found);
	locks_close(&again, found);
	assert_null(locks_by_id(&again, old->id));
	locks_close(&locks, old);
	text_finish(&kept);
	locks_finish(&locks);
	locks_finish(&again);
}

static void what_is_cut_or_there_already_is_no_lock(void **state)
{
	struct locks locks = {0};
	struct text kept = {0};

	(void)state;
	lock_pack(make(&locks, "a"), &kept);
	for (size_t size = 0; size < kept.size; size++)
		assert_int_equal(lock_unpack(&(struct locks){0}, &(struct record_reader){ kept.data, kept.data + size, false, false }, NULL),
				 -EPROTO);
	assert_int_equal(lock_unpack(&locks, &(struct record_reader){ kept.data, kept.data + kept.size, false, false }, NULL), -EEXIST);
	text_finish(&kept);
	locks_finish(&locks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_is_found_by_name_and_by_id),
		cmocka_unit_test(names_are_bounded_and_each_is_one),
		cmocka_unit_test(there_is_an_end_to_their_number),
		cmocka_unit_test(a_removed_name_is_free_and_its_id_never_another_locks),
		cmocka_unit_test(one_that_is_open_lives_until_its_last_close),
		cmocka_unit_test(a_listing_goes_on_behind_what_was_removed),
		cmocka_unit_test(locks_come_back_as_they_were_with_those_that_are_removed_and_open),
		cmocka_unit_test(what_is_cut_or_there_already_is_no_lock),
	};

	return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
