/* core/words against tables, random vectors and the shell of this machine. */
#include "core/words.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A literal with its length, which may hold NULs. */
struct literal {
	const char *bytes;
	size_t size;
};

#define LITERAL(text) { text, sizeof(text) - 1 }

struct split_case {
	struct literal text;
	size_t count;
	struct literal words; /* each word with its NUL */
};

static const struct split_case split_cases[] = {
	{ LITERAL(""), 0, LITERAL("") },
	{ LITERAL("\n"), 0, LITERAL("") },
	{ LITERAL(" \t\n "), 0, LITERAL("") },
	{ LITERAL("hello"), 1, LITERAL("hello\0") },
	{ LITERAL("hello bob\n"), 2, LITERAL("hello\0bob\0") },
	{ LITERAL("  a\tb\n\nc  "), 3, LITERAL("a\0b\0c\0") },
	{ LITERAL("''"), 1, LITERAL("\0") },
	{ LITERAL("\"\" '' a"), 3, LITERAL("\0\0a\0") },
	{ LITERAL("''\"\"''"), 1, LITERAL("\0") },
	{ LITERAL("'a b' c"), 2, LITERAL("a b\0c\0") },
	{ LITERAL("\"a b\" c"), 2, LITERAL("a b\0c\0") },
	{ LITERAL("a' 'b\" \"c\\ d"), 1, LITERAL("a b c d\0") },
	{ LITERAL("'a\nb'"), 1, LITERAL("a\nb\0") },
	{ LITERAL("'a\\nb\\'"), 1, LITERAL("a\\nb\\\0") },
	{ LITERAL("'it'\\''s'"), 1, LITERAL("it's\0") },
	{ LITERAL("\"it's\""), 1, LITERAL("it's\0") },
	{ LITERAL("\\a\\ \\\\\\'\\\""), 1, LITERAL("a \\'\"\0") },
	{ LITERAL("a\\\nb"), 1, LITERAL("ab\0") },
	{ LITERAL("a \\\n b"), 2, LITERAL("a\0b\0") },
	{ LITERAL("\\\n"), 0, LITERAL("") },
	{ LITERAL("\"\\$ \\` \\\" \\\\\""), 1, LITERAL("$ ` \" \\\0") },
	{ LITERAL("\"\\a \\' \\ \""), 1, LITERAL("\\a \\' \\ \0") },
	{ LITERAL("\"a\\\nb\""), 1, LITERAL("ab\0") },
	{ LITERAL("'a\\\nb'"), 1, LITERAL("a\\\nb\0") },
	{ LITERAL("$HOME `x` * ~ #y"), 5, LITERAL("$HOME\0`x`\0*\0~\0#y\0") },
	{ LITERAL("a;b|c&d>e<f(g)"), 1, LITERAL("a;b|c&d>e<f(g)\0") },
	{ LITERAL("a\rb\fc\vd"), 1, LITERAL("a\rb\fc\vd\0") },
	{ LITERAL("gr\xc3\xbc\xc3\x9f \xff\xfe"), 2, LITERAL("gr\xc3\xbc\xc3\x9f\0\xff\xfe\0") },
	/* a NUL anywhere: an exact vector */
	{ LITERAL("\0"), 1, LITERAL("\0") },
	{ LITERAL("\0\0"), 2, LITERAL("\0\0") },
	{ LITERAL("a\0b\0"), 2, LITERAL("a\0b\0") },
	{ LITERAL("a\0b"), 2, LITERAL("a\0b\0") },
	{ LITERAL("a\0\0b\0"), 3, LITERAL("a\0\0b\0") },
	{ LITERAL("a b\0'c\0\\"), 3, LITERAL("a b\0'c\0\\\0") },
	{ LITERAL("a\0\n"), 2, LITERAL("a\0\n\0") },
};

static bool same_words(const struct words *words, size_t count, const char *bytes, size_t size)
{
	return words->count == count && words->size == size && (!size || memcmp(words->bytes, bytes, size) == 0);
}

