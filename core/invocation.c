#include "core/invocation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/terms.h"

/* One line of a text value: *line and its end; false behind the last. */
static bool next_line(const struct value *value, const char **line, const char **end)
{
	if (!value->size)
		return false;
	const char *limit = value->bytes + value->size;
	const char *start = *end ? *end + 1 : value->bytes;
	do {
		if (start >= limit)
			return false;
		const char *newline = memchr(start, '\n', (size_t)(limit - start));
		*line = start;
		*end = newline ? newline : limit;
		start = *end + 1;
	} while (*line == *end);
	return true;
}

/* True when a line of `env` sets or unsets the variable that `entry` (KEY=value) is about. */
static bool is_overridden(const struct value *env, const char *entry)
{
	if (!env->size)
		return false;
	size_t key = strcspn(entry, "=");
	const char *line = NULL, *end = NULL;
	while (next_line(env, &line, &end)) {
		bool unset = *line == '-';
		size_t size = (size_t)(end - line) - unset;
		if (size >= key && !memcmp(line + unset, entry, key) && (size == key || line[unset + key] == '='))
			return true;
	}
	return false;
}

static bool is_ours(const char *entry)
{
	return !strncmp(entry, "PROCFS_MP=", 10) || !strncmp(entry, "PROCFS_MP_ID=", 13);
}

/* Within `env` the last line about a variable wins: it is the one that no later line overrides. */
static void add_own_lines(struct vector *out, const struct value *env)
{
	const char *line = NULL, *end = NULL;
	while (next_line(env, &line, &end)) {
		struct value later = { (char *)(uintptr_t)end, (size_t)(env->bytes + env->size - end) };
		if (*line == '-' || is_overridden(&later, line) || is_ours(line))
			continue;
		text_append(&out->bytes, line, (size_t)(end - line));
		text_append(&out->bytes, "", 1);
		out->count++;
	}
}

static void add_default(struct vector *out, const struct value *env, const char *key, const char *value)
{
	struct text entry = {0};
	text_printf(&entry, "%s=%s", key, value);
	char *string = text_take(&entry, NULL);
	if (!string)
		out->bytes.failed = true;
	else if (!is_overridden(env, string))
		vector_add(out, string);
	free(string);
}

static const char *find_variable(char *const *environment, const char *key)
{
	size_t size = strlen(key);
	for (; *environment; environment++)
		if (!strncmp(*environment, key, size) && (*environment)[size] == '=')
			return *environment + size + 1;
	return NULL;
}

static int build_environment(struct invocation *out, const struct process *process,
			     const struct surroundings *from, const struct account *account)
{
	struct vector *environment = &out->environment;
	const struct value *env = process_detail(process, DETAIL_ENV);
	if (account) {
		const char *lang = find_variable(from->environment, "LANG");
		add_default(environment, env, "PATH", VECTOR_DEFAULT_PATH);
		add_default(environment, env, "HOME", account->home);
		add_default(environment, env, "USER", account->name);
		add_default(environment, env, "LOGNAME", account->name);
		add_default(environment, env, "SHELL", account->shell);
		add_default(environment, env, "LANG", lang ? lang : "C.UTF-8");
	} else {
		for (char *const *entry = from->environment; *entry; entry++)
			if (!is_overridden(env, *entry) && !is_ours(*entry))
				vector_add(environment, *entry);
	}
	add_own_lines(environment, env);
	text_printf(&environment->bytes, "PROCFS_MP=%s", from->mountpoint);
	text_append(&environment->bytes, "", 1);
	text_printf(&environment->bytes, "PROCFS_MP_ID=%" PRIu64, process->id);
	text_append(&environment->bytes, "", 1);
	environment->count += 2;
	return vector_seal(environment);
}

static bool is_executable_image(const struct value *run)
{
	return (run->size >= 2 && !memcmp(run->bytes, "#!", 2)) || (run->size >= 4 && !memcmp(run->bytes, "\177ELF", 4));
}

