/*
 * world: what the tests of the manager share: a manager in a loop, whose keeper is played by hand at
 * the other end of its socket, or is a real one.
 *
 * A part that is played has real processes, made here: so signals, sessions and parents are real too.
 */
#ifndef PROCFS_MP_TESTS_WORLD_H
#define PROCFS_MP_TESTS_WORLD_H

#include "support.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/manager.h"
#include "core/message.h"

enum { WORLD_DEADLINE_MS = 60000, WORLD_CHILDREN = 64 };

struct world {
	uv_loop_t loop;
	struct ptable *table;
	bool owns_table;
	int keeper_fd; /* -1: the keeper is a real one */
	int fds;
	struct surroundings surroundings;
	struct manager *manager;
	unsigned finished;
	unsigned signals; /* that were told */
	int finished_error;
	char changes[64]; /* the first that were told, a letter each: world_on_event() */
	struct refusal why;
	struct caller caller; /* this program, which runs inside of nothing */
	pid_t children[WORLD_CHILDREN];
	size_t child_count;
};

/* Somebody who waits, and what came of it. */
struct told {
	struct waiter waiter;
	unsigned times;
	int error;
};

static inline void told_on_done(struct waiter *waiter, int error)
{
	struct told *told = (struct told *)waiter;

	told->times++;
	told->error = error;
}

#define TOLD { .waiter = { .on_done = told_on_done } }

/* Goes on with the loop until the condition holds. */
#define AWAIT(world, condition)                                                   \
	do {                                                                      \
		int64_t await_end = world_clock() + WORLD_DEADLINE_MS;            \
		while (!(condition)) {                                            \
			assert_true(world_clock() < await_end);                   \
			world_wait(world);                                        \
		}                                                                 \
	} while (0)

static inline int64_t world_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All that is ready, without waiting. */
static inline void world_turn(struct world *world)
{
	uv_run(&world->loop, UV_RUN_NOWAIT);
}

static inline void world_wait(struct world *world)
{
	struct pollfd ready = { .fd = uv_backend_fd(&world->loop), .events = POLLIN };

	poll(&ready, 1, 20);
	world_turn(world);
}

static inline void world_on_finished(void *context, int error)
{
	struct world *world = context;

	world->finished++;
	world->finished_error = error;
}

static inline void world_on_event(void *context, const struct process *process, enum manager_event event,
				  struct timespec when)
{
	static const char letters[] = {
		[MANAGER_CREATED] = 'c', [MANAGER_STARTED] = 's', [MANAGER_EXITED] = 'e', [MANAGER_REMOVED] = 'r',
		[MANAGER_RESET] = 'i', [MANAGER_PAUSED] = 'p', [MANAGER_CONTINUED] = 'g', [MANAGER_GAVE_UP] = 'u',
	};
	struct world *world = context;
	size_t count = strlen(world->changes);

	(void)process;
	(void)when;
	if (count < sizeof(world->changes) - 1)
		world->changes[count] = letters[event];
}

/* The first loop of a program opens descriptors that stay. */
static inline int world_begin_loop(struct world *world)
{
	if (uv_loop_init(&world->loop) || uv_loop_close(&world->loop))
		return -1;
	world->fds = count_fds();
	return uv_loop_init(&world->loop);
}

static inline int world_begin_manager(struct world *world, int socket_fd, bool has_command)
{
	static char path[] = "PATH=/usr/bin:/bin", lang[] = "LANG=C";
	static char *const environment[] = { path, lang, NULL };
	struct manager_config config = {
		.loop = &world->loop,
		.table = world->table,
		.socket_fd = socket_fd,
		.surroundings = &world->surroundings,
		.has_command = has_command,
		.on_finished = world_on_finished,
		.on_event = world_on_event,
		.context = world,
	};

	world->surroundings = (struct surroundings){
		.base_directory = "/",
		.mountpoint = "/nowhere",
		.environment = environment,
		.umask = 022,
		.uid = getuid(),
		.gid = getgid(),
	};
	world->caller = (struct caller){ .pid = getpid(), .uid = getuid(), .gid = getgid(), .why = &world->why };
	return manager_create(&config, &world->manager);
}

