/* Replies are sent whole and in their order, and one that may not have arrived can be sent again. */
#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/replies.h"

struct message {
	struct fuse_out_header header;
	char words[16];
};

static void add(struct replies *replies, uint64_t unique, const char *words)
{
	struct fuse_out_header header = { .len = (uint32_t)(sizeof header + strlen(words)), .unique = unique };
	struct iovec parts[] = { { &header, sizeof header }, { (char *)(uintptr_t)words, strlen(words) } };
	assert_int_equal(replies_add(replies, parts, 2), 0);
}

static void expect(int fd, uint64_t unique, const char *words)
{
	struct message message = { .words = "" };
	ssize_t size = recv(fd, &message, sizeof message, MSG_DONTWAIT);
	assert_int_equal(size, sizeof message.header + strlen(words));
	assert_true(message.header.unique == unique);
	assert_string_equal(message.words, words);
}

static void replies_are_sent_whole_and_once(void **state)
{
	(void)state;
	struct replies replies = {0};
	char byte;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	add(&replies, 2, "first");
	add(&replies, 4, "");
	replies_send(&replies, ends[0]);
	expect(ends[1], 2, "first");
	expect(ends[1], 4, "");
	replies_send(&replies, ends[0]);
	assert_true(recv(ends[1], &byte, 1, MSG_DONTWAIT) < 0);
	text_finish(&replies.queue);
	close(ends[0]);
	close(ends[1]);
}

static void what_is_asked_again_is_answered_under_the_name_that_it_is_asked_by(void **state)
{
	(void)state;
	const uint64_t again = UINT64_C(1) << 63;
	struct replies replies = {0};
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	add(&replies, 2, "first");
	add(&replies, 4 | again, "second");
	assert_true(replies_repeat(&replies.queue, 2, 2 | again, ends[0]));
	expect(ends[1], 2 | again, "first");
	assert_true(replies_repeat(&replies.queue, 4, 4 | again, ends[0]));
	expect(ends[1], 4 | again, "second");
	assert_false(replies_repeat(&replies.queue, 6, 6 | again, ends[0]));
	assert_false(replies_repeat(&(struct text){0}, 2, 2 | again, ends[0]));
	text_finish(&replies.queue);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_sent_whole_and_once),
		cmocka_unit_test(what_is_asked_again_is_answered_under_the_name_that_it_is_asked_by),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
