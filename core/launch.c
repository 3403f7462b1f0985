#include "core/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clone.h"
#include "core/launch_child.h"

/*
 * Everything named child_ runs between clone and exec, most often in the memory of its suspended parent:
 * no malloc, no lock, no stdio, nothing that knows about threads. glibc's set*id functions do (they signal
 * every thread of the process), so those are system calls here.
 */

#ifdef SYS_setresuid32
enum { LAUNCH_SETGROUPS = SYS_setgroups32, LAUNCH_SETRESGID = SYS_setresgid32, LAUNCH_SETRESUID = SYS_setresuid32 };
#else
enum { LAUNCH_SETGROUPS = SYS_setgroups, LAUNCH_SETRESGID = SYS_setresgid, LAUNCH_SETRESUID = SYS_setresuid };
#endif

enum {
	LAUNCH_STACK = 64 << 10,
	LAUNCH_MASK_SIZE = 8,    /* the kernel's sigset_t, in bytes */
	LAUNCH_EXIT = 127,       /* seen by nobody: the entry says why */
};

static const uint64_t launch_empty_mask = 0;
static const uint64_t launch_full_mask = ~(uint64_t)0;

static int child_check_user(uid_t before, uid_t uid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (uid == 0 || before == uid)
		return 0;
	if (syscall(LAUNCH_SETRESUID, -1, before, -1) == 0)
		return -EPERM;
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	if (data[0].permitted || data[1].permitted)
		return -EPERM;
	return 0;
}

static int child_become_user(const struct launch_child *child)
{
	const struct launch_spec *spec = child->spec;
	uid_t before = geteuid();

	if (!(spec->flags & LAUNCH_FOREGROUND) && setsid() < 0)
		return -errno;
	if (!(spec->flags & LAUNCH_AS_USER))
		return 0;
	if (syscall(LAUNCH_SETGROUPS, (size_t)spec->group_count, spec->groups) < 0)
		return -errno;
	if (syscall(LAUNCH_SETRESGID, spec->gid, spec->gid, spec->gid) < 0)
		return -errno;
	if (syscall(LAUNCH_SETRESUID, spec->uid, spec->uid, spec->uid) < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return child_check_user(before, spec->uid);
}

/* When nobody is left to say how it ended, it is ended. A change of user undoes this, and so does a set-user-ID program. */
static int child_end_with_parent(const struct launch_child *child)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return getppid() == child->parent ? 0 : -ESRCH;
}

static int child_be_as_bad(const struct launch_child *child)
{
	const struct launch_origin *origin = child->spec->origin;

	if (origin && *origin->badness)
		badness_set(origin->badness);
	return 0;
}

static int child_enter_cgroups(const struct launch_child *child)
{
	const char *const *cgroups = child->spec->cgroups;

	for (int32_t i = child->spec->flags & LAUNCH_INTO_GROUP ? 1 : 0; cgroups && cgroups[i]; i++) {
		int fd = open(cgroups[i], O_WRONLY | O_CLOEXEC);
		int error = fd < 0 || write(fd, "0", 1) != 1 ? -errno : 0;

		if (fd >= 0)
			close(fd);
		child->entry->candidate = i;
		if (error)
			return error;
	}
	return 0;
}

static int child_set_nice(const struct launch_child *child)
{
	child->entry->candidate = -1;
	return setpriority(PRIO_PROCESS, 0, child->spec->terms->nice) < 0 ? -errno : 0;
}

/* The soft limits must wait: what comes before exec needs descriptors. */
static int child_raise(const struct launch_child *child)
{
	const struct launch_terms *terms = child->spec->terms;
	int error = 0;

	if (!terms || !(child->spec->flags & LAUNCH_RAISES))
		return 0;
	if (terms->has_nice)
		error = child_set_nice(child);
	for (uint32_t i = 0; !error && i < terms->limit_count; i++) {
		struct rlimit limit;

		child->entry->candidate = (int32_t)i;
		if (getrlimit(terms->limits[i].resource, &limit) < 0)
			return -errno;
		if (limit.rlim_max >= terms->limits[i].hard)
			continue;
		limit.rlim_max = terms->limits[i].hard;
		if (setrlimit(terms->limits[i].resource, &limit) < 0)
			error = -errno;
	}
	return error;
}

static int child_set_limits(const struct launch_child *child)
{
	const struct launch_terms *terms = child->spec->terms;
	int error = 0;

	if (child->spec->origin)
		setrlimit(RLIMIT_NOFILE, &child->spec->origin->nofile);
	if (!terms)
		return 0;
	if (terms->has_nice && !(child->spec->flags & LAUNCH_RAISES))
		error = child_set_nice(child);
	for (uint32_t i = 0; !error && i < terms->limit_count; i++) {
		const struct rlimit limit = { terms->limits[i].soft, terms->limits[i].hard };

		child->entry->candidate = (int32_t)i;
		if (setrlimit(terms->limits[i].resource, &limit) < 0)
			error = -errno;
	}
	return error;
}

static int child_enter_directory(const struct launch_child *child)
{
	umask(child->spec->umask);
	if (child->spec->cwd && chdir(child->spec->cwd) < 0)
		return -errno;
	return 0;
}