static void text_splits_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(split_cases) / sizeof(*split_cases); i++) {
		const struct split_case *row = &split_cases[i];
		enum words_problem problem = WORDS_TRAILING_BACKSLASH;
		struct words words;

		if (words_split(&words, row->text.bytes, row->text.size, &problem))
			fail_msg("row %zu, <%s>: %s", i, row->text.bytes, words_problem_text(problem));
		assert_int_equal(problem, WORDS_FINE);
		if (!same_words(&words, row->count, row->words.bytes, row->words.size))
			fail_msg("row %zu, <%s>: %zu words, the first <%s>", i, row->text.bytes, words.count,
				 words.count ? words.bytes : "");
		words_finish(&words);
	}
}

static void empty_text_may_be_null(void **state)
{
	enum words_problem problem;
	struct words words;

	(void)state;
	assert_int_equal(words_split(&words, NULL, 0, &problem), 0);
	assert_int_equal(words.count, 0);
	assert_null(words_next(&words, NULL));
	words_finish(&words);
}

struct refusal_case {
	struct literal text;
	enum words_problem problem;
};

static const struct refusal_case refusal_cases[] = {
	{ LITERAL("'"), WORDS_UNBALANCED_SINGLE },
	{ LITERAL("a 'b c"), WORDS_UNBALANCED_SINGLE },
	{ LITERAL("it's"), WORDS_UNBALANCED_SINGLE },
	{ LITERAL("'a\\'b'"), WORDS_UNBALANCED_SINGLE },
	{ LITERAL("\"'\"'"), WORDS_UNBALANCED_SINGLE },
	{ LITERAL("\""), WORDS_UNBALANCED_DOUBLE },
	{ LITERAL("a \"b\nc\n"), WORDS_UNBALANCED_DOUBLE },
	{ LITERAL("\"a\\\""), WORDS_UNBALANCED_DOUBLE },
	{ LITERAL("\"a\\"), WORDS_UNBALANCED_DOUBLE },
	{ LITERAL("'\"'\""), WORDS_UNBALANCED_DOUBLE },
	{ LITERAL("\\"), WORDS_TRAILING_BACKSLASH },
	{ LITERAL("a b\\"), WORDS_TRAILING_BACKSLASH },
	{ LITERAL("\\\\\\"), WORDS_TRAILING_BACKSLASH },
};

static void unbalanced_text_is_refused_and_leaves_the_result_untouched(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusal_cases) / sizeof(*refusal_cases); i++) {
		const struct refusal_case *row = &refusal_cases[i];
		char mark;
		struct words words = { .bytes = &mark, .size = 7, .count = 3 };
		enum words_problem problem = WORDS_FINE;
		int error = words_split(&words, row->text.bytes, row->text.size, &problem);

		if (error != -EINVAL || problem != row->problem)
			fail_msg("row %zu, <%s>: error %d, problem %d", i, row->text.bytes, error, (int)problem);
		assert_ptr_equal(words.bytes, &mark);
		assert_int_equal(words.size, 7);
		assert_int_equal(words.count, 3);
	}
}

static void every_problem_has_a_sentence_of_its_own(void **state)
{
	(void)state;
	assert_string_equal(words_problem_text(WORDS_FINE), "");
	assert_non_null(strstr(words_problem_text(WORDS_UNBALANCED_SINGLE), "single quote"));
	assert_non_null(strstr(words_problem_text(WORDS_UNBALANCED_DOUBLE), "double quote"));
	assert_non_null(strstr(words_problem_text(WORDS_TRAILING_BACKSLASH), "backslash"));
}

struct join_case {
	size_t count;
	struct literal words;
	const char *text;
};

static const struct join_case join_cases[] = {
	{ 0, LITERAL(""), "" },
	{ 1, LITERAL("\0"), "''" },
	{ 2, LITERAL("hello\0bob\0"), "hello bob" },
	{ 3, LITERAL("-n\0--key=a,b\0/bin/x.y:z\0"), "-n --key=a,b /bin/x.y:z" },
	{ 3, LITERAL("a b\0\0c\0"), "'a b' '' c" },
	{ 1, LITERAL("it's\0"), "'it'\\''s'" },
	{ 1, LITERAL("'\0"), "''\\'''" },
	{ 1, LITERAL("a\nb\0"), "'a\nb'" },
	{ 3, LITERAL("$x\0*\0\\\0"), "'$x' '*' '\\'" },
	{ 1, LITERAL("gr\xc3\xbc\xc3\x9f\0"), "gr\xc3\xbc\xc3\x9f" },
};

