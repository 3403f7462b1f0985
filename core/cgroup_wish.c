/* The values of a wish, as text and back. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cgroup.h"
#include "core/size.h"

/* The kernel's own bounds. */
enum { QUOTA_LEAST = 1000, PERIOD_LEAST = 1000, PERIOD_MOST = 1000000, PIDS_MOST = 4194304 };

void cgroup_wish_init(struct cgroup_wish *wish)
{
	for (int kind = 0; kind < CGROUP_KINDS; kind++)
		wish->limits[kind] = CGROUP_MAX;
	wish->period = CGROUP_PERIOD_DEFAULT;
}

bool cgroup_wish_is_empty(const struct cgroup_wish *wish)
{
	for (int kind = 0; kind < CGROUP_KINDS; kind++)
		if (wish->limits[kind] != CGROUP_MAX)
			return false;
	return true;
}

const char *cgroup_kind_name(enum cgroup_kind kind)
{
	static const char *const NAMES[] = { "memory_max", "cpu_max", "pids_max" };
	return NAMES[kind];
}

static bool parse_number(const char **word, uint64_t *out)
{
	char *end;
	if (!strncmp(*word, "max", 3)) {
		*out = CGROUP_MAX;
		*word += 3;
		return true;
	}
	if (!isdigit((unsigned char)**word))
		return false;
	errno = 0;
	*out = strtoull(*word, &end, 10);
	*word = end;
	return !errno && *out != CGROUP_MAX;
}

static bool parse_bytes(const char *word, struct cgroup_wish *out)
{
	uint64_t *bytes = &out->limits[CGROUP_MEMORY];
	if (strcmp(word, "max"))
		return !size_parse(word, bytes);
	*bytes = CGROUP_MAX;
	return true;
}

static bool parse_cpu(const char *word, struct cgroup_wish *out)
{
	uint64_t *quota = &out->limits[CGROUP_CPU];
	if (!parse_number(&word, quota) || (*word && *word != ' ' && *word != '\t'))
		return false;
	word += strspn(word, " \t");
	out->period = CGROUP_PERIOD_DEFAULT;
	if (*word && !parse_number(&word, &out->period))
		return false;
	return !*word && *quota >= QUOTA_LEAST && out->period >= PERIOD_LEAST && out->period <= PERIOD_MOST;
}

static bool parse_pids(const char *word, struct cgroup_wish *out)
{
	uint64_t *pids = &out->limits[CGROUP_PIDS];
	return parse_number(&word, pids) && !*word && (*pids == CGROUP_MAX || *pids <= PIDS_MOST);
}

int cgroup_wish_parse(struct cgroup_wish *out, enum cgroup_kind kind, const char *word, struct refusal *why)
{
	static const struct {
		bool (*parse)(const char *word, struct cgroup_wish *out);
		const char *valid;
	} KINDS[] = {
		[CGROUP_MEMORY] = { parse_bytes, "max, or a number of bytes with or without K, M, G or T" },
		[CGROUP_CPU] = { parse_cpu, "max, or QUOTA and PERIOD in microseconds, as '50000 100000' for half a CPU "
					    "(a quota of at least 1000; a period of 1000 to 1000000, 100000 when it is missing)" },
		[CGROUP_PIDS] = { parse_pids, "max, or a number up to 4194304" },
	};
	struct cgroup_wish wish = *out;
	if (!KINDS[kind].parse(*word ? word : "max", &wish))
		return refuse(why, EINVAL, "'%s' is not valid for %s; valid are %s", word, cgroup_kind_name(kind),
			      KINDS[kind].valid);
	*out = wish;
	return 0;
}

void cgroup_wish_show(const struct cgroup_wish *wish, enum cgroup_kind kind, struct text *out)
{
	if (wish->limits[kind] == CGROUP_MAX)
		text_add(out, "max");
	else
		text_printf(out, "%" PRIu64, wish->limits[kind]);
	if (kind == CGROUP_CPU)
		text_printf(out, " %" PRIu64, wish->period);
	text_add(out, "\n");
}
