/* Whatever words follow the program's name on the command line: they are refused with one line, or libfuse gets options that name a
 * source and a type and what is said of the rest lies in the words. Words are ended by NULs. */
#include "fs/options.h"
#include "tests/fuzz/fuzz.h"

enum { WORDS_MAX = 64 };

static int is_word(char *const *words, const char *word)
{
	while (*words && *words != word)
		words++;
	return *words != NULL;
}

static void check(const struct options *options, char *const *words)
{
	if (options->action != OPTIONS_MOUNT)
		return;
	require(!options->mountpoint || (is_word(words, options->mountpoint) && *options->mountpoint), "the mountpoint is a word");
	require(!options->command || (options->command > words && *options->command && **options->command),
		"a command is the words behind --");
	require(options->fuse && strstr(options->fuse, "fsname=") && strstr(options->fuse, "subtype="), "source and type are named");
	require(options->foreground || (!options->command && !options->debug), "who runs a command stays");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = string_of(data, size), name[] = "procfs-mp", *words[WORDS_MAX + 2] = { name };
	struct refusal why = { "" };
	struct options options;
	int count = 1, error;

	for (char *at = bytes; bytes && at <= bytes + size && count <= WORDS_MAX; at += strlen(at) + 1)
		words[count++] = at;
	error = bytes ? options_parse(&options, count, words, &why) : -ENOMEM;
	if (!error) {
		check(&options, words);
		options_finish(&options);
	} else if (error != -ENOMEM) {
		require(error == -EINVAL && why.sentence[0] && !strchr(why.sentence, '\n'), "a refusal is EINVAL and one line");
	}
	free(bytes);
	return 0;
}
