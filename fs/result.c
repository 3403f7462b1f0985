#include "fs/result.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int result_permit(const struct view *view)
{
	struct process *inside;
	int error = manager_find_inside(view->manager, view->caller, &inside, NULL);
	if (error || inside == view->process)
		return error;
	return refuse(view->caller->why, EPERM,
		      "result is written from inside of the process, while it runs, as $PROCFS_MP/self/result; outside it is read");
}

int result_stream(const struct process *process)
{
	return process->result_fd;
}

static int make_result(const struct view *view)
{
	struct process *process = view->process;
	int fd = memfd_create("result", MFD_CLOEXEC);
	int error = fd < 0 ? -errno : manager_hold(view->manager, process, HOLDING_RESULT, fd);
	if (!error)
		process->result_fd = fd;
	else if (fd >= 0)
		close(fd);
	return error;
}

static int write_whole(int fd, const char *bytes, size_t size, off_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t part = pwrite(fd, bytes + done, size - done, offset + (off_t)done);
		if (part < 0)
			return -errno;
		done += (size_t)part;
	}
	return 0;
}

/* A write that fails leaves no more behind than there was. */
int result_put(const struct view *view, const char *bytes, size_t size, off_t offset)
{
	struct process *process = view->process;
	struct refusal *why = view->caller->why;
	struct stat st;
	int error = process->result_fd < 0 ? make_result(view) : 0;
	if (!error && fstat(process->result_fd, &st))
		error = -errno;
	if (error)
		return refuse(why, -error, "cannot keep the result: %s", strerror(-error));
	process_touch(process);
	if (offset < 0)
		offset = st.st_size;
	if (offset > st.st_size)
		return refuse(why, EINVAL, "the result has %lld bytes: a write at %lld would leave a hole",
			      (long long)st.st_size, (long long)offset);
	if (size > RESULT_LARGEST || offset > (off_t)(RESULT_LARGEST - size))
		return refuse(why, E2BIG, "a result has at most %d bytes", RESULT_LARGEST);
	error = write_whole(process->result_fd, bytes, size, offset);
	if (!error)
		return 0;
	if (ftruncate(process->result_fd, st.st_size))
		error = -errno;
	return refuse(why, -error, "cannot keep the result: %s", strerror(-error));
}
