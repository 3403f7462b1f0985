/* Whatever words_split accepts must come back equal through words_join, and word by word through words_quote. */
#include "core/words.h"
#include "tests/fuzz/fuzz.h"

static void split(struct words *out, const char *text, size_t size)
{
	enum words_problem problem = WORDS_TRAILING_BACKSLASH;

	require(words_split(out, text, size, &problem) == 0 && problem == WORDS_FINE, "own text splits");
}

static void check_shape(const struct words *words)
{
	size_t count = 0, size = 0;

	for (const char *word = words_next(words, NULL); word; word = words_next(words, word)) {
		count++;
		size += strlen(word) + 1;
	}
	require(count == words->count && size == words->size, "count and size fit the words");
}

static int same(const struct words *a, const struct words *b)
{
	return a->count == b->count && a->size == b->size && (!a->size || memcmp(a->bytes, b->bytes, a->size) == 0);
}

static void check_join(const struct words *words)
{
	struct words again;
	char *text, *text_again;
	size_t size, size_again;

	require(words_join(words, &text, &size) == 0 && text[size] == '\0', "join gives text ended by NUL");
	require(strlen(text) == size, "joined text holds no NUL");
	split(&again, text, size);
	require(same(words, &again), "split(join(v)) == v");
	require(words_join(&again, &text_again, &size_again) == 0, "join again");
	require(size == size_again && memcmp(text, text_again, size) == 0, "join gives the same text again");
	words_finish(&again);
	free(text);
	free(text_again);
}

static void check_quote(const struct words *words)
{
	for (const char *word = words_next(words, NULL); word; word = words_next(words, word)) {
		struct words alone;
		char *quoted;

		require(words_quote(word, strlen(word), &quoted) == 0, "quote");
		split(&alone, quoted, strlen(quoted));
		require(alone.count == 1 && strcmp(alone.bytes, word) == 0, "a quoted word is that one word");
		words_finish(&alone);
		free(quoted);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char untouched;
	struct words words = { &untouched, 5, 5 };
	enum words_problem problem;
	int error = words_split(&words, (const char *)data, size, &problem);

	require((error == 0) == (problem == WORDS_FINE), "an error has a problem");
	if (error) {
		require(error == -EINVAL && words_problem_text(problem)[0], "a refusal has a sentence");
		require(words.bytes == &untouched && words.size == 5 && words.count == 5, "a refusal touches nothing");
		return 0;
	}
	check_shape(&words);
	check_join(&words);
	check_quote(&words);
	words_finish(&words);
	return 0;
}
