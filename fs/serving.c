#include "fs/serving.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/close_range.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/badness.h"
#include "core/porter.h"
#include "core/ptable.h"
#include "core/revival.h"
#include "fs/log.h"
#include "fs/messenger.h"
#include "fs/server.h"

/* argv: the program, the word, the number of the handover's descriptor, and the mountpoint for who reads ps(1). */
enum { SERVING_WORD = 1, SERVING_NUMBER, SERVING_MOUNTPOINT, SERVING_ARGUMENTS };
static const char serving_word[] = "--serve";

/* A descriptor that is duplicated to its own number loses close-on-exec in the child alone (posix_spawn(3)). */
static int add_inherited(posix_spawn_file_actions_t *actions, const struct handover *handover, struct holdings *holdings)
{
	struct holding held;
	uint32_t cursor = 0;
	int error = 0;

	for (int i = 0; !error && i < HANDOVER_FDS; i++)
		error = posix_spawn_file_actions_adddup2(actions, handover->fds[i], handover->fds[i]);
	while (!error && holdings_next(holdings, &cursor, &held))
		error = posix_spawn_file_actions_adddup2(actions, held.fd, held.fd);
	return error;
}

static int set_mask(posix_spawnattr_t *attributes)
{
	static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		sigdelset(&blocked, faults[i]);
	int error = posix_spawnattr_setsigmask(attributes, &blocked);
	return error ? error : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK);
}

