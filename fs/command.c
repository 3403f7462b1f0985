#include "fs/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/log.h"

enum {
	EXIT_NOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_SIGNAL = 128, /* and the signal's number */
};

/* Ours, with $PROCFS_MP; what another mount may have said of us before is not about this one. */
static void fill_environment(struct command *command)
{
	size_t count = 0;
	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, "PROCFS_MP=", 10) != 0 && strncmp(*entry, "PROCFS_MP_ID=", 13) != 0)
			command->environment[count++] = *entry;
	command->environment[count++] = command->variable;
	command->environment[count] = NULL;
}

int command_init(struct command *command, char *const *argv, const char *mountpoint, mode_t mask)
{
	size_t variables = 0;

	if (strchr(argv[0], '/'))
		vector_add(&command->candidates, argv[0]);
	else
		vector_add_search(&command->candidates, getenv("PATH"), argv[0]);
	while (environ[variables])
		variables++;
	command->environment = calloc(variables + 2, sizeof *command->environment);
	if (asprintf(&command->variable, "PROCFS_MP=%s", mountpoint) < 0)
		command->variable = NULL;
	if (vector_seal(&command->candidates) || !command->environment || !command->variable)
		return -ENOMEM;

	fill_environment(command);
	command->spec = (struct launch_spec){
		.flags = LAUNCH_FOREGROUND,
		.umask = mask,
		.candidates = command->candidates.strings,
		.argv = (const char *const *)argv,
		.envp = command->environment,
		.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1,
	};
	return 0;
}

void command_finish(struct command *command)
{
	vector_finish(&command->candidates);
	free(command->variable);
	free(command->environment);
}

int command_status(const struct command *command, struct ptable *table)
{
	const char *name = command->spec.argv[0];
	const struct ptable_entry *entry = ptable_at(table, PTABLE_COMMAND);

	switch (ptable_state(table, ptable_ref_at(table, PTABLE_COMMAND))) {
	case PTABLE_ENDED:
		return WIFSIGNALED(entry->status) ? EXIT_SIGNAL + WTERMSIG(entry->status) : WEXITSTATUS(entry->status);
	case PTABLE_FAILED:
		break;
	default:
		log_error("the mount ended before '%s' did", name);
		return EXIT_FAILURE;
	}
	if (entry->error == ENOENT && !strchr(name, '/'))
		log_error("'%s' can't be run: it is in no directory of $PATH", name);
	else
		log_error("'%s' can't be run: %s", name,
			entry->error ? strerror(entry->error) : "it was killed before it began");
	return entry->error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
}
