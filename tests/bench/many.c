/*
 * many WAY COUNT PROGRAM SHARED MOUNT: starts COUNT of PROGRAM SHARED (which says in SHARED that it runs), then ends
 * all of them. After each step it prints a line, the step and its nanoseconds, and goes on when a line comes in.
 *
 * spawn  up: posix_spawn of all, until all say that they run; down: kill and waitpid of all
 * files  made: mkdir, target and args of all; up: start of each; down: `terminate all` and `join all`; removed
 * clone  up: clone and one write for each; down and removed as above
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared.h"
#include "ways.h"

struct many {
	struct client client;
	struct shared *shared;
	char *argv[3];
	long count;
	pid_t *pids;
	uint64_t begun;
};

static void step(struct many *many, const char *name)
{
	char line[16];

	printf("%s %ju\n", name, (uintmax_t)(now() - many->begun));
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		exit(1);
	many->begun = now();
}

static void wait_until_up(const struct many *many)
{
	while (many->shared->started < (uint64_t)many->count)
		usleep(200);
}

static void spawn_all(struct many *many)
{
	many->pids = calloc((size_t)many->count, sizeof *many->pids);
	if (!many->pids)
		fail("calloc");
	for (long i = 0; i < many->count; i++)
		many->pids[i] = spawn(many->argv);
	wait_until_up(many);
	step(many, "up");
	for (long i = 0; i < many->count; i++)
		kill(many->pids[i], SIGTERM);
	for (long i = 0; i < many->count; i++)
		wait_for(many->pids[i]);
	step(many, "down");
	free(many->pids);
}

static const char *path_of(char *out, const char *prefix, long number, const char *file)
{
	sprintf(out, "%s%ld%s", prefix, number, file);
	return out;
}

static void end_all(struct many *many, const char *prefix, long first)
{
	char path[64];

	put_file(AT_FDCWD, "ctl", "terminate all\njoin all\n");
	step(many, "down");
	for (long i = 0; i < many->count; i++)
		if (rmdir(path_of(path, prefix, first + i, "")))
			fail(path);
	step(many, "removed");
}

static void files_all(struct many *many)
{
	char path[64];

	for (long i = 1; i <= many->count; i++) {
		if (mkdir(path_of(path, "p", i, ""), 0777))
			fail(path);
		put_file(AT_FDCWD, path_of(path, "p", i, "/target"), many->argv[0]);
		put_file(AT_FDCWD, path_of(path, "p", i, "/args"), many->argv[1]);
	}
	step(many, "made");
	for (long i = 1; i <= many->count; i++)
		put_file(AT_FDCWD, path_of(path, "p", i, "/ctl"), "start\n");
	wait_until_up(many);
	step(many, "up");
	end_all(many, "p", 1);
}

/* The N of the next Process-N: every construction counts. */
static long number_of_next(void)
{
	char name[64] = "";
	int fd = open("clone", O_RDWR | O_CLOEXEC);

	if (fd < 0 || read(fd, name, sizeof name - 1) < 0)
		fail("clone");
	close(fd);
	name[strcspn(name, "\n")] = '\0';
	if (rmdir(name))
		fail(name);
	return number_of(strchr(name, '-') + 1) + 1;
}

static void clone_all(struct many *many)
{
	char script[8300];
	long first = number_of_next();

	snprintf(script, sizeof script, "target %s\nargs %s\nstart\n", many->argv[0], many->argv[1]);
	many->begun = now();
	for (long i = 0; i < many->count; i++)
		put_file(AT_FDCWD, "clone", script);
	wait_until_up(many);
	step(many, "up");
	end_all(many, "Process-", first);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fputs("usage: many spawn|files|clone COUNT PROGRAM SHARED MOUNT\n", stderr);
		return 2;
	}
	struct many many = { .count = number_of(argv[2]), .argv = { argv[3], argv[4], NULL },
			     .shared = shared_map(argv[4]) };
	if (!many.shared)
		fail(argv[4]);
	many.shared->started = 0;
	client_begin(&many.client, argv[5], argv[3]);
	many.begun = now();
	step(&many, "ready");
	(!strcmp(argv[1], "spawn") ? spawn_all : !strcmp(argv[1], "files") ? files_all : clone_all)(&many);
	return 0;
}