/* What comes before the user's arguments, and where it is looked for. */
static void choose_program(struct invocation *out, const struct process *process, const struct surroundings *from,
			   const char *start)
{
	const struct configuration *c = &process->configuration;
	if (!c->target.size) {
		struct text script = {0};
		text_printf(&script, "%s/%s/run", from->mountpoint, process->directory);
		char *path = text_take(&script, NULL);
		if (!path) {
			out->candidates.bytes.failed = true;
			return;
		}
		bool image = is_executable_image(process_detail(process, DETAIL_RUN));
		if (!image)
			vector_add(&out->arguments, "/bin/sh");
		vector_add(&out->candidates, image ? path : "/bin/sh");
		vector_add(&out->arguments, path);
		free(path);
		return;
	}
	const char *target = c->target.bytes;
	vector_add(&out->arguments, target);
	if (*target == '/') {
		vector_add(&out->candidates, target);
	} else if (strchr(target, '/')) {
		vector_add_path(&out->candidates, start, strlen(start), target);
	} else {
		const char *path = find_variable((char *const *)(uintptr_t)out->environment.strings, "PATH");
		if (!path)
			path = find_variable(from->environment, "PATH");
		vector_add_search(&out->candidates, path, target);
	}
}

static void add_arguments(struct vector *out, const struct process *process)
{
	const char *word = NULL;
	while ((word = words_next(&process->configuration.args, word)))
		vector_add(out, word);
	const char *line = NULL, *end = NULL;
	while (next_line(process_detail(process, DETAIL_KWARGS), &line, &end)) {
		text_append(&out->bytes, "--", 2);
		text_append(&out->bytes, line, (size_t)(end - line));
		text_append(&out->bytes, "", 1);
		out->count++;
	}
}

static char *choose_directory(const struct value *cwd, const char *start)
{
	if (!cwd->size)
		return strdup(start);
	if (*cwd->bytes == '/')
		return strdup(cwd->bytes);
	struct text path = {0};
	text_printf(&path, "%s%s%s", start, start[strlen(start) - 1] == '/' ? "" : "/", cwd->bytes);
	return text_take(&path, NULL);
}

bool invocation_needs_account(const struct process *process, const struct surroundings *from)
{
	return process->owner != from->uid || (process->terms && process->terms->user);
}

mode_t invocation_umask(const struct process *process, const struct surroundings *from)
{
	if (process->configuration.umask != PROCESS_UMASK_DEFAULT)
		return (mode_t)process->configuration.umask;
	return invocation_needs_account(process, from) ? 022 : from->umask;
}

int invocation_init(struct invocation *out, const struct process *process, const struct surroundings *from,
		    const struct account *account)
{
	const char *start = account ? "/" : from->base_directory;
	*out = (struct invocation){
		.spec = {
			.flags = account ? LAUNCH_AS_USER : 0,
			.uid = account ? account->uid : from->uid,
			.gid = account ? account->gid : from->gid,
			.group_count = account ? (uint32_t)account->group_count : 0,
			.groups = account ? account->groups : NULL,
			.umask = invocation_umask(process, from),
			.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1,
		},
	};
	int error = build_environment(out, process, from, account);
	if (!error) {
		choose_program(out, process, from, start);
		add_arguments(&out->arguments, process);
		out->directory = choose_directory(process_detail(process, DETAIL_CWD), start);
		error = vector_seal(&out->candidates);
	}
	if (!error)
		error = out->directory ? vector_seal(&out->arguments) : -ENOMEM;
	if (error) {
		invocation_finish(out);
		return error;
	}
	if (process->terms)
		out->spec.terms = &process->terms->launch;
	if (process->owner == 0)
		out->spec.flags |= LAUNCH_RAISES;
	out->spec.cwd = out->directory;
	out->spec.candidates = out->candidates.strings;
	out->spec.argv = out->arguments.strings;
	out->spec.envp = out->environment.strings;
	return 0;
}

void invocation_finish(struct invocation *invocation)
{
	vector_finish(&invocation->candidates);
	vector_finish(&invocation->arguments);
	vector_finish(&invocation->environment);
	free(invocation->directory);
}
