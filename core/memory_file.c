#include "core/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LARGEST_PIECE = 2 << 20, /* in which the kernel keeps what was written, on most machines */
};

static void name_descriptor(char path[static 40], int fd)
{
	snprintf(path, 40, "/proc/self/fd/%d", fd);
}

/* Another description of the same file. */
static int reopen(int fd, int flags)
{
	char path[40];
	name_descriptor(path, fd);
	int other = open(path, flags | O_CLOEXEC);
	return other < 0 ? -errno : other;
}

/* within_size: never more memory than was written, rounded up to a page. Sizes of 0 are no limits, as for memfd_create(2). */
static int configure(int context_fd)
{
	static const char *const OPTIONS[][2] = {
		{ "source", "output" }, { "huge", "within_size" }, { "size", "0" }, { "nr_inodes", "0" }, { "mode", "0700" },
	};
	for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++)
		if (fsconfig(context_fd, FSCONFIG_SET_STRING, OPTIONS[i][0], OPTIONS[i][1], 0))
			return -errno;
	return fsconfig(context_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? -errno : 0;
}

static int mount_nowhere(void)
{
	int context_fd = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (context_fd < 0)
		return -errno;
	int place_fd = configure(context_fd);
	if (!place_fd) {
		place_fd = fsmount(context_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
		if (place_fd < 0)
			place_fd = -errno;
	}
	close(context_fd);
	return place_fd;
}

static int say(const char *path, const char *words)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write(fd, words, strlen(words)) < 0 ? -errno : 0;
	close(fd);
	return error;
}

struct identity {
	uid_t user;
	gid_t group;
};

/* The exit status of who mounts: the descriptor, or 0 for none. */
static int mount_as(void *argument)
{
	const struct identity *identity = argument;
	char users[40], groups[40];
	snprintf(users, sizeof users, "%u %u 1", (unsigned)identity->user, (unsigned)identity->user);
	snprintf(groups, sizeof groups, "%u %u 1", (unsigned)identity->group, (unsigned)identity->group);
	if (say("/proc/self/uid_map", users) || say("/proc/self/setgroups", "deny") || say("/proc/self/gid_map", groups))
		return 0;
	int place_fd = mount_nowhere();
	return place_fd > 0 && place_fd <= UINT8_MAX ? place_fd : 0;
}

/* By a process with a user namespace of its own, which has our descriptors in common with us and is gone when we return.
 * It sends no signal at its end, and this wait alone sees it. */
static int mount_as_user(void)
{
	struct identity identity = { geteuid(), getegid() };
	char stack[32 << 10] __attribute__((aligned(16)));
	int status;
	pid_t helper = clone(mount_as, stack + sizeof stack, CLONE_FILES | CLONE_NEWUSER | CLONE_NEWNS, &identity);
	if (helper < 0)
		return -errno;
	while (waitpid(helper, &status, __WCLONE) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : -EPERM;
}

int memory_file_place(void)
{
	int place_fd = mount_nowhere();
	return place_fd == -EPERM ? mount_as_user() : place_fd;
}

/* The program may open it anew, as /dev/stdout, and is perhaps another user's: what memfd_create gives allows that, too. */
static int make_at(int place_fd, int *own)
{
	int fd = openat(place_fd, ".", O_TMPFILE | O_WRONLY | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	/* For reading alone: it counts for no writer. */
	int own_fd = fchmod(fd, 0666) ? -errno : reopen(fd, O_RDONLY);
	if (own_fd < 0) {
		close(fd);
		return own_fd;
	}
	*own = own_fd;
	return fd;
}

int memory_file_open(int place_fd, const char *name, int *own)
{
	if (*own < 0 && place_fd >= 0)
		return make_at(place_fd, own);
	if (*own < 0)
		*own = memfd_create(name, MFD_CLOEXEC);
	if (*own < 0)
		return -errno;
	/* Opened by a path: the descriptions that memfd_create gives are not watched on every kernel. */
	int fd = reopen(*own, O_WRONLY | O_APPEND);
	if (fd >= 0 || (fcntl(*own, F_GETFL) & O_ACCMODE) == O_RDONLY || fcntl(*own, F_SETFL, O_APPEND))
		return fd;
	fd = fcntl(*own, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int memory_file_open_for_cutting(int own_fd)
{
	return reopen(own_fd, O_WRONLY);
}

/* A piece of which only a part is cut is divided or stays, so the next cut begins with it. */
int memory_file_cut(int fd, uint64_t from, uint64_t to)
{
	from &= ~(uint64_t)(LARGEST_PIECE - 1);
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) ? -errno : 0;
}

uint64_t memory_file_size(int fd)
{
	struct stat st;
	return fd < 0 || fstat(fd, &st) || st.st_size < 0 ? 0 : (uint64_t)st.st_size;
}

/* A read lease is granted only where no description is open for writing (fcntl(2), F_SETLEASE); the one that memfd_create gave
 * counts for none. */
bool memory_file_may_be_written(int own_fd)
{
	int fd = reopen(own_fd, O_RDONLY);
	bool free_of_writers = fd >= 0 && !fcntl(fd, F_SETLEASE, F_RDLCK);
	if (free_of_writers)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	if (fd >= 0)
		close(fd);
	return !free_of_writers;
}

int memory_file_watch(int inotify_fd, int own_fd)
{
	char path[40];
	name_descriptor(path, own_fd);
	return inotify_add_watch(inotify_fd, path, IN_MODIFY | IN_ONESHOT);
}

bool memory_events_read(int inotify_fd, struct memory_events *out)
{
	ssize_t size = inotify_fd < 0 ? 0 : read(inotify_fd, out->bytes, sizeof out->bytes);
	out->size = size > 0 ? (size_t)size : 0;
	return size > 0;
}

const struct inotify_event *memory_events_next(const struct memory_events *events, size_t *at)
{
	if (*at >= events->size)
		return NULL;
	const struct inotify_event *event = (const void *)(events->bytes + *at);
	*at += sizeof *event + event->len;
	return event;
}
