/*
 * notice MOUNT STAMPER SHARED ROUNDS: how long after a program's last instruction its waiter runs again. Prints a line a
 * round, nanoseconds: waitpid(2); epoll on a pidfd; a write of `join`; a read of wait; poll on sentinel.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "shared.h"
#include "ways.h"

enum { WAYS = 5, NAME_ROOM = 64 };

struct notice {
	struct client client;
	struct shared *shared;
	char *argv[3];
	char name[NAME_ROOM];
};

static uint64_t by_waitpid(struct notice *notice)
{
	wait_for(spawn(notice->argv));
	return now();
}

static uint64_t by_pidfd(struct notice *notice)
{
	pid_t pid = spawn(notice->argv);
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	if (fd < 0 || epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		fail("pidfd");
	if (epoll_wait(epoll_fd, &event, 1, -1) != 1)
		fail("epoll_wait");
	uint64_t after = now();
	close(epoll_fd);
	close(fd);
	wait_for(pid);
	return after;
}

static void file_of(struct notice *notice, const char *file, char *out)
{
	snprintf(out, NAME_ROOM + 16, "%s/%s", notice->name, file);
}

static void begin_in_files(struct notice *notice)
{
	char path[NAME_ROOM + 16], script[8192];

	snprintf(notice->name, sizeof notice->name, "notice-%lu", notice->client.made++);
	if (mkdir(notice->name, 0777) < 0)
		fail(notice->name);
	file_of(notice, "ctl", path);
	snprintf(script, sizeof script, "target %s\nargs %s\nstart\n", notice->argv[0], notice->argv[1]);
	put_file(AT_FDCWD, path, script);
}

static uint64_t by_join(struct notice *notice)
{
	char path[NAME_ROOM + 16];

	begin_in_files(notice);
	file_of(notice, "ctl", path);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "join\n", 5) != 5)
		fail(path);
	uint64_t after = now();
	close(fd);
	return after;
}

static uint64_t by_wait(struct notice *notice)
{
	char path[NAME_ROOM + 16], code[16];

	begin_in_files(notice);
	file_of(notice, "wait", path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, code, sizeof code) < 2)
		fail(path);
	uint64_t after = now();
	close(fd);
	return after;
}

static uint64_t by_sentinel(struct notice *notice)
{
	char path[NAME_ROOM + 16];

	begin_in_files(notice);
	file_of(notice, "sentinel", path);
	struct pollfd polled = { .fd = open(path, O_RDONLY | O_CLOEXEC), .events = POLLIN };
	if (polled.fd < 0 || poll(&polled, 1, -1) != 1)
		fail(path);
	uint64_t after = now();
	close(polled.fd);
	return after;
}

static void round_of(struct notice *notice, long number)
{
	static uint64_t (*const ways[WAYS])(struct notice *) = { by_waitpid, by_pidfd, by_join, by_wait, by_sentinel };
	uint64_t times[WAYS];

	for (long i = number; i < number + WAYS; i++) {
		notice->name[0] = '\0';
		times[i % WAYS] = ways[i % WAYS](notice) - notice->shared->stamp;
		if (notice->name[0] && rmdir(notice->name) < 0)
			fail(notice->name);
	}
	for (int i = 0; i < WAYS; i++)
		printf("%ju%c", (uintmax_t)times[i], i + 1 < WAYS ? ' ' : '\n');
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fputs("usage: notice MOUNT STAMPER SHARED ROUNDS\n", stderr);
		return 2;
	}
	struct notice notice = { .shared = shared_map(argv[3]), .argv = { argv[2], argv[3], NULL } };
	if (!notice.shared)
		fail(argv[3]);
	client_begin(&notice.client, argv[1], argv[2]);
	puts("waitpid pidfd join wait sentinel");
	for (long i = 0, rounds = number_of(argv[4]); i < rounds; i++)
		round_of(&notice, i);
	return 0;
}
