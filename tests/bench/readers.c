/*
 * readers MOUNT PAUSER SHARED COUNT ROUNDS: how long one question takes, alone and while COUNT processes are started by somebody
 * else. A question is open, read and close: of a process's alive in the mount, where others are started through the mount; of
 * /proc/PID/stat, where others are started by posix_spawn. Prints a line a round: the 99th of 100 of each, nanoseconds.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "shared.h"
#include "ways.h"

enum { MOST = 1 << 20 };

struct readers {
	struct client client;
	char *argv[3];
	long count;
	char script[8300];
	uint32_t *times;
};

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return (a > b) - (a < b);
}

/* Asks for the span, or for as long as the child runs. */
static uint32_t slowest_of_100(struct readers *readers, const char *path, pid_t child, uint64_t span)
{
	char text[1024];
	size_t count = 0;
	uint64_t begun = now();

	do {
		uint64_t before = now();
		read_file(AT_FDCWD, path, text, sizeof text);
		readers->times[count++] = (uint32_t)(now() - before);
	} while (count < MOST && (child ? waitpid(child, NULL, WNOHANG) == 0 : now() - begun < span));
	qsort(readers->times, count, sizeof *readers->times, compare);
	return readers->times[(count - 1) * 99 / 100];
}

static _Noreturn void start_in_mount(const struct readers *readers)
{
	for (long i = 0; i < readers->count; i++)
		put_file(AT_FDCWD, "clone", readers->script);
	_exit(0);
}

/* They end with who started them. */
static _Noreturn void start_by_spawn(const struct readers *readers)
{
	pid_t *pids = calloc((size_t)readers->count, sizeof *pids);

	if (!pids)
		fail("calloc");
	for (long i = 0; i < readers->count; i++)
		pids[i] = spawn(readers->argv);
	for (long i = 0; i < readers->count; i++)
		kill(pids[i], SIGKILL);
	for (long i = 0; i < readers->count; i++)
		wait_for(pids[i]);
	_exit(0);
}

static uint32_t busy(struct readers *readers, const char *path, void (*start)(const struct readers *))
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0)
		start(readers);
	return slowest_of_100(readers, path, child, 0);
}

static void remove_all(const char *prefix, long first, long count)
{
	char path[64];

	put_file(AT_FDCWD, "ctl", "kill all\njoin all\n");
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s%ld", prefix, first + i);
		if (rmdir(path))
			fail(path);
	}
}

static void round_of(struct readers *readers, long number)
{
	char proc[64];
	pid_t child = spawn(readers->argv);

	snprintf(proc, sizeof proc, "/proc/%d/stat", child);
	if (mkdir("asked", 0777))
		fail("asked");
	put_file(AT_FDCWD, "asked/ctl", readers->script);
	uint32_t alone = slowest_of_100(readers, "asked/alive", 0, 300000000);
	uint32_t beside = busy(readers, "asked/alive", start_in_mount);
	uint32_t proc_alone = slowest_of_100(readers, proc, 0, 300000000);
	uint32_t proc_beside = busy(readers, proc, start_by_spawn);
	printf("%u %u %u %u\n", alone, beside, proc_alone, proc_beside);
	/* N of Process-N counts every construction. */
	remove_all("Process-", number * (readers->count + 1) + 2, readers->count);
	if (rmdir("asked"))
		fail("asked");
	kill(child, SIGKILL);
	wait_for(child);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fputs("usage: readers MOUNT PAUSER SHARED COUNT ROUNDS\n", stderr);
		return 2;
	}
	struct readers readers = { .argv = { argv[2], argv[3], NULL }, .count = number_of(argv[4]),
				   .times = calloc(MOST, sizeof *readers.times) };
	if (!readers.times)
		fail("calloc");
	snprintf(readers.script, sizeof readers.script, "target %s\nargs %s\nstart\n", argv[2], argv[3]);
	client_begin(&readers.client, argv[1], argv[2]);
	puts("alone busy proc-alone proc-busy");
	for (long i = 0, rounds = number_of(argv[5]); i < rounds; i++)
		round_of(&readers, i);
	free(readers.times);
	return 0;
}
