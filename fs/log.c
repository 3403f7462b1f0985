#include "fs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static bool in_syslog;

static void log_message(int priority, const char *format, va_list arguments)
{
	static const char prefix[] = "procfs-mp: ";
	enum { PREFIX = sizeof prefix - 1 };
	char line[2048] = "procfs-mp: ";
	int saved = errno;

	int length = vsnprintf(line + PREFIX, sizeof line - PREFIX - 1, format, arguments);
	if (length < 0)
		goto restore;
	size_t size = PREFIX + (size_t)length;
	if (size > sizeof line - 2)
		size = sizeof line - 2;
	while (size > PREFIX && line[size - 1] == '\n')
		size--;
	line[size] = '\0';

	if (in_syslog) {
		syslog(priority, "%s", line + PREFIX);
		goto restore;
	}
	line[size++] = '\n';
	ssize_t written = write(STDERR_FILENO, line, size);
	(void)written;
restore:
	errno = saved;
}

/* What -d shows comes in pieces of lines, so it goes out as it came. */
static void on_fuse_message(enum fuse_log_level level, const char *format, va_list arguments)
{
	if (level == FUSE_LOG_DEBUG && !in_syslog) {
		vfprintf(stderr, format, arguments);
		return;
	}
	log_message((int)level, format, arguments);
}

void log_init(void)
{
	fuse_set_log_func(on_fuse_message);
}

void log_leave_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	openlog("procfs-mp", LOG_PID, LOG_DAEMON);
	in_syslog = true;
	for (int stream = 0; fd >= 0 && stream <= STDERR_FILENO; stream++)
		dup2(fd, stream);
	close(fd);
	if (chdir("/"))
		log_warning("the working directory can't become /: %s", strerror(errno));
}

void log_error(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	log_message(LOG_ERR, format, arguments);
	va_end(arguments);
}

void log_warning(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	log_message(LOG_WARNING, format, arguments);
	va_end(arguments);
}
