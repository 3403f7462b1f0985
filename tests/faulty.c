/*
 * The program with memory that runs out and a clock that jumps on request: linked with --wrap for what it calls (meson.build), and
 * ruled by a test through the file that $PROCFS_MP_FAULTS names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct fuse_session;

/* As tests/mount/test_faulty.py packs it. */
struct faults {
	_Atomic int64_t pid;    /* whose allocations are counted */
	_Atomic int64_t before; /* so many succeed, */
	_Atomic int64_t count;  /* so many fail then */
	_Atomic int64_t seen;
	_Atomic int64_t no_resend; /* the kernel is older than Linux 6.9 */
	_Atomic int64_t clock; /* seconds that the time of day is ahead, for everybody */
};

static struct faults *faults;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *string);
char *__real_strndup(const char *string, size_t size);
bool __real_notify_resend(struct fuse_session *session);
bool __wrap_notify_resend(struct fuse_session *session);
int __real_clock_gettime(clockid_t clock, struct timespec *out);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *string);
char *__wrap_strndup(const char *string, size_t size);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

__attribute__((constructor)) static void find_faults(void)
{
	const char *path = getenv("PROCFS_MP_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *found = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (found != MAP_FAILED)
		faults = found;
}

static int fails(void)
{
	if (!faults || faults->pid != getpid())
		return 0;
	faults->seen++;
	int64_t before = faults->before--;
	if (before > 0 || before <= -faults->count)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *string)
{
	return fails() ? NULL : __real_strdup(string);
}

char *__wrap_strndup(const char *string, size_t size)
{
	return fails() ? NULL : __real_strndup(string, size);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
	int result = __real_clock_gettime(clock, out);
	if (!result && clock == CLOCK_REALTIME && faults)
		out->tv_sec += faults->clock;
	return result;
}

bool __wrap_notify_resend(struct fuse_session *session)
{
	return faults && faults->no_resend ? false : __real_notify_resend(session);
}
