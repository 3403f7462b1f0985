#include "fs/streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/redirection.h"

static int show_output_to(const struct view *view, int which, struct text *out)
{
	const char *words = view->process->configuration.output_to[which];
	if (words)
		text_printf(out, "%s\n", words);
	return text_status(out);
}

static int store_output_to(const struct view *view, int which, struct value bytes)
{
	if (memchr(bytes.bytes, '\0', bytes.size))
		return refuse(view->caller->why, EINVAL, "the value cannot hold a NUL byte");
	char *words = strndup(bytes.bytes, bytes.size);
	if (!words)
		return -ENOMEM;
	struct launch_output parsed;
	int error = redirection_parse(words, which, &parsed, view->caller->why);
	if (error || view->check) {
		free(words);
		return error;
	}
	char **place = &view->process->configuration.output_to[which];
	free(*place);
	*place = *words ? words : NULL;
	if (!*place)
		free(words);
	return 0;
}

int stdout_to_show(const struct view *view, struct text *out)
{
	return show_output_to(view, 0, out);
}

int stderr_to_show(const struct view *view, struct text *out)
{
	return show_output_to(view, 1, out);
}

int stdout_to_store(const struct view *view, const char *bytes, size_t size)
{
	return store_output_to(view, 0, (struct value){ (char *)(uintptr_t)bytes, size });
}

int stderr_to_store(const struct view *view, const char *bytes, size_t size)
{
	return store_output_to(view, 1, (struct value){ (char *)(uintptr_t)bytes, size });
}