/* With a keeper that is played here. Result: NULL when it could not be. */
static inline struct world *world_create(bool has_command)
{
	const struct timeval patience = { .tv_sec = WORLD_DEADLINE_MS / 1000 };
	struct world *world = calloc(1, sizeof(*world));
	int ends[2];

	if (!world || world_begin_loop(world) || ptable_create(&world->table) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return NULL;
	world->owns_table = true;
	world->keeper_fd = ends[1];
	if (setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    world_begin_manager(world, ends[0], has_command))
		return NULL;
	return world;
}

static inline void world_close_keeper(struct world *world)
{
	if (world->keeper_fd >= 0)
		close(world->keeper_fd);
	world->keeper_fd = -1;
}

static inline void world_kill_children(struct world *world)
{
	for (size_t i = 0; i < world->child_count; i++) {
		if (world->children[i] == 0)
			continue;
		kill(world->children[i], SIGKILL);
		waitpid(world->children[i], NULL, 0);
	}
}

/* Result: 0, or -1 when something is left behind. */
static inline int world_destroy(struct world *world)
{
	int wrong = 0;

	world_kill_children(world);
	manager_destroy(world->manager);
	world_close_keeper(world);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&world->loop))
		wrong = fprintf(stderr, "a handle is left\n");
	if (world->owns_table)
		ptable_destroy(world->table);
	if (!wrong && count_fds() != world->fds)
		wrong = fprintf(stderr, "a descriptor is left\n");
	free(world);
	return wrong ? -1 : 0;
}

static inline int world_setup(void **state)
{
	*state = world_create(false);
	return *state ? 0 : -1;
}

static inline int world_setup_with_command(void **state)
{
	*state = world_create(true);
	return *state ? 0 : -1;
}

static inline int world_teardown(void **state)
{
	return world_destroy(*state);
}

#define IN_WORLD(claim) cmocka_unit_test_setup_teardown(claim, world_setup, world_teardown)
#define IN_WORLD_WITH_COMMAND(claim) cmocka_unit_test_setup_teardown(claim, world_setup_with_command, world_teardown)

/* ---- real processes ---- */

/* Tells its own pid and waits for a signal. */
static inline void world_become_child(int fd, bool leads)
{
	pid_t self = getpid();
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if ((leads && setsid() < 0) || write(fd, &self, sizeof(self)) != sizeof(self))
		_exit(1);
	for (;;)
		pause();
}

enum world_under { WORLD_ALONE, WORLD_WITH_CHILD, WORLD_WITH_CHILD_IN_ITS_OWN_SESSION };

/* A leader of its own session that waits for a signal, and its child if it has one, *under. */
static inline pid_t world_spawn_with(struct world *world, enum world_under what, pid_t *under)
{
	pid_t parent = getpid(), pid;
	int ends[2];

	assert_true(world->child_count < WORLD_CHILDREN);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || setsid() < 0)
			_exit(1);
		if (what == WORLD_ALONE || fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			world_become_child(ends[1], what == WORLD_WITH_CHILD_IN_ITS_OWN_SESSION);
		}
		for (;;)
			pause();
	}
	close(ends[1]);
	world->children[world->child_count++] = pid;
	assert_int_equal(read(ends[0], under, sizeof(*under)), sizeof(*under));
	close(ends[0]);
	return pid;
}

static inline pid_t world_spawn(struct world *world)
{
	pid_t self;

	return world_spawn_with(world, WORLD_ALONE, &self);
}

