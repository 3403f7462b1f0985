#include "core/launchers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "core/detached.h"
#include "core/message.h"

enum {
	LAUNCHERS_STACK = 384 << 10, /* a message, and the child's stack in launch_run */
	LAUNCHERS_LEAVE_SECONDS = 1,
};

/* Shared by the launcher threads; freed by the last who leaves, since one that hangs can't be waited for. */
struct launchers {
	pthread_mutex_t mutex;
	pthread_cond_t left;    /* or parked */
	pthread_cond_t resumed; /* or leaving */
	struct launch_origin origin;
	struct launchers_setup setup; /* the first thread takes the command */
	unsigned count, idle;
	unsigned parked; /* of the idle: wait for a socket */
	bool paused;    /* the socket has nothing more to say and is not ours any more */
	bool leaving;   /* no launch is to be begun, the socket is not ours any more */
	bool abandoned; /* launchers_destroy has gone */
};

static void launchers_unlock_and_free(struct launchers *launchers)
{
	bool last = launchers->abandoned && launchers->count == 0;

	pthread_mutex_unlock(&launchers->mutex);
	if (!last)
		return;
	pthread_cond_destroy(&launchers->left);
	pthread_cond_destroy(&launchers->resumed);
	pthread_mutex_destroy(&launchers->mutex);
	free(launchers);
}

static void *launcher_main(void *argument);

/* With the mutex held. The new thread counts as idle at once, or the next launch would start another. */
static int launchers_add(struct launchers *launchers)
{
	int error = detached_begin(LAUNCHERS_STACK, launcher_main, launchers);

	if (!error) {
		launchers->count++;
		launchers->idle++;
	}
	return error;
}

/* Result: false when no launch is to be begun any more. */
static bool launcher_becomes_busy(struct launchers *launchers)
{
	bool goes_on;

	pthread_mutex_lock(&launchers->mutex);
	launchers->idle--;
	goes_on = !launchers->leaving;
	/* When no thread can be had, those waiting in the socket wait for one of the others. */
	if (goes_on && launchers->idle == 0 && launchers->count < LAUNCHERS_MAX)
		launchers_add(launchers);
	pthread_mutex_unlock(&launchers->mutex);
	return goes_on;
}

static void launcher_becomes_idle(struct launchers *launchers)
{
	pthread_mutex_lock(&launchers->mutex);
	launchers->idle++;
	pthread_mutex_unlock(&launchers->mutex);
}

/* REPORT */
static void launcher_reports(struct launchers *launchers, struct ptable_ref ref, int result)
{
	struct message message = { .kind = result ? MESSAGE_FAILED : MESSAGE_STARTED, .ref = ref };

	/* Ended before launch_run could say RUNNING: the reaper tells it. Released, or never LAUNCHING: nobody asks. */
	if (ptable_state(launchers->setup.table, ref) != (result ? PTABLE_FAILED : PTABLE_RUNNING))
		return;
	pthread_mutex_lock(&launchers->mutex);
	if (!launchers->leaving && !launchers->paused)
		message_report(launchers->setup.socket_fd, launchers->setup.table, &message);
	pthread_mutex_unlock(&launchers->mutex);
}

/* TAKE: no launch is ever taken twice, whoever sends it again. */
static bool launcher_takes(struct launchers *launchers, struct ptable_ref ref)
{
	return ptable_step(launchers->setup.table, ref, PTABLE_CLAIMED, PTABLE_LAUNCHING);
}

/* A launch that was taken comes to nothing. */
static void launcher_fails(struct launchers *launchers, struct ptable_ref ref, int error)
{
	struct ptable_entry *entry = ptable_at(launchers->setup.table, ref.index);

	entry->step = LAUNCH_STEP_CLONE;
	entry->error = -error;
	if (ptable_step(launchers->setup.table, ref, PTABLE_LAUNCHING, PTABLE_FAILED))
		launcher_reports(launchers, ref, error);
}

/* A launch that could not be read, though it is known which. */
static void launcher_refuses(struct launchers *launchers, struct ptable_ref ref, int error)
{
	if (ref.index != PTABLE_COMMAND && launcher_takes(launchers, ref))
		launcher_fails(launchers, ref, error);
}

