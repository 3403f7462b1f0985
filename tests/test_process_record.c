/* A process that was put into bytes comes back as it was, and no bytes make taking it go wrong. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/layout.h"
#include "core/process_record.h"
#include "core/terms.h"

static struct record_reader read_all(const struct text *text)
{
	return (struct record_reader){ text->data, text->data + text->size, false, false };
}

static void configure(struct process *process)
{
	struct configuration *c = &process->configuration;
	enum words_problem problem;
	struct refusal why;
	assert_int_equal(value_set(&c->target, "/bin/echo", 9), 0);
	assert_int_equal(process_set_detail(process, DETAIL_KWARGS, "a=1\nb=2", 7), 0);
	assert_int_equal(process_set_detail(process, DETAIL_ENV, "A=x\n-B", 6), 0);
	assert_int_equal(process_set_detail(process, DETAIL_CWD, "/tmp", 4), 0);
	assert_int_equal(process_set_detail(process, DETAIL_RUN, "#!/bin/sh\n", 10), 0);
	assert_int_equal(words_split(&c->args, "one 'two three' ''", 18, &problem), 0);
	c->umask = 027;
	c->start_method = START_FORKSERVER;
	assert_int_equal(process_set_detail(process, DETAIL_STDOUT_TO, "/dev/null", 9), 0);
	assert_int_equal(process_set_detail(process, DETAIL_STDERR_TO, "stdout", 6), 0);
	c->stdin_open = true;
	c->output_max = 12345;
	struct terms *terms = terms_of(process);
	assert_int_equal(limits_parse("nofile 64:128\ncore 0", 20, &terms->launch, &why), 0);
	terms->launch.has_nice = 1;
	terms->launch.nice = -3;
	terms->user = strdup("nobody");
	terms->wish.limits[CGROUP_PIDS] = 7;
}

static struct process *some_process(void)
{
	struct process *process = process_create("a name", "2:1");
	assert_non_null(process);
	configure(process);
	process->id = 77;
	process->name = strdup("another");
	process->owner = 1000;
	process->group = 1001;
	process->state = PROCESS_ENDED;
	process->daemonic = process->stop_wanted = true;
	process->authkey = calloc(1, PROCESS_AUTHKEY_SIZE);
	process->children_made = 3;
	process->run_count = 2;
	process->start_error = -2;
	process->launch = (struct ptable_ref){ 5, 600 };
	process->pid = 4242;
	process->status = 0x0100;
	process->created = (struct moment){ 1, 2 };
	process->started = (struct moment){ 3, 4 };
	process->ended = (struct moment){ 5, 999999999 };
	process_set_error(process, "a sentence");
	assert_int_equal(process_reserve_usage(process), 0);
	process_set_usage(process, &(struct usage){ .utime = { 1, 5 }, .maxrss_kib = 99, .nivcsw = USAGE_UNKNOWN });
	process->terms->runs_as = 65534;
	return process;
}

static const struct process_ties TIES = { .parent = 3, .session = 4, .output_dropped = { 10, 0 }, .has_input = true, .written = 44,
					  .input = { 55, 66, true }, .writer = 9, .writer_start = 1234 };

static void pack_both(const struct process *process, const struct process_ties *ties, struct text *rest, struct text *words)
{
	process_pack(process, ties, rest);
	process_pack_configuration(process, words);
	assert_int_equal(text_status(rest), 0);
	assert_int_equal(text_status(words), 0);
}

static void everything_comes_back(void **state)
{
	(void)state;
	struct process *process = some_process(), *other;
	struct text rest = {0}, words = {0}, rest_again = {0}, words_again = {0};
	struct process_ties ties;
	pack_both(process, &TIES, &rest, &words);
	struct record_reader from = read_all(&rest);
	assert_int_equal(process_unpack(77, &from, &other, &ties), 0);
	assert_ptr_equal(from.at, from.end);
	from = read_all(&words);
	assert_int_equal(process_unpack_configuration(other, &from), 0);
	assert_ptr_equal(from.at, from.end);
	assert_true(other->id == 77 && other->state == PROCESS_ENDED && other->daemonic && other->pid == 4242 &&
		    other->start_error == -2);
	assert_string_equal(process_name(other), "another");
	assert_string_equal(other->error, "a sentence");
	assert_true(ties.input.sent == 55 && ties.input.end == 66 && ties.input.ending);
	assert_true(ties.parent == 3 && ties.written == 44 && ties.writer == 9 && ties.output_dropped[0] == 10);
	assert_string_equal(words_next(&other->configuration.args, NULL), "one");
	assert_int_equal(terms_user(other), 65534);
	pack_both(other, &ties, &rest_again, &words_again);
	assert_true(rest.size == rest_again.size && !memcmp(rest.data, rest_again.data, rest.size));
	assert_true(words.size == words_again.size && !memcmp(words.data, words_again.data, words.size));
	text_finish(&rest);
	text_finish(&words);
	text_finish(&rest_again);
	text_finish(&words_again);
	process_destroy(process);
	process_destroy(other);
}

static uint64_t hash_of(const struct text *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < text->size; i++)
		hash = (hash ^ (unsigned char)text->data[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Other bytes are another layout: then the version rises in core/layout.c, and here is what they are. */