/* The wait status of a process made here that ends of itself. */
static inline int world_reap(struct world *world, pid_t pid)
{
	struct pollfd ended = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int status;

	assert_true(ended.fd >= 0);
	assert_int_equal(poll(&ended, 1, WORLD_DEADLINE_MS), 1);
	close(ended.fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (size_t i = 0; i < world->child_count; i++)
		if (world->children[i] == pid)
			world->children[i] = 0;
	return status;
}

/* No signal that ends was sent to it before: it would have acted first, since the lower numbers do, and SIGKILL always. */
static inline bool world_is_untouched(pid_t pid)
{
	int status;

	kill(pid, SIGSTOP);
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		return false;
	kill(pid, SIGCONT);
	return waitpid(pid, &status, WCONTINUED) == pid;
}

/* ---- processes of the manager, and the keeper's part ---- */

static inline struct process *world_make_as(struct world *world, const struct caller *caller, const char *directory)
{
	struct process *process;

	assert_int_equal(manager_make(world->manager, caller, directory, &process), 0);
	assert_int_equal(value_set(&process->configuration.target, "/bin/true", 9), 0);
	return process;
}

static inline struct process *world_make(struct world *world, const char *directory)
{
	return world_make_as(world, &world->caller, directory);
}

static inline int world_receive_launch(struct world *world, struct message_received_launch *launch)
{
	manager_tell(world->manager);
	return message_receive_launch(world->keeper_fd, launch);
}

/* The launch that was asked for. */
static inline struct ptable_ref world_take_launch(struct world *world)
{
	struct message_received_launch launch;
	struct ptable_ref ref;

	assert_int_equal(world_receive_launch(world, &launch), 0);
	ref = launch.ref;
	message_received_launch_finish(&launch);
	return ref;
}

static inline void world_tell(struct world *world, enum message_kind kind, struct ptable_ref ref)
{
	struct message message = { .kind = kind, .ref = ref };

	assert_int_equal(message_send(world->keeper_fd, &message), 0);
}

static inline void world_tell_signal(struct world *world, int number)
{
	struct message message = { .kind = MESSAGE_SIGNAL, .value = number, .ref.generation = ++world->signals };

	assert_int_equal(message_send(world->keeper_fd, &message), 0);
	world_turn(world);
}

/* The entry becomes what a launch makes of it; nobody is told. */
static inline void world_enter_running(struct world *world, struct ptable_ref ref, pid_t pid)
{
	struct ptable_entry *entry = ptable_at(world->table, ref.index);

	atomic_store(&entry->pid, pid);
	clock_gettime(CLOCK_REALTIME, &entry->started);
	ptable_step(world->table, ref, PTABLE_CLAIMED, PTABLE_LAUNCHING);
	assert_true(ptable_step(world->table, ref, PTABLE_LAUNCHING, PTABLE_RUNNING));
}

static inline void world_enter_ended(struct world *world, struct ptable_ref ref, int status)
{
	ptable_at(world->table, ref.index)->status = status;
	clock_gettime(CLOCK_REALTIME, &ptable_end_at(world->table, ref.index)->ended);
	assert_true(ptable_step(world->table, ref, PTABLE_RUNNING, PTABLE_ENDED));
}

static inline void world_enter_failed(struct world *world, struct ptable_ref ref, enum launch_step step, int error)
{
	struct ptable_entry *entry = ptable_at(world->table, ref.index);

	entry->step = step;
	entry->error = error;
	ptable_step(world->table, ref, PTABLE_CLAIMED, PTABLE_LAUNCHING);
	assert_true(ptable_step(world->table, ref, PTABLE_LAUNCHING, PTABLE_FAILED));
}

/* A start goes as far as the keeper, whose word of it is the test's to say. */
static inline struct ptable_ref world_begin(struct world *world, struct process *process, struct told *told)
{
	assert_int_equal(manager_start(world->manager, process, &world->caller, &told->waiter), 0);
	assert_int_equal(process->state, PROCESS_STARTING);
	return world_take_launch(world);
}

static inline void world_succeed(struct world *world, struct ptable_ref ref, pid_t pid)
{
	world_enter_running(world, ref, pid);
	world_tell(world, MESSAGE_STARTED, ref);
	world_turn(world);
}

static inline void world_fail(struct world *world, struct ptable_ref ref, int error)
{
	world_enter_failed(world, ref, LAUNCH_STEP_EXEC, error);
	world_tell(world, MESSAGE_FAILED, ref);
	world_turn(world);
}

/* Start, exec and the keeper's word of it: the process runs as `pid`. */
static inline void world_run_as(struct world *world, struct process *process, pid_t pid)
{
	struct told started = TOLD;

	world_succeed(world, world_begin(world, process, &started), pid);
	assert_int_equal(started.times, 1);
	assert_int_equal(process->state, PROCESS_RUNNING);
}

static inline pid_t world_run(struct world *world, struct process *process)
{
	struct told started = TOLD;
	struct ptable_ref ref = world_begin(world, process, &started);
	pid_t pid = world_spawn(world);

	world_succeed(world, ref, pid);
	assert_int_equal(started.times, 1);
	return pid;
}

static inline void world_end(struct world *world, struct process *process, int status)
{
	struct ptable_ref ref = process->launch;

	world_enter_ended(world, ref, status);
	world_tell(world, MESSAGE_ENDED, ref);
	world_turn(world);
}

/* Somebody who asks from inside of the process `pid`. */
static inline struct caller world_inside(struct world *world, pid_t pid)
{
	struct caller caller = world->caller;

	caller.pid = pid;
	return caller;
}

static inline void world_assert_untouched(pid_t pid)
{
	assert_true(world_is_untouched(pid));
}

static inline void world_assert_terminated(struct world *world, pid_t pid)
{
	int status = world_reap(world, pid);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static inline struct process *world_make_daemonic(struct world *world, const struct caller *caller, const char *name)
{
	struct process *process = world_make_as(world, caller, name);

	process->daemonic = true;
	return process;
}

/* A daemonic process of another owner, made inside of `caller`'s and running. */
static inline struct process *world_run_hers(struct world *world, const struct caller *caller, pid_t *pid)
{
	struct process *hers = world_make_daemonic(world, caller, "hers");

	*pid = world_run(world, hers);
	hers->owner++;
	return hers;
}

static inline unsigned world_count_live(struct world *world)
{
	struct ptable_ref ref;
	unsigned count = 0;

	for (uint32_t cursor = 0; ptable_next_live(world->table, &cursor, &ref);)
		count++;
	return count;
}

#endif
