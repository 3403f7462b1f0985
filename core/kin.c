#include "core/kin.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/lack.h"

/* Of a process that is there or not. */
static int open_error(void)
{
	return errno == EACCES || is_lack(-errno) ? -errno : -ESRCH;
}

static int read_small(pid_t pid, const char *file, char *buffer, size_t room)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return open_error();
	ssize_t size = read(fd, buffer, room - 1);
	close(fd);
	if (size <= 0)
		return -ESRCH;
	buffer[size] = '\0';
	return 0;
}

/* The command's name (field 2) may hold anything, blanks and parentheses too: count from its last parenthesis. */
int kin_parse(const char *stat, struct kin *out)
{
	const char *rest = strrchr(stat, ')');
	int parent, session;
	char state;
	unsigned long long start;
	if (!rest || sscanf(rest + 1,
			    " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			    &state, &parent, &session, &start) != 4)
		return -ESRCH;
	*out = (struct kin){ .parent = parent, .session = session, .start = start, .state = state };
	return 0;
}

int kin_read(pid_t pid, struct kin *out)
{
	char buffer[1024];
	int error = read_small(pid, "stat", buffer, sizeof buffer);
	return error ? error : kin_parse(buffer, out);
}

bool kin_is_stopped(pid_t pid)
{
	struct kin kin;
	return !kin_read(pid, &kin) && kin.state == 'T';
}

int kin_process_of(pid_t thread, pid_t *out)
{
	char buffer[1024];
	int error = read_small(thread, "status", buffer, sizeof buffer);
	if (error)
		return error;
	const char *line = strstr(buffer, "\nTgid:");
	int tgid;
	if (!line || sscanf(line, "\nTgid: %d", &tgid) != 1)
		return -ESRCH;
	*out = tgid;
	return 0;
}

int kin_user(pid_t pid, uid_t *out)
{
	char buffer[1024];
	int error = read_small(pid, "status", buffer, sizeof buffer);
	if (error)
		return error;
	const char *line = strstr(buffer, "\nUid:");
	unsigned user;
	if (!line || sscanf(line, "\nUid: %*u %u", &user) != 1)
		return -ESRCH;
	*out = user;
	return 0;
}

int kin_find_number(FILE *environment, const char *name, uint64_t *out)
{
	size_t length = strlen(name);
	char *entry = NULL;
	size_t room = 0;
	int error = -ENOENT;
	while (error && getdelim(&entry, &room, '\0', environment) > 0) {
		if (strncmp(entry, name, length) || entry[length] != '=')
			continue;
		char *end;
		errno = 0;
		unsigned long long number = strtoull(entry + length + 1, &end, 10);
		if (errno || *end || !isdigit((unsigned char)entry[length + 1]))
			break;
		*out = number;
		error = 0;
	}
	free(entry);
	return error;
}

int kin_environment_number(pid_t pid, const char *name, uint64_t *out)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return open_error();
	int error = kin_find_number(file, name, out);
	fclose(file);
	return error;
}

int kin_group(pid_t pid, char *name, size_t room)
{
	char buffer[4096];
	int error = read_small(pid, "cgroup", buffer, sizeof buffer);
	if (error)
		return error;
	char *path = !strncmp(buffer, "0::", 3) ? buffer : strstr(buffer, "\n0::");
	if (!path)
		return -ENOENT;
	path = strchr(path, '/');
	if (!path)
		return -ENOENT;
	path[strcspn(path, "\n")] = '\0';
	const char *last = strrchr(path, '/') + 1;
	if (strlen(last) >= room)
		return -ENOENT;
	strcpy(name, last);
	return 0;
}

bool kin_has_open(pid_t pid, const char *name)
{
	char directory[64];
	snprintf(directory, sizeof directory, "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(directory);
	if (!dir)
		return is_lack(-errno);
	bool found = false;
	for (struct dirent *entry; !found && (entry = readdir(dir));) {
		char target[4096];
		ssize_t size = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
		target[size > 0 ? size : 0] = '\0';
		const char *last = strrchr(target, '/');
		found = last && !strcmp(last + 1, name);
	}
	closedir(dir);
	return found;
}

uint64_t kin_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / 1000000000;
}
