/* Whatever /proc says of a process: it is refused, or numbers come out of it. A process can choose its name and its environment,
 * so neither may stand for anything else: the name is put where the kernel puts it. */
#include "core/kin.h"
#include "core/usage.h"
#include "tests/fuzz/fuzz.h"

enum { NAME_MOST = 64 };

/* A name in a line that is right otherwise changes nothing. */
static void check_name(const char *name)
{
	char line[512];
	struct kin kin;
	struct usage usage = { .minflt = -1 };

	snprintf(line, sizeof(line), "\n77 (%.*s) S 5 6 7 8 9 10 11 12 13 14 100 200 300 400 20 0 1 0 4711 21 22\n", NAME_MOST, name);
	require(kin_parse(line, &kin) == 0, "a line is one whatever the name");
	require(kin.parent == 5 && kin.session == 7 && kin.start == 4711 && kin.state == 'S', "a name is not taken for numbers");
	require(usage_parse_stat(line, &usage) && usage.minflt == 11 + 12 && usage.majflt == 13 + 14, "nor for what was used");
}

static void check_environment(char *bytes, size_t size)
{
	FILE *file = size ? fmemopen(bytes, size, "r") : NULL;
	uint64_t number = 77;

	if (!file)
		return;
	if (kin_find_number(file, "PROCFS_MP_ID", &number))
		require(number == 77, "without a number nothing is said");
	fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *string = string_of(data, size);
	struct usage usage = { .minflt = -1 };
	struct kin kin = { .parent = -7 };

	if (!string)
		return 0;
	if (kin_parse(string, &kin))
		require(kin.parent == -7, "a refusal touches nothing");
	if (!usage_parse_stat(string, &usage))
		require(usage.minflt == -1, "a refusal touches nothing");
	usage_parse_status(string, &usage);
	usage_parse_io(string, &usage);
	require(usage.inblock >= USAGE_UNKNOWN && usage.oublock >= USAGE_UNKNOWN, "blocks are counted or unknown");
	check_name(string);
	check_environment(string, size);
	free(string);
	return 0;
}
