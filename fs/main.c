/*
 * main: from the command line to the mount and back: the wiring, the only file that knows all.
 *
 * In the background a waiting parent stays until the mount works. What mounts becomes the keeper; the server is
 * its child. The keeper holds /dev/fuse as well, so that the mount outlives a server.
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
#include "core/keeper.h"
#include "core/ptable.h"
#include "core/text.h"
#include "fs/command.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/options.h"
#include "fs/server.h"

enum { EXIT_USAGE = 2 };

struct program {
	const struct options *options;
	struct mount mount;
	struct server *server;
	struct ptable *table;
	struct command command;
	struct badness badness;
	char *base_directory;
	mode_t umask;
	int parent_fd; /* who waits for the mount to work; -1 in the foreground */
	int keeper_fd; /* the two ends of what keeper and server say to each other */
	int server_fd;
	pid_t server_pid;
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

static void leave_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	log_to_syslog();
	for (int stream = 0; fd >= 0 && stream <= STDERR_FILENO; stream++)
		dup2(fd, stream);
	close(fd);
	if (chdir("/"))
		log_warning("the working directory can't become /: %s", strerror(errno));
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

/* Everything up to the mount. Result: 0, or -errno and a message; program_finish is due in both cases. */
static int program_init(struct program *program)
{
	int ends[2];
	int error = mount_choose(&program->mount, program->options);
	if (error)
		return error;

	program->umask = umask(0);
	umask(program->umask);
	program->base_directory = getcwd(NULL, 0);
	if (!program->base_directory) {
		log_warning("the working directory is unknown (%s): / takes its place", strerror(errno));
		program->base_directory = strdup("/");
	}
	program->server = server_create();
	error = ptable_create(&program->table);
	if (!error && program->options->command)
		error = command_init(&program->command, program->options->command,
			program->mount.path, program->umask);
	if (!program->base_directory || !program->server)
		error = -ENOMEM;
	if (!error && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		error = -errno;
	if (error) {
		log_error("the mount can't be prepared: %s", strerror(-error));
		return error;
	}
	program->keeper_fd = ends[0];
	program->server_fd = ends[1];
	return mount_open(&program->mount, program->options, program->server);
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
	mount_close(&program->mount);
	command_finish(&program->command);
	ptable_destroy(program->table);
	server_destroy(program->server);
	free(program->base_directory);
}

/* The server's process. It is told of signals by messages, so none but those for its own faults may end it. */
static _Noreturn void become_server(struct program *program, int ready_fd)
{
	static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		sigdelset(&blocked, faults[i]);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	badness_restore(program->badness.before);
	prctl(PR_SET_NAME, "procfs-mp-srv");
	close_end(&program->keeper_fd);
	if (program->parent_fd >= 0)
		leave_terminal();
	close_end(&program->parent_fd);

	struct server_config config = {
		.session = program->mount.session,
		.mountpoint = program->mount.path,
		.base_directory = program->base_directory,
		.socket_fd = program->server_fd,
		.ready_fd = ready_fd,
		.table = program->table,
		.allow_other = program->options->allow_other,
		.debug = program->options->debug,
		.has_command = program->options->command,
		.umask = program->umask,
		.limits = program->options->limits,
	};
	int status = server_run(program->server, &config);
	server_destroy(program->server);
	exit(status);
}

/* Result: 0 and *ready_fd, on which one byte will come; -errno and a message. */
static int start_server(struct program *program, int *ready_fd)
{
	int ends[2];
	int error = 0;

	if (pipe2(ends, O_CLOEXEC)) {
		error = errno;
		goto say;
	}
	fflush(NULL);
	program->server_pid = fork();
	if (program->server_pid == 0) {
		close(ends[0]);
		become_server(program, ends[1]);
	}
	error = program->server_pid < 0 ? errno : 0;
	close(ends[1]);
	close_end(&program->server_fd);
	if (!error) {
		*ready_fd = ends[0];
		return 0;
	}
	close(ends[0]);
say:
	log_error("the server can't be started: %s", strerror(error));
	return -error;
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
	if (WIFSIGNALED(status))
		log_error("the server was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_error("the server failed with exit status %d", WEXITSTATUS(status));
	return false;
}

/* The life of the keeper, from the mount's first moment to its last. Result: the exit status. */
static int keep(struct program *program)
{
	int ready_fd = -1, status = 0;

	badness_lower(&program->badness);
	if (start_server(program, &ready_fd))
		return EXIT_FAILURE;
	if (!read_ready(ready_fd)) {
		close_end(&program->keeper_fd);
		ended_in_order(wait_for(program->server_pid));
		log_error("the server did not begin");
		return EXIT_FAILURE;
	}
	if (program->parent_fd >= 0) {
		leave_terminal();
		send(program->parent_fd, "", 1, MSG_NOSIGNAL);
		close_end(&program->parent_fd);
	}

	struct keeper keeper = {
		.table = program->table,
		.socket_fd = program->keeper_fd,
		.server = program->server_pid,
		.badness = program->badness.before,
		.command = program->options->command ? &program->command.spec : NULL,
	};
	int error = keeper_run(&keeper, &status);
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
	};
	int status = EXIT_FAILURE;

	int error = keeper_prepare();
	if (error)
		log_error("the keeper can't be prepared: %s", strerror(-error));
	else if (program_init(&program) == 0)
		status = keep(&program);
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
	int status = options.foreground ? serve(&options, -1) : serve_in_background(&options);
	options_finish(&options);
	return status;
}