int serving_spawn(const char *program, const struct handover *handover, struct holdings *holdings, pid_t *out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char number[16];
	int fd = -1;

	int error = handover_write(handover, &fd);
	if (error)
		return error;
	snprintf(number, sizeof number, "%d", fd);
	char *argv[] = {(char *)"procfs-mp", (char *)serving_word, number, (char *)handover->mountpoint, NULL};
	error = posix_spawn_file_actions_init(&actions);
	if (error)
		goto close_handover;
	error = posix_spawnattr_init(&attributes);
	if (error)
		goto destroy_actions;
	error = posix_spawn_file_actions_adddup2(&actions, fd, fd);
	if (!error)
		error = add_inherited(&actions, handover, holdings);
	if (!error)
		error = set_mask(&attributes);
	if (!error)
		error = posix_spawn(out, program, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
destroy_actions:
	posix_spawn_file_actions_destroy(&actions);
close_handover:
	close(fd);
	return -error;
}

bool serving_is_meant(int argc, char *const *argv)
{
	return argc == SERVING_ARGUMENTS && strcmp(argv[SERVING_WORD], serving_word) == 0;
}

bool serving_is_for(const char *words, size_t size, const char *mountpoint)
{
	const char *found[SERVING_ARGUMENTS];
	size_t count = 0;

	for (size_t at = 0; at < size && count < SERVING_ARGUMENTS; at += strlen(words + at) + 1)
		found[count++] = words + at;
	return count == SERVING_ARGUMENTS && strcmp(found[SERVING_WORD], serving_word) == 0 &&
	       strcmp(found[SERVING_MOUNTPOINT], mountpoint) == 0;
}

/* Nothing of ours is for what we may run, such as fusermount3. */
static void close_at_exec(const struct handover *handover, struct holdings *holdings)
{
	struct holding held;
	uint32_t cursor = 0;

	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (int i = 0; i < HANDOVER_FDS; i++)
		fcntl(handover->fds[i], F_SETFD, FD_CLOEXEC);
	while (holdings_next(holdings, &cursor, &held))
		fcntl(held.fd, F_SETFD, FD_CLOEXEC);
}

/* Result: NULL and a message. */
static struct fuse_session *attach(const struct handover *handover, struct server *server)
{
	char *argv[] = {(char *)"procfs-mp", (char *)"-o", (char *)handover->options, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	struct fuse_session *session = fuse_session_new(&args, server_operations(),
		sizeof(struct fuse_lowlevel_ops), server);
	fuse_opt_free_args(&args);
	if (session && server_attach(session, handover->fds[HANDOVER_FUSE]) == 0)
		return session;
	log_error("libfuse could not begin a session");
	if (session)
		fuse_session_destroy(session);
	return NULL;
}

/* Begun before there are threads. */
struct servants {
	struct messenger *messenger;
	struct porter *porter;
};

static int serve(const struct handover *handover, const struct servants *servants, struct ptable *table,
		 struct holdings *holdings)
{
	int status = EXIT_FAILURE;
	struct server *server = server_create();

	if (!server) {
		log_error("%s", strerror(ENOMEM));
		return revival_status(-ENOMEM);
	}
	struct fuse_session *session = attach(handover, server);
	if (session) {
		struct server_config config = {
			.session = session,
			.mountpoint = handover->mountpoint,
			.base_directory = handover->base_directory,
			.fuse_fd = handover->fds[HANDOVER_FUSE],
			.socket_fd = handover->fds[HANDOVER_SOCKET],
			.ready_fd = handover->fds[HANDOVER_READY],
			.journal_fd = handover->fds[HANDOVER_JOURNAL],
			.messenger = servants->messenger,
			.porter = servants->porter,
			.table = table,
			.holdings = holdings,
			.allow_other = handover->allow_other,
			.debug = handover->debug,
			.has_command = handover->has_command,
			.umask = handover->umask,
			.limits = handover->limits,
		};
		status = server_run(server, &config);
		fuse_session_destroy(session);
	}
	server_destroy(server);
	return status;
}

/* Result: 0 and *out; -EINVAL for words that are no number. */
static int parse_number(const char *word, int *out)
{
	char *end = NULL;
	long number = strtol(word, &end, 10);

	if (end == word || *end || number <= STDERR_FILENO || number > 1 << 30)
		return -EINVAL;
	*out = (int)number;
	return 0;
}

/* What both sides share. Result: the exit status. */
static int map_and_serve(const struct handover *handover, const struct servants *servants)
{
	struct ptable *table;
	struct holdings *holdings;
	int status = EXIT_FAILURE;

	int error = ptable_map(handover->fds[HANDOVER_TABLE], &table);
	if (error)
		goto say;
	error = holdings_map(handover->fds[HANDOVER_HOLDINGS], &holdings);
	if (error)
		goto unmap_table;
	close_at_exec(handover, holdings);
	status = serve(handover, servants, table, holdings);
	holdings_unmap(holdings);
unmap_table:
	ptable_unmap(table);
say:
	if (error)
		log_error("what the keeper shares can't be mapped: %s", strerror(-error));
	return error ? revival_status(error) : status;
}

/* Result: 0; or -errno and a message, and what was begun is to be destroyed. */
static int begin_servants(const struct handover *handover, char *word, struct servants *out)
{
	int error = messenger_create(handover->fds[HANDOVER_FUSE], handover->fds[HANDOVER_JOURNAL], word, &out->messenger);

	if (!error)
		error = porter_create(word, &out->porter);
	if (error)
		log_error("a process that helps the server can't begin: %s", strerror(-error));
	return error;
}

int serving_main(char *const *argv)
{
	struct handover handover = {0};
	struct servants servants = {0};
	struct refusal why = {0};
	int fd = -1, status = EXIT_FAILURE;

	parse_number(argv[SERVING_NUMBER], &fd);
	int error = handover_read(fd, &handover, &why);
	if (error) {
		log_error("%s", *why.sentence ? why.sentence : strerror(-error));
		return revival_status(error);
	}
	close(fd);
	if (*handover.badness)
		badness_set(handover.badness);
	prctl(PR_SET_NAME, SERVING_NAME);
	if (handover.in_background)
		log_leave_terminal();
	error = begin_servants(&handover, argv[SERVING_WORD], &servants);
	status = error ? revival_status(error) : map_and_serve(&handover, &servants);
	porter_destroy(servants.porter);
	messenger_destroy(servants.messenger);
	handover_finish(&handover);
	/* Half of what is needed was made, and the end of the process gives it back. */
	if (status == REVIVAL_LACKS)
		_exit(status);
	return status;
}
