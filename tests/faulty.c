/*
 * The program with memory, descriptors and room in the journal that run out and a clock that jumps on request: linked with --wrap for what it calls
 * (meson.build), and ruled by a test through the file that $PROCFS_MP_FAULTS names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/journal.h"

struct fuse_session;

/* As tests/mount/test_faulty.py packs it. */
struct faults {
	_Atomic int64_t pid;    /* whose calls are counted; -1: everybody's */
	_Atomic int64_t before; /* so many succeed, */
	_Atomic int64_t count;  /* so many fail then */
	_Atomic int64_t seen;
	_Atomic int64_t no_resend; /* the kernel is older than Linux 6.9 */
	_Atomic int64_t clock; /* seconds that the time of day is ahead, for everybody */
	_Atomic int64_t lacks; /* enum lack */
};

/* Which calls are counted: those that want memory, or a descriptor, which nobody on the machine gets any more (ENFILE), or that put a
 * record. */
enum lack { LACKS_MEMORY, LACKS_FILES, LACKS_ROOM };

static struct faults *faults;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *string);
char *__real_strndup(const char *string, size_t size);
int __real_journal_end_record(struct journal *journal, enum record_kind kind, uint64_t key);
int __wrap_journal_end_record(struct journal *journal, enum record_kind kind, uint64_t key);
bool __real_notify_resend(struct fuse_session *session);
bool __wrap_notify_resend(struct fuse_session *session);
int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __real_open64(const char *path, int flags, ...);
int __real_openat64(int directory_fd, const char *path, int flags, ...);
DIR *__real_opendir(const char *path);
FILE *__real_fopen64(const char *path, const char *mode);
int __real_memfd_create(const char *name, unsigned flags);
int __real_pipe2(int ends[2], int flags);
int __real_socketpair(int domain, int type, int protocol, int ends[2]);
long __real_syscall(long number, ...);
int __wrap_open64(const char *path, int flags, int mode);
int __wrap_openat64(int directory_fd, const char *path, int flags, int mode);
DIR *__wrap_opendir(const char *path);
FILE *__wrap_fopen64(const char *path, const char *mode);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_pipe2(int ends[2], int flags);
int __wrap_socketpair(int domain, int type, int protocol, int ends[2]);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
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

static int fails(enum lack lack)
{
	if (!faults || faults->lacks != lack || (faults->pid != -1 && faults->pid != getpid()))
		return 0;
	faults->seen++;
	int64_t before = faults->before--;
	if (before > 0 || before <= -faults->count)
		return 0;
	errno = lack == LACKS_MEMORY ? ENOMEM : ENFILE;
	return 1;
}

void *__wrap_malloc(size_t size)
{
	return fails(LACKS_MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails(LACKS_MEMORY) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails(LACKS_MEMORY) ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *string)
{
	return fails(LACKS_MEMORY) ? NULL : __real_strdup(string);
}

char *__wrap_strndup(const char *string, size_t size)
{
	return fails(LACKS_MEMORY) ? NULL : __real_strndup(string, size);
}

/* ---- descriptors: what opens a file; a duplicate is none of the machine's ---- */

int __wrap_open64(const char *path, int flags, int mode)
{
	return fails(LACKS_FILES) ? -1 : __real_open64(path, flags, mode);
}

int __wrap_openat64(int directory_fd, const char *path, int flags, int mode)
{
	return fails(LACKS_FILES) ? -1 : __real_openat64(directory_fd, path, flags, mode);
}

DIR *__wrap_opendir(const char *path)
{
	return fails(LACKS_FILES) ? NULL : __real_opendir(path);
}

FILE *__wrap_fopen64(const char *path, const char *mode)
{
	return fails(LACKS_FILES) ? NULL : __real_fopen64(path, mode);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	return fails(LACKS_FILES) ? -1 : __real_memfd_create(name, flags);
}

int __wrap_pipe2(int ends[2], int flags)
{
	return fails(LACKS_FILES) ? -1 : __real_pipe2(ends, flags);
}

int __wrap_socketpair(int domain, int type, int protocol, int ends[2])
{
	return fails(LACKS_FILES) ? -1 : __real_socketpair(domain, type, protocol, ends);
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number == SYS_pidfd_open && fails(LACKS_FILES))
		return -1;
	return __real_syscall(number, a, b, c, d, e, f);
}

/* As at the end of its half. */
int __wrap_journal_end_record(struct journal *journal, enum record_kind kind, uint64_t key)
{
	const struct record too_large = { kind, key, NULL, (size_t)UINT32_MAX + 1 };
	return fails(LACKS_ROOM) ? journal_put(journal, &too_large) : __real_journal_end_record(journal, kind, key);
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
