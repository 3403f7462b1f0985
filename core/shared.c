#include "core/shared.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

/* RLIMIT_FSIZE is about memory files too: beyond its soft limit ftruncate(2) ends the process by SIGXFSZ. */
static int set_size(int fd, size_t size)
{
	struct rlimit before, raised;
	int error = 0;

	if (getrlimit(RLIMIT_FSIZE, &before) < 0)
		return -errno;
	if (before.rlim_max < size)
		return -EFBIG;
	raised = (struct rlimit){ before.rlim_max, before.rlim_max };
	if (before.rlim_cur < size && setrlimit(RLIMIT_FSIZE, &raised) < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0)
		error = -errno;
	if (before.rlim_cur < size)
		setrlimit(RLIMIT_FSIZE, &before);
	return error;
}

int shared_create(const char *name, size_t size, int *out)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL), error;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* A memory file is everybody's who gets to it by a path (/proc/PID/fd). */
	error = fchmod(fd, 0600) < 0 ? -errno : set_size(fd, size);
	if (error) {
		close(fd);
		return error;
	}
	*out = fd;
	return 0;
}

int shared_map(int fd, size_t size, void **out)
{
	struct stat stat;
	void *memory;

	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size < (off_t)size)
		return -EINVAL;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*out = memory;
	return 0;
}
