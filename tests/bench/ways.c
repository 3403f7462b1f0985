#include "ways.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void fail(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

uint64_t now(void)
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

void put_file(int directory_fd, const char *path, const char *text)
{
	int fd = openat(directory_fd, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	put(fd, text);
	close(fd);
}

size_t read_file(int directory_fd, const char *path, char *buffer, size_t room)
{
	int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, buffer, room - 1);

	if (size < 0)
		fail(path);
	close(fd);
	buffer[size] = '\0';
	return (size_t)size;
}

pid_t spawn(char *const argv[])
{
	extern char **environ;
	pid_t pid;
	int error = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);

	if (error) {
		errno = error;
		fail(argv[0]);
	}
	return pid;
}

int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		fail("waitpid");
	return status;
}

void client_begin(struct client *client, const char *mount, char *program)
{
	if (chdir(mount) < 0)
		fail(mount);
	*client = (struct client){ .program = program, .mount_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC) };
	if (client->mount_fd < 0)
		fail(mount);
}

long number_of(const char *word)
{
	long number = strtol(word, NULL, 10);

	if (number < 1) {
		fprintf(stderr, "%s: %s is not a number of at least 1\n", program_invocation_short_name, word);
		exit(2);
	}
	return number;
}

static _Noreturn void wrong_end(const char *what)
{
	fprintf(stderr, "%s: %s did not exit with 0\n", program_invocation_short_name, what);
	exit(1);
}

static void expect_success(int directory_fd, const char *path)
{
	char text[16];

	read_file(directory_fd, path, text, sizeof text);
	if (strcmp(text, "0\n") != 0)
		wrong_end(path);
}

uint64_t way_spawn(struct client *client)
{
	char *argv[] = { client->program, NULL };
	uint64_t before = now();
	int status = wait_for(spawn(argv));
	uint64_t after = now();

	if (status != 0)
		wrong_end(client->program);
	return after - before;
}

/* Relative paths, as after `cd`. */
uint64_t way_files(struct client *client)
{
	char name[48], target[64], ctl[64], exitcode[64];

	snprintf(name, sizeof name, "bench-%d-%lu", getpid(), client->made++);
	snprintf(target, sizeof target, "%s/target", name);
	snprintf(ctl, sizeof ctl, "%s/ctl", name);
	snprintf(exitcode, sizeof exitcode, "%s/exitcode", name);

	uint64_t before = now();
	if (mkdir(name, 0777) < 0)
		fail(name);
	put_file(AT_FDCWD, target, client->program);
	put_file(AT_FDCWD, ctl, "start\n");
	put_file(AT_FDCWD, ctl, "join\n");
	expect_success(AT_FDCWD, exitcode);
	if (rmdir(name) < 0)
		fail(name);
	return now() - before;
}

uint64_t way_clone(struct client *client)
{
	char script[4200], name[64], exitcode[80];

	snprintf(script, sizeof script, "target %s\nstart\njoin\n", client->program);

	uint64_t before = now();
	int fd = openat(client->mount_fd, "clone", O_RDWR | O_CLOEXEC);
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
	expect_success(client->mount_fd, exitcode);
	if (unlinkat(client->mount_fd, name, AT_REMOVEDIR) < 0)
		fail(name);
	return after - before;
}
