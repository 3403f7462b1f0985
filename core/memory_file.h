/*
 * memory_file: files in memory that others append to, and that are cut at the front.
 *
 * Where it may be had (by the superuser, and by those who may have a user namespace) they lie on a tmpfs of our own
 * that is mounted nowhere and whose pages are as large as what is written, which makes writing several times as fast;
 * else memfd_create(2) makes them.
 *
 * Must not know: processes, who writes.
 */
#ifndef PROCFS_MP_MEMORY_FILE_H
#define PROCFS_MP_MEMORY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>

/* Result: the descriptor of the place where files will be made (the caller closes it), or -errno: there can be none. */
int memory_file_place(void);

/* Makes the file when *own is -1, at the place (negative: none) or by that name; *own is for reading then, the caller's
 * to close.
 * Result: a descriptor that appends, of a description of its own (the caller closes it), or -errno. */
int memory_file_open(int place_fd, const char *name, int *own);

/* A descriptor for memory_file_cut, the caller's to close, or -errno. */
int memory_file_open_for_cutting(int own_fd);

/* Gives the memory of bytes `from` to `to` back, whose offsets stay; holds up who writes meanwhile. Result: 0 or
 * -errno. */
int memory_file_cut(int fd, uint64_t from, uint64_t to);

/* Bytes; 0 when there is no file (-1). */
uint64_t memory_file_size(int fd);

/* Whether anybody has it open for writing, or might. */
bool memory_file_may_be_written(int own_fd);

/* Result: the number of an inotify watch for the next growth, told once; -1 with errno when there is none to be had. */
int memory_file_watch(int inotify_fd, int own_fd);

/* What the kernel has told of files that are watched. */
struct memory_events {
	char bytes[4096] __attribute__((aligned(8)));
	size_t size;
};

/* Of a descriptor that does not wait; -1 has none. Result: false when there is nothing more. */
bool memory_events_read(int inotify_fd, struct memory_events *out);
/* Those that were read, one after the other; *at is 0 at first. Result: NULL at the end. */
const struct inotify_event *memory_events_next(const struct memory_events *events, size_t *at);

#endif
