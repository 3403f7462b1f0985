/* Whatever bytes names and values hold, what is shown of them keeps its form: JSON is valid and UTF-8, a listed name is one line
 * that no other name has, a table has one line a row. */
#include "core/columns.h"
#include "core/json.h"
#include "tests/fuzz/fuzz.h"

static size_t utf8_length(const unsigned char *at)
{
	size_t length = *at < 0x80 ? 1 : *at >= 0xc2 && *at < 0xe0 ? 2 : (*at & 0xf0) == 0xe0 ? 3 : *at >= 0xf0 && *at < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] > 0x9f) || (*at == 0xf0 && at[1] < 0x90) ||
	    (*at == 0xf4 && at[1] > 0x8f))
		return 0;
	return length;
}

/* Result: behind the string that begins at `at`. */
static const char *check_json_string(const char *at)
{
	require(*at++ == '"', "a string begins with a quote");
	while (*at != '"') {
		size_t length = utf8_length((const unsigned char *)at);

		require((unsigned char)*at >= ' ' && length > 0, "a string holds no control characters and is UTF-8");
		if (*at == '\\') {
			require(at[1] && strchr("\"\\/bfnrtu", at[1]), "an escape is known");
			require(at[1] != 'u' || strspn(at + 2, "0123456789abcdefABCDEF") >= 4, "\\u has four digits");
			length = at[1] == 'u' ? 6 : 2;
		}
		at += length;
	}
	return at + 1;
}

static void check_json(const char *string)
{
	struct text text = { 0 };
	struct json json = { .out = &text };
	char *line;

	json_string(&json, string);
	line = text_take(&text, NULL);
	require(!line || !*check_json_string(line), "nothing follows a string");
	free(line);
}

/* The way back from \ooo. */
static void check_name(const char *name)
{
	struct text text = { 0 };
	char *line, *out;

	text_add_name(&text, name);
	line = out = text_take(&text, NULL);
	for (const char *at = line; at && *at; name++) {
		unsigned letter = (unsigned char)*at;

		require(letter >= ' ' && letter != 0x7f, "a listed name is one line");
		if (*at == '\\')
			require(sscanf(at, "\\%3o", &letter) == 1, "an escape is octal");
		require(letter == (unsigned char)*name, "a listed name can be told from every other");
		at += *at == '\\' ? 4 : 1;
	}
	require(!line || !*name, "a listed name is whole");
	free(out);
}

static void check_columns(char *cells)
{
	struct columns columns = { .count = 3 };
	struct text out = { 0 };
	size_t count = 0, lines = 0, size;
	char *table;

	for (char *cell = strtok(cells, "|"); cell; cell = strtok(NULL, "|"), count++)
		columns_add(&columns, cell);
	for (; count % 3; count++)
		columns_add(&columns, "");
	if (!columns_write(&columns, &out) && (table = text_take(&out, &size))) {
		for (size_t i = 0; i < size; i++) {
			lines += table[i] == '\n';
			require(table[i] != '\n' || !i || table[i - 1] != ' ', "no line ends in blanks");
		}
		require(lines == count / 3, "a table has one line a row");
		free(table);
	}
	columns_finish(&columns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *string = string_of(data, size);

	if (!string)
		return 0;
	check_json(string);
	check_name(string);
	/* A cell that ends in a blank itself shows it. */
	for (char *at = string; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f || (*at == ' ' && (!at[1] || at[1] == '|')))
			*at = '.';
	check_columns(string);
	free(string);
	return 0;
}
