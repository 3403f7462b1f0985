#include "core/descent.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/kin.h"
#include "core/lack.h"

enum { DESCENT_PASSES = 64, DESCENT_DEPTH = 1024 };

enum verdict { UNKNOWN, BELONGS, STRANGE };

struct relative {
	pid_t pid;
	struct kin kin;
	enum verdict verdict;
};

/* One look at /proc, by ascending pid. */
struct look {
	struct relative *relatives;
	size_t count, room;
	bool torn; /* somebody's parent had ended while we looked */
	int error; /* somebody could not be looked at */
};

/* Who has been signalled. */
struct done {
	struct relative *relatives;
	size_t count, room;
};

static int compare(const void *left, const void *right)
{
	pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;
	return a < b ? -1 : a > b;
}

static int add(struct relative **relatives, size_t *count, size_t *room, const struct relative *relative)
{
	if (*count == *room) {
		size_t more = *room ? *room * 2 : 256;
		struct relative *larger = realloc(*relatives, more * sizeof *larger);
		if (!larger)
			return -ENOMEM;
		*relatives = larger;
		*room = more;
	}
	(*relatives)[(*count)++] = *relative;
	return 0;
}

static int look_around(const struct descent *descent, struct look *look)
{
	DIR *directory = opendir("/proc");
	if (!directory)
		return -errno;
	int error = 0;
	look->count = 0;
	look->torn = false;
	look->error = 0;
	for (struct dirent *entry; !error && (entry = readdir(directory));) {
		struct relative relative = { .pid = (pid_t)strtol(entry->d_name, NULL, 10) };
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		error = kin_read(relative.pid, &relative.kin);
		if (error) {
			error = lack_of(error);
			continue;
		}
		/* Nothing that began before the root descends from it. */
		if (relative.kin.start < descent->root_start || relative.kin.parent == 0)
			relative.verdict = STRANGE;
		error = add(&look->relatives, &look->count, &look->room, &relative);
	}
	closedir(directory);
	if (look->count)
		qsort(look->relatives, look->count, sizeof *look->relatives, compare);
	return error;
}

static struct relative *find(const struct look *look, pid_t pid)
{
	return !look->count ? NULL : bsearch(&pid, look->relatives, look->count, sizeof *look->relatives, compare);
}

static bool is_other(const struct descent *descent, pid_t pid)
{
	return descent->other_count && bsearch(&pid, descent->others, descent->other_count, sizeof pid, compare);
}

static bool is_orphan_of(const struct descent *descent, struct look *look, const struct relative *orphan)
{
	uint64_t id = 0;
	uid_t uid = 0;
	if (descent->root && orphan->kin.session == descent->root)
		return true;
	/* A read of an environment waits for whoever changes that process's memory: of other users nothing is waited for. Last of all
	 * the user again, who may be another by then. */
	int error = kin_user(orphan->pid, &uid);
	if (!error && uid == descent->uid)
		error = kin_environment_number(orphan->pid, "PROCFS_MP_ID", &id);
	if (!error && id == descent->id)
		error = kin_user(orphan->pid, &uid);
	if (is_lack(error))
		look->error = error;
	return !error && id == descent->id && uid == descent->uid;
}

static enum verdict judge(const struct descent *descent, struct look *look, struct relative *relative)
{
	enum verdict verdict = UNKNOWN;
	struct relative *at = relative;
	for (int depth = 0; verdict == UNKNOWN && depth < DESCENT_DEPTH; depth++) {
		if (at->verdict != UNKNOWN)
			verdict = at->verdict;
		else if (at->pid == descent->root && at->kin.start == descent->root_start)
			verdict = BELONGS;
		else if (at->pid == descent->keeper || is_other(descent, at->pid))
			verdict = STRANGE;
		else if (at->kin.parent == descent->keeper)
			verdict = is_orphan_of(descent, look, at) ? BELONGS : STRANGE;
		else if (!(at = find(look, at->kin.parent)))
			break;
	}
	/* A parent has ended since we looked. */
	if (verdict == UNKNOWN) {
		look->torn = true;
		verdict = STRANGE;
	}
	relative->verdict = verdict;
	return verdict;
}

