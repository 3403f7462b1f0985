#include "core/launchers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "core/message.h"

enum {
	LAUNCHERS_STACK = 384 << 10, /* a message, and the child's stack in launch_run */
	LAUNCHERS_LEAVE_SECONDS = 1,
};

/* Shared by the launcher threads; freed by the last who leaves, since one that hangs can't be waited for. */
struct launchers {
	pthread_mutex_t mutex;
	pthread_cond_t left;
	struct launchers_setup setup; /* the first thread takes the command */
	unsigned count, idle;
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
	pthread_mutex_destroy(&launchers->mutex);
	free(launchers);
}

static void *launcher_main(void *argument);

/* With the mutex held. The new thread counts as idle at once, or the next launch would start another. */
static int launchers_add(struct launchers *launchers)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error = pthread_attr_init(&attributes);

	if (error)
		return -error;
	pthread_attr_setstacksize(&attributes, LAUNCHERS_STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&thread, &attributes, launcher_main, launchers);
	pthread_attr_destroy(&attributes);
	if (!error) {
		launchers->count++;
		launchers->idle++;
	}
	return -error;
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

static void launcher_reports(struct launchers *launchers, struct ptable_ref ref, int result)
{
	struct message message = { .kind = result ? MESSAGE_FAILED : MESSAGE_STARTED, .ref = ref };

	/* Ended before launch_run could say RUNNING: the reaper tells it. Released, or never LAUNCHING: nobody asks. */
	if (ptable_state(launchers->setup.table, ref) != (result ? PTABLE_FAILED : PTABLE_RUNNING))
		return;
	pthread_mutex_lock(&launchers->mutex);
	if (!launchers->leaving)
		message_report(launchers->setup.socket_fd, launchers->setup.table, &message);
	pthread_mutex_unlock(&launchers->mutex);
}

/* A launch that could not be read, though it is known which. */
static void launcher_refuses(struct launchers *launchers, struct ptable_ref ref, int error)
{
	struct ptable_entry *entry = ptable_at(launchers->setup.table, ref.index);

	if (ref.index == PTABLE_COMMAND || ptable_state(launchers->setup.table, ref) != PTABLE_LAUNCHING)
		return;
	entry->step = LAUNCH_STEP_CLONE;
	entry->error = -error;
	if (ptable_step(launchers->setup.table, ref, PTABLE_LAUNCHING, PTABLE_FAILED))
		launcher_reports(launchers, ref, error);
}

static void launcher_runs_command(struct launchers *launchers)
{
	struct launch_spec spec;
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
	spec = *command;
	spec.badness = launchers->setup.badness;
	if (ptable_step(launchers->setup.table, ref, PTABLE_FREE, PTABLE_LAUNCHING))
		launcher_reports(launchers, ref, launch_run(&spec, launchers->setup.table, ref));
	launcher_becomes_idle(launchers);
}

/* Takes one launch. Result: false when the server is gone; the thread is not idle then. */
static bool launcher_serves(struct launchers *launchers)
{
	struct message_received_launch launch;
	int result = message_receive_launch(launchers->setup.socket_fd, &launch);
	bool received = result == 0;

	if (!launcher_becomes_busy(launchers)) {
		if (received)
			message_received_launch_finish(&launch);
		return false;
	}
	if (received) {
		launch.spec.badness = launchers->setup.badness;
		result = launch_run(&launch.spec, launchers->setup.table, launch.ref);
		/* Before the report: who reads it may wait for the streams to be closed everywhere. */
		message_received_launch_finish(&launch);
		launcher_reports(launchers, launch.ref, result);
	} else if (result == -EPROTO || result == -ENOMEM || result == -EMFILE) {
		launcher_refuses(launchers, launch.ref, result);
	} else if (result != -EINTR && result != -EAGAIN) {
		return false;
	}
	launcher_becomes_idle(launchers);
	return true;
}

static void *launcher_main(void *argument)
{
	struct launchers *launchers = argument;

	launcher_runs_command(launchers);
	while (launcher_serves(launchers))
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
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&launchers->left, &attributes);
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

void launchers_destroy(struct launchers *launchers)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += LAUNCHERS_LEAVE_SECONDS;
	pthread_mutex_lock(&launchers->mutex);
	launchers->leaving = true;
	shutdown(launchers->setup.socket_fd, SHUT_RDWR);
	while (launchers->count > 0)
		if (pthread_cond_timedwait(&launchers->left, &launchers->mutex, &deadline))
			break;
	launchers->abandoned = true;
	launchers_unlock_and_free(launchers);
}
