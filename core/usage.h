/*
 * usage: what a process and the children that it has waited for have used, as getrusage(2) counts.
 *
 * Owns: reading it from /proc while the process runs. Must not know: managed processes.
 */
#ifndef PROCFS_MP_USAGE_H
#define PROCFS_MP_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { USAGE_UNKNOWN = -1 };

/* A count may be USAGE_UNKNOWN while the process runs, the times are always known. */
struct usage {
	struct timeval utime, stime;
	int64_t maxrss_kib;
	int64_t minflt, majflt;
	int64_t inblock, oublock; /* in 512 bytes */
	int64_t nvcsw, nivcsw;
};

void usage_of_rusage(const struct rusage *rusage, struct usage *out);

/* Of a process that runs now: maxrss is the process's own, the switches those of its first thread, the
 * blocks are unknown for a program that may not be traced (set-user-ID).
 * Result: 0 and *out, or -ESRCH. */
int usage_read(pid_t pid, struct usage *out);

/* What usage_read() reads, each behind a newline: /proc/PID/stat (false: it is none, and *out is unchanged), status and io. */
bool usage_parse_stat(const char *stat, struct usage *out);
void usage_parse_status(const char *status, struct usage *out);
void usage_parse_io(const char *io, struct usage *out);

/* The counts by their names in getrusage(2), without "ru_", in a fixed order; NULL behind the last. */
const char *usage_count_name(unsigned index);
int64_t usage_count(const struct usage *usage, unsigned index);

#endif
