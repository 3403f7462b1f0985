#include "core/keeper.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/badness.h"
#include "core/kin.h"
#include "core/lack.h"
#include "core/launchers.h"
#include "core/message.h"
#include "core/revival.h"

enum {
	KEEPER_BATCH = 128,  /* ends reaped before they are told */
	KEEPER_KILL_MS = 5000,
	KEEPER_SIGNALS = 16, /* that the server is told of */
	KEEPER_TICK_MS = 20, /* between looks at what sends no signal */
	KEEPER_UPGRADE_MS = 8000, /* in which the installed program must be ready */
	KEEPER_PATIENCE_MS = 60000, /* and any other: hundreds of thousands of processes are taken over in less */
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

/* REAP */
static void record_end(struct reaping *reaping, struct ptable_ref ref, const siginfo_t *info, const struct rusage *usage)
{
	struct ptable_end *end = ptable_end_at(reaping->table, ref.index);

	ptable_at(reaping->table, ref.index)->status = wait_status(info);
	usage_of_rusage(usage, &end->usage);
	clock_gettime(CLOCK_REALTIME, &end->ended);
	end->over = now_plus(0);
	/* Its launcher may not have come to say RUNNING yet, or do so between these two. */
	if (!ptable_step(reaping->table, ref, PTABLE_LAUNCHING, PTABLE_ENDED))
		ptable_step(reaping->table, ref, PTABLE_RUNNING, PTABLE_ENDED);
	ptable_unbind_pid(reaping->table, info->si_pid);
	reaping->ended[reaping->ended_count++] = ref;
}

/* REPORT: what the table tells already. */
static void report(const struct reaping *reaping, enum message_kind kind, struct ptable_ref ref)
{
	if (reaping->socket_fd >= 0)
		message_report(reaping->socket_fd, reaping->table, &(struct message){ .kind = kind, .ref = ref });
}

/* A child was stopped or goes on. It may have gone on since: only what the table tells is taken from the kernel. */
static void pass_on(const struct reaping *reaping, siginfo_t *info)
{
	bool goes_on = info->si_code == CLD_CONTINUED;
	struct ptable_ref ref;

	if (ptable_find_pid(reaping->table, info->si_pid, &ref)) {
		ptable_set_stopped(reaping->table, ref, !goes_on);
		report(reaping, goes_on ? MESSAGE_CONTINUED : MESSAGE_PAUSED, ref);
	}
	waitid(P_PID, (id_t)info->si_pid, info, (goes_on ? WCONTINUED : WSTOPPED) | WNOHANG);
}

/* Result: false when nobody was stopped or goes on. */
static bool pass_one_on(const struct reaping *reaping)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_ALL, 0, &info, WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
		return false;
	pass_on(reaping, &info);
	return true;
}

/* Result: false when nothing has happened to anybody. Children before their exec are not seen (launch.h). */
static bool reap_one(struct reaping *reaping)
{
	struct rusage usage;
	siginfo_t info = { .si_pid = 0 };
	struct ptable_ref ref;

	/* The system call, because waitid(3) has no rusage. Ends first: the kernel gives the oldest child of which there is something to
	 * say, and one may stop and go on all the time. */
	if (syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT, &usage) < 0)
		return false;
	if (info.si_pid == 0)
		return pass_one_on(reaping);
	if (info.si_pid == reaping->server) {
		reaping->server_status = wait_status(&info);
		reaping->server_ended = true;
	} else if (ptable_find_pid(reaping->table, info.si_pid, &ref)) {
		record_end(reaping, ref, &info, &usage);
	}
	/* Only now: while the entry was live, its pid could not be anyone else's (ptable_signal). */
	return waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG) == 0;
}

/* Result: whether there may be more. */
static bool reap_all(struct reaping *reaping)
{
	unsigned looks;

	do {
		reaping->ended_count = 0;
		for (looks = 0; looks < KEEPER_BATCH && reap_one(reaping); looks++)
			continue;
		for (unsigned i = 0; i < reaping->ended_count; i++)
			report(reaping, MESSAGE_ENDED, reaping->ended[i]);
	} while (reaping->ended_count == KEEPER_BATCH);
	return looks == KEEPER_BATCH;
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
	sigaddset(&taken, SIGUSR2);
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
	if (keeper->spawn)
		sigaddset(out, SIGUSR2);
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

/* Whoever dies by lack of memory or descriptors, the keeper should be the last: all others can be had again. */
static void keeper_guard(const struct keeper *keeper)
{
	struct rlimit limit;

	if (!keeper->origin)
		return;
	if (badness_lower())
		keeper->origin->badness[0] = '\0';
	limit = keeper->origin->nofile;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) || getrlimit(RLIMIT_NOFILE, &limit))
		limit = keeper->origin->nofile;
	if (keeper->holdings)
		holdings_set_limit(keeper->holdings, limit.rlim_cur > HOLDINGS_CAPACITY ? HOLDINGS_CAPACITY : (int)limit.rlim_cur);
}

