#include "core/redirection.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/kin.h"
#include "core/manager.h"
#include "core/restart.h"

enum { INHERIT_UNLESS_SAID = 2 };

static const char *const NAMES[] = { "stdout", "stderr" };

static int parse_number(const char *word, struct launch_output *out, struct refusal *why)
{
	char *end;
	word += strspn(word, " \t");
	if (!*word)
		return 0;
	errno = 0;
	long number = strtol(word, &end, 10);
	if (!isdigit((unsigned char)*word) || *end || errno || number > INT_MAX)
		return refuse(why, EINVAL, "inherit takes the number of a descriptor, not '%.200s'", word);
	out->number = (int32_t)number;
	return 0;
}

int redirection_parse(const char *words, int which, struct launch_output *out, struct refusal *why)
{
	*out = (struct launch_output){ .to = LAUNCH_TO_FD };
	if (!words || !*words)
		return 0;
	if (!strcmp(words, NAMES[which]))
		return refuse(why, EINVAL, "%s cannot lead to itself; a file of that name is ./%s", words, words);
	if (!strcmp(words, NAMES[1 - which])) {
		out->to = LAUNCH_TO_OTHER;
		return 0;
	}
	if (!strncmp(words, "inherit", 7) && (!words[7] || words[7] == ' ' || words[7] == '\t')) {
		out->to = LAUNCH_TO_INHERITED;
		out->number = INHERIT_UNLESS_SAID;
		return parse_number(words + 7, out, why);
	}
	out->to = LAUNCH_TO_FILE;
	out->path = words;
	return 0;
}

/* What was stored has been parsed before. */
static struct launch_output output_of(const struct process *process, int which)
{
	struct launch_output output;
	redirection_parse(process_output_to(process, which), which, &output, NULL);
	return output;
}

bool redirection_is_inherited(const struct process *process)
{
	return output_of(process, 0).to == LAUNCH_TO_INHERITED || output_of(process, 1).to == LAUNCH_TO_INHERITED;
}

int redirection_refuse_restart(struct refusal *why)
{
	return refuse(why, EINVAL, "inherit and restart do not go together: the program that wrote start may be gone by the next "
				   "run; let the stream lead to a file, or write no to restart");
}

int redirection_check(const struct process *process, const struct caller *caller)
{
	if (output_of(process, 0).to == LAUNCH_TO_OTHER && output_of(process, 1).to == LAUNCH_TO_OTHER)
		return refuse(caller->why, EINVAL, "stdout_to and stderr_to lead to each other: one of them must lead elsewhere");
	if (redirection_is_inherited(process) && restart_policy(process) != RESTART_NO)
		return redirection_refuse_restart(caller->why);
	if (redirection_is_inherited(process) && caller->uid != process->owner)
		return refuse(caller->why, EPERM, "inherit takes a descriptor of the directory's owner only, and this program is not theirs");
	return 0;
}

int redirection_keep_writer(const struct process *process, const struct caller *caller, struct writer *out)
{
	*out = (struct writer){0};
	if (!redirection_is_inherited(process))
		return 0;
	pid_t pid;
	int error = kin_process_of(caller->pid, &pid);
	int fd = error ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0) {
		error = error ? error : -errno;
		return refuse(caller->why, -error, "cannot find the program that wrote start: %s", strerror(-error));
	}
	*out = (struct writer){ .pid = pid, .pid_fd = fd };
	struct kin kin;
	if (!kin_read(pid, &kin))
		out->start = kin.start;
	return 0;
}

void redirection_find_writer(pid_t pid, uint64_t start, struct writer *out)
{
	struct kin kin;
	*out = (struct writer){0};
	int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fd < 0)
		return;
	if (kin_read(pid, &kin) || kin.start != start)
		close(fd);
	else
		*out = (struct writer){ .pid = pid, .pid_fd = fd, .start = start };
}

void redirection_forget_writer(struct writer *writer)
{
	if (writer->pid)
		close(writer->pid_fd);
	*writer = (struct writer){0};
}

void redirection_apply(const struct process *process, const struct writer *writer, struct launch_spec *spec)
{
	int *const fds[] = { &spec->stdout_fd, &spec->stderr_fd };
	for (int i = 0; i < 2; i++) {
		spec->outputs[i] = output_of(process, i);
		if (spec->outputs[i].to == LAUNCH_TO_INHERITED)
			*fds[i] = writer->pid ? writer->pid_fd : -1;
		else if (spec->outputs[i].to != LAUNCH_TO_FD)
			*fds[i] = -1;
	}
	spec->inherit_pid = writer->pid;
}

static void describe_inherited(int number, int error, struct refusal *why)
{
	switch (error) {
	case EINVAL:
		refuse(why, EINVAL, "descriptor %d of the program that wrote start is a file of this mount "
				    "(in `echo start > ctl` descriptor 1 is ctl itself): inherit another", number);
		break;
	case EBADF:
		refuse(why, EBADF, "the program that wrote start has no descriptor %d that is open for writing", number);
		break;
	default:
		refuse(why, EPERM, "cannot take descriptor %d of the program that wrote start: %s", number, strerror(error));
	}
}

void redirection_describe(const struct launch_spec *spec, int which, int error, struct refusal *why)
{
	const struct launch_output *output = &spec->outputs[which];
	const char *reason = error ? strerror(error) : "it was killed before it could";
	if (output->to == LAUNCH_TO_INHERITED && error)
		describe_inherited(output->number, error, why);
	else
		refuse(why, EPERM, "cannot send %s to %s: %s", NAMES[which], output->path ? output->path : "the program that wrote start",
		       reason);
}