static void launcher_runs_command(struct launchers *launchers)
{
	struct ptable_ref ref = ptable_ref_at(launchers->setup.table, PTABLE_COMMAND);
	const struct launch_spec *command;

	pthread_mutex_lock(&launchers->mutex);
	command = launchers->setup.command;
	launchers->setup.command = NULL;
	if (command)
		launchers->idle--;
	pthread_mutex_unlock(&launchers->mutex);
	if (!command)
		return;
	if (ptable_step(launchers->setup.table, ref, PTABLE_FREE, PTABLE_LAUNCHING)) {
		struct launch_spec spec = *command;

		spec.origin = launchers->setup.origin;
		launcher_reports(launchers, ref, launch_run(&spec, launchers->setup.table, ref));
	}
	launcher_becomes_idle(launchers);
}

/* What comes to be held: announced, or to be let go of. */
static void launcher_holds(struct launchers *launchers, struct message_received_launch *launch)
{
	struct holdings *holdings = launchers->setup.holdings;

	if (!holdings)
		return;
	holdings_sweep(holdings);
	if (launch->hold.kind == HOLDING_OVER)
		holdings_let_go(holdings, &launch->hold);
	else
		holdings_keep_expected(holdings, &launch->hold);
	launch->hold.fd = -1;
}

/* Before the launch is begun, since whoever hears of it may drop them at once. Result: 0; as holdings_keep(): what it wrote would be lost
 * with the server. */
static int launcher_holds_outputs(struct launchers *launchers, struct message_received_launch *launch)
{
	struct holdings *holdings = launchers->setup.holdings;
	uint64_t id = ptable_at(launchers->setup.table, launch->ref.index)->id;
	int error = 0;

	if (!holdings)
		return 0;
	holdings_sweep(holdings);
	for (int i = 0; !error && i < 2; i++) {
		const struct holding holding = { id, i ? HOLDING_STDERR : HOLDING_STDOUT, launch->spec.held_fds[i] };

		launch->spec.held_fds[i] = 0;
		if (holding.fd > 0)
			error = holdings_keep(holdings, &holding);
	}
	return error;
}

/* Result: true and the socket to listen at; false when no launch is to be begun any more; the thread is not idle then. */
static bool launcher_awaits_socket(struct launchers *launchers, int *socket_fd)
{
	bool goes_on;

	pthread_mutex_lock(&launchers->mutex);
	launchers->parked++;
	while (launchers->paused && !launchers->leaving) {
		pthread_cond_signal(&launchers->left);
		pthread_cond_wait(&launchers->resumed, &launchers->mutex);
	}
	launchers->parked--;
	goes_on = !launchers->leaving;
	launchers->idle -= !goes_on;
	*socket_fd = launchers->setup.socket_fd;
	pthread_mutex_unlock(&launchers->mutex);
	return goes_on;
}

/* The server is gone, and with it what it had to say. */
static void launcher_pauses(struct launchers *launchers)
{
	pthread_mutex_lock(&launchers->mutex);
	launchers->paused = true;
	pthread_mutex_unlock(&launchers->mutex);
}

static void launcher_launches(struct launchers *launchers, struct message_received_launch *launch)
{
	int result;

	launch->spec.origin = launchers->setup.origin;
	result = launch_run(&launch->spec, launchers->setup.table, launch->ref); /* LAUNCH */
	/* Before the REPORT: who reads it may wait for the streams to be closed everywhere. */
	message_received_launch_finish(launch);
	launcher_reports(launchers, launch->ref, result);
}

static bool launcher_is_refused(int error)
{
	return error == -EPROTO || error == -ENOMEM || error == -EMFILE;
}

/* The launch is taken and its descriptors are held before the thread is busy: launchers_pause waits for that and for no launch.
 * Result: false when no launch is to be begun any more; the thread is not idle then. */
static bool launcher_takes_and_launches(struct launchers *launchers, struct message_received_launch *launch)
{
	bool taken = launcher_takes(launchers, launch->ref), goes_on = true;
	int error = taken ? launcher_holds_outputs(launchers, launch) : 0;

	if (taken && !error)
		goes_on = launcher_becomes_busy(launchers);
	if (!taken || error || !goes_on) {
		message_received_launch_finish(launch);
		if (error)
			launcher_fails(launchers, launch->ref, error);
		return goes_on;
	}
	launcher_launches(launchers, launch);
	launcher_becomes_idle(launchers);
	return true;
}

