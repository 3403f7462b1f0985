#include "core/terms.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As in setrlimit(2), without RLIMIT_. */
static const struct {
	const char *name;
	unsigned resource;
} LIMITS[] = {
	{ "as", RLIMIT_AS },
	{ "core", RLIMIT_CORE },
	{ "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },
	{ "fsize", RLIMIT_FSIZE },
	{ "locks", RLIMIT_LOCKS },
	{ "memlock", RLIMIT_MEMLOCK },
	{ "msgqueue", RLIMIT_MSGQUEUE },
	{ "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },
	{ "nproc", RLIMIT_NPROC },
	{ "rss", RLIMIT_RSS },
	{ "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },
	{ "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },
};

enum { LIMIT_COUNT = sizeof LIMITS / sizeof *LIMITS, LINE_ROOM = 80 };

static const char UNLIMITED[] = "unlimited";

struct terms *terms_of(struct process *process)
{
	if (!process->terms) {
		process->terms = calloc(1, sizeof *process->terms);
		if (!process->terms)
			return NULL;
		process->terms->runs_as = process->owner;
		cgroup_wish_init(&process->terms->wish);
	}
	return process->terms;
}

void terms_destroy(struct terms *terms)
{
	if (terms)
		free(terms->user);
	free(terms);
}

uid_t terms_user(const struct process *process)
{
	return process->terms && process->terms->user ? process->terms->runs_as : process->owner;
}

/* ---- user ---- */

/* What useradd(8) takes, and a bit more. */
static bool is_user(const char *word)
{
	size_t size = strlen(word);
	if (isdigit((unsigned char)*word)) {
		errno = 0;
		char *end;
		unsigned long long number = strtoull(word, &end, 10);
		return !*end && !errno && number < UINT32_MAX;
	}
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)word[i] <= ' ' || word[i] == ':' || word[i] == '/' || word[i] == 0x7f)
			return false;
	return *word != '-';
}

int terms_set_user(struct process *process, const char *word, bool check, struct refusal *why)
{
	if (!is_user(word))
		return refuse(why, EINVAL, "'%s' is no user; valid are a name or a number", word);
	if (check)
		return 0;
	struct terms *terms = *word ? terms_of(process) : process->terms;
	char *user = *word ? strdup(word) : NULL;
	if (*word && (!terms || !user)) {
		free(user);
		return -ENOMEM;
	}
	if (terms) {
		free(terms->user);
		terms->user = user;
	}
	return 0;
}

bool terms_asked_user(const struct process *process, struct account *out)
{
	char *user = process->terms ? process->terms->user : NULL;
	if (!user)
		return false;
	*out = (struct account){ .name = user };
	if (isdigit((unsigned char)*user)) {
		out->name = NULL;
		out->uid = out->gid = (uid_t)strtoul(user, NULL, 10);
	}
	return true;
}

/* ---- limits ---- */

const char *limit_name(unsigned resource)
{
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		if (LIMITS[i].resource == resource)
			return LIMITS[i].name;
	return "?";
}

static int refuse_name(struct refusal *why, const char *name)
{
	struct text names = {0};
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		text_printf(&names, " %s", LIMITS[i].name);
	char *list = text_take(&names, NULL);
	int error = refuse(why, EINVAL, "'%s' is no limit; valid are:%s", name, list ? list : "");
	free(list);
	return error;
}

static bool parse_amount(const char *word, uint64_t *out)
{
	char *end;
	if (!strcmp(word, UNLIMITED)) {
		*out = LAUNCH_UNLIMITED;
		return true;
	}
	errno = 0;
	*out = strtoull(word, &end, 10);
	return isdigit((unsigned char)*word) && !*end && !errno;
}

/* words is writable: SOFT:HARD or one for both. */
static int parse_amounts(char *words, struct launch_limit *out, struct refusal *why)
{
	char *colon = strchr(words, ':');
	if (colon)
		*colon = '\0';
	bool valid = parse_amount(words, &out->soft);
	out->hard = out->soft;
	if (colon) {
		valid = valid && parse_amount(colon + 1, &out->hard);
		*colon = ':';
	}
	if (!valid)
		return refuse(why, EINVAL, "'%s' is no limit for %s; valid are SOFT:HARD or one for both, each a number or %s", words,
			      limit_name(out->resource), UNLIMITED);
	if (out->soft > out->hard)
		return refuse(why, EINVAL, "the soft limit of %s cannot be above its hard limit: '%s'", limit_name(out->resource), words);
	return 0;
}

static void put(struct launch_terms *terms, const struct launch_limit *limit)
{
	uint32_t i = 0;
	while (i < terms->limit_count && terms->limits[i].resource != limit->resource)
		i++;
	terms->limits[i] = *limit;
	if (i == terms->limit_count)
		terms->limit_count++;
}

static int parse_line(char *line, struct launch_terms *out, struct refusal *why)
{
	char *name = line + strspn(line, " \t");
	if (!*name)
		return 0;
	char *rest = name + strcspn(name, " \t");
	if (*rest)
		*rest++ = '\0';
	rest += strspn(rest, " \t");
	for (size_t size = strlen(rest); size && strchr(" \t", rest[size - 1]);)
		rest[--size] = '\0';
	size_t i = 0;
	while (i < LIMIT_COUNT && strcmp(LIMITS[i].name, name))
		i++;
	if (i == LIMIT_COUNT)
		return refuse_name(why, name);
	struct launch_limit limit = { .resource = LIMITS[i].resource };
	int error = parse_amounts(rest, &limit, why);
	if (!error)
		put(out, &limit);
	return error;
}

int limits_parse(const char *bytes, size_t size, struct launch_terms *out, struct refusal *why)
{
	struct launch_terms terms = *out;
	terms.limit_count = 0;
	for (const char *at = bytes, *end = bytes + size; at < end;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((newline ? newline : end) - at);
		char line[LINE_ROOM];
		if (length >= sizeof line || memchr(at, '\0', length))
			return refuse(why, EINVAL, "'%.60s' is no line of limits; valid are NAME SOFT:HARD and NAME BOTH", at);
		memcpy(line, at, length);
		line[length] = '\0';
		int error = parse_line(line, &terms, why);
		if (error)
			return error;
		at += length + 1;
	}
	*out = terms;
	return 0;
}

static void show_amount(uint64_t amount, struct text *out)
{
	if (amount == LAUNCH_UNLIMITED)
		text_add(out, UNLIMITED);
	else
		text_printf(out, "%" PRIu64, amount);
}

static void show_limit(const struct launch_limit *limit, struct text *out)
{
	text_printf(out, "%s ", limit_name(limit->resource));
	show_amount(limit->soft, out);
	text_add(out, ":");
	show_amount(limit->hard, out);
}

void limits_show(const struct launch_terms *terms, struct text *out)
{
	for (uint32_t i = 0; i < terms->limit_count; i++) {
		show_limit(&terms->limits[i], out);
		text_add(out, "\n");
	}
}

/* The keeper, which launches, can do what we can. */
static bool is_capable(unsigned capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	return !syscall(SYS_capget, &header, data) && data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

static const char *who_can(bool superusers)
{
	return superusers ? "even the superuser cannot here" : "only the superuser can";
}

int limits_check(const struct launch_terms *terms, bool superusers, struct refusal *why)
{
	if (superusers && is_capable(CAP_SYS_RESOURCE))
		return 0;
	for (uint32_t i = 0; i < terms->limit_count; i++) {
		const struct launch_limit *limit = &terms->limits[i];
		struct rlimit now;
		if (getrlimit(limit->resource, &now) || limit->hard <= now.rlim_max)
			continue;
		struct text most = {0};
		show_amount(now.rlim_max, &most);
		char *amount = text_take(&most, NULL);
		int error = refuse(why, EPERM, "%s raise the hard limit of %s above %s", who_can(superusers), limit_name(limit->resource),
				   amount ? amount : "what it is");
		free(amount);
		return error;
	}
	return 0;
}

int nice_check(int nice, bool superusers, struct refusal *why)
{
	if (superusers && is_capable(CAP_SYS_NICE))
		return 0;
	struct rlimit now;
	int current = getpriority(PRIO_PROCESS, 0);
	if (nice >= current || getrlimit(RLIMIT_NICE, &now))
		return 0;
	int least = now.rlim_cur > 40 ? -20 : 20 - (int)now.rlim_cur;
	if (nice >= least)
		return 0;
	return refuse(why, EPERM, "%s give a nice value below %d", who_can(superusers), least < current ? least : current);
}

void terms_describe_failure(const struct process *process, const struct ptable_entry *entry, struct refusal *why)
{
	const char *reason = strerror(entry->error);
	const struct launch_terms *terms = process->terms ? &process->terms->launch : NULL;
	if (!terms || entry->candidate < 0 || (uint32_t)entry->candidate >= terms->limit_count) {
		refuse(why, EPERM, "cannot give it the nice value %d: %s", terms ? terms->nice : 0, reason);
		return;
	}
	struct text line = {0};
	show_limit(&terms->limits[entry->candidate], &line);
	char *limit = text_take(&line, NULL);
	refuse(why, EPERM, "cannot set its limit %s: %s", limit ? limit : "", reason);
	free(limit);
}
