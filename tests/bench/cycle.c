/*
 * cycle MOUNT PROGRAM ROUNDS: starts and joins PROGRAM ROUNDS times in each of three ways, one after the other in every
 * round, and prints a line a round: the nanoseconds of each way, in the order of the names in the first line.
 *
 * spawn  posix_spawn(3) and waitpid(2)
 * files  mkdir, open/write/close of target and twice of ctl (start, join), open/read/close of exitcode, rmdir
 * clone  with the mount's directory held open: open clone, one write that configures, starts and joins, read the
 *        name, close; the directory is looked at and removed outside of the time
 *
 * Ends with 1 when anything fails or the program does not exit with 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WARM_UP = 10, WAYS = 3 };

struct bench {
	char *program;
	int mount_fd;
	unsigned long made;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "cycle: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void put(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(text);
}

static void put_file(int directory_fd, const char *path, const char *text)
{
	int fd = openat(directory_fd, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	put(fd, text);
	close(fd);
}

static void expect_success(int directory_fd, const char *path)
{
	char text[16];
	int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text);

	if (size < 0)
		fail(path);
	if (size != 2 || memcmp(text, "0\n", 2) != 0) {
		fprintf(stderr, "cycle: %s is not 0\n", path);
		exit(1);
	}
	close(fd);
}

static uint64_t spawn(struct bench *bench)
{
	extern char **environ;
	char *argv[] = { bench->program, NULL };
	uint64_t before = now();
	pid_t pid;
	int status, error = posix_spawn(&pid, bench->program, NULL, NULL, argv, environ);

	if (error) {
		errno = error;
		fail(bench->program);
	}
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	uint64_t after = now();
	if (status != 0) {
		fprintf(stderr, "cycle: %s did not exit with 0\n", bench->program);
		exit(1);
	}
	return after - before;
}

/* The working directory is the mount: relative paths, as after `cd`. */
static uint64_t files(struct bench *bench)
{
	char name[32], target[48], ctl[48], exitcode[48];

	snprintf(name, sizeof name, "bench-%lu", bench->made++);
	snprintf(target, sizeof target, "%s/target", name);
	snprintf(ctl, sizeof ctl, "%s/ctl", name);
	snprintf(exitcode, sizeof exitcode, "%s/exitcode", name);

	uint64_t before = now();
	if (mkdir(name, 0777) < 0)
		fail(name);
	put_file(AT_FDCWD, target, bench->program);
	put_file(AT_FDCWD, ctl, "start\n");
	put_file(AT_FDCWD, ctl, "join\n");
	expect_success(AT_FDCWD, exitcode);
	if (rmdir(name) < 0)
		fail(name);
	return now() - before;
}

static uint64_t clone_held(struct bench *bench)
{
	char script[4200], name[64], exitcode[80];

	snprintf(script, sizeof script, "target %s\nstart\njoin\n", bench->program);

	uint64_t before = now();
	int fd = openat(bench->mount_fd, "clone", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("clone");
	put(fd, script);
	ssize_t size = read(fd, name, sizeof name - 1);
	close(fd);
	uint64_t after = now();

	if (size < 2)
		fail("the name in clone");
	name[size - 1] = '\0';
	snprintf(exitcode, sizeof exitcode, "%s/exitcode", name);
	expect_success(bench->mount_fd, exitcode);
	if (unlinkat(bench->mount_fd, name, AT_REMOVEDIR) < 0)
		fail(name);
	return after - before;
}

/* Each way comes first, second and last equally often: what one leaves in the caches the next finds. */
static void round_of(struct bench *bench, long number)
{
	static uint64_t (*const ways[WAYS])(struct bench *) = { spawn, files, clone_held };
	uint64_t times[WAYS];

	for (long i = number; i < number + WAYS; i++)
		times[i % WAYS] = ways[i % WAYS](bench);
	if (number >= WARM_UP)
		printf("%ju %ju %ju\n", (uintmax_t)times[0], (uintmax_t)times[1], (uintmax_t)times[2]);
}

int main(int argc, char **argv)
{
	long rounds = argc == 4 ? atol(argv[3]) : 0;

	if (rounds < 1) {
		fputs("usage: cycle MOUNT PROGRAM ROUNDS\n", stderr);
		return 2;
	}
	if (chdir(argv[1]) < 0)
		fail(argv[1]);
	struct bench bench = { .program = argv[2], .mount_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC) };
	if (bench.mount_fd < 0)
		fail(argv[1]);
	puts("spawn files clone");
	for (long i = 0; i < WARM_UP + rounds; i++)
		round_of(&bench, i);
	return 0;
}
