/*
 * state MOUNT PAUSER SHARED TMPFS-FILE ROUNDS: what it costs to ask whether something still runs. Prints a line a round:
 * nanoseconds of one question, the mean of a batch. `held` is pread(2) on a descriptor that stays open, `open` is open, read
 * and close, `stat` is stat(2); proc is /proc/PID/stat, ended is exitcode after the end.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "shared.h"
#include "ways.h"

enum { BATCH = 200, WAYS = 10 };

struct question {
	const char *name;
	void (*ask)(const struct question *);
	char path[4200];
	int fd;
};

static void held(const struct question *question)
{
	char text[1024];

	if (pread(question->fd, text, sizeof text, 0) < 0)
		fail(question->path);
}

static void opened(const struct question *question)
{
	char text[1024];

	read_file(AT_FDCWD, question->path, text, sizeof text);
}

static void looked_at(const struct question *question)
{
	struct stat st;

	if (stat(question->path, &st))
		fail(question->path);
}

static uint64_t time_of(const struct question *question)
{
	uint64_t before = now();

	for (int i = 0; i < BATCH; i++)
		question->ask(question);
	return (now() - before) / BATCH;
}

static void begin(char **argv)
{
	char script[8300];

	if (mkdir("running", 0777) || mkdir("ended", 0777))
		fail("mkdir");
	snprintf(script, sizeof script, "target %s\nargs %s\nstart\n", argv[2], argv[3]);
	put_file(AT_FDCWD, "running/ctl", script);
	put_file(AT_FDCWD, "ended/ctl", "target /bin/true\nstart\njoin\n");
}

static void name_questions(struct question *questions, pid_t pid, const char *plain)
{
	static const char *const FORMS[WAYS] = { NULL, "running/alive", "running/exitcode", "ended/exitcode", NULL,
						 "running/alive", "ended/exitcode", NULL, "running/exitcode", "ended/exitcode" };

	for (int i = 0; i < WAYS; i++) {
		struct question *question = &questions[i];
		if (FORMS[i])
			snprintf(question->path, sizeof question->path, "%s", FORMS[i]);
		else if (question->ask == looked_at)
			snprintf(question->path, sizeof question->path, "%s", plain);
		else
			snprintf(question->path, sizeof question->path, "/proc/%d/stat", pid);
		question->fd = open(question->path, O_RDONLY | O_CLOEXEC);
		if (question->fd < 0)
			fail(question->path);
	}
}

int main(int argc, char **argv)
{
	static struct question questions[WAYS] = {
		{ .name = "held-proc", .ask = held }, { .name = "held-alive", .ask = held },
		{ .name = "held-exitcode", .ask = held }, { .name = "held-ended", .ask = held },
		{ .name = "open-proc", .ask = opened }, { .name = "open-alive", .ask = opened },
		{ .name = "open-ended", .ask = opened }, { .name = "stat-tmpfs", .ask = looked_at },
		{ .name = "stat-exitcode", .ask = looked_at }, { .name = "stat-ended", .ask = looked_at },
	};
	struct client client;
	char *command[] = { argv[argc > 2 ? 2 : 0], argv[argc > 3 ? 3 : 0], NULL };

	if (argc != 6) {
		fputs("usage: state MOUNT PAUSER SHARED TMPFS-FILE ROUNDS\n", stderr);
		return 2;
	}
	client_begin(&client, argv[1], argv[2]);
	begin(argv);
	pid_t pid = spawn(command);
	name_questions(questions, pid, argv[4]);
	for (int i = 0; i < WAYS; i++)
		printf("%s%c", questions[i].name, i + 1 < WAYS ? ' ' : '\n');
	for (long i = 0, rounds = number_of(argv[5]); i < rounds; i++)
		for (int j = 0; j < WAYS; j++)
			printf("%ju%c", (uintmax_t)time_of(&questions[j]), j + 1 < WAYS ? ' ' : '\n');
	kill(pid, SIGKILL);
	wait_for(pid);
	put_file(AT_FDCWD, "ctl", "kill all\njoin all\n");
	for (int i = 0; i < WAYS; i++)
		close(questions[i].fd);
	if (rmdir("running") || rmdir("ended"))
		fail("rmdir");
	return 0;
}
