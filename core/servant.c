#include "core/servant.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int compare(const void *one, const void *other)
{
	return *(const int *)one - *(const int *)other;
}

static void close_all_but(int *fds, size_t count)
{
	unsigned from = STDERR_FILENO + 1;
	qsort(fds, count, sizeof *fds, compare);
	for (size_t i = 0; i < count; i++) {
		if (fds[i] < (int)from)
			continue;
		if ((unsigned)fds[i] > from)
			close_range(from, (unsigned)fds[i] - 1, 0);
		from = (unsigned)fds[i] + 1;
	}
	close_range(from, ~0U, 0);
}

static _Noreturn void be_servant(const struct servant_wish *wish, int channel_fd, pid_t server)
{
	close_all_but((int[]){ wish->fds[0], wish->fds[1], channel_fd }, SERVANT_FDS + 1);
	/* One that stands still, or waits for something else, would not see the end of its server, which may have come already. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != server)
		_exit(0);
	prctl(PR_SET_NAME, wish->name);
	signal(SIGPIPE, SIG_IGN);
	if (wish->word)
		memset(wish->word, '-', strlen(wish->word));
	wish->serve(channel_fd, wish->fds);
	_exit(0);
}

int servant_begin(const struct servant_wish *wish, struct servant *out)
{
	int ends[2], error;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	pid_t server = getpid(), pid = fork();
	if (pid == 0)
		be_servant(wish, ends[1], server);
	error = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (error)
		close(ends[0]);
	else
		*out = (struct servant){ pid, ends[0] };
	return error;
}

void servant_end(const struct servant *servant, bool held)
{
	close(servant->channel_fd);
	/* One that stands still would not see it. */
	if (!held)
		kill(servant->pid, SIGKILL);
	waitpid(servant->pid, NULL, held ? WNOHANG : 0);
}
