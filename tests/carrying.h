/*
 * carrying: a porter in a test's loop.
 */
#ifndef PROCFS_MP_TESTS_CARRYING_H
#define PROCFS_MP_TESTS_CARRYING_H

#include "support.h"

#include "core/porter.h"

static inline void porter_is_gone(void *context)
{
	(void)context;
	fail_msg("the porter is gone");
}

/* porter_detach() and porter_destroy() end it. */
static inline struct porter *begin_porter(uv_loop_t *loop)
{
	struct porter *porter;

	assert_int_equal(porter_create(NULL, &porter), 0);
	assert_int_equal(porter_attach(porter, loop, porter_is_gone, NULL), 0);
	return porter;
}

#endif
