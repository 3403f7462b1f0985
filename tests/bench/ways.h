/*
 * ways: what the measuring programs share: a clock, plain file calls that end the program when they fail, and one
 * start and join in each of the ways that are compared.
 *
 * Owns nothing. Every function ends the program with 1 and a message when a call fails.
 */
#ifndef PROCFS_MP_WAYS_H
#define PROCFS_MP_WAYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Who measures. The working directory is the mount; mount_fd is a descriptor of it. */
struct client {
	char *program; /* without arguments; it must exit with 0 */
	int mount_fd;
	unsigned long made;
};

_Noreturn void fail(const char *what);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t now(void);

/* Opens without O_TRUNC, one write, close. Paths are relative to directory_fd. */
void put_file(int directory_fd, const char *path, const char *text);
/* Open, one read, close. Result: the bytes read; a zero byte follows them. */
size_t read_file(int directory_fd, const char *path, char *buffer, size_t room);

/* posix_spawn with the arguments, NULL at their end. Result: the pid. */
pid_t spawn(char *const argv[]);
/* -1: whichever child ends first. Result: its status, as waitpid(2) gives it. */
int wait_for(pid_t pid);

/* Begins a client in the mount. */
void client_begin(struct client *client, const char *mount, char *program);

/* A number of at least 1; else the program ends with 2. */
long number_of(const char *word);

/* Each does one start and join. Result: the nanoseconds it took.
 *   spawn  posix_spawn(3) and waitpid(2)
 *   files  mkdir, open/write/close of target and twice of ctl (start, join), open/read/close of exitcode, rmdir
 *   clone  open clone, one write that configures, starts and joins, read the name, close; the directory is looked at
 *          and removed outside of the time */
uint64_t way_spawn(struct client *client);
uint64_t way_files(struct client *client);
uint64_t way_clone(struct client *client);

#endif
