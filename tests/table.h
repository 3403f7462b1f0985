/*
 * table: a table of launches for each claim, for the tests of core/ptable.
 */
#ifndef PROCFS_MP_TESTS_TABLE_H
#define PROCFS_MP_TESTS_TABLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/ptable.h"

static const enum ptable_state every_state[] = {
	PTABLE_FREE, PTABLE_CLAIMED, PTABLE_LAUNCHING, PTABLE_RUNNING, PTABLE_FAILED, PTABLE_ENDED,
};
enum { STATES = sizeof(every_state) / sizeof(every_state[0]) };

static inline int setup(void **state)
{
	struct ptable *table;

	if (ptable_create(&table))
		return -1;
	*state = table;
	return 0;
}

static inline int teardown(void **state)
{
	ptable_destroy(*state);
	return 0;
}

static inline struct ptable_ref claim(struct ptable *table)
{
	struct ptable_ref ref;

	assert_int_equal(ptable_claim(table, 1, 1, &ref), 0);
	return ref;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
