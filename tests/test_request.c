/* What a raw request says of itself, however short it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fuse_lowlevel.h>

#include "fs/request.h"

enum { OPCODE_WRITE = 16, OPCODE_POLL = 40 };

/* As include/uapi/linux/fuse.h lays it out: a header of 40 bytes, and a POLL's body of 24. */
struct raw {
	uint32_t length, opcode;
	uint64_t unique, node;
	uint32_t uid, gid, pid, padding;
	uint64_t handle, poll;
	uint32_t flags, events;
};

static struct request_facts look(const struct raw *raw, size_t size)
{
	struct request_facts facts;

	request_look(&(struct fuse_buf){ .size = size, .mem = (void *)(uintptr_t)raw }, &facts);
	return facts;
}

static void a_request_has_the_same_number_when_it_is_sent_again(void **state)
{
	struct raw raw = { .length = 40, .opcode = OPCODE_WRITE, .unique = 0x1234 };
	struct request_facts first = look(&raw, 40), again;

	(void)state;
	raw.unique |= UINT64_C(1) << 63;
	again = look(&raw, 40);
	assert_int_equal(first.opcode, OPCODE_WRITE);
	assert_true(first.unique == 0x1234 && again.unique == 0x1234);
	assert_false(first.resent);
	assert_true(again.resent);
	assert_true(first.poll == 0);
}

static void a_poll_names_its_file_only_when_it_wants_to_be_told(void **state)
{
	struct raw raw = { .length = 64, .opcode = OPCODE_POLL, .unique = 2, .handle = 5, .poll = 77, .flags = 1 };

	(void)state;
	assert_true(look(&raw, 64).poll == 77);
	raw.flags = 0;
	assert_true(look(&raw, 64).poll == 0);
	raw.flags = 1;
	raw.opcode = OPCODE_WRITE;
	assert_true(look(&raw, 64).poll == 0);
}

static void what_is_too_short_says_nothing(void **state)
{
	struct raw raw = { .length = 64, .opcode = OPCODE_POLL, .unique = 2, .handle = 5, .poll = 77, .flags = 1 };

	(void)state;
	for (size_t size = 0; size <= sizeof raw; size++) {
		struct raw *copy = test_malloc(size + 1); /* the bytes behind are nobody's */
		struct request_facts facts;

		memcpy(copy, &raw, size);
		facts = look(copy, size);
		assert_true(facts.unique == (size < 40 ? 0 : 2));
		assert_true(facts.poll == (size < 64 ? 0 : 77));
		test_free(copy);
	}
}

static void what_is_not_in_memory_says_nothing(void **state)
{
	struct request_facts facts = { .unique = 9, .poll = 9 };

	(void)state;
	request_look(&(struct fuse_buf){ .size = 64, .flags = FUSE_BUF_IS_FD }, &facts);
	assert_true(facts.unique == 0 && facts.poll == 0 && facts.opcode == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_has_the_same_number_when_it_is_sent_again),
		cmocka_unit_test(a_poll_names_its_file_only_when_it_wants_to_be_told),
		cmocka_unit_test(what_is_too_short_says_nothing),
		cmocka_unit_test(what_is_not_in_memory_says_nothing),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
