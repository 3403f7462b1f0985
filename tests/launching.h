/*
 * launching: what the tests of core/launch share: launches that are really done, and nothing is left of them.
 */
#ifndef PROCFS_MP_TESTS_LAUNCHING_H
#define PROCFS_MP_TESTS_LAUNCHING_H

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "spec.h"

/* Any user but ours: no account is needed. */
enum { STRANGER = 54321, STRANGERS_GROUP = 54322 };

struct fixture {
	struct ptable *table;
	char directory[32];
	char self[4096]; /* this program, which tells what it was given when run as `report` */
	int fds;
	sigset_t mask;
};

static inline int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture || ptable_create(&fixture->table))
		return -1;
	strcpy(fixture->directory, "/tmp/test_launch.XXXXXX");
	if (!mkdtemp(fixture->directory) || chmod(fixture->directory, 0755) < 0)
		return -1;
	if (readlink("/proc/self/exe", fixture->self, sizeof(fixture->self) - 1) < 0)
		return -1;
	sigprocmask(SIG_SETMASK, NULL, &fixture->mask);
	fixture->fds = count_fds();
	*state = fixture;
	return 0;
}

static inline void remove_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(path);
}

/* Every test ends here: whatever it launched, nothing is left of it. */
static inline int teardown(void **state)
{
	struct fixture *fixture = *state;
	siginfo_t info;
	sigset_t mask;
	int wrong = 0;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0) {
		wrong = fprintf(stderr, "a child is left\n");
		kill_children();
		waitpid(-1, NULL, __WALL);
	}
	if (count_fds() != fixture->fds)
		wrong = fprintf(stderr, "a descriptor is left\n");
	for (int number = 1; number <= SIGRTMAX; number++)
		if (sigismember(&mask, number) != sigismember(&fixture->mask, number))
			wrong = fprintf(stderr, "signal %d: the mask has changed\n", number);
	remove_directory(fixture->directory);
	ptable_destroy(fixture->table);
	free(fixture);
	return wrong ? -1 : 0;
}

static inline struct ptable_ref claim(struct fixture *fixture)
{
	struct ptable_ref ref;

	assert_int_equal(ptable_claim(fixture->table, 1, 1, &ref), 0);
	assert_true(ptable_step(fixture->table, ref, PTABLE_CLAIMED, PTABLE_LAUNCHING));
	return ref;
}

static inline struct ptable_entry *launch(struct fixture *fixture, const struct launch_spec *spec, int expected)
{
	struct ptable_ref ref = claim(fixture);
	struct ptable_entry *entry = ptable_at(fixture->table, ref.index);

	assert_int_equal(launch_run(spec, fixture->table, ref), expected);
	assert_int_equal(ptable_state(fixture->table, ref), expected ? PTABLE_FAILED : PTABLE_RUNNING);
	return entry;
}

static inline int wait_for(struct ptable_entry *entry)
{
	int status = -1;

	assert_int_equal(waitpid(entry->pid, &status, 0), entry->pid);
	return status;
}

/* What the launched program prints. */
static inline char *capture(struct fixture *fixture, struct launch_spec *spec)
{
	static char text[65536];
	int fds[2];
	struct ptable_entry *entry;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	spec->stdout_fd = fds[1];
	entry = launch(fixture, spec, 0);
	close(fds[1]);
	slurp(fds[0], text, sizeof(text));
	close(fds[0]);
	assert_int_equal(wait_for(entry), 0);
	return text;
}

/* Runs `body` in a process of its own, which it may spoil; it gives 0 or the line of what went wrong. */
static inline int in_a_process(struct fixture *fixture, int (*body)(struct fixture *))
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(body(fixture));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static inline void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: only root can become another user\n");
	skip();
}

static inline const char *make_file(struct fixture *fixture, const char *name, const char *text, mode_t mode)
{
	static char paths[4][64];
	static unsigned next;
	char *path = paths[next++ % 4];
	int fd;

	snprintf(path, sizeof(paths[0]), "%s/%s", fixture->directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static inline int become_a_stranger(void)
{
	return setresgid(STRANGERS_GROUP, STRANGERS_GROUP, STRANGERS_GROUP) ||
	       setresuid(STRANGER, STRANGER, STRANGER);
}

/* The program that is launched where descriptors count: this one. */
static inline int report(void)
{
	for (int fd = 0; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	return 0;
}

/* Takes the place of cmocka_run_group_tests. */
#define RUN(tests, argc, argv) \
	((argc) > 1 && strcmp((argv)[1], "report") == 0 ? report() : cmocka_run_group_tests(tests, NULL, NULL))

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
