/* Launches beside each other: those that hang and those of many threads. */
#include "launching.h"

#include <pthread.h>
#include <time.h>

/* Only what is stuck meets it. */
enum { DEADLINE_SECONDS = 60 };

/* A file whose lease we hold hangs who opens it until we give it up (fcntl(2), F_SETLEASE): an exec that hangs,
 * and SIGIO tells that it does. */
static int lease(struct fixture *fixture, const char **path)
{
	int fd;

	*path = make_file(fixture, "leased", "#!/bin/true\n", 0755);
	fd = open(*path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0) {
		close(fd);
		print_message("skipped: no lease on a file in /tmp: %s\n", strerror(errno));
		skip();
	}
	return fd;
}

struct hanging {
	struct fixture *fixture;
	const struct launch_spec *spec;
	struct ptable_ref ref;
	int result;
};

static void *hang(void *argument)
{
	struct hanging *hanging = argument;

	hanging->result = launch_run(hanging->spec, hanging->fixture->table, hanging->ref);
	return NULL;
}

static void kill_while_it_hangs(struct fixture *fixture, uint32_t flags)
{
	const struct timespec deadline = { DEADLINE_SECONDS, 0 };
	struct hanging hanging = { .fixture = fixture, .ref = claim(fixture) };
	struct ptable_entry *entry = ptable_at(fixture->table, hanging.ref.index);
	const char *path;
	int lease_fd = lease(fixture, &path);
	pthread_t thread;
	sigset_t io;
	SPEC(spec, path);

	spec.flags = flags;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	hanging.spec = &spec;
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	sigprocmask(SIG_BLOCK, &io, NULL);
	assert_int_equal(pthread_create(&thread, NULL, hang, &hanging), 0);
	assert_int_equal(sigtimedwait(&io, NULL, &deadline), SIGIO);
	assert_int_equal(ptable_state(fixture->table, hanging.ref), PTABLE_LAUNCHING);
	/* It can't be seen by who waits for any child, it has a pid, and it can be killed. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_true(ptable_pid(fixture->table, hanging.ref) > 0);
	assert_int_equal(ptable_signal(fixture->table, hanging.ref, SIGKILL), 0);
	pthread_join(thread, NULL);
	sigprocmask(SIG_UNBLOCK, &io, NULL);
	close(lease_fd);
	unlink(path);
	assert_int_equal(hanging.result, -ECANCELED);
	assert_int_equal(ptable_state(fixture->table, hanging.ref), PTABLE_FAILED);
	assert_int_equal(entry->error, 0);
	assert_int_equal(ptable_signal(fixture->table, hanging.ref, SIGKILL), -ESRCH);
}

static void a_child_killed_while_its_exec_hangs_is_reaped_and_told(void **state)
{
	kill_while_it_hangs(*state, 0);
}

static void a_strangers_child_killed_while_its_exec_hangs_is_reaped_and_told(void **state)
{
	need_root();
	kill_while_it_hangs(*state, LAUNCH_AS_USER);
}

enum { THREADS = 4, LAUNCHES = 250 };

struct crowd {
	struct fixture *fixture;
	struct ptable_ref refs[LAUNCHES];
	pthread_barrier_t *step; /* all is launched, and all is reaped: no child outlives who launched it */
	int wrong;
};

/* Failures and programs that end at once by turns: nobody may wait for another thread's child. */
static void *launch_many(void *argument)
{
	struct crowd *crowd = argument;
	SPEC(missing, "/nonexistent");
	SPEC(present, "/bin/true");

	for (int i = 0; i < LAUNCHES; i++) {
		struct ptable_ref ref = crowd->refs[i];
		int expected = i % 2 ? 0 : -ENOENT;

		crowd->wrong += launch_run(i % 2 ? &present : &missing, crowd->fixture->table, ref) != expected;
		crowd->wrong += ptable_state(crowd->fixture->table, ref) != (expected ? PTABLE_FAILED : PTABLE_RUNNING);
	}
	pthread_barrier_wait(crowd->step);
	pthread_barrier_wait(crowd->step);
	return NULL;
}

static void launches_in_many_threads_take_nothing_from_each_other(void **state)
{
	struct fixture *fixture = *state;
	static struct crowd crowds[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t step;
	struct ptable_ref found;
	int status;

	assert_int_equal(pthread_barrier_init(&step, NULL, THREADS + 1), 0);
	for (int i = 0; i < THREADS; i++) {
		crowds[i] = (struct crowd){ .fixture = fixture, .step = &step };
		for (int j = 0; j < LAUNCHES; j++)
			crowds[i].refs[j] = claim(fixture);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, launch_many, &crowds[i]), 0);
	pthread_barrier_wait(&step);
	for (int i = 0; i < THREADS * LAUNCHES / 2; i++) {
		pid_t pid = wait(&status);

		assert_true(pid > 0);
		assert_int_equal(status, 0);
		assert_true(ptable_find_pid(fixture->table, pid, &found));
		assert_int_equal(ptable_pid(fixture->table, found), pid);
		assert_true(ptable_step(fixture->table, found, PTABLE_RUNNING, PTABLE_ENDED));
	}
	pthread_barrier_wait(&step);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(crowds[i].wrong, 0);
	}
	pthread_barrier_destroy(&step);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_child_killed_while_its_exec_hangs_is_reaped_and_told),
		TEST(a_strangers_child_killed_while_its_exec_hangs_is_reaped_and_told),
		TEST(launches_in_many_threads_take_nothing_from_each_other),
	};

	return RUN(tests, argc, argv);
}
