#include "fs/store.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/redirection.h"
#include "core/restart.h"
#include "fs/show.h"

static int refuse_nul(const struct view *view, const char *bytes, size_t size)
{
	if (memchr(bytes, '\0', size))
		return refuse(view->caller->why, EINVAL, "the value cannot hold a NUL byte");
	return 0;
}

/* A word for parsing: at most `room` - 1 bytes, ended by a NUL. */
static int copy_word(const struct view *view, const char *bytes, size_t size, char room[static 80])
{
	int error = refuse_nul(view, bytes, size);
	if (error)
		return error;
	if (size >= 80)
		return refuse(view->caller->why, EINVAL, "'%.60s...' is too long for a value of this file", bytes);
	memcpy(room, bytes, size);
	room[size] = '\0';
	return 0;
}

int target_store(const struct view *view, const char *bytes, size_t size)
{
	int error = refuse_nul(view, bytes, size);
	if (error || view->check)
		return error;
	return value_set(&view->process->configuration.target, bytes, size);
}

int cwd_store(const struct view *view, const char *bytes, size_t size)
{
	int error = refuse_nul(view, bytes, size);
	if (error || view->check)
		return error;
	return process_set_detail(view->process, DETAIL_CWD, bytes, size);
}

int run_store(const struct view *view, const char *bytes, size_t size)
{
	return view->check ? 0 : process_set_detail(view->process, DETAIL_RUN, bytes, size);
}

int args_store(const struct view *view, const char *bytes, size_t size)
{
	struct words words;
	enum words_problem problem;
	int error = words_split(&words, bytes, size, &problem);
	if (error == -EINVAL)
		return refuse(view->caller->why, EINVAL, "args: %s", words_problem_text(problem));
	if (error)
		return error;
	if (view->check) {
		words_finish(&words);
		return 0;
	}
	words_finish(&view->process->configuration.args);
	view->process->configuration.args = words;
	return 0;
}

/* Bytes with a NUL go on with an exact vector, others with words. */
int args_former(const struct view *view, const char *bytes, size_t size, struct text *out)
{
	const struct words *args = &view->process->configuration.args;
	if (!memchr(bytes, '\0', size))
		return args_show(view, out);
	text_append(out, args->bytes, args->size);
	return text_status(out);
}

/* ---- lines ---- */

int env_former(const struct view *view, const char *bytes, size_t size, struct text *out)
{
	(void)bytes;
	(void)size;
	return env_show(view, out);
}

int kwargs_former(const struct view *view, const char *bytes, size_t size, struct text *out)
{
	(void)bytes;
	(void)size;
	return kwargs_show(view, out);
}

static bool is_key(const char *key, size_t size)
{
	if (!size || isdigit((unsigned char)*key))
		return false;
	for (size_t i = 0; i < size; i++)
		if (key[i] == '=' || key[i] == ' ' || key[i] == '\t')
			return false;
	return true;
}

/* key=value; for the environment -KEY too. */
static bool is_line(const char *line, size_t size, bool may_unset)
{
	if (may_unset && *line == '-')
		return !memchr(line, '=', size) && is_key(line + 1, size - 1);
	const char *equals = memchr(line, '=', size);
	return equals && is_key(line, (size_t)(equals - line));
}

static int store_lines(const struct view *view, enum detail which, struct value lines)
{
	bool may_unset = which == DETAIL_ENV;
	int error = refuse_nul(view, lines.bytes, lines.size);
	if (error)
		return error;
	const char *end = lines.bytes + lines.size;
	for (const char *line = lines.bytes; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t size = (size_t)((newline ? newline : end) - line);
		if (size && !is_line(line, size, may_unset))
			return refuse(view->caller->why, EINVAL, "'%.*s' is not a line of the form %s", size > 200 ? 200 : (int)size,
				      line, may_unset ? "KEY=value or -KEY" : "key=value");
		line += size + 1;
	}
	return view->check ? 0 : process_set_detail(view->process, which, lines.bytes, lines.size);
}

int kwargs_store(const struct view *view, const char *bytes, size_t size)
{
	return store_lines(view, DETAIL_KWARGS, (struct value){ (char *)(uintptr_t)bytes, size });
}

int env_store(const struct view *view, const char *bytes, size_t size)
{
	return store_lines(view, DETAIL_ENV, (struct value){ (char *)(uintptr_t)bytes, size });
}

/* ---- words ---- */

int umask_store(const struct view *view, const char *bytes, size_t size)
{
	char word[80], *end;
	int error = copy_word(view, bytes, size, word);
	if (error)
		return error;
	long mask = strtol(word, &end, 8);
	if (!isdigit((unsigned char)*word) || *end || mask > 0777)
		return refuse(view->caller->why, EINVAL, "'%s' is no mask; valid are 0000 to 0777, in octal", word);
	if (!view->check)
		view->process->configuration.umask = (int)mask;
	return 0;
}

int daemon_store(const struct view *view, const char *bytes, size_t size)
{
	char word[80];
	int error = copy_word(view, bytes, size, word);
	if (error)
		return error;
	if (strcmp(word, "0") && strcmp(word, "1"))
		return refuse(view->caller->why, EINVAL, "'%s' is not valid for daemon; valid are 0 and 1", word);
	if (!view->check)
		view->process->daemonic = *word == '1';
	return 0;
}

