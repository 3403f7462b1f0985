/*
 * main: from the command line to the mount and back: the wiring, the only file that knows all.
 *
 * In the background a waiting parent stays until the mount works. What mounts becomes the keeper; the server is
 * its child, the same program executed (fs/serving). The keeper holds /dev/fuse as well, so that the mount outlives a server.
 */
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/badness.h"
#include "core/cgroup.h"
#include "core/journal.h"
#include "core/keeper.h"
#include "core/ptable.h"
#include "core/shared.h"
#include "core/text.h"
#include "fs/command.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/options.h"
#include "fs/serving.h"
#include "fs/upgrade.h"

enum {
	EXIT_USAGE = 2,
	PATH_ROOM = 40,
	END_ROOM = 80,
};

static const char this_program[] = "/proc/self/exe";

struct program {
	const struct options *options;
	struct mount mount;
	struct ptable *table;
	struct holdings *holdings;
	struct command command;
	char *base_directory;
	mode_t umask;
	char badness[BADNESS_ROOM];  /* of this process, when it began; empty: unknown */
	struct launch_origin origin;
	int parent_fd; /* who waits for the mount to work; -1 in the foreground */
	int keeper_fd; /* the two ends of what keeper and server say to each other */
	int server_fd;
	int journal_fd;
	pid_t server_pid;
	char *installed;  /* where this program was found when it was started */
	int upgrade_fd;   /* the installed program, being tried as a server; -1 */
	int upgraded_fd;  /* the one that servers are since an upgrade; -1: this one */
};

static int print(const char *text)
{
	fputs(text, stdout);
	if (fflush(stdout) == 0)
		return EXIT_SUCCESS;
	log_error("standard output can't be written: %s", strerror(errno));
	return EXIT_FAILURE;
}

static int print_version(void)
{
	char text[128];
	snprintf(text, sizeof text, "procfs-mp %s\nlibfuse %s\n", PROCFS_MP_VERSION, fuse_pkgversion());
	return print(text);
}

