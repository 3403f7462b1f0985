#include "core/badness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char badness_path[] = "/proc/self/oom_score_adj";

int badness_get(char out[BADNESS_ROOM])
{
	int fd = open(badness_path, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return -errno;
	size = read(fd, out, BADNESS_ROOM - 1);
	close(fd);
	if (size <= 0)
		return -EIO;
	out[size] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

int badness_set(const char *value)
{
	int fd = open(badness_path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		error = -errno;
	close(fd);
	return error;
}

int badness_lower(void)
{
	char now[BADNESS_ROOM];
	int error = badness_set("-1000");

	if (!error || badness_get(now))
		return error;
	return atoi(now) > 0 ? badness_set("0") : error;
}
