#include "fs/upgrade.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fs/keeper_of.h"
#include "fs/log.h"

enum {
	UPGRADE_SECONDS = 10,
	UPGRADE_LOOK_SECONDS = 2, /* in which a server that does not stand still tells who it is */
	UPGRADE_TICK_MS = 10,
	PATH_ROOM = 4096,
};

static const struct timespec tick = {0, UPGRADE_TICK_MS * 1000000};

/* What is looked for by a process of its own, since a read that nobody answers could be left by death alone. */
struct search {
	int (*find)(const struct search *search, struct mount_processes *out); /* may wait for ever; result: 0, or -errno */
	const char *mountpoint;
	pid_t before; /* the server that is to be followed */
};

struct found {
	int error;
	struct mount_processes processes;
};

/* What the file `version` tells. Result: 0 and *out, or -errno; -EINVAL for a file that is none of ours. */
static int find_by_version(const struct search *search, struct mount_processes *out)
{
	char path[PATH_ROOM], text[512];

	if (snprintf(path, sizeof path, "%s/version", search->mountpoint) >= (int)sizeof path)
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

static int find_by_proc(const struct search *search, struct mount_processes *out)
{
	return keeper_of(search->mountpoint, out);
}

static int find_change(const struct search *search, struct mount_processes *out)
{
	while (find_by_version(search, out) || out->server == search->before)
		nanosleep(&tick, NULL);
	return 0;
}

static _Noreturn void search_apart(const struct search *search, pid_t parent, int out_fd)
{
	struct found found = {0};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(EXIT_FAILURE);
	found.error = search->find(search, &found.processes);
	_exit(write(out_fd, &found, sizeof found) != sizeof found);
}

/* Result: 0 and *out, or -errno; -ETIMEDOUT when nothing was found in time. */
static int search_for(const struct search *search, int seconds, struct mount_processes *out)
{
	struct found found = { .error = -ETIMEDOUT };
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid_t pid = fork();
	if (pid < 0)
		found.error = -errno;
	if (pid == 0)
		search_apart(search, parent, ends[1]);
	close(ends[1]);
	struct pollfd readable = { .fd = ends[0], .events = POLLIN };
	if (pid > 0 && poll(&readable, 1, seconds * 1000) == 1 && read(ends[0], &found, sizeof found) != sizeof found)
		found.error = -ETIMEDOUT;
	close(ends[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		/* Not for long: it may be in a read that the kernel lets nobody leave. */
		for (int i = 0; i < 1000 / UPGRADE_TICK_MS && waitpid(pid, NULL, WNOHANG) == 0; i++)
			nanosleep(&tick, NULL);
	}
	*out = found.processes;
	return found.error;
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

/* Whether the server is what lies at the keeper's place now. Result: false also when that can't be told. */
static bool is_installed(const struct mount_processes *processes, char installed[static KEEPER_OF_ROOM])
{
	char path[64];
	struct stat theirs, there;

	if (keeper_of_program(processes->keeper, installed))
		return false;
	snprintf(path, sizeof path, "/proc/%d/exe", processes->server);
	return stat(path, &theirs) == 0 && stat(installed, &there) == 0 && theirs.st_dev == there.st_dev &&
	       theirs.st_ino == there.st_ino;
}

static int say_refusal(const char *mountpoint, int error)
{
	switch (error) {
	case -EPERM:
		log_error("'%s' is another user's mount: its own user and the superuser can upgrade it", mountpoint);
		break;
	case -ESRCH:
	case -ETIMEDOUT:
		log_error("'%s' does not answer, and its keeper was not found", mountpoint);
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

/* A server that stands still is worth replacing too: then nobody but /proc can be asked for its keeper. */
static int find_processes(const char *mountpoint, struct mount_processes *out)
{
	int error = search_for(&(struct search){ find_by_version, mountpoint, 0 }, UPGRADE_LOOK_SECONDS, out);

	if (error == -ETIMEDOUT)
		error = search_for(&(struct search){ find_by_proc, mountpoint, 0 }, UPGRADE_LOOK_SECONDS, out);
	return error;
}

int upgrade_run(const char *mountpoint)
{
	struct mount_processes before, now;
	char installed[KEEPER_OF_ROOM] = "the installed program";

	int error = find_processes(mountpoint, &before);
	if (!error)
		error = ask(before.keeper);
	if (error)
		return say_refusal(mountpoint, error);
	if (search_for(&(struct search){ find_change, mountpoint, before.server }, UPGRADE_SECONDS, &now)) {
		log_error("'%s' has no new server after %d seconds; 'kill -USR2 %d' asks its keeper for one again", mountpoint,
			UPGRADE_SECONDS, before.keeper);
		return EXIT_FAILURE;
	}
	now.keeper = before.keeper;
	if (!is_installed(&now, installed)) {
		log_error("'%s' is served by the program of before: that of '%s' could not take over", mountpoint, installed);
		return EXIT_FAILURE;
	}
	printf("'%s' is served by %s now, process %d in the place of %d\n", mountpoint, installed, now.server, before.server);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
