#include "fs/streams.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/redirection.h"
#include "core/size.h"

static int show_output_to(const struct view *view, int which, struct text *out)
{
	const char *words = process_output_to(view->process, which);
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
	if (!error && !view->check)
		error = process_set_detail(view->process, which ? DETAIL_STDERR_TO : DETAIL_STDOUT_TO, words, strlen(words));
	free(words);
	return error;
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

int output_max_show(const struct view *view, struct text *out)
{
	text_printf(out, "%" PRIu64 "\n", view->process->configuration.output_max);
	return text_status(out);
}

int output_max_store(const struct view *view, const char *bytes, size_t size)
{
	char word[32];
	uint64_t most = 0;
	bool fits = size < sizeof word && !memchr(bytes, '\0', size);
	if (fits) {
		memcpy(word, bytes, size);
		word[size] = '\0';
	}
	if (!fits || size_parse(word, &most))
		return refuse(view->caller->why, EINVAL, "'%.*s' is not valid for output_max; valid are numbers of bytes, "
							 "also with K, M, G or T", size > 60 ? 60 : (int)size, bytes);
	if (!view->check)
		view->process->configuration.output_max = most;
	return 0;
}

int stdin_open_show(const struct view *view, struct text *out)
{
	text_printf(out, "%d\n", view->process->configuration.stdin_open);
	return text_status(out);
}

int stdin_open_store(const struct view *view, const char *bytes, size_t size)
{
	if (size != 1 || (*bytes != '0' && *bytes != '1'))
		return refuse(view->caller->why, EINVAL, "'%.*s' is not valid for stdin_open; valid are 0 and 1",
			      size > 60 ? 60 : (int)size, bytes);
	if (!view->check)
		view->process->configuration.stdin_open = *bytes == '1';
	return 0;
}
