/* Whatever target, args, kwargs, env and run a process has, what is to be executed is made of them: candidates that are
 * paths, a vector that begins with a name, an environment that names each variable once and where the mount is. Lines of the
 * input are target, args, kwargs; the next two halves are env and run. */
#include "core/invocation.h"
#include "tests/fuzz/fuzz.h"

static void check_vector(const char *const *vector, size_t count)
{
	size_t i = 0;

	while (vector[i])
		i++;
	require(i == count, "a vector is as long as it says");
}

static size_t count_of(const char *const *environment, const char *name)
{
	size_t count = 0;

	for (; *environment; environment++)
		count += !strncmp(*environment, name, strlen(name)) && (*environment)[strlen(name)] == '=';
	return count;
}

static void check(const struct invocation *invocation)
{
	const struct launch_spec *spec = &invocation->spec;

	check_vector(spec->candidates, invocation->candidates.count);
	check_vector(spec->argv, invocation->arguments.count);
	check_vector(spec->envp, invocation->environment.count);
	for (size_t i = 0; spec->candidates[i]; i++)
		require(strchr(spec->candidates[i], '/') != NULL, "a candidate is a path");
	require(invocation->arguments.count > 0, "argv begins with a name");
	require(count_of(spec->envp, "PROCFS_MP") == 1 && count_of(spec->envp, "PROCFS_MP_ID") == 1, "the mount is named once");
	for (size_t i = 0; spec->envp[i]; i++) {
		char *name = strndup(spec->envp[i], strcspn(spec->envp[i], "="));

		require(!name || strchr(spec->envp[i], '='), "a variable has a value");
		require(!name || !*name || count_of(spec->envp, name) == 1, "a variable is there once");
		free(name);
	}
}

static const uint8_t *take_line(const uint8_t **data, size_t *size, size_t *length)
{
	const uint8_t *line = *data, *newline = *size ? memchr(*data, '\n', *size) : NULL;

	*length = newline ? (size_t)(newline - line) : *size;
	*data += newline ? *length + 1 : *length;
	*size -= newline ? *length + 1 : *length;
	return line;
}

/* As the stores allow it: no NUL, and lines of the right form. */
static void set_lines(struct process *process, enum detail which, const uint8_t *data, size_t size, int unset)
{
	char *bytes = string_of(data, size);

	if (bytes && !memchr(bytes, '\0', size)) {
		for (char *line = strtok(bytes, "\n"); line; line = strtok(NULL, "\n")) {
			char *whole = NULL;

			if ((strchr(line, '=') > line && *line != '-') || (unset && *line == '-' && line[1] && !strchr(line, '='))) {
				const char *before = process_detail(process, which)->bytes;
				int length = asprintf(&whole, "%s%s%s", before ? before : "", before ? "\n" : "", line);

				if (length > 0)
					(void)!process_set_detail(process, which, whole, (size_t)length);
				free(whole);
			}
		}
	}
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char home[] = "HOME=/root", path[] = "PATH=/bin::usr:", none[] = "=odd";
	static char *const environment[] = { home, path, none, NULL };
	struct surroundings from = { .base_directory = "/base", .mountpoint = "/mount", .environment = environment };
	struct process *process = process_create("x", "1");
	struct configuration *c = process ? &process->configuration : NULL;
	enum words_problem problem;
	struct invocation invocation;
	size_t length;

	if (!process)
		return 0;
	for (int i = 0; i < 3; i++) {
		const uint8_t *line = take_line(&data, &size, &length);

		if (i == 0 && length && !memchr(line, '\0', length))
			value_set(&c->target, line, length);
		else if (i == 1)
			(void)!words_split(&c->args, (const char *)line, length, &problem);
		else if (i == 2)
			set_lines(process, DETAIL_KWARGS, line, length, 0);
	}
	set_lines(process, DETAIL_ENV, data, size / 2, 1);
	if (size)
		(void)!process_set_detail(process, DETAIL_RUN, data + size / 2, size - size / 2);
	if ((c->target.size || process_detail(process, DETAIL_RUN)->size) && !invocation_init(&invocation, process, &from, NULL)) {
		check(&invocation);
		invocation_finish(&invocation);
	}
	process_destroy(process);
	return 0;
}
