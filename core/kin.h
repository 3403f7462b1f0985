/*
 * kin: what /proc says of a process's place among the others.
 *
 * Owns: reading /proc/PID/stat, environ and cgroup. Each can lack what it takes (core/lack: -ENOMEM, -EMFILE, -ENFILE) beside what
 * is said below: then nothing is known. Must not know: managed processes.
 */
#ifndef PROCFS_MP_KIN_H
#define PROCFS_MP_KIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct kin {
	pid_t parent;   /* a process, also when asked about a thread */
	pid_t session;
	uint64_t start; /* clock ticks since boot: proc(5), field 22 */
	char state;     /* R, S, D, T, Z, ... */
};

/* A line of /proc/PID/stat. Result: 0 and *out, or -ESRCH when it is none. */
int kin_parse(const char *stat, struct kin *out);

/* pid may be a thread's. Result: 0 and *out, or -ESRCH. */
int kin_read(pid_t pid, struct kin *out);

/* The process that a thread belongs to. Result: 0 and *out, or -ESRCH. */
int kin_process_of(pid_t thread, pid_t *out);

/* The effective user that it runs as. Result: 0 and *out, or -ESRCH. */
int kin_user(pid_t pid, uid_t *out);

/* The number in variable `name` of the environment that the process began with.
 * Result: 0 and *out; -ENOENT without one; -EACCES, -ESRCH when it can't be read. */
int kin_environment_number(pid_t pid, const char *name, uint64_t *out);

/* The last part of the path of its group in cgroup v2. Result: 0, and a string that ends within room; -ENOENT, -ESRCH. */
int kin_group(pid_t pid, char *name, size_t room);
/* The same in bytes of the form of /proc/PID/environ. Result: 0 and *out, or -ENOENT. */
int kin_find_number(FILE *environment, const char *name, uint64_t *out);

/* True when the process has something open whose path, as it sees it, ends in /NAME, or when this can't be known now. Reads links
 * only, so it never calls into a filesystem. */
bool kin_has_open(pid_t pid, const char *name);

/* True when it is stopped by a signal (state T). */
bool kin_is_stopped(pid_t pid);

/* Now, in the clock of kin.start. */
uint64_t kin_now(void);

#endif