/* Signals for the server, in their order. More than these say nothing new: the second one ends all there is. */
struct signals_taken {
	int numbers[KEEPER_SIGNALS];
	unsigned count, told; /* told: of those, the present server */
};

/* The life of the keeper: of servers, one after the other. */
struct life {
	struct keeper *keeper;
	struct launchers *launchers;
	struct reaping reaping;
	struct revival revival;
	sigset_t signals;
	struct signals_taken taken;
	bool awaited;    /* the present server is not ready yet */
	bool upgrading;  /* it is awaited, and the installed program */
	bool upgrade_wanted; /* the next one will be */
	int died_of;     /* the last one's status */
	struct timespec died; /* when the last one that was ready did */
	struct timespec late; /* when the one that is awaited has to be ready */
	bool was_late;   /* it was not, and is being killed */
	bool between;    /* the last one has ended, and another follows */
	struct timespec next; /* not before this */
};

/* Result: the signal, or 0 after a tick when there is something that sends none. */
static int keeper_wait(const sigset_t *signals, bool ticks)
{
	const struct timespec tick = { 0, KEEPER_TICK_MS * 1000000 };
	int number;

	do
		number = ticks ? sigtimedwait(signals, NULL, &tick) : sigwaitinfo(signals, NULL);
	while (number < 0 && errno == EINTR);
	return number < 0 ? 0 : number;
}

/* Unlike an end, a signal that finds no room, or a server that dies before it has kept it, can't be found again: each server
 * is told all, and by their numbers knows those that it has from the one before. */
static void keeper_tell_signals(const struct keeper *keeper, struct signals_taken *taken)
{
	while (taken->told < taken->count) {
		const struct message message = {
			.kind = MESSAGE_SIGNAL,
			.value = taken->numbers[taken->told],
			.ref.generation = taken->told + 1,
		};

		if (message_send(keeper->socket_fd, &message) == -EAGAIN)
			break;
		taken->told++;
	}
}

static void life_tell(const struct life *life, enum keeper_event event, int error)
{
	struct timespec now = now_plus(0);
	const struct keeper_news news = {
		.event = event,
		.status = life->died_of,
		.error = error,
		.milliseconds = (unsigned)((now.tv_sec - life->died.tv_sec) * 1000 +
					   (now.tv_nsec - life->died.tv_nsec) / 1000000),
	};

	life->keeper->on_news(life->keeper->context, &news);
}

static bool life_is_ready(const struct life *life)
{
	struct timespec since;

	return ptable_ready(life->keeper->table, &since) == life->keeper->server;
}

static long keeper_patience(const struct keeper *keeper)
{
	return keeper->patience_ms ? (long)keeper->patience_ms : KEEPER_PATIENCE_MS;
}

/* DRAIN and SPAWN: the old socket is read to its end before there is a new server: what the old one asked for is done by then, or
 * never will be. Result: 0 or -errno. */
static int life_begin_server(struct life *life)
{
	struct keeper *keeper = life->keeper;
	int ends[2], error;

	launchers_pause(life->launchers);
	if (keeper->holdings)
		holdings_settle(keeper->holdings);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	close(keeper->socket_fd);
	keeper->socket_fd = life->reaping.socket_fd = ends[0];
	/* Before it looks at the table: what it finds unfinished there is told on this socket. */
	launchers_resume(life->launchers, keeper->socket_fd);
	ptable_set_ready(keeper->table, 0);
	error = keeper->spawn(keeper->context, life->upgrade_wanted ? KEEPER_INSTALLED : KEEPER_SAME, ends[1],
			      &keeper->server);
	close(ends[1]);
	if (error)
		return error;
	life->reaping.server = keeper->server;
	life->reaping.server_ended = false;
	life->taken.told = 0;
	life->awaited = true;
	life->upgrading = life->upgrade_wanted;
	life->upgrade_wanted = false;
	life->was_late = life->between = false;
	life->late = now_plus(life->upgrading ? KEEPER_UPGRADE_MS : keeper_patience(keeper));
	return 0;
}

static void life_fail_upgrade(struct life *life, int error)
{
	life_tell(life, KEEPER_UPGRADE_FAILED, error);
	life->upgrading = life->upgrade_wanted = false;
}

