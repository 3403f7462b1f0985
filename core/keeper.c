#include "core/keeper.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/launchers.h"
#include "core/message.h"

enum {
	KEEPER_BATCH = 128,  /* ends reaped before they are told */
	KEEPER_KILL_MS = 5000,
	KEEPER_TICK_MS = 20, /* between looks at what sends no signal */
};

struct reaping {
	struct ptable *table;
	int socket_fd; /* -1: nobody is told */
	pid_t server;
	int server_status;
	bool server_ended;
	struct ptable_ref ended[KEEPER_BATCH];
	unsigned ended_count;
};

static struct timespec now_plus(long milliseconds)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += milliseconds / 1000;
	time.tv_nsec += milliseconds % 1000 * 1000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	return time;
}

static bool has_passed(struct timespec deadline)
{
	struct timespec now = now_plus(0);

	return now.tv_sec != deadline.tv_sec ? now.tv_sec > deadline.tv_sec : now.tv_nsec >= deadline.tv_nsec;
}

/* As wait(2) gives it. */
static int wait_status(const siginfo_t *info)
{
	switch (info->si_code) {
	case CLD_EXITED:
		return W_EXITCODE(info->si_status & 0xff, 0);
	case CLD_DUMPED:
		return info->si_status | WCOREFLAG;
	default:
		return info->si_status;
	}
}

static void record_end(struct reaping *reaping, struct ptable_ref ref, const siginfo_t *info, const struct rusage *usage)
{
	struct ptable_entry *entry = ptable_at(reaping->table, ref.index);

	entry->status = wait_status(info);
	usage_of_rusage(usage, &entry->usage);
	clock_gettime(CLOCK_REALTIME, &entry->ended);
	/* Its launcher may not have come to say RUNNING yet, or do so between these two. */
	if (!ptable_step(reaping->table, ref, PTABLE_LAUNCHING, PTABLE_ENDED))
		ptable_step(reaping->table, ref, PTABLE_RUNNING, PTABLE_ENDED);
	ptable_unbind_pid(reaping->table, info->si_pid);
	reaping->ended[reaping->ended_count++] = ref;
}

/* Result: false when nobody has ended. Children before their exec are not seen (launch.h). */
static bool reap_one(struct reaping *reaping)
{
	struct rusage usage;
	siginfo_t info = { .si_pid = 0 };
	struct ptable_ref ref;

	/* The system call, because waitid(3) has no rusage. */
	if (syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT, &usage) < 0 || info.si_pid == 0)
		return false;
	if (info.si_pid == reaping->server) {
		reaping->server_status = wait_status(&info);
		reaping->server_ended = true;
	} else if (ptable_find_pid(reaping->table, info.si_pid, &ref)) {
		record_end(reaping, ref, &info, &usage);
	}
	/* Only now: while the entry was live, its pid could not be anyone else's (ptable_signal). */
	return waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG) == 0;
}

static void report_end(const struct reaping *reaping, unsigned i)
{
	struct message message = { .kind = MESSAGE_ENDED, .ref = reaping->ended[i] };

	if (reaping->socket_fd >= 0)
		message_report(reaping->socket_fd, reaping->table, &message);
}

static void reap_all(struct reaping *reaping)
{
	do {
		reaping->ended_count = 0;
		while (reaping->ended_count < KEEPER_BATCH && reap_one(reaping))
			continue;
		for (unsigned i = 0; i < reaping->ended_count; i++)
			report_end(reaping, i);
	} while (reaping->ended_count == KEEPER_BATCH);
}

static bool is_ignored(int signal_number)
{
	struct sigaction action;

	return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int keeper_prepare(void)
{
	sigset_t taken;

	for (int number = 1; number <= SIGRTMAX; number++) {
		if (number == SIGHUP || number == SIGINT || number == SIGQUIT)
			continue;
		if (is_ignored(number) && signal(number, SIG_DFL) == SIG_ERR)
			return -errno;
	}
	sigemptyset(&taken);
	sigaddset(&taken, SIGCHLD);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGHUP);
	sigaddset(&taken, SIGINT);
	if (sigprocmask(SIG_BLOCK, &taken, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static void keeper_choose_signals(const struct keeper *keeper, sigset_t *out)
{
	sigset_t left_alone;

	sigemptyset(out);
	sigaddset(out, SIGCHLD);
	sigaddset(out, SIGTERM);
	if (!is_ignored(SIGHUP))
		sigaddset(out, SIGHUP);
	if (!keeper->command && !is_ignored(SIGINT))
		sigaddset(out, SIGINT);
	if (!keeper->command)
		return;
	sigemptyset(&left_alone);
	sigaddset(&left_alone, SIGINT);
	sigaddset(&left_alone, SIGQUIT);
	pthread_sigmask(SIG_BLOCK, &left_alone, NULL);
}

/* Result: the signal, or 0 after a tick when some are still to be told. */
static int keeper_wait(const sigset_t *signals, uint64_t untold)
{
	const struct timespec tick = { 0, KEEPER_TICK_MS * 1000000 };
	int number;

	do
		number = untold ? sigtimedwait(signals, NULL, &tick) : sigwaitinfo(signals, NULL);
	while (number < 0 && errno == EINTR);
	return number < 0 ? 0 : number;
}

/* Unlike an end, a signal that finds no room can't be found again: it is kept until there is room. */
static void keeper_tell_signals(const struct keeper *keeper, uint64_t *untold)
{
	for (int number = 1; number < 64; number++) {
		struct message message = { .kind = MESSAGE_SIGNAL, .value = number };

		if (*untold & (uint64_t)1 << number && message_send(keeper->socket_fd, &message) != -EAGAIN)
			*untold &= ~((uint64_t)1 << number);
	}
}

int keeper_run(struct keeper *keeper, int *status)
{
	const struct launchers_setup setup = { keeper->table, keeper->socket_fd, keeper->command, keeper->badness };
	struct reaping reaping = { .table = keeper->table, .socket_fd = keeper->socket_fd, .server = keeper->server };
	struct launchers *launchers;
	uint64_t untold = 0;
	sigset_t signals;
	int error;

	keeper_choose_signals(keeper, &signals);
	error = launchers_create(&setup, &launchers);
	if (error)
		return error;
	while (reap_all(&reaping), !reaping.server_ended) {
		int number = keeper_wait(&signals, untold);

		if (number == 0 || number == SIGCHLD) {
			keeper_tell_signals(keeper, &untold);
			continue;
		}
		untold |= (uint64_t)1 << number;
		keeper_tell_signals(keeper, &untold);
		if (keeper->command && number != SIGINT)
			ptable_signal(keeper->table, ptable_ref_at(keeper->table, PTABLE_COMMAND), number);
	}
	launchers_destroy(launchers);
	*status = reaping.server_status;
	return 0;
}

static bool kill_live(struct ptable *table)
{
	struct ptable_ref ref;
	uint32_t cursor = 0;
	bool any = false;

	/* One that may not be signalled, a set-user-ID program, is not waited for either. */
	while (ptable_next_live(table, &cursor, &ref))
		any |= ptable_signal(table, ref, SIGKILL) == 0;
	return any;
}

void keeper_kill_all(struct ptable *table)
{
	struct reaping reaping = { .table = table, .socket_fd = -1 };
	struct timespec deadline = now_plus(KEEPER_KILL_MS);
	const struct timespec tick = { 0, KEEPER_TICK_MS * 1000000 };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (reap_all(&reaping), kill_live(table) && !has_passed(deadline))
		sigtimedwait(&child, NULL, &tick);
}