/* A descriptor of ours that became 0, 1 or 2 would be closed and written to by mistake. */
static void hold_standard_streams(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

/* Result: the status as waitpid(2) gives it. */
static int wait_for(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* Where this program lies, now or until it was replaced. Result: NULL without memory. */
static char *find_installed(void)
{
	static const char deleted[] = " (deleted)";
	char path[4096];
	ssize_t size = readlink(this_program, path, sizeof path);

	if (size < 0)
		return strdup(this_program);
	size_t end = sizeof deleted - 1;
	if ((size_t)size > end && memcmp(path + size - end, deleted, end) == 0)
		size -= (ssize_t)end;
	return strndup(path, (size_t)size);
}

/* Everything up to the mount. Result: 0, or -errno and a message; program_finish is due in both cases. */
static int program_init(struct program *program)
{
	int ends[2];
	int error = mount_choose(&program->mount, program->options);
	if (error)
		return error;

	program->installed = find_installed();
	if (badness_get(program->badness))
		program->badness[0] = '\0';
	memcpy(program->origin.badness, program->badness, sizeof program->badness);
	getrlimit(RLIMIT_NOFILE, &program->origin.nofile);
	program->umask = umask(0);
	umask(program->umask);
	program->base_directory = getcwd(NULL, 0);
	if (!program->base_directory) {
		log_warning("the working directory is unknown (%s): / takes its place", strerror(errno));
		program->base_directory = strdup("/");
	}
	error = ptable_create(&program->table);
	if (!error)
		error = holdings_create(&program->holdings);
	if (!error)
		error = (program->journal_fd = journal_make()) < 0 ? program->journal_fd : 0;
	if (!error && program->options->command)
		error = command_init(&program->command, program->options->command,
			program->mount.path, program->umask);
	if (!program->base_directory || !program->installed)
		error = -ENOMEM;
	if (!error && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		error = -errno;
	if (error) {
		log_error("the mount can't be prepared: %s", strerror(-error));
		return error;
	}
	program->keeper_fd = ends[0];
	program->server_fd = ends[1];
	return mount_open(&program->mount, program->options);
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void program_finish(struct program *program)
{
	close_end(&program->keeper_fd);
	close_end(&program->server_fd);
	close_end(&program->journal_fd);
	close_end(&program->upgrade_fd);
	close_end(&program->upgraded_fd);
	free(program->installed);
	mount_close(&program->mount);
	command_finish(&program->command);
	holdings_destroy(program->holdings);
	ptable_destroy(program->table);
	free(program->base_directory);
}

/* ends: the server's of the socket, and where it tells that it is ready. Result: 0 and *out, or -errno. */
static int execute_server(struct program *program, const char *path, const int ends[static 2], pid_t *out)
{
	const struct handover handover = {
		.mountpoint = program->mount.path,
		.base_directory = program->base_directory,
		.options = program->options->fuse,
		.badness = program->badness,
		.fds = {
			[HANDOVER_FUSE] = fuse_session_fd(program->mount.session),
			[HANDOVER_SOCKET] = ends[0],
			[HANDOVER_READY] = ends[1],
			[HANDOVER_TABLE] = ptable_fd(program->table),
			[HANDOVER_HOLDINGS] = holdings_fd(program->holdings),
			[HANDOVER_JOURNAL] = program->journal_fd,
		},
		.umask = program->umask,
		.allow_other = program->options->allow_other,
		.debug = program->options->debug,
		.has_command = program->options->command,
		.in_background = !program->options->foreground,
		.limits = program->options->limits,
	};

	fflush(NULL);
	return serving_spawn(path, &handover, program->holdings, out);
}

/* Result: 0 and *ready_fd, on which one byte will come; -errno and a message. */
static int start_server(struct program *program, int *ready_fd)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC)) {
		int error = errno;
		log_error("the server can't be started: %s", strerror(error));
		return -error;
	}
	int error = execute_server(program, this_program, (int[]){program->server_fd, ends[1]}, &program->server_pid);
	close(ends[1]);
	close_end(&program->server_fd);
	if (error) {
		log_error("the server can't be started: %s", strerror(-error));
		close(ends[0]);
	} else {
		*ready_fd = ends[0];
	}
	return error;
}

/* By descriptor, so that what is installed later is no server before it is asked for. */
static int choose_program(struct program *program, enum keeper_program which, char path[static PATH_ROOM])
{
	if (which == KEEPER_INSTALLED) {
		close_end(&program->upgrade_fd);
		program->upgrade_fd = open(program->installed, O_PATH | O_CLOEXEC);
		if (program->upgrade_fd < 0)
			return -errno;
	}
	int fd = which == KEEPER_INSTALLED ? program->upgrade_fd : program->upgraded_fd;
	if (fd >= 0)
		snprintf(path, PATH_ROOM, "/proc/self/fd/%d", fd);
	else
		snprintf(path, PATH_ROOM, "%s", this_program);
	return 0;
}

/* struct keeper's: a server after the first. That it is ready it says in the table. */
static int on_spawn(void *context, enum keeper_program which, int server_socket_fd, pid_t *out)
{
	struct program *program = context;
	char path[PATH_ROOM];

	int error = choose_program(program, which, path);
	if (error)
		return error;
	int nowhere_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (nowhere_fd < 0)
		return -errno;
	error = execute_server(program, path, (int[]){server_socket_fd, nowhere_fd}, out);
	close(nowhere_fd);
	return error;
}

static void describe_end(int status, char out[static END_ROOM])
{
	if (WIFSIGNALED(status))
		snprintf(out, END_ROOM, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, END_ROOM, "failed with exit status %d", WEXITSTATUS(status));
}

static void adopt_upgrade(struct program *program)
{
	close_end(&program->upgraded_fd);
	program->upgraded_fd = program->upgrade_fd;
	program->upgrade_fd = -1;
}

static void on_news(void *context, const struct keeper_news *news)
{
	struct program *program = context;
	char end[END_ROOM];

	describe_end(news->status, end);
	switch (news->event) {
	case KEEPER_RESTARTED:
		log_warning("the server %s; another one has taken over after %u ms", end, news->milliseconds);
		break;
	case KEEPER_UPGRADED:
		adopt_upgrade(program);
		log_warning("the server is '%s' now, since %u ms after the end of the one before", program->installed,
			news->milliseconds);
		break;
	case KEEPER_UPGRADE_FAILED:
		close_end(&program->upgrade_fd);
		if (news->error)
			log_error("no upgrade: '%s' can't be executed: %s", program->installed, strerror(-news->error));
		else
			log_error("no upgrade: the server of '%s' %s before it was ready", program->installed, end);
		break;
	case KEEPER_LATE:
		log_error("the new server does not become ready, %u s after the end of the one before: it is killed",
			news->milliseconds / 1000);
		break;
	case KEEPER_GAVE_UP:
		if (news->error)
			log_error("the server %s, and no other can be started: %s", end, strerror(-news->error));
		else
			log_error("the server %s, which happens too often: no other is started", end);
		break;
	}
}

static bool read_ready(int fd)
{
	char byte;
	ssize_t size;
	do
		size = read(fd, &byte, 1);
	while (size < 0 && errno == EINTR);
	close(fd);
	return size == 1;
}

static bool ended_in_order(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	char end[END_ROOM];
	describe_end(status, end);
	log_error("the server %s: the mount ends", end);
	return false;
}

/* The life of the keeper, from the mount's first moment to its last. Result: the exit status. */
static int keep(struct program *program)
{
	int ready_fd = -1, status = 0;

	if (start_server(program, &ready_fd))
		return EXIT_FAILURE;
	if (!read_ready(ready_fd)) {
		close_end(&program->keeper_fd);
		if (ended_in_order(wait_for(program->server_pid))) {
			log_warning("the mount was taken away before anything was asked of it");
			return EXIT_SUCCESS;
		}
		log_error("the server did not begin");
		return EXIT_FAILURE;
	}
	if (program->parent_fd >= 0) {
		log_leave_terminal();
		send(program->parent_fd, "", 1, MSG_NOSIGNAL);
		close_end(&program->parent_fd);
	}

	struct keeper keeper = {
		.table = program->table,
		.socket_fd = program->keeper_fd,
		.server = program->server_pid,
		.command = program->options->command ? &program->command.spec : NULL,
		.holdings = program->holdings,
		.origin = &program->origin,
		.spawn = on_spawn,
		.on_news = on_news,
		.context = program,
	};
	int error = keeper_run(&keeper, &status);
	program->keeper_fd = keeper.socket_fd;
	if (error) {
		log_error("the keeper can't begin: %s", strerror(-error));
		close_end(&program->keeper_fd);
		status = wait_for(program->server_pid);
	}
	if (!ended_in_order(status) || error) {
		/* First the mount: a process that waits for an answer from it can't be killed before it ends. */
		mount_close(&program->mount);
		keeper_kill_all(program->table);
		return EXIT_FAILURE;
	}
	return program->options->command ? command_status(&program->command, program->table) : EXIT_SUCCESS;
}

static int serve(const struct options *options, int parent_fd)
{
	struct program program = {
		.options = options,
		.parent_fd = parent_fd,
		.keeper_fd = -1,
		.server_fd = -1,
		.journal_fd = -1,
		.upgrade_fd = -1,
		.upgraded_fd = -1,
	};
	int status = EXIT_FAILURE;

	int error = keeper_prepare();
	cgroups_sweep();
	if (error)
		log_error("the keeper can't be prepared: %s", strerror(-error));
	else if (program_init(&program) == 0)
		status = keep(&program);
	cgroups_sweep();
	program_finish(&program);
	return status;
}

/* What the child has to say before the mount works it says on our stderr, which it still has. */
static int await_child(pid_t pid, int child_fd)
{
	if (read_ready(child_fd))
		return EXIT_SUCCESS;
	int status = wait_for(pid);
	if (WIFSIGNALED(status))
		log_error("it was killed by signal %d before the mount worked", WTERMSIG(status));
	return EXIT_FAILURE;
}

static int serve_in_background(const struct options *options)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
		log_error("the background can't be reached: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	pid_t pid = fork();
	if (pid < 0) {
		log_error("the background can't be reached: %s", strerror(errno));
		close(ends[0]);
		close(ends[1]);
		return EXIT_FAILURE;
	}
	close(ends[pid == 0 ? 0 : 1]);
	if (pid > 0)
		return await_child(pid, ends[0]);
	/* A pipe or a lock of whoever ran us would be held for the life of the mount. */
	close_range(STDERR_FILENO + 1, (unsigned)ends[1] - 1, 0);
	close_range((unsigned)ends[1] + 1, ~0U, 0);
	setsid();
	return serve(options, ends[1]);
}

int main(int argc, char **argv)
{
	struct options options;
	struct refusal why = {0};

	hold_standard_streams();
	log_init();
	if (serving_is_meant(argc, argv))
		return serving_main(argv);
	int error = options_parse(&options, argc, argv, &why);
	if (error == -ENOMEM) {
		log_error("%s", strerror(ENOMEM));
		return EXIT_FAILURE;
	}
	if (error) {
		log_error("%s; try 'procfs-mp --help'", why.sentence);
		return EXIT_USAGE;
	}
	if (options.action == OPTIONS_HELP)
		return print(options_help());
	if (options.action == OPTIONS_VERSION)
		return print_version();
	if (options.action == OPTIONS_UPGRADE) {
		options_finish(&options);
		return upgrade_run(options.mountpoint);
	}
	int status = options.foreground ? serve(&options, -1) : serve_in_background(&options);
	options_finish(&options);
	return status;
}
