#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fs/node.h"

static const uint64_t processes[] = { 0, 1, 2, 63, 64, 65535, UINT64_C(0xffffffff), (UINT64_C(1) << NODE_PROCESS_BITS) - 1 };
static const uint32_t serials[] = { 0, 1, 2, 1000, (UINT32_C(1) << NODE_SERIAL_BITS) - 1 };

enum {
	PROCESSES = sizeof(processes) / sizeof(processes[0]),
	SERIALS = sizeof(serials) / sizeof(serials[0]),
	ROWS = 1 << NODE_ROW_BITS,
};

static void the_root_is_node_1_as_fuse_has_it(void **state)
{
	(void)state;
	assert_int_equal(node_encode((struct node){ .row = NODE_DIRECTORY }), 1);
}

static void the_bits_of_an_id_are_all_used_and_the_highest_row_fits(void **state)
{
	(void)state;
	assert_int_equal(NODE_PROCESS_BITS + NODE_ROW_BITS + NODE_SERIAL_BITS, 64);
	assert_int_equal(NODE_CHILD_LINK, ROWS - 1);
}

static void decode_gives_back_what_encode_took(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PROCESSES * SERIALS * ROWS; i++) {
		struct node node = { processes[i / ROWS / SERIALS], i % ROWS, serials[i / ROWS % SERIALS] };
		struct node back = node_decode(node_encode(node));

		assert_true(back.process == node.process);
		assert_int_equal(back.row, node.row);
		assert_int_equal(back.serial, node.serial);
	}
}

static void every_id_is_what_encode_gives_for_its_node(void **state)
{
	static const uint64_t ids[] = { 1, 2, 63, 64, 65, UINT64_C(1) << 42, UINT64_MAX, UINT64_C(0x123456789abcdef0) };

	(void)state;
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_true(node_encode(node_decode(ids[i])) == ids[i]);
}

static void the_inode_is_the_same_for_every_serial_and_no_other_files(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PROCESSES * ROWS; i++) {
		struct node node = { processes[i / ROWS], i % ROWS, 0 };
		struct node neighbour = { node.process ^ 1, node.row, 0 }, row = { node.process, node.row ^ 1, 0 };
		uint64_t inode = node_inode(node);

		for (unsigned j = 0; j < SERIALS; j++) {
			node.serial = serials[j];
			assert_true(node_inode(node) == inode);
		}
		assert_true(node_inode(neighbour) != inode);
		assert_true(node_inode(row) != inode);
	}
}

static void serials_give_different_nodes_and_wrap_without_touching_the_process(void **state)
{
	struct node node = { 5, 7, 1 }, next = { 5, 7, 2 };
	struct node wrapped = { 5, 7, UINT32_C(1) << NODE_SERIAL_BITS };

	(void)state;
	assert_true(node_encode(node) != node_encode(next));
	assert_int_equal(node_decode(node_encode(wrapped)).serial, 0);
	assert_int_equal(node_decode(node_encode(wrapped)).process, 5);
	assert_int_equal(node_decode(node_encode(wrapped)).row, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_root_is_node_1_as_fuse_has_it),
		cmocka_unit_test(the_bits_of_an_id_are_all_used_and_the_highest_row_fits),
		cmocka_unit_test(decode_gives_back_what_encode_took),
		cmocka_unit_test(every_id_is_what_encode_gives_for_its_node),
		cmocka_unit_test(the_inode_is_the_same_for_every_serial_and_no_other_files),
		cmocka_unit_test(serials_give_different_nodes_and_wrap_without_touching_the_process),
	};

	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
