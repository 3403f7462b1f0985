/* The life of two processes in C: open, write, read, mkdir, rmdir. Argument: the mount. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct value {
	char text[4096];
};

/* 0 or -1 with errno. */
static int put_as(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
	if (fd < 0)
		return -1;
	ssize_t written = write(fd, text, strlen(text));
	int error = errno;
	close(fd);
	errno = error;
	return written == (ssize_t)strlen(text) ? 0 : -1;
}

static int put(const char *path, const char *text)
{
	return put_as(path, text, O_TRUNC);
}

static void must(int result)
{
	if (result == 0)
		return;
	perror("refused");
	exit(1);
}

static struct value get(const char *name, const char *file)
{
	struct value value = {{0}};
	char path[256];
	size_t size = 0;

	snprintf(path, sizeof path, "%s/%s", name, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd < 0 ? -1 : 0);
	ssize_t got;
	while ((got = read(fd, value.text + size, sizeof value.text - 1 - size)) > 0)
		size += (size_t)got;
	must(got < 0 ? -1 : 0);
	close(fd);
	if (size && value.text[size - 1] == '\n')
		value.text[size - 1] = '\0';
	return value;
}

static void known(const char *name, const char *what)
{
	struct value pid = get(name, "pid");
	struct value exitcode = get(name, "exitcode");

	printf("%s: alive %s, %s pid, %s%s, state %s\n", what, get(name, "alive").text,
		atoi(pid.text) > 0 ? "a" : "no", exitcode.text[0] ? "exitcode " : "no exitcode",
		exitcode.text, get(name, "state").text);
}

static void refusal(const char *what, int result)
{
	printf("%s: %s\n", what, result == 0 ? "not refused" : strerrorname_np(errno));
}

static void why(const char *name, const char *sentence)
{
	printf("why: %s\n", strstr(get(name, "error").text, sentence) ? sentence : "");
}

static void removed(const char *name)
{
	must(rmdir(name));
	printf("removed: %s\n", access(name, F_OK) == 0 ? "there" : "gone");
}

static void short_life(void)
{
	must(mkdir("short", 0777));
	known("short", "made");
	must(put("short/target", "echo"));
	must(put("short/args", "hello bob"));
	printf("args: %s\n", get("short", "args").text);
	refusal("join before the start", put("short/ctl", "join"));
	why("short", "can only join a started process");
	must(put("short/target", "/no/such/program"));
	refusal("a target that is not there", put("short/ctl", "start"));
	printf("pid after that: %s\n", get("short", "pid").text[0] ? "there is one" : "none");
	must(put("short/target", "echo"));
	must(put("short/ctl", "start"));
	must(put("short/ctl", "join"));
	known("short", "started and joined");
	printf("stdout: %s\n", get("short", "stdout").text);
	refusal("a second start", put("short/ctl", "start"));
	why("short", "cannot start a process twice");
	refusal("another target", put("short/target", "cat"));
	why("short", "process has already started");
	printf("the target is: %s\n", get("short", "target").text);
	removed("short");
}

static void long_life(void)
{
	must(mkdir("long", 0777));
	must(put("long/target", "sleep"));
	must(put("long/args", "'in two'"));
	must(put_as("long/args", " pieces", O_APPEND));
	printf("appended: %s\n", get("long", "args").text);
	must(put("long/args", "1000"));
	must(put("long/ctl", "start"));
	known("long", "started");
	refusal("removed while it runs", rmdir("long"));
	why("long", "Cannot close a process while it is still running. "
		"You should first call join() or terminate().");
	refusal("an unknown verb", put("long/ctl", "dance"));
	refusal("a join of no time", put("long/ctl", "join 0"));
	must(put("long/ctl", "terminate"));
	must(put("long/ctl", "join"));
	known("long", "terminated and joined");
	refusal("made again", mkdir("long", 0777));
	removed("long");
}

int main(int argc, char **argv)
{
	must(argc == 2 ? chdir(argv[1]) : -1);
	short_life();
	long_life();
	return 0;
}
