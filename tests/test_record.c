/* What is put into a record is what is read from it, and no bytes make reading go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/record.h"

static struct record_reader read_all(const struct text *text)
{
	return (struct record_reader){ text->data, text->data + text->size, false, false };
}

static void numbers_come_back(void **state)
{
	static const uint64_t NUMBERS[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX };
	static const int64_t SIGNED[] = { 0, -1, 1, -64, 64, INT64_MIN, INT64_MAX };
	struct text text = {0};
	(void)state;
	for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
		record_put_number(&text, NUMBERS[i]);
	for (size_t i = 0; i < sizeof SIGNED / sizeof *SIGNED; i++)
		record_put_signed(&text, SIGNED[i]);
	struct record_reader from = read_all(&text);
	for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
		assert_true(record_number(&from) == NUMBERS[i]);
	for (size_t i = 0; i < sizeof SIGNED / sizeof *SIGNED; i++)
		assert_true(record_signed(&from) == SIGNED[i]);
	assert_false(from.bad);
	assert_ptr_equal(from.at, from.end);
	text_finish(&text);
}

static void nothing_is_told_from_the_empty(void **state)
{
	struct text text = {0};
	size_t size;
	(void)state;
	record_put_string(&text, NULL);
	record_put_string(&text, "");
	record_put_bytes(&text, "a\0b", 3);
	struct record_reader from = read_all(&text);
	assert_null(record_copy(&from, &size));
	char *empty = record_copy(&from, &size);
	assert_string_equal(empty, "");
	char *three = record_copy(&from, &size);
	assert_true(size == 3 && !memcmp(three, "a\0b", 4));
	assert_false(from.bad);
	free(empty);
	free(three);
	text_finish(&text);
}

static void what_is_missing_reads_as_nothing(void **state)
{
	static const char CUT[] = { 5, 'a' }, LONG[] = { -1, -1, -1, -1, -1, -1, -1, -1, -1, 2 };
	size_t size;
	(void)state;
	struct record_reader from = record_reader_of(CUT, sizeof CUT);
	assert_null(record_copy(&from, &size));
	assert_true(from.bad && record_number(&from) == 0);
	from = (struct record_reader){ LONG, LONG + sizeof LONG, false, false };
	assert_true(record_number(&from) == 0 && from.bad);
}

static void times_come_back(void **state)
{
	struct text text = {0};
	(void)state;
	record_put_time(&text, (struct timespec){ -5, 999999999 });
	struct record_reader from = read_all(&text);
	struct timespec time = record_time(&from);
	assert_true(time.tv_sec == -5 && time.tv_nsec == 999999999 && !from.bad);
	text_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_come_back),
		cmocka_unit_test(nothing_is_told_from_the_empty),
		cmocka_unit_test(what_is_missing_reads_as_nothing),
		cmocka_unit_test(times_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
