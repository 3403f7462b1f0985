/* Every request that nobody has answered is interrupted, and no other. */
#include <errno.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/underway.h"

enum { SLOTS = 4 };

/* The sum of the uniques that are interrupted by a new server that finds these slots. */
static uint64_t interrupted(uint64_t *slots)
{
	struct fuse_out_header reply;
	struct underway later;
	uint64_t sum = 0;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	underway_init(&later, slots, SLOTS * sizeof *slots);
	underway_interrupt(&later, ends[0]);
	while (recv(ends[1], &reply, sizeof reply, MSG_DONTWAIT) == sizeof reply) {
		assert_true(reply.len == sizeof reply && reply.error == -EINTR);
		sum += reply.unique;
	}
	close(ends[0]);
	close(ends[1]);
	return sum;
}

static void who_waits_and_who_is_answered_are_interrupted(void **state)
{
	uint64_t slots[SLOTS] = {0};
	struct underway underway;
	(void)state;
	underway_init(&underway, slots, sizeof slots);
	assert_int_equal(interrupted(slots), 0);
	underway_set_current(&underway, 100);
	uint32_t first = underway_enter(&underway, 2), second = underway_enter(&underway, 10);
	assert_int_equal(interrupted(slots), 112);
	underway_leave(&underway, first);
	underway_set_current(&underway, 0);
	assert_int_equal(interrupted(slots), 10);
	assert_int_equal(underway_enter(&underway, 4), first);
	underway_leave(&underway, second);
	underway_leave(&underway, first);
	assert_int_equal(interrupted(slots), 0);
}

static void what_finds_no_place_is_not_known(void **state)
{
	uint64_t slots[SLOTS] = {0};
	struct underway underway;
	(void)state;
	underway_init(&underway, slots, sizeof slots);
	for (uint64_t i = 1; i < SLOTS; i++)
		assert_int_equal(underway_enter(&underway, 2 * i), i);
	assert_int_equal(underway_enter(&underway, 100), 0);
	underway_leave(&underway, 0);
	assert_int_equal(interrupted(slots), 2 + 4 + 6);
	underway_forget(&underway);
	assert_int_equal(interrupted(slots), 0);
	assert_int_equal(underway_enter(&underway, 8), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_and_who_is_answered_are_interrupted),
		cmocka_unit_test(what_finds_no_place_is_not_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
