#include "world.h"

#include "core/json.h"

struct quoted {
	const char *bytes;
	size_t size;
	const char *expected;
	bool replaced;
};

#define QUOTED(bytes, expected, replaced) { bytes, sizeof bytes - 1, expected, replaced }

static const struct quoted QUOTES[] = {
	QUOTED("", "\"\"", false),
	QUOTED("plain", "\"plain\"", false),
	QUOTED("a\"b\\c/d", "\"a\\\"b\\\\c/d\"", false),
	QUOTED("\b\t\n\f\r", "\"\\b\\t\\n\\f\\r\"", false),
	QUOTED("\0\x01\x1f\x7f", "\"\\u0000\\u0001\\u001f\\u007f\"", false),
	QUOTED("\xc2\x80\xdf\xbf", "\"\xc2\x80\xdf\xbf\"", false),
	QUOTED("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", "\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"", false),
	QUOTED("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"", false),
	QUOTED("\x80", "\"\\ufffd\"", true),
	QUOTED("a\xff" "b", "\"a\\ufffdb\"", true),
	QUOTED("\xc0\xaf", "\"\\ufffd\\ufffd\"", true),
	QUOTED("\xc1\xbf", "\"\\ufffd\\ufffd\"", true),
	QUOTED("\xe0\x9f\xbf", "\"\\ufffd\\ufffd\\ufffd\"", true),
	QUOTED("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"", true),
	QUOTED("\xf0\x8f\xbf\xbf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", true),
	QUOTED("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", true),
	QUOTED("\xf5\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", true),
	QUOTED("plain\xc3\xa4\x01plain\xffplain", "\"plain\xc3\xa4\\u0001plain\\ufffdplain\"", true),
	/* cut at the end, and a letter in the place of a continuation */
	QUOTED("\xe2\x82", "\"\\ufffd\\ufffd\"", true),
	QUOTED("\xe2\x82x", "\"\\ufffd\\ufffdx\"", true),
};

static void each_string_is_valid_whatever_its_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof QUOTES / sizeof *QUOTES; i++) {
		struct text text = {0};
		struct json json = { .out = &text };

		json_bytes(&json, QUOTES[i].bytes, QUOTES[i].size);
		char *got = text_take(&text, NULL);
		assert_string_equal(got, QUOTES[i].expected);
		assert_int_equal(json.replaced, QUOTES[i].replaced);
		free(got);
	}
}

static void values_are_separated_by_commas_at_every_depth(void **state)
{
	struct text text = {0};
	struct json json = { .out = &text };

	(void)state;
	json_open(&json, '{');
	json_key(&json, "empty");
	json_open(&json, '[');
	json_close(&json, ']');
	json_key(&json, "list");
	json_open(&json, '[');
	json_integer(&json, INT64_MIN);
	json_integer(&json, 0);
	json_boolean(&json, true);
	json_boolean(&json, false);
	json_open(&json, '{');
	json_close(&json, '}');
	json_null(&json);
	json_close(&json, ']');
	json_key(&json, "none");
	json_string(&json, NULL);
	json_key(&json, "text");
	json_string(&json, "x");
	json_key(&json, "value");
	json_value(&json, "0.500000");
	json_close(&json, '}');
	char *got = text_take(&text, NULL);
	assert_string_equal(got, "{\"empty\": [], \"list\": [-9223372036854775808, 0, true, false, {}, null], "
				 "\"none\": null, \"text\": \"x\", \"value\": 0.500000}");
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_string_is_valid_whatever_its_bytes),
		cmocka_unit_test(values_are_separated_by_commas_at_every_depth),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
