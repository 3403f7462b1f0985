#include "core/callers.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/kin.h"

/* Whoever may not signal it learns that it lives, too. */
static bool lives(int fd)
{
	return !syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) || errno == EPERM;
}

static void forget(struct callers_one *one)
{
	if (one->pid)
		close(one->fd);
	one->pid = 0;
}

static struct callers_one *find(struct callers *callers, pid_t pid)
{
	for (unsigned i = 0; i < CALLERS_MOST; i++)
		if (callers->known[i].pid == pid)
			return &callers->known[i];
	return NULL;
}

static void remember(struct callers *callers, const struct callers_one *one)
{
	struct callers_one *place = &callers->known[callers->next];
	callers->next = (callers->next + 1) % CALLERS_MOST;
	forget(place);
	*place = *one;
}

int callers_start(struct callers *callers, pid_t pid, uint64_t *start)
{
	struct callers_one *known = find(callers, pid);
	if (known && lives(known->fd)) {
		*start = known->start;
		return 0;
	}
	if (known)
		forget(known);
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct kin kin;
	int error = kin_read(pid, &kin);
	if (!error)
		*start = kin.start;
	/* What was read is of the one whose pidfd this is: it lived before and lives still. */
	if (!error && fd >= 0 && lives(fd))
		remember(callers, &(struct callers_one){ pid, fd, kin.start });
	else if (fd >= 0)
		close(fd);
	return error;
}

void callers_finish(struct callers *callers)
{
	for (unsigned i = 0; i < CALLERS_MOST; i++)
		forget(&callers->known[i]);
}
