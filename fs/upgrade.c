#include "fs/upgrade.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fs/log.h"

enum {
	UPGRADE_SECONDS = 10,
	UPGRADE_TICK_MS = 10,
	PATH_ROOM = 4096,
};

/* What the file `version` of a mount tells. */
struct processes {
	int keeper;
	int server;
};

/* Result: 0 and *out, or -errno; -EINVAL for a file that is none of ours. */
static int read_processes(const char *mountpoint, struct processes *out)
{
	char path[PATH_ROOM], text[512];

	if (snprintf(path, sizeof path, "%s/version", mountpoint) >= (int)sizeof path)
		return -ENAMETOOLONG;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t size = read(fd, text, sizeof text - 1);
	int error = size < 0 ? -errno : 0;
	close(fd);
	if (error)
		return error;
	text[size] = '\0';
	bool known = strncmp(text, "procfs-mp ", 10) == 0 &&
		sscanf(text, "%*[^\n] keeper %d server %d", &out->keeper, &out->server) == 2;
	return known && out->keeper > 0 && out->server > 0 ? 0 : -EINVAL;
}

static bool blocks_the_signal(int tasks_fd, const char *thread)
{
	char path[PATH_ROOM], line[256];
	unsigned long long blocked = 0;

	snprintf(path, sizeof path, "%s/status", thread);
	int fd = openat(tasks_fd, path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	while (file && fgets(line, sizeof line, file) && sscanf(line, "SigBlk: %llx", &blocked) != 1)
		continue;
	if (file)
		fclose(file);
	else if (fd >= 0)
		close(fd);
	return blocked >> (SIGUSR2 - 1) & 1;
}

/* A signal that nobody expects ends the process, and what a file tells could be anybody's number. The keeper's launchers block
 * it always; its main thread does not while it waits for it (sigtimedwait(2), real_blocked in the kernel's kernel/signal.c). */
static bool takes_the_signal(int keeper)
{
	char path[PATH_ROOM];
	struct dirent *thread;
	bool takes = false;

	snprintf(path, sizeof path, "/proc/%d/task", keeper);
	DIR *tasks = opendir(path);
	while (tasks && !takes && (thread = readdir(tasks)))
		takes = blocks_the_signal(dirfd(tasks), thread->d_name);
	if (tasks)
		closedir(tasks);
	return takes;
}

/* Result: 0, or -errno. */
static int ask(int keeper)
{
	int error = 0;
	int fd = (int)syscall(SYS_pidfd_open, keeper, 0);

	if (fd < 0)
		return -errno;
	if (!takes_the_signal(keeper))
		error = -EINVAL;
	else if (syscall(SYS_pidfd_send_signal, fd, SIGUSR2, NULL, 0U) < 0)
		error = -errno;
	close(fd);
	return error;
}

static _Noreturn void look_for_change(const char *mountpoint, int before, int out_fd)
{
	const struct timespec tick = {0, UPGRADE_TICK_MS * 1000000};
	struct processes now;

	while (read_processes(mountpoint, &now) || now.server == before)
		nanosleep(&tick, NULL);
	_exit(write(out_fd, &now.server, sizeof now.server) != sizeof now.server);
}

/* Another process looks, since a read that nobody answers could be left by death alone.
 * Result: the new server's pid, 0 when none came. */
static int await_change(const char *mountpoint, int before)
{
	int ends[2], server = 0;

	if (pipe2(ends, O_CLOEXEC))
		return 0;
	pid_t pid = fork();
	if (pid == 0)
		look_for_change(mountpoint, before, ends[1]);
	close(ends[1]);
	struct pollfd readable = {ends[0], POLLIN, 0};
	if (pid > 0 && poll(&readable, 1, UPGRADE_SECONDS * 1000) == 1 &&
	    read(ends[0], &server, sizeof server) != sizeof server)
		server = 0;
	close(ends[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		/* Not for long: it may be in a read that the kernel lets nobody leave. */
		const struct timespec tick = {0, UPGRADE_TICK_MS * 1000000};
		for (int i = 0; i < 1000 / UPGRADE_TICK_MS && waitpid(pid, NULL, WNOHANG) == 0; i++)
			nanosleep(&tick, NULL);
	}
	return server;
}

/* Whether the server is what lies at the keeper's place now. Result: false also when that can't be told. */
static bool is_installed(const struct processes *processes, int server, char installed[static PATH_ROOM])
{
	static const char deleted[] = " (deleted)";
	char path[64];
	struct stat theirs, there;

	snprintf(path, sizeof path, "/proc/%d/exe", processes->keeper);
	ssize_t size = readlink(path, installed, PATH_ROOM - 1);
	if (size < 0)
		return false;
	installed[size] = '\0';
	size_t end = sizeof deleted - 1;
	if ((size_t)size > end && strcmp(installed + size - end, deleted) == 0)
		installed[(size_t)size - end] = '\0';
	snprintf(path, sizeof path, "/proc/%d/exe", server);
	return stat(path, &theirs) == 0 && stat(installed, &there) == 0 && theirs.st_dev == there.st_dev &&
	       theirs.st_ino == there.st_ino;
}

static int say_refusal(const char *mountpoint, int error)
{
	switch (error) {
	case -EPERM:
		log_error("'%s' is another user's mount: its own user and the superuser can upgrade it", mountpoint);
		break;
	case -EINVAL:
	case -ENOENT:
		log_error("'%s' is no mount of procfs-mp that can be upgraded", mountpoint);
		break;
	default:
		log_error("'%s' can't be upgraded: %s", mountpoint, strerror(-error));
	}
	return EXIT_FAILURE;
}

int upgrade_run(const char *mountpoint)
{
	struct processes processes;
	char installed[PATH_ROOM] = "the installed program";

	int error = read_processes(mountpoint, &processes);
	if (!error)
		error = ask(processes.keeper);
	if (error)
		return say_refusal(mountpoint, error);
	int server = await_change(mountpoint, processes.server);
	if (!server) {
		log_error("'%s' has no new server after %d seconds", mountpoint, UPGRADE_SECONDS);
		return EXIT_FAILURE;
	}
	if (!is_installed(&processes, server, installed)) {
		log_error("'%s' is served by the program of before: that of '%s' could not take over", mountpoint, installed);
		return EXIT_FAILURE;
	}
	printf("'%s' is served by %s now, process %d in the place of %d\n", mountpoint, installed, server,
		processes.server);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