/* Result: true when a server is to follow the one that ended. */
static bool life_wants_another(struct life *life)
{
	const struct revival_death death = {
		.status = life->reaping.server_status, .was_ready = !life->awaited, .was_late = life->was_late,
		.when = now_plus(0),
	};

	life->died_of = life->reaping.server_status;
	if (!life->keeper->spawn || life->died_of == 0)
		return false;
	if (!life->awaited)
		life->died = death.when;
	if (life->upgrading) {
		life_fail_upgrade(life, 0);
	} else if (!revival_allows(&life->revival, &death)) {
		life_tell(life, KEEPER_GAVE_UP, 0);
		return false;
	}
	return true;
}

/* What lacks now may be there soon: as after a kill of a server that was not ready. */
static bool life_tries_again(struct life *life, int error)
{
	const struct revival_death death = { .status = SIGKILL, .when = now_plus(0) };

	if (!is_lack(error))
		return false;
	life->next = now_plus(REVIVAL_PAUSE_MS);
	return revival_allows(&life->revival, &death);
}

/* Result: false when none can be begun. */
static bool life_follow_server(struct life *life)
{
	int error = life_begin_server(life);

	if (error && life->upgrade_wanted) {
		life_fail_upgrade(life, error);
		error = life_begin_server(life);
	}
	if (!error || life_tries_again(life, error))
		return true;
	life_tell(life, KEEPER_GAVE_UP, error);
	return false;
}

/* By a signal or by a debugger: whoever did it can let it go on. */
static bool is_stopped(pid_t pid)
{
	struct kin kin;

	return kin_read(pid, &kin) == 0 && (kin.state == 'T' || kin.state == 't');
}

/* One that serves may be stopped for as long as anybody likes, so one that is to serve may too. Not in an upgrade, whose caller
 * waits and where there is another program. */
static void life_end_late_server(struct life *life)
{
	if (!life->upgrading && is_stopped(life->keeper->server)) {
		life->late = now_plus(keeper_patience(life->keeper));
		return;
	}
	if (!life->upgrading && !life->was_late)
		life_tell(life, KEEPER_LATE, 0);
	life->was_late = true;
	kill(life->keeper->server, SIGKILL);
}

/* After a server has ended. Result: false when that is the end. */
static bool life_goes_on(struct life *life)
{
	if (!life->between) {
		if (!life_wants_another(life))
			return false;
		life->between = true;
		life->next = now_plus(revival_pause(&life->revival));
	}
	return !has_passed(life->next) || life_follow_server(life);
}

static void life_look_for_readiness(struct life *life)
{
	if (!life->awaited)
		return;
	if (life_is_ready(life)) {
		life_tell(life, life->upgrading ? KEEPER_UPGRADED : KEEPER_RESTARTED, 0);
		life->awaited = life->upgrading = false;
	} else if (!life->reaping.server_ended && has_passed(life->late)) {
		life_end_late_server(life);
	}
}

static void life_take_signal(struct life *life, int number)
{
	const struct keeper *keeper = life->keeper;

	if (keeper->holdings)
		holdings_sweep(keeper->holdings);
	/* Who asks may have been answered by a server of which it is not known yet that it is ready. */
	life_look_for_readiness(life);
	if (number == SIGUSR2 && !life->upgrading && !life->upgrade_wanted) {
		life->upgrade_wanted = true;
		if (!life->between)
			kill(keeper->server, SIGKILL);
	} else if (number != 0 && number != SIGCHLD && number != SIGUSR2) {
		if (life->taken.count < KEEPER_SIGNALS)
			life->taken.numbers[life->taken.count++] = number;
		if (keeper->command && number != SIGINT)
			ptable_signal(keeper->table, ptable_ref_at(keeper->table, PTABLE_COMMAND), number);
	}
	keeper_tell_signals(keeper, &life->taken);
}

int keeper_run(struct keeper *keeper, int *status)
{
	const struct launchers_setup setup = {
		.table = keeper->table, .socket_fd = keeper->socket_fd, .command = keeper->command,
		.origin = keeper->origin, .holdings = keeper->holdings,
	};
	struct life life = {
		.keeper = keeper,
		.reaping = { .table = keeper->table, .socket_fd = keeper->socket_fd, .server = keeper->server },
	};
	int error;

	keeper_choose_signals(keeper, &life.signals);
	keeper_guard(keeper);
	error = launchers_create(&setup, &life.launchers);
	if (error)
		return error;
	for (;;) {
		bool more = reap_all(&life.reaping);
		life_look_for_readiness(&life);
		if (life.reaping.server_ended && !life_goes_on(&life))
			break;
		bool ticks = more || life.taken.told < life.taken.count || life.awaited || life.between;
		life_take_signal(&life, keeper_wait(&life.signals, ticks));
	}
	launchers_destroy(life.launchers);
	*status = life.reaping.server_status;
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
