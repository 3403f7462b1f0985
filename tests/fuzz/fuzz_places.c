/* Whatever mountinfo and /proc/self/cgroup say: where groups can be made is found or not, and nothing else. Two files, the
 * second behind a line of "%". */
#include "core/cgroup_private.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

static int make_file(const void *bytes, size_t size, char path[static 40])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(fd >= 0 && write(fd, bytes, size) == (ssize_t)size, "a memory file takes all");
	snprintf(path, 40, "/proc/self/fd/%d", fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *border = size ? memmem(data, size, "\n%\n", 3) : NULL;
	size_t first = border ? (size_t)(border - data) + 1 : size;
	char mountinfo[40], membership[40];
	struct cgroups *cgroups;
	int fds[2];

	/* What it finds is looked at: not this machine's own. */
	if (size && (memmem(data, size, "/sys", 4) || memmem(data, size, "/proc", 5) || memmem(data, size, "..", 2)))
		return 0;
	fds[0] = make_file(data, first, mountinfo);
	fds[1] = make_file(border ? border + 3 : data, border ? size - first - 2 : 0, membership);
	if (!cgroups_create(NULL, mountinfo, membership, &cgroups)) {
		for (enum cgroup_kind kind = 0; kind < CGROUP_KINDS; kind++)
			require(!cgroups->places[kind].tried, "nothing is tried before it is asked for");
		cgroups_destroy(cgroups);
	}
	close(fds[0]);
	close(fds[1]);
	return 0;
}
