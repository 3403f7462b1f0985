#include "core/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MICROSECONDS = 1000000, BLOCK = 512 };

static const char *const COUNTS[] = { "maxrss", "minflt", "majflt", "inblock", "oublock", "nvcsw", "nivcsw" };

const char *usage_count_name(unsigned index)
{
	return index < sizeof COUNTS / sizeof *COUNTS ? COUNTS[index] : NULL;
}

int64_t usage_count(const struct usage *usage, unsigned index)
{
	const int64_t counts[] = { usage->maxrss_kib, usage->minflt,  usage->majflt, usage->inblock,
				   usage->oublock,    usage->nvcsw, usage->nivcsw };
	return counts[index];
}

void usage_of_rusage(const struct rusage *rusage, struct usage *out)
{
	*out = (struct usage){
		.utime = rusage->ru_utime,
		.stime = rusage->ru_stime,
		.maxrss_kib = rusage->ru_maxrss,
		.minflt = rusage->ru_minflt,
		.majflt = rusage->ru_majflt,
		.inblock = rusage->ru_inblock,
		.oublock = rusage->ru_oublock,
		.nvcsw = rusage->ru_nvcsw,
		.nivcsw = rusage->ru_nivcsw,
	};
}

/* False when it can't be read. */
static bool read_file(pid_t pid, const char *file, char *buffer, size_t room)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t size = read(fd, buffer, room - 1);
	close(fd);
	if (size <= 0)
		return false;
	buffer[size] = '\0';
	return true;
}

static struct timeval of_ticks(unsigned long long ticks)
{
	unsigned long long hz = (unsigned long long)sysconf(_SC_CLK_TCK);
	return (struct timeval){ .tv_sec = (time_t)(ticks / hz), .tv_usec = (suseconds_t)(ticks % hz * MICROSECONDS / hz) };
}

/* The command's name (field 2) may hold anything, blanks and parentheses too: count from its last parenthesis. */
bool usage_parse_stat(const char *stat, struct usage *out)
{
	unsigned long long minflt, child_minflt, majflt, child_majflt, utime, stime, child_utime, child_stime;
	const char *rest = strrchr(stat, ')');
	if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %llu %llu %llu %llu %llu %llu %llu %llu", &minflt,
			    &child_minflt, &majflt, &child_majflt, &utime, &stime, &child_utime, &child_stime) != 8)
		return false;
	out->utime = of_ticks(utime + child_utime);
	out->stime = of_ticks(stime + child_stime);
	out->minflt = (int64_t)(minflt + child_minflt);
	out->majflt = (int64_t)(majflt + child_majflt);
	return true;
}

/* The number behind "\nKEY:"; buffer begins with a newline. */
static int64_t number_of(const char *buffer, const char *key)
{
	const char *line = strstr(buffer, key);
	return line ? strtoll(line + strlen(key), NULL, 10) : USAGE_UNKNOWN;
}

static int64_t blocks_of(const char *buffer, const char *key)
{
	int64_t bytes = number_of(buffer, key);
	return bytes < 0 ? USAGE_UNKNOWN : bytes / BLOCK;
}

void usage_parse_status(const char *status, struct usage *out)
{
	out->maxrss_kib = number_of(status, "\nVmHWM:");
	out->nvcsw = number_of(status, "\nvoluntary_ctxt_switches:");
	out->nivcsw = number_of(status, "\nnonvoluntary_ctxt_switches:");
}

void usage_parse_io(const char *io, struct usage *out)
{
	out->inblock = blocks_of(io, "\nread_bytes:");
	out->oublock = blocks_of(io, "\nwrite_bytes:");
}

int usage_read(pid_t pid, struct usage *out)
{
	char buffer[4096] = "\n";
	*out = (struct usage){ .maxrss_kib = USAGE_UNKNOWN, .inblock = USAGE_UNKNOWN, .oublock = USAGE_UNKNOWN,
			       .nvcsw = USAGE_UNKNOWN, .nivcsw = USAGE_UNKNOWN };
	if (!read_file(pid, "stat", buffer + 1, sizeof buffer - 1) || !usage_parse_stat(buffer, out))
		return -ESRCH;
	if (read_file(pid, "status", buffer + 1, sizeof buffer - 1))
		usage_parse_status(buffer, out);
	if (read_file(pid, "io", buffer + 1, sizeof buffer - 1))
		usage_parse_io(buffer, out);
	return 0;
}
