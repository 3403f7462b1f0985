#include "fs/keeper_of.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/kin.h"
#include "fs/mount.h"
#include "fs/serving.h"

/* A whole file of a process. Result: its size, below room, and a NUL behind it; -1. */
static ssize_t read_file(pid_t pid, const char *name, char *out, size_t room)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t size = read(fd, out, room - 1);
	close(fd);
	if (size >= 0)
		out[size] = '\0';
	return size;
}

int keeper_of_program(pid_t pid, char out[static KEEPER_OF_ROOM])
{
	static const char deleted[] = " (deleted)";
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	ssize_t size = readlink(path, out, KEEPER_OF_ROOM - 1);
	if (size < 0)
		return -errno;
	out[size] = '\0';
	size_t end = sizeof deleted - 1;
	if ((size_t)size > end && strcmp(out + size - end, deleted) == 0)
		out[(size_t)size - end] = '\0';
	return 0;
}

static bool is_of(pid_t pid, uid_t owner)
{
	uid_t user;

	return kin_user(pid, &user) == 0 && user == owner;
}

/* By its name first: to read the words of a process that hangs could hang too. */
static bool is_server(pid_t pid, const char *path, uid_t owner)
{
	char name[64], words[2 * KEEPER_OF_ROOM];

	if (read_file(pid, "comm", name, sizeof name) < 0 || strcmp(name, SERVING_NAME "\n") != 0 || !is_of(pid, owner))
		return false;
	ssize_t size = read_file(pid, "cmdline", words, sizeof words);
	return size > 0 && serving_is_for(words, (size_t)size, path);
}

/* What is called a server may be anything, or what one has forked just now. */
static bool is_keeper(pid_t pid, pid_t server, uid_t owner)
{
	char program[KEEPER_OF_ROOM], other[KEEPER_OF_ROOM];

	return is_of(pid, owner) && keeper_of_program(pid, program) == 0 && keeper_of_program(server, other) == 0 &&
	       strcmp(program, other) == 0;
}

static int find(const char *path, uid_t owner, struct mount_processes *out)
{
	struct dirent *entry;
	struct kin kin;
	int error = -ESRCH;

	DIR *all = opendir("/proc");
	if (!all)
		return -errno;
	while (error && (entry = readdir(all))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
		if (!pid || !is_server(pid, path, owner) || kin_read(pid, &kin) || is_server(kin.parent, path, owner) ||
		    !is_keeper(kin.parent, pid, owner))
			continue;
		*out = (struct mount_processes){ .keeper = kin.parent, .server = pid };
		error = 0;
	}
	closedir(all);
	return error;
}

int keeper_of(const char *mountpoint, struct mount_processes *out)
{
	char link[64], path[KEEPER_OF_ROOM];
	uid_t owner;

	/* realpath(3) could ask the mount. */
	int fd = open(mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t size = readlink(link, path, sizeof path - 1);
	int error = size < 0 ? -errno : 0;
	close(fd);
	if (error)
		return error;
	path[size] = '\0';
	error = mount_owner(path, &owner);
	if (error)
		return error;
	return geteuid() == 0 || geteuid() == owner ? find(path, owner, out) : -EPERM;
}