/* An empty name is none: the directory's again. */
int name_store(const struct view *view, const char *bytes, size_t size)
{
	int error = refuse_nul(view, bytes, size);
	if (error || view->check)
		return error;
	char *name = size ? strndup(bytes, size) : NULL;
	if (size && !name)
		return -ENOMEM;
	free(view->process->name);
	view->process->name = name;
	return 0;
}

int restart_store(const struct view *view, const char *bytes, size_t size)
{
	enum restart_policy policy;
	char word[80];
	int error = copy_word(view, bytes, size, word);
	if (error)
		return error;
	if (restart_policy_parse(word, &policy))
		return refuse(view->caller->why, EINVAL, "'%s' is not valid for restart; valid are no, on-failure and always", word);
	bool goes_on = view->process->state != PROCESS_INITIAL && view->process->state != PROCESS_ENDED;
	if (view->check)
		return 0;
	if (policy != RESTART_NO && goes_on && redirection_is_inherited(view->process))
		return redirection_refuse_restart(view->caller->why);
	return restart_set_policy(view->manager, view->process, policy);
}

static int parse_start_method(const struct view *view, const char *bytes, size_t size, enum start_method *out)
{
	char word[80];
	int error = copy_word(view, bytes, size, word);
	if (error)
		return error;
	if (start_method_parse(word, out))
		return refuse(view->caller->why, EINVAL, "cannot find context for '%s'; valid are spawn, fork and forkserver",
			      word);
	return 0;
}

int start_method_store(const struct view *view, const char *bytes, size_t size)
{
	enum start_method method;
	int error = parse_start_method(view, bytes, size, &method);
	if (!error && !view->check)
		view->process->configuration.start_method = method;
	return error;
}

int default_start_method_store(const struct view *view, const char *bytes, size_t size)
{
	enum start_method method;
	int error = parse_start_method(view, bytes, size, &method);
	if (!error && !view->check)
		manager_set_start_method(view->manager, method);
	return error;
}

int authkey_store(const struct view *view, const char *bytes, size_t size)
{
	unsigned char key[PROCESS_AUTHKEY_SIZE];
	bool valid = size == 2 * sizeof key;
	for (size_t i = 0; valid && i < size; i++) {
		static const char DIGITS[] = "0123456789abcdef";
		const char *digit = bytes[i] ? strchr(DIGITS, tolower((unsigned char)bytes[i])) : NULL;
		valid = digit;
		if (valid)
			key[i / 2] = (unsigned char)(i % 2 ? key[i / 2] << 4 | (digit - DIGITS) : digit - DIGITS);
	}
	if (!valid)
		return refuse(view->caller->why, EINVAL, "an authkey is %zu hexadecimal digits", 2 * sizeof key);
	if (view->check)
		return 0;
	unsigned char *own = malloc(sizeof key);
	if (!own)
		return -ENOMEM;
	memcpy(own, key, sizeof key);
	free(view->process->authkey);
	view->process->authkey = own;
	return 0;
}

/* ---- streams and opens ---- */

/* The program may open it anew, as /dev/stdin, and is perhaps another user's: to read it, and not to change what the next run reads
 * or to keep what counts for nobody. */
static int make_stdin(const struct view *view)
{
	int fd = memfd_create("stdin", MFD_CLOEXEC);
	int error = fd < 0 || fchmod(fd, 0444) ? -errno : 0;
	if (!error)
		error = manager_hold(view->manager, view->process, HOLDING_STDIN_FILE, fd);
	if (!error)
		view->process->stdin_fd = fd;
	else if (fd >= 0)
		close(fd);
	return error;
}

int stdin_feed(const struct view *view, const char *bytes, size_t size, off_t offset)
{
	struct process *process = view->process;
	if (process->stdin_fd < 0) {
		int error = make_stdin(view);
		if (error)
			return refuse(view->caller->why, -error, "cannot keep the input: %s", strerror(-error));
	}
	struct stat st;
	if (fstat(process->stdin_fd, &st))
		return -errno;
	process_touch(process);
	if (offset < 0)
		offset = st.st_size;
	if (offset > st.st_size)
		return refuse(view->caller->why, EINVAL, "the input has %lld bytes: a write at %lld would leave a hole",
			      (long long)st.st_size, (long long)offset);
	for (size_t done = 0; done < size;) {
		ssize_t part = pwrite(process->stdin_fd, bytes + done, size - done, offset + (off_t)done);
		if (part < 0) {
			int error = errno;
			if (ftruncate(process->stdin_fd, st.st_size))
				error = errno;
			return refuse(view->caller->why, error, "cannot keep the input: %s", strerror(error));
		}
		done += (size_t)part;
	}
	return 0;
}

int clone_open(const struct view *view, bool writing, struct opened *out)
{
	return writing ? manager_make(view->manager, view->caller, NULL, &out->process) : 0;
}

int session_open(const struct view *view, bool writing, struct opened *out)
{
	(void)writing;
	return manager_open_session(view->manager, view->caller, &out->session);
}