/* The others are at their default (keeper_prepare), or have handlers, which exec resets. */
static void child_reset_signals(const struct launch_spec *spec)
{
	signal(SIGPIPE, SIG_DFL);
	if (spec->flags & LAUNCH_FOREGROUND)
		return;
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
}

static bool child_tries_next(int error)
{
	return error == EACCES || error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENODEV ||
	       error == ETIMEDOUT;
}

static int child_exec(const struct launch_child *child)
{
	const struct launch_spec *spec = child->spec;
	int error = ENOENT;

	child->entry->candidate = 0;
	child_reset_signals(spec);
	clock_gettime(CLOCK_REALTIME, &child->entry->started);
	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &launch_empty_mask, NULL, LAUNCH_MASK_SIZE) < 0)
		return -errno;
	for (int32_t i = 0; spec->candidates[i]; i++) {
		bool forbidden = error == EACCES;

		execve(spec->candidates[i], (char *const *)spec->argv, (char *const *)spec->envp);
		if (!child_tries_next(errno)) {
			child->entry->candidate = i;
			return -errno;
		}
		/* The first one that is there and forbidden says more than those that aren't there. */
		if (forbidden)
			continue;
		error = errno;
		child->entry->candidate = i;
	}
	return -error;
}

static int child_main(void *argument)
{
	static const struct {
		enum launch_step step;
		int (*take)(const struct launch_child *child);
	} steps[] = {
		{ LAUNCH_STEP_STREAMS, child_part_descriptors },
		{ LAUNCH_STEP_LIMITS, child_be_as_bad },
		{ LAUNCH_STEP_CGROUP, child_enter_cgroups },
		{ LAUNCH_STEP_LIMITS, child_raise },
		{ LAUNCH_STEP_STREAMS, child_take_streams },
		{ LAUNCH_STEP_USER, child_become_user },
		{ LAUNCH_STEP_USER, child_end_with_parent },
		{ LAUNCH_STEP_CWD, child_enter_directory },
		{ LAUNCH_STEP_STDOUT, child_open_stdout },
		{ LAUNCH_STEP_STDERR, child_open_stderr },
		{ LAUNCH_STEP_STREAMS, child_join_outputs },
		{ LAUNCH_STEP_LIMITS, child_set_limits },
		{ LAUNCH_STEP_EXEC, child_exec },
	};
	const struct launch_child *child = argument;

	ptable_bind_pid(child->table, atomic_load(&child->entry->pid), child->index);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int error = steps[i].take(child);

		if (error) {
			child->entry->step = steps[i].step;
			child->entry->error = -error;
			break;
		}
	}
	_exit(LAUNCH_EXIT);
}

/* No signal may run a handler of ours in a child that shares our memory: all are blocked, the ones that
 * glibc keeps for itself too; the child empties its mask when nothing of ours is left to do. */
static pid_t launch_clone(struct launch_child *child)
{
	char stack[LAUNCH_STACK] __attribute__((aligned(16)));
	const struct launch_spec *spec = child->spec;
	const struct clone_call call = {
		.flags = CLONE_VFORK | CLONE_FILES | CLONE_PARENT_SETTID | (spec->flags & LAUNCH_AS_USER ? 0 : CLONE_VM),
		.main = child_main,
		.argument = child,
		.stack = stack,
		.stack_size = sizeof(stack),
		.pid = (pid_t *)&child->entry->pid,
		.group = spec->flags & LAUNCH_INTO_GROUP && spec->cgroups ? spec->cgroups[0] : NULL,
	};
	uint64_t before;
	pid_t pid;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &launch_full_mask, &before, LAUNCH_MASK_SIZE);
	pid = clone_child(&call);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, LAUNCH_MASK_SIZE);
	return pid;
}

/* __WNOTHREAD: if the child was reaped meanwhile, its pid could already be another launcher's child. */
static int launch_wait(pid_t pid, int options)
{
	siginfo_t info;
	int result;

	do
		result = waitid(P_PID, (id_t)pid, &info, WEXITED | __WCLONE | __WNOTHREAD | options);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

int launch_run(const struct launch_spec *spec, struct ptable *table, struct ptable_ref ref)
{
	struct ptable_entry *entry = ptable_at(table, ref.index);
	struct launch_child child = { spec, table, entry, ref.index, getpid() };
	pid_t pid;
	int error;

	if (ptable_state(table, ref) != PTABLE_LAUNCHING)
		return -EINVAL;
	pid = launch_clone(&child);
	if (pid < 0) {
		entry->step = LAUNCH_STEP_CLONE;
		entry->error = -pid;
		ptable_step(table, ref, PTABLE_LAUNCHING, PTABLE_FAILED);
		return pid;
	}
	if (launch_wait(pid, WNOWAIT) < 0) {
		/* Not ours to wait for: exec made its exit signal SIGCHLD. It may have ended, its entry may be
		 * another launch's by now; then this step does nothing, and nothing else here may touch it. */
		ptable_step(table, ref, PTABLE_LAUNCHING, PTABLE_RUNNING);
		return 0;
	}
	error = entry->error ? -entry->error : -ECANCELED;
	ptable_unbind_pid(table, pid);
	/* Final before the reap, for ptable_signal(); the entry is the server's from here. */
	ptable_step(table, ref, PTABLE_LAUNCHING, PTABLE_FAILED);
	launch_wait(pid, 0);
	return error;
}
