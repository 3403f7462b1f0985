/* What a child has open before its exec. Everything here runs in the memory of its suspended parent, as core/launch.c says. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/holdings.h"
#include "core/launch_child.h"

enum { LAUNCH_FIRST_FD = 3 }; /* those below are the streams */

struct launch_dirent {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

/* A table of its own. Only what lies low is copied (close_range(2)): where there are many processes, the caller holds more for them. */
int child_part_descriptors(const struct launch_child *child)
{
	const int needed[LAUNCH_FIRST_FD] = { child->spec->stdin_fd, child->spec->stdout_fd, child->spec->stderr_fd };
	unsigned end = HOLDINGS_FROM;

	for (int i = 0; i < LAUNCH_FIRST_FD; i++)
		if (needed[i] >= (int)end)
			end = (unsigned)needed[i] + 1;
	if (syscall(SYS_close_range, end, ~0U, CLOSE_RANGE_UNSHARE) == 0)
		return 0;
	return unshare(CLONE_FILES) < 0 ? -errno : 0;
}

/* "/proc/PID/fd/N" without stdio. */
static void child_name_descriptor(char *out, pid_t pid, int number)
{
	static const char *const parts[] = { "/proc/", "/fd/" };
	const long numbers[] = { pid, number };

	for (int i = 0; i < 2; i++) {
		char digits[24];
		int count = 0;
		long rest = numbers[i];

		for (const char *at = parts[i]; *at; at++)
			*out++ = *at;
		do
			digits[count++] = (char)('0' + rest % 10);
		while ((rest /= 10) > 0);
		while (count > 0)
			*out++ = digits[--count];
	}
	*out = '\0';
}

/* Where Yama forbids pidfd_getfd, a new description of the same file: not possible for a socket. */
static int child_reopen(int pid_fd, pid_t pid, int number)
{
	char path[80];
	int fd;

	child_name_descriptor(path, pid, number);
	fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EBADF : -errno;
	/* It lives still, so the number was its own. */
	if (syscall(SYS_pidfd_send_signal, pid_fd, 0, NULL, 0U) < 0 && errno == ESRCH)
		return -ESRCH;
	return fd;
}

/* The mask is empty and DONT_SYNC set, so that a filesystem is not asked: it may be ours, or hang. */
static bool child_lies_on(int fd, uint64_t device)
{
	struct statx found;

	return device && syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0U, &found) == 0 &&
	       makedev(found.stx_dev_major, found.stx_dev_minor) == device;
}

/* With the rights of the user it has become: who wrote `start` may be a program with more than those. */
static int child_inherit(const struct launch_spec *spec, int pid_fd, int number)
{
	int fd = (int)syscall(SYS_pidfd_getfd, pid_fd, number, 0U), flags;

	if (fd < 0 && (errno == EPERM || errno == ENOSYS))
		fd = child_reopen(pid_fd, spec->inherit_pid, number);
	else if (fd < 0)
		fd = -errno;
	if (fd < 0)
		return fd;
	if (child_lies_on(fd, spec->mount_device))
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	return fd;
}

/* `to` is 1 or 2; for what is inherited it is the pidfd so far. */
static int child_open_output(const struct launch_child *child, int to)
{
	const struct launch_output *output = &child->spec->outputs[to - 1];
	int fd, error;

	if (output->to == LAUNCH_TO_FILE) {
		fd = open(output->path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0666);
		if (fd < 0)
			return -errno;
	} else if (output->to == LAUNCH_TO_INHERITED) {
		fd = child_inherit(child->spec, to, output->number);
		if (fd < 0)
			return fd;
	} else {
		return 0;
	}
	error = dup2(fd, to) < 0 ? -errno : 0;
	close(fd);
	return error;
}

int child_open_stdout(const struct launch_child *child)
{
	return child_open_output(child, 1);
}

int child_open_stderr(const struct launch_child *child)
{
	return child_open_output(child, 2);
}

int child_join_outputs(const struct launch_child *child)
{
	for (int fd = 1; fd <= 2; fd++)
		if (child->spec->outputs[fd - 1].to == LAUNCH_TO_OTHER && dup2(3 - fd, fd) < 0)
			return -errno;
	return 0;
}

/* A duplicate above the streams, so that no dup2 overwrites what a later one needs. */
static int child_source(int fd)
{
	if (fd == -1)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd >= 0 && fd < LAUNCH_FIRST_FD)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, LAUNCH_FIRST_FD);
	return fd;
}

/* For kernels (and filters) without close_range. procfs lists descriptors by number, so closing those
 * already seen doesn't disturb the listing. */
static int child_close_listed(void)
{
	char buffer[1024] __attribute__((aligned(8)));
	int directory_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long size;

	if (directory_fd < 0)
		return -errno;
	while ((size = syscall(SYS_getdents64, directory_fd, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < size;) {
			const struct launch_dirent *entry = (const void *)(buffer + at);
			int fd = 0;

			for (const char *digit = entry->name; *digit >= '0' && *digit <= '9'; digit++)
				fd = fd * 10 + (*digit - '0');
			if (fd >= LAUNCH_FIRST_FD && fd != directory_fd)
				close(fd);
			at += entry->size;
		}
	}
	close(directory_fd);
	return size < 0 ? -errno : 0;
}

/* Descriptors 0 to 2, for which their own may be opened later. */
static int child_place_streams(const struct launch_spec *spec)
{
	int sources[LAUNCH_FIRST_FD] = { spec->stdin_fd, spec->stdout_fd, spec->stderr_fd };

	for (int fd = 0; fd < LAUNCH_FIRST_FD; fd++) {
		sources[fd] = child_source(sources[fd]);
		if (sources[fd] < 0)
			return -errno;
	}
	for (int fd = 0; fd < LAUNCH_FIRST_FD; fd++)
		if (dup2(sources[fd], fd) < 0)
			return -errno;
	return 0;
}

/* Nothing else of the caller's is left when it becomes another user, whose it would be to open as /proc/self/fd/N. */
int child_take_streams(const struct launch_child *child)
{
	int error = child->spec->flags & LAUNCH_FOREGROUND ? 0 : child_place_streams(child->spec);

	if (!error && syscall(SYS_close_range, (unsigned)LAUNCH_FIRST_FD, ~0U, 0U) < 0)
		error = child_close_listed();
	return error;
}