static void a_vector_joins_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(join_cases) / sizeof(*join_cases); i++) {
		const struct join_case *row = &join_cases[i];
		struct words words = { (char *)row->words.bytes, row->words.size, row->count };
		char *text;
		size_t size;

		assert_int_equal(words_join(&words, &text, &size), 0);
		assert_string_equal(text, row->text);
		assert_int_equal(size, strlen(row->text));
		free(text);
	}
}

static void quoting_one_word_is_joining_a_vector_of_it(void **state)
{
	static const char *const words_alone[] = { "", "plain", "two words", "it's", "\"", "\\", "\n", "$(reboot)" };

	(void)state;
	for (size_t i = 0; i < sizeof(words_alone) / sizeof(*words_alone); i++) {
		size_t size = strlen(words_alone[i]);
		struct words words = { (char *)words_alone[i], size + 1, 1 };
		char *quoted, *joined;

		assert_int_equal(words_quote(words_alone[i], size, &quoted), 0);
		assert_int_equal(words_join(&words, &joined, &size), 0);
		assert_string_equal(quoted, joined);
		free(quoted);
		free(joined);
	}
}

static void quoting_takes_only_the_bytes_it_is_given(void **state)
{
	char *quoted;

	(void)state;
	assert_int_equal(words_quote("stop it", 4, &quoted), 0);
	assert_string_equal(quoted, "stop");
	free(quoted);
}

static void next_walks_every_word_also_empty_ones(void **state)
{
	static char bytes[] = "a\0\0bc"; /* and the literal's own NUL */
	struct words words = { bytes, sizeof(bytes), 3 };
	const char *word = words_next(&words, NULL);

	(void)state;
	assert_string_equal(word, "a");
	word = words_next(&words, word);
	assert_string_equal(word, "");
	word = words_next(&words, word);
	assert_string_equal(word, "bc");
	assert_null(words_next(&words, word));
}

static void finish_leaves_the_empty_vector_and_may_be_repeated(void **state)
{
	enum words_problem problem;
	struct words words;

	(void)state;
	assert_int_equal(words_split(&words, "a b", 3, &problem), 0);
	words_finish(&words);
	assert_null(words.bytes);
	assert_int_equal(words.count, 0);
	assert_null(words_next(&words, NULL));
	words_finish(&words);
}

/* Random numbers of this test's own, so that a printed seed gives the same run anywhere. */
static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random = *random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*random >> 33) % below;
}

/* PROCFS_MP_TEST_SEED repeats a run that failed. */
static uint64_t new_seed(void)
{
	const char *given = getenv("PROCFS_MP_TEST_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
	printf("# seed %llu\n", (unsigned long long)seed);
	return seed;
}

enum { RANDOM_WORDS_MAX = 12, RANDOM_WORD_MAX = 24 };

/* Bytes that quoting is about half of the time, any byte but NUL otherwise. */
static char draw_byte(uint64_t *random)
{
	static const char special[] = " \t\n'\"\\$`#~*;|&";

	if (draw(random, 2))
		return special[draw(random, sizeof(special) - 1)];
	return (char)(1 + draw(random, 255));
}

static void draw_words(uint64_t *random, struct words *words)
{
	char *put = words->bytes;

	words->count = draw(random, RANDOM_WORDS_MAX + 1);
	for (size_t i = 0; i < words->count; i++) {
		for (uint32_t left = draw(random, RANDOM_WORD_MAX + 1); left; left--)
			*put++ = draw_byte(random);
		*put++ = '\0';
	}
	words->size = (size_t)(put - words->bytes);
}

static void split_of_join_gives_the_same_vector_a_thousand_times(void **state)
{
	uint64_t random = new_seed();
	char bytes[RANDOM_WORDS_MAX * (RANDOM_WORD_MAX + 1)];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct words words = { .bytes = bytes }, again;
		enum words_problem problem;
		char *text;
		size_t size;

		draw_words(&random, &words);
		assert_int_equal(words_join(&words, &text, &size), 0);
		assert_int_equal(strlen(text), size);
		assert_int_equal(words_split(&again, text, size, &problem), 0);
		if (!same_words(&again, words.count, words.bytes, words.size))
			fail_msg("vector %d of this seed came back otherwise from <%s>", i, text);
		words_finish(&again);

		/* The NUL-separated form is a vector too, except for the empty one. */
		assert_int_equal(words_split(&again, words.bytes, words.size, &problem), 0);
		assert_true(same_words(&again, words.count, words.bytes, words.size));
		words_finish(&again);
		free(text);
	}
}

