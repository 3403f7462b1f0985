/* Whose turn it is, and what waits for one. No time is measured: what was done last is said to have taken an hour, or nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fs/costly.h"

enum { MOST = 16, ALICE = 1, BOB, CAROL };

#define AN_HOUR (UINT64_C(3600) * 1000000000)

struct one {
	struct waiter waiter; /* first */
	struct turn turn;
	char name;
	struct house *house;
	bool does_nothing;
	struct one *next; /* who waits when its turn is over; NULL: nobody more */
};

struct house {
	uv_loop_t loop;
	struct costly costly;
	struct one ones[MOST];
	size_t count;
	char served[MOST + 1];
};

/* It takes its turn, and its cost is over with it. */
static void on_turn(struct waiter *waiter, int error)
{
	struct one *one = (struct one *)waiter;
	struct house *house = one->house;

	assert_int_equal(error, 0);
	assert_false(one->turn.waits);
	house->served[strlen(house->served)] = one->name;
	if (one->does_nothing)
		return;
	assert_false(house->costly.is_begun);
	costly_begin(&house->costly, one->turn.uid);
	assert_false(costly_is_free(&house->costly));
	costly_end(&house->costly);
	house->costly.free = 0;
	if (one->next && strlen(house->served) < MOST - 1)
		costly_wait(&house->costly, &one->next->turn);
}

static struct one *add(struct house *house, uid_t uid, char name)
{
	struct one *one = &house->ones[house->count++];

	*one = (struct one){ .waiter.on_done = on_turn, .turn = { .uid = uid, .waiter = &one->waiter }, .name = name, .house = house };
	return one;
}

static struct one *wait_as(struct house *house, uid_t uid, char name)
{
	struct one *one = add(house, uid, name);

	costly_wait(&house->costly, &one->turn);
	return one;
}

static int setup(void **state)
{
	struct house *house = calloc(1, sizeof *house);

	if (!house || uv_loop_init(&house->loop))
		return -1;
	costly_init(&house->costly, &house->loop);
	*state = house;
	return 0;
}

static int teardown(void **state)
{
	struct house *house = *state;

	costly_close(&house->costly);
	uv_run(&house->loop, UV_RUN_DEFAULT);
	int error = uv_loop_close(&house->loop);
	free(house);
	return error;
}

/* Somebody's has just been done, and took an hour. */
static void take_long(struct house *house, uid_t uid)
{
	costly_begin(&house->costly, uid);
	costly_end(&house->costly);
	house->costly.free = uv_hrtime() + AN_HOUR;
}

/* The hour is over; all who wait get their turn. */
static void serve(struct house *house)
{
	house->costly.free = 0;
	costly_begin(&house->costly, house->costly.served[0]);
	costly_end(&house->costly);
	house->costly.free = 0;
	uv_run(&house->loop, UV_RUN_DEFAULT);
}

static void it_is_begun_at_once_when_nothing_was_done_a_moment_ago(void **state)
{
	struct house *house = *state;

	assert_true(costly_is_free(&house->costly));
	costly_begin(&house->costly, ALICE);
	assert_false(costly_is_free(&house->costly));
	costly_end(&house->costly);
	house->costly.free = uv_hrtime();
	assert_true(costly_is_free(&house->costly));
	costly_end(&house->costly);
	assert_true(costly_is_free(&house->costly));
}

static void what_took_long_is_followed_by_as_long_a_pause(void **state)
{
	struct house *house = *state;

	costly_begin(&house->costly, ALICE);
	house->costly.began -= AN_HOUR;
	costly_end(&house->costly);
	assert_true(house->costly.free >= uv_hrtime() + AN_HOUR / 2);
	assert_false(costly_is_free(&house->costly));
	wait_as(house, BOB, 'b');
	uv_run(&house->loop, UV_RUN_NOWAIT);
	assert_string_equal(house->served, "");
	serve(house);
	assert_string_equal(house->served, "b");
	assert_true(costly_is_free(&house->costly));
}

static void another_user_comes_before_the_same_user_again(void **state)
{
	struct house *house = *state;

	take_long(house, ALICE);
	for (const char *name = "123"; *name; name++)
		wait_as(house, ALICE, *name);
	wait_as(house, BOB, 'b');
	wait_as(house, CAROL, 'c');
	wait_as(house, BOB, 'B');
	assert_false(costly_is_free(&house->costly));
	serve(house);
	assert_string_equal(house->served, "bc1B23");
}

static void two_who_come_again_after_each_other_do_not_starve_a_third(void **state)
{
	struct house *house = *state;
	struct one *bob, *carol;

	take_long(house, BOB);
	wait_as(house, ALICE, '1');
	wait_as(house, ALICE, '2');
	bob = add(house, BOB, 'b');
	carol = wait_as(house, CAROL, 'c');
	bob->next = carol;
	carol->next = bob;
	serve(house);
	assert_non_null(strchr(house->served, '2'));
	assert_true(strchr(house->served, '2') - house->served < 6);
}

static void of_one_user_the_first_comes_first(void **state)
{
	struct house *house = *state;

	take_long(house, BOB);
	for (const char *name = "12345"; *name; name++)
		wait_as(house, ALICE, *name);
	serve(house);
	assert_string_equal(house->served, "12345");
}

static void who_leaves_is_not_told_and_the_next_one_is(void **state)
{
	struct house *house = *state;
	struct one *first, *second;

	take_long(house, BOB);
	first = wait_as(house, ALICE, '1');
	second = wait_as(house, ALICE, '2');
	wait_as(house, ALICE, '3')->does_nothing = true;
	wait_as(house, ALICE, '4');
	costly_leave(&house->costly, &first->turn);
	costly_leave(&house->costly, &first->turn);
	assert_false(first->turn.waits);
	assert_true(second->turn.waits);
	serve(house);
	assert_string_equal(house->served, "234");
	costly_leave(&house->costly, &second->turn);
	assert_true(costly_is_free(&house->costly));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_begun_at_once_when_nothing_was_done_a_moment_ago, setup, teardown),
		cmocka_unit_test_setup_teardown(what_took_long_is_followed_by_as_long_a_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(another_user_comes_before_the_same_user_again, setup, teardown),
		cmocka_unit_test_setup_teardown(two_who_come_again_after_each_other_do_not_starve_a_third, setup, teardown),
		cmocka_unit_test_setup_teardown(of_one_user_the_first_comes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(who_leaves_is_not_told_and_the_next_one_is, setup, teardown),
	};

	return cmocka_run_group_tests_name("costly", tests, NULL, NULL);
}
