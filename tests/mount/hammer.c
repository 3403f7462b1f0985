/*
 * hammer MOUNT SECONDS PROGRAM [killed]: reads alive and exitcode without a pause, from several threads, on descriptors that are held and on
 * new ones, while processes are started, killed, joined, reset and removed. PROGRAM must run until it is killed. Prints how many
 * reads there were and how many of them were stale: said something other than what their reader could already know. With `killed` a read
 * may fail with ESTALE, which is an error and no value, and is repeated.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { READERS = 4, READS_A_PHASE = 400, RUNS_A_PROCESS = 3 };

enum phase { IDLE, RUNNING, CHANGING, ENDED };

struct hammer {
	char *program;
	int directory_fd, alive_fd, exitcode_fd; /* of the process of this round */
	_Atomic uint64_t moment;                 /* four times a number that grows, and the phase */
	_Atomic uint64_t reads, stale;
	_Atomic int resting;
	_Atomic bool over;
	bool killed; /* the server is, time and again */
};

/* What one look says. */
struct look {
	bool alive, has_code, has_size;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "hammer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static enum phase phase_of(uint64_t moment)
{
	return (enum phase)(moment % 4);
}

/* ---- readers ---- */

/* Bytes; the first is *out. */
static ssize_t take(const struct hammer *hammer, int held_fd, const char *name, char *out)
{
	char text[16] = "";
	int fd = held_fd >= 0 ? held_fd : openat(hammer->directory_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t size;
	do
		size = fd < 0 ? -1 : pread(fd, text, sizeof text, 0);
	while (fd >= 0 && size < 0 && errno == ESTALE && hammer->killed);
	if (size < 0)
		fail(name);
	if (held_fd < 0)
		close(fd);
	*out = text[0];
	return size;
}

static void count(struct hammer *hammer, bool is_stale, const char *what, uint64_t moment)
{
	atomic_fetch_add(&hammer->reads, 1);
	if (is_stale && atomic_fetch_add(&hammer->stale, 1) < 20)
		fprintf(stderr, "hammer: %s, in phase %d\n", what, (int)phase_of(moment));
}

static bool look_alive(struct hammer *hammer, bool held)
{
	char letter;
	ssize_t size = take(hammer, held ? hammer->alive_fd : -1, "alive", &letter);
	count(hammer, size != 2 || (letter != '0' && letter != '1'), "alive is neither 0 nor 1", hammer->moment);
	return letter == '1';
}

static bool look_code(struct hammer *hammer, bool held)
{
	char letter;
	ssize_t size = take(hammer, held ? hammer->exitcode_fd : -1, "exitcode", &letter);
	count(hammer, size && letter != '-', "exitcode is wrong", hammer->moment);
	return size;
}

static bool look_size(struct hammer *hammer)
{
	struct stat st;
	if (fstatat(hammer->directory_fd, "exitcode", &st, 0))
		fail("stat exitcode");
	return st.st_size;
}

/* What was learned first binds what is read later. */
static void look(struct hammer *hammer, bool held, bool alive_first)
{
	uint64_t before = hammer->moment;
	struct look seen = {0};
	if (alive_first)
		seen.alive = look_alive(hammer, held);
	seen.has_code = look_code(hammer, held);
	seen.has_size = look_size(hammer);
	if (!alive_first)
		seen.alive = look_alive(hammer, held);
	uint64_t after = hammer->moment;
	bool ended = phase_of(before) == ENDED, running = phase_of(before) == RUNNING && before == after;
	count(hammer, ended && seen.alive, "alive after the end", before);
	count(hammer, ended && !seen.has_code, "no exitcode after the end", before);
	count(hammer, ended && !seen.has_size, "no size after the end", before);
	count(hammer, running && (!seen.alive || seen.has_code || seen.has_size), "ended while it runs", before);
	count(hammer, seen.has_code && !seen.has_size, "a code without a size", before);
	if (alive_first)
		count(hammer, !seen.alive && !seen.has_code, "not alive, and then no exitcode", before);
	else
		count(hammer, seen.alive && (seen.has_code || seen.has_size), "an exitcode, and then alive", before);
}

/* The kernel lets a file be read only when few enough closes are on their way. */
static void *close_many(void *context)
{
	enum { MANY = 64 };
	const struct hammer *hammer = context;
	int fds[MANY];
	while (!hammer->over) {
		for (int i = 0; i < MANY; i++)
			if ((fds[i] = open("version", O_RDONLY | O_CLOEXEC)) < 0)
				fail("version");
		for (int i = 0; i < MANY; i++)
			close(fds[i]);
	}
	return NULL;
}

struct reader {
	struct hammer *hammer;
	pthread_t thread;
	int number;
};

static void *read_on(void *context)
{
	struct reader *reader = context;
	struct hammer *hammer = reader->hammer;
	for (uint64_t i = 0; !hammer->over; i++) {
		if (phase_of(hammer->moment) != IDLE) {
			look(hammer, reader->number % 2, i % 2);
			continue;
		}
		atomic_fetch_add(&hammer->resting, 1);
		while (phase_of(hammer->moment) == IDLE && !hammer->over)
			usleep(50);
		atomic_fetch_sub(&hammer->resting, 1);
	}
	return NULL;
}

/* ---- what they read ---- */

static void enter(struct hammer *hammer, enum phase phase)
{
	hammer->moment = (hammer->moment / 4 + 1) * 4 + (uint64_t)phase;
	while (phase == IDLE && hammer->resting < READERS)
		usleep(50);
}

static void let_read(struct hammer *hammer)
{
	uint64_t begun = hammer->reads;
	while (hammer->reads - begun < READS_A_PHASE)
		usleep(100);
}

static void put(const struct hammer *hammer, const char *text)
{
	int fd = openat(hammer->directory_fd, "ctl", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(text);
	close(fd);
}

static int open_in(const struct hammer *hammer, const char *name)
{
	int fd = openat(hammer->directory_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail(name);
	return fd;
}

/* Learns of the end in turn by each of the ways that there are. */
static void await_end(const struct hammer *hammer, uint64_t way)
{
	char code[16];
	struct pollfd polled = { .fd = open_in(hammer, way % 3 == 1 ? "wait" : "sentinel"), .events = POLLIN };
	put(hammer, "kill\n");
	if (way % 3 == 0)
		put(hammer, "join\n");
	else if (way % 3 == 1 && read(polled.fd, code, sizeof code) < 2)
		fail("wait");
	else if (way % 3 == 2 && poll(&polled, 1, -1) != 1)
		fail("sentinel");
	close(polled.fd);
}

static void run(struct hammer *hammer, uint64_t number)
{
	put(hammer, "start\n");
	if (hammer->alive_fd < 0)
		hammer->alive_fd = open_in(hammer, "alive");
	if (hammer->exitcode_fd < 0)
		hammer->exitcode_fd = open_in(hammer, "exitcode");
	enter(hammer, RUNNING);
	let_read(hammer);
	enter(hammer, CHANGING);
	await_end(hammer, number);
	enter(hammer, ENDED);
	let_read(hammer);
	enter(hammer, IDLE);
}

static void use_process(struct hammer *hammer, uint64_t number)
{
	char name[32], script[4200], text[16];
	snprintf(name, sizeof name, "h%ju", (uintmax_t)number);
	snprintf(script, sizeof script, "target %s\nargs 1000\n", hammer->program);
	if (mkdir(name, 0777) || (hammer->directory_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		fail(name);
	hammer->alive_fd = hammer->exitcode_fd = -1;
	put(hammer, script);
	for (uint64_t i = 0; i < RUNS_A_PROCESS; i++) {
		if (i) {
			put(hammer, "reset\n");
			count(hammer, look_code(hammer, true) || look_code(hammer, false) || look_alive(hammer, true),
			      "not as new after reset", hammer->moment);
		}
		run(hammer, number + i);
	}
	if (rmdir(name))
		fail(name);
	ssize_t size = pread(hammer->alive_fd, text, sizeof text, 0);
	count(hammer, size >= 0 || errno != ESTALE, "alive can be read after the removal", hammer->moment);
	close(hammer->alive_fd);
	close(hammer->exitcode_fd);
	close(hammer->directory_fd);
}

int main(int argc, char **argv)
{
	struct hammer hammer = {0};
	struct reader readers[READERS];
	if (argc < 4 || argc > 5 || chdir(argv[1])) {
		fputs("usage: hammer MOUNT SECONDS PROGRAM [killed]\n", stderr);
		return 2;
	}
	hammer.program = argv[3];
	hammer.killed = argc == 5;
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .hammer = &hammer, .number = i };
		if (pthread_create(&readers[i].thread, NULL, read_on, &readers[i]))
			fail("pthread_create");
	}
	pthread_t closer;
	if (pthread_create(&closer, NULL, close_many, &hammer))
		fail("pthread_create");
	enter(&hammer, IDLE);
	double end = now() + atof(argv[2]);
	for (uint64_t number = 0; number == 0 || now() < end; number++)
		use_process(&hammer, number);
	hammer.over = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	pthread_join(closer, NULL);
	printf("%ju reads, %ju stale\n", (uintmax_t)hammer.reads, (uintmax_t)hammer.stale);
	return hammer.stale != 0;
}