/* Takes one message. Result: false when no launch is to be begun any more; the thread is not idle then. */
static bool launcher_serves(struct launchers *launchers, int socket_fd)
{
	struct message_received_launch launch;
	int result = message_receive_launch(socket_fd, &launch);

	if (launcher_is_refused(result))
		launcher_refuses(launchers, launch.ref, result);
	else if (result && result != -EINTR && result != -EAGAIN)
		launcher_pauses(launchers);
	if (result)
		return true;
	if (!launch.is_hold)
		return launcher_takes_and_launches(launchers, &launch);
	launcher_holds(launchers, &launch);
	message_received_launch_finish(&launch);
	return true;
}

static void *launcher_main(void *argument)
{
	struct launchers *launchers = argument;
	int socket_fd;

	launcher_runs_command(launchers);
	while (launcher_awaits_socket(launchers, &socket_fd) && launcher_serves(launchers, socket_fd))
		continue;
	pthread_mutex_lock(&launchers->mutex);
	launchers->count--;
	pthread_cond_signal(&launchers->left);
	launchers_unlock_and_free(launchers);
	return NULL;
}

static struct launchers *launchers_allocate(const struct launchers_setup *setup)
{
	struct launchers *launchers = calloc(1, sizeof(*launchers));
	pthread_condattr_t attributes;

	if (!launchers)
		return NULL;
	launchers->setup = *setup;
	if (setup->origin) {
		launchers->origin = *setup->origin;
		launchers->setup.origin = &launchers->origin;
	}
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&launchers->left, &attributes);
	pthread_cond_init(&launchers->resumed, NULL);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&launchers->mutex, NULL);
	return launchers;
}

int launchers_create(const struct launchers_setup *setup, struct launchers **out)
{
	struct launchers *launchers = launchers_allocate(setup);
	int wanted = setup->command ? 2 : 1, error = 0;
	sigset_t all, before;

	if (!launchers)
		return -ENOMEM;
	/* Threads inherit the mask: no signal is theirs. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&launchers->mutex);
	while (!error && wanted-- > 0)
		error = launchers_add(launchers);
	pthread_mutex_unlock(&launchers->mutex);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		launchers_destroy(launchers);
		return error;
	}
	*out = launchers;
	return 0;
}

void launchers_pause(struct launchers *launchers)
{
	struct message_received_launch launch;
	int result;

	shutdown(launchers->setup.socket_fd, SHUT_RDWR);
	/* Here too, since every launcher may hang in a launch. */
	do {
		result = message_receive_launch(launchers->setup.socket_fd, &launch);
		if (result)
			continue;
		if (launch.is_hold)
			launcher_holds(launchers, &launch);
		message_received_launch_finish(&launch);
	} while (result == 0 || result == -EINTR || launcher_is_refused(result));
	pthread_mutex_lock(&launchers->mutex);
	launchers->paused = true;
	while (launchers->parked < launchers->idle)
		pthread_cond_wait(&launchers->left, &launchers->mutex);
	pthread_mutex_unlock(&launchers->mutex);
}

void launchers_resume(struct launchers *launchers, int socket_fd)
{
	pthread_mutex_lock(&launchers->mutex);
	launchers->setup.socket_fd = socket_fd;
	launchers->paused = false;
	pthread_cond_broadcast(&launchers->resumed);
	pthread_mutex_unlock(&launchers->mutex);
}

void launchers_destroy(struct launchers *launchers)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += LAUNCHERS_LEAVE_SECONDS;
	pthread_mutex_lock(&launchers->mutex);
	launchers->leaving = true;
	pthread_cond_broadcast(&launchers->resumed);
	shutdown(launchers->setup.socket_fd, SHUT_RDWR);
	while (launchers->count > 0)
		if (pthread_cond_timedwait(&launchers->left, &launchers->mutex, &deadline))
			break;
	launchers->abandoned = true;
	launchers_unlock_and_free(launchers);
}
