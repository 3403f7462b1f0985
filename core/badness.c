#include "core/badness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char FILE_OF_IT[] = "/proc/self/oom_score_adj";

static int write_value(const char *value)
{
	int fd = open(FILE_OF_IT, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t size = strlen(value);
	int error = write(fd, value, size) == (ssize_t)size ? 0 : -errno;
	close(fd);
	return error;
}

void badness_lower(struct badness *out)
{
	char before[sizeof out->before] = "";
	*out = (struct badness){ "" };
	int fd = open(FILE_OF_IT, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t size = read(fd, before, sizeof before - 1);
	close(fd);
	int value = size > 0 ? atoi(before) : -1000;
	if ((value > -1000 && !write_value("-1000")) || (value > 0 && !write_value("0")))
		memcpy(out->before, before, sizeof before);
}

int badness_restore(const char *before)
{
	return *before ? write_value(before) : 0;
}
