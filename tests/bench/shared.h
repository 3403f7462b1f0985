/* shared: a file of a page that the measuring programs and those they start map, to tell each other something. */
#ifndef PROCFS_MP_SHARED_H
#define PROCFS_MP_SHARED_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct shared {
	_Atomic uint64_t stamp;   /* when the program that ends ended: nanoseconds of CLOCK_MONOTONIC */
	_Atomic uint64_t started; /* how many programs run that say so */
};

/* Result: NULL when it can't be mapped. */
static inline struct shared *shared_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, 4096))
		return NULL;
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

#endif