static void the_bytes_are_those_of_this_version(void **state)
{
	(void)state;
	struct process *process = some_process();
	struct text rest = {0}, words = {0};
	pack_both(process, &TIES, &rest, &words);
	assert_int_equal(layout.version, 7);
	assert_int_equal(hash_of(&rest), UINT64_C(0xe99c36a62e2c5210));
	assert_int_equal(hash_of(&words), UINT64_C(0x1013356e4e3c5f52));
	text_finish(&rest);
	text_finish(&words);
	process_destroy(process);
}

static void why_the_last_start_failed_comes_back(void **state)
{
	(void)state;
	struct process *process = process_create("x", "1"), *other;
	struct text rest = {0};
	struct process_ties ties;
	process->start_error = -ENOENT;
	process_pack(process, &(struct process_ties){ .parent = 0 }, &rest);
	struct record_reader from = read_all(&rest);
	assert_int_equal(process_unpack(77, &from, &other, &ties), 0);
	assert_int_equal(other->start_error, -ENOENT);
	text_finish(&rest);
	process_destroy(process);
	process_destroy(other);
}

static void that_it_was_paused_comes_back(void **state)
{
	(void)state;
	for (int paused = 0; paused <= 1; paused++) {
		struct process *process = process_create("x", "1"), *other;
		struct text rest = {0};
		struct process_ties ties;
		process->state = PROCESS_RUNNING;
		assert_int_equal(process_pause(process, paused), paused);
		process_pack(process, &(struct process_ties){ .parent = 0 }, &rest);
		struct record_reader from = read_all(&rest);
		assert_int_equal(process_unpack(77, &from, &other, &ties), 0);
		assert_int_equal(other->paused, paused);
		text_finish(&rest);
		process_destroy(process);
		process_destroy(other);
	}
}

static void a_new_process_takes_few_bytes(void **state)
{
	(void)state;
	struct process *process = process_create("Process-1", "1");
	struct text rest = {0}, words = {0};
	pack_both(process, &(struct process_ties){ .parent = 0 }, &rest, &words);
	assert_true(rest.size + words.size < 64);
	text_finish(&rest);
	text_finish(&words);
	process_destroy(process);
}

static void bytes_that_end_anywhere_are_refused(void **state)
{
	(void)state;
	struct process *process = some_process(), *other;
	struct text rest = {0}, words = {0};
	struct process_ties ties;
	pack_both(process, &TIES, &rest, &words);
	for (size_t size = 0; size < rest.size; size++) {
		struct record_reader from = record_reader_of(rest.data, size);
		assert_int_equal(process_unpack(77, &from, &other, &ties), -EPROTO);
	}
	for (size_t size = 0; size < words.size; size++) {
		struct record_reader from = record_reader_of(words.data, size);
		other = process_create("x", "1");
		assert_int_equal(process_unpack_configuration(other, &from), -EPROTO);
		process_destroy(other);
	}
	text_finish(&rest);
	text_finish(&words);
	process_destroy(process);
}

/* mkdir would have refused it; events count on a line's length. */
static void a_name_that_no_directory_can_have_is_refused(void **state)
{
	(void)state;
	char name[NAME_MAX + 2];
	struct process_ties ties;
	for (size_t length = NAME_MAX; length <= NAME_MAX + 1; length++) {
		struct text rest = {0};
		memset(name, 'x', length);
		name[length] = '\0';
		struct process *process = process_create(name, "1"), *other;
		process_pack(process, &(struct process_ties){ .parent = 0 }, &rest);
		process_destroy(process);
		struct record_reader from = read_all(&rest);
		assert_int_equal(process_unpack(77, &from, &other, &ties), length > NAME_MAX ? -EPROTO : 0);
		if (length <= NAME_MAX)
			process_destroy(other);
		text_finish(&rest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_comes_back),
		cmocka_unit_test(the_bytes_are_those_of_this_version),
		cmocka_unit_test(why_the_last_start_failed_comes_back),
		cmocka_unit_test(that_it_was_paused_comes_back),
		cmocka_unit_test(a_new_process_takes_few_bytes),
		cmocka_unit_test(bytes_that_end_anywhere_are_refused),
		cmocka_unit_test(a_name_that_no_directory_can_have_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
