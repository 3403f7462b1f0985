/*
 * actor [IN OUT]: does one file operation after the other, as it is told, and says what came of each: a client of the mount,
 * or, with the names of two FIFOs, a process that the mount runs.
 *
 * A request is a struct request, the path and the data; an answer is a struct answer and the data. Asked or not, the first
 * answer is its pid, with $PROCFS_MP_ID. It ends with its input. SIGUSR1 interrupts what it waits for and is counted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 1 << 20 };

struct request {
	int32_t operation;
	int32_t a, b;
	uint32_t path_size, data_size;
};

struct answer {
	int32_t result; /* or -errno */
	uint32_t size;
};

struct actor {
	int in_fd, out_fd;
	struct request asked;
	char *path, *data; /* of the request */
	char *bytes;       /* of the answer */
	size_t size;
};

static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
	(void)number;
	interrupts++;
}

static int checked(long result)
{
	return result < 0 ? -errno : (int)result;
}

/* The operator's FIFOs and pipes are not what an interrupt is for. */
static void transfer(ssize_t (*call)(int, void *, size_t), int fd, void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t part = call(fd, (char *)bytes + done, size - done);
		if (part == 0 || (part < 0 && errno != EINTR))
			exit(0);
		done += part > 0 ? (size_t)part : 0;
	}
}

static ssize_t put(int fd, void *bytes, size_t size)
{
	return write(fd, bytes, size);
}

static void answer(struct actor *actor, int result)
{
	struct answer head = { result, (uint32_t)actor->size };
	transfer(put, actor->out_fd, &head, sizeof head);
	transfer(put, actor->out_fd, actor->bytes, actor->size);
	actor->size = 0;
}

static int write_file(struct actor *actor)
{
	int fd = open(actor->path, actor->asked.a | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	int result = checked(write(fd, actor->data, actor->asked.data_size));
	close(fd);
	return result;
}

static int read_file(struct actor *actor)
{
	int fd = open(actor->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t part;
	while ((part = read(fd, actor->bytes + actor->size, ROOM - actor->size)) > 0)
		actor->size += (size_t)part;
	int result = part < 0 ? -errno : (int)actor->size;
	close(fd);
	return result;
}

static int list_directory(struct actor *actor)
{
	DIR *directory = opendir(actor->path);
	if (!directory)
		return -errno;
	const struct dirent *entry;
	while ((entry = readdir(directory)) && actor->size < ROOM - sizeof entry->d_name) {
		memcpy(actor->bytes + actor->size, entry->d_name, strlen(entry->d_name) + 1);
		actor->size += strlen(entry->d_name) + 1;
	}
	closedir(directory);
	return 0;
}

static int take(struct actor *actor, ssize_t result)
{
	int code = checked(result);
	actor->size = result > 0 ? (size_t)result : 0;
	return code;
}

static int do_with_path(struct actor *actor)
{
	struct stat st;
	switch (actor->asked.operation) {
	case 'w':
		return write_file(actor);
	case 'r':
		return read_file(actor);
	case 'L':
		return list_directory(actor);
	case 'o':
		return checked(open(actor->path, actor->asked.a | O_CLOEXEC, 0666));
	case 'm':
		return checked(mkdir(actor->path, 0777));
	case 'd':
		return checked(rmdir(actor->path));
	case 'u':
		return checked(unlink(actor->path));
	case 'l':
		return take(actor, readlink(actor->path, actor->bytes, ROOM));
	case 't':
		return checked(truncate(actor->path, actor->asked.a));
	case 's':
		return lstat(actor->path, &st) ? -errno : (int)st.st_size;
	default:
		return -ENOSYS;
	}
}

static int poll_one(int fd, int timeout)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	int result = poll(&one, 1, timeout);
	return result < 0 ? -errno : one.revents;
}

static int do_without(struct actor *actor)
{
	const struct request *asked = &actor->asked;
	switch (asked->operation) {
	case 'c':
		return checked(close(asked->a));
	case 'W':
		return checked(write(asked->a, actor->data, asked->data_size));
	case 'R':
		return take(actor, read(asked->a, actor->bytes, (size_t)asked->b));
	case 'S':
		return checked(lseek(asked->a, 0, asked->b));
	case 'p':
		return poll_one(asked->a, asked->b);
	case 'f':
		return checked(flock(asked->a, asked->b));
	case 'i':
		return signal(asked->a, asked->b ? SIG_IGN : SIG_DFL) == SIG_ERR ? -errno : 0;
	case 'n':
		return interrupts;
	case 'k':
		raise(asked->a);
		return 0;
	case 'e':
		_exit(asked->a);
	default:
		return do_with_path(actor);
	}
}

static void introduce(struct actor *actor)
{
	const char *id = getenv("PROCFS_MP_ID");
	actor->size = id ? strlen(id) : 0;
	memcpy(actor->bytes, id ? id : "", actor->size);
	answer(actor, getpid());
}

int main(int count, char **words)
{
	struct actor actor = { .in_fd = STDIN_FILENO, .out_fd = STDOUT_FILENO };
	struct sigaction interrupt = { .sa_handler = on_interrupt };
	sigaction(SIGUSR1, &interrupt, NULL);
	if (count > 2) {
		actor.in_fd = open(words[1], O_RDONLY | O_CLOEXEC);
		actor.out_fd = open(words[2], O_WRONLY | O_CLOEXEC);
	}
	char *memory = malloc((size_t)ROOM * 2 + 2);
	if (!memory || actor.in_fd < 0 || actor.out_fd < 0)
		return 99;
	actor.bytes = memory + ROOM + 2;
	introduce(&actor);
	while (true) {
		transfer(read, actor.in_fd, &actor.asked, sizeof actor.asked);
		if (actor.asked.path_size > ROOM || actor.asked.data_size > ROOM - actor.asked.path_size)
			return 98;
		actor.path = memory;
		actor.data = memory + actor.asked.path_size + 1;
		transfer(read, actor.in_fd, actor.path, actor.asked.path_size);
		actor.path[actor.asked.path_size] = '\0';
		transfer(read, actor.in_fd, actor.data, actor.asked.data_size);
		answer(&actor, do_without(&actor));
	}
}