static bool is_done(const struct done *done, const struct relative *relative)
{
	for (size_t i = done->count; i-- > 0;)
		if (done->relatives[i].pid == relative->pid && done->relatives[i].kin.start == relative->kin.start)
			return true;
	return false;
}

/* Result: 0, also when it has ended meanwhile. */
static int signal_one(const struct relative *relative, int signal_number)
{
	struct kin kin;
	int error = 0;
	int fd = (int)syscall(SYS_pidfd_open, relative->pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	/* Whom the descriptor means is known by when it began, read while the descriptor is held. */
	error = kin_read(relative->pid, &kin);
	if (error)
		error = lack_of(error);
	else if (kin.start == relative->kin.start && syscall(SYS_pidfd_send_signal, fd, signal_number, NULL, 0) && errno != ESRCH)
		error = -errno;
	close(fd);
	return error;
}

/* Whoever is in a cgroup of the root's is in its tree, wherever its parents are. */
static void take_members(const struct descent *descent, struct look *look)
{
	for (size_t i = 0; descent->cgroups && descent->cgroups[i]; i++) {
		FILE *file = fopen(descent->cgroups[i], "re");
		int pid;
		if (!file)
			look->error = lack_of(-errno);
		while (file && fscanf(file, "%d", &pid) == 1) {
			struct relative *relative = find(look, pid);
			if (relative && !is_other(descent, pid))
				relative->verdict = BELONGS;
		}
		if (file)
			fclose(file);
	}
}

/* At once, whatever they do; kernels before 5.14 don't have it. */
static void kill_cgroup(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		errno = 0;
	close(fd);
}

struct felling {
	const struct descent *descent;
	int signal_number;
	struct look look;
	struct done done;
	pid_t *denied;
	int error; /* of one that could not be signalled */
};

/* Result: how many were new, or -errno. */
static int pass(struct felling *felling)
{
	int error = look_around(felling->descent, &felling->look), fresh = 0;
	take_members(felling->descent, &felling->look);
	for (size_t i = 0; !error && i < felling->look.count; i++) {
		struct relative *relative = &felling->look.relatives[i];
		if (judge(felling->descent, &felling->look, relative) != BELONGS || relative->kin.state == 'Z' ||
		    relative->kin.state == 'X' || is_done(&felling->done, relative))
			continue;
		int failed = signal_one(relative, felling->signal_number);
		if (failed) {
			felling->error = failed;
			*felling->denied = relative->pid;
		}
		fresh++;
		error = add(&felling->done.relatives, &felling->done.count, &felling->done.room, relative);
	}
	return error ? error : felling->look.error ? felling->look.error : fresh;
}

/* A look can be torn for ever by strangers who come and go: that alone asks for one look more. */
static int signal_all(struct felling *felling, int signal_number)
{
	bool torn = false;
	felling->signal_number = signal_number;
	felling->done.count = 0;
	felling->error = 0;
	for (int i = 0; i < DESCENT_PASSES; i++) {
		int fresh = pass(felling);
		if (fresh < 0)
			return fresh;
		if (!fresh && (torn || !felling->look.torn))
			break;
		torn = !fresh && felling->look.torn;
	}
	return felling->error;
}

int descent_signal(const struct descent *descent, int signal_number, pid_t *denied)
{
	struct felling felling = { .descent = descent, .denied = denied };
	if (signal_number == SIGKILL && descent->kill)
		kill_cgroup(descent->kill);
	if (signal_number == SIGKILL)
		signal_all(&felling, SIGSTOP);
	int error = signal_all(&felling, signal_number);
	free(felling.look.relatives);
	free(felling.done.relatives);
	return error;
}