enum { SHELL_OUTPUT_MAX = 4096 };

/* What the machine's shell makes of the words: its exit status, and what printf gave for each. The
 * first word is ours, because printf without one prints an empty one all the same. */
static int ask_shell(const char *text, char output[SHELL_OUTPUT_MAX], size_t *size)
{
	char script[1024];
	int ends[2], status;
	ssize_t got;
	pid_t child;

	snprintf(script, sizeof(script), "printf '%%s\\0' first %s", text);
	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(STDERR_FILENO);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	*size = 0;
	while ((got = read(ends[0], output + *size, SHELL_OUTPUT_MAX - *size)) > 0)
		*size += (size_t)got;
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Outside quotes no newline, since it would end the shell's command, and no last backslash, which a
 * shell takes literally and words refuses. */
static void draw_shell_text(uint64_t *random, char *text, size_t length)
{
	static const char alphabet[] = "ab  \t''\"\"\\\\\\,";
	size_t at = 0;

	while (at + 3 < length) {
		char byte = alphabet[draw(random, sizeof(alphabet) - 1)];

		text[at++] = byte;
		if (byte == '\\' && draw(random, 4) == 0)
			text[at++] = '\n';
	}
	while (at && text[at - 1] == '\\')
		at--;
	text[at] = '\0';
}

static void compare_with_shell(const char *text)
{
	static const char first[] = "first";
	char output[SHELL_OUTPUT_MAX];
	enum words_problem problem;
	struct words words;
	size_t size;
	int status = ask_shell(text, output, &size);
	int error = words_split(&words, text, strlen(text), &problem);

	if (error && status == 0)
		fail_msg("refused, but a shell takes it: <%s>", text);
	if (error)
		return;
	if (status)
		fail_msg("taken, but a shell refuses it: <%s>", text);
	assert_true(size >= sizeof(first));
	if (words.size != size - sizeof(first) ||
	    (words.size && memcmp(words.bytes, output + sizeof(first), words.size)))
		fail_msg("a shell splits otherwise: <%s>", text);
	words_finish(&words);
}

static bool newline_outside_quotes(const char *text)
{
	char quote = '\0';

	for (; *text; text++) {
		if (*text == '\\' && quote != '\'' && text[1]) {
			text++;
			continue;
		}
		if (*text == '\n' && !quote)
			return true;
		if (*text == '\'' || *text == '"') {
			if (!quote)
				quote = *text;
			else if (quote == *text)
				quote = '\0';
		}
	}
	return false;
}

static void text_splits_as_the_shell_of_this_machine_does(void **state)
{
	uint64_t random = new_seed();
	char text[40];
	int compared = 0;

	(void)state;
	while (compared < 400) {
		draw_shell_text(&random, text, sizeof(text) / 4 + draw(&random, 3 * sizeof(text) / 4));
		if (newline_outside_quotes(text))
			continue;
		compare_with_shell(text);
		compared++;
	}
}

static void the_shell_reads_joined_words_alike(void **state)
{
	uint64_t random = new_seed();
	char bytes[RANDOM_WORDS_MAX * (RANDOM_WORD_MAX + 1)];

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct words words = { .bytes = bytes };
		char *text;
		size_t size;

		draw_words(&random, &words);
		assert_int_equal(words_join(&words, &text, &size), 0);
		compare_with_shell(text);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_splits_as_the_table_says),
		cmocka_unit_test(empty_text_may_be_null),
		cmocka_unit_test(unbalanced_text_is_refused_and_leaves_the_result_untouched),
		cmocka_unit_test(every_problem_has_a_sentence_of_its_own),
		cmocka_unit_test(a_vector_joins_as_the_table_says),
		cmocka_unit_test(quoting_one_word_is_joining_a_vector_of_it),
		cmocka_unit_test(quoting_takes_only_the_bytes_it_is_given),
		cmocka_unit_test(next_walks_every_word_also_empty_ones),
		cmocka_unit_test(finish_leaves_the_empty_vector_and_may_be_repeated),
		cmocka_unit_test(split_of_join_gives_the_same_vector_a_thousand_times),
		cmocka_unit_test(text_splits_as_the_shell_of_this_machine_does),
		cmocka_unit_test(the_shell_reads_joined_words_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
