#include "world.h"

#include <sys/stat.h>

#include "core/descent.h"
#include "core/kin.h"
#include "core/tree.h"

/* This program is the subreaper that takes the keeper's part. */

enum { PEOPLE = 3 };

static bool runs(pid_t pid)
{
	struct kin kin;

	return !kin_read(pid, &kin) && kin.state != 'Z';
}

static void wait_for_end(pid_t pid)
{
	int64_t end = world_clock() + WORLD_DEADLINE_MS;

	while (runs(pid)) {
		assert_true(world_clock() < end);
		poll(NULL, 0, 2);
	}
}

static void tell_and_wait(int fd)
{
	pid_t self = getpid();

	if (write(fd, &self, sizeof(self)) != sizeof(self))
		_exit(1);
	for (;;)
		pause();
}

/* Itself, its child, and an orphan of its session: their pids. The root leads its session. */
static void spawn_family(struct world *world, pid_t out[PEOPLE])
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		setsid();
		if (fork() == 0)
			tell_and_wait(ends[1]);
		pid = fork();
		if (pid == 0) {
			if (fork() == 0)
				tell_and_wait(ends[1]);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		for (;;)
			pause();
	}
	world->children[world->child_count++] = pid;
	out[0] = pid;
	assert_int_equal(read(ends[0], &out[1], sizeof(pid_t)), sizeof(pid_t));
	assert_int_equal(read(ends[0], &out[2], sizeof(pid_t)), sizeof(pid_t));
	close(ends[0]);
	close(ends[1]);
}

static struct descent of(pid_t root)
{
	struct kin kin;

	assert_int_equal(kin_read(root, &kin), 0);
	return (struct descent){ .root = root, .root_start = kin.start, .id = UINT64_MAX, .uid = getuid(), .keeper = getpid() };
}

static void children_and_orphans_of_the_session_are_reached_and_nobody_else(void **state)
{
	struct world *world = *state;
	pid_t mine[PEOPLE], others[PEOPLE], denied = 0;
	struct descent descent;

	spawn_family(world, mine);
	spawn_family(world, others);
	descent = of(mine[0]);
	assert_int_equal(descent_signal(&descent, SIGKILL, &denied), 0);
	for (int i = 0; i < PEOPLE; i++) {
		wait_for_end(mine[i]);
		assert_true(runs(others[i]));
	}
	descent = of(others[0]);
	assert_int_equal(descent_signal(&descent, SIGTERM, &denied), 0);
	for (int i = 0; i < PEOPLE; i++)
		wait_for_end(others[i]);
	assert_int_equal(denied, 0);
}

static void where_another_family_begins_nothing_is_touched(void **state)
{
	struct world *world = *state;
	pid_t people[PEOPLE], denied;
	struct descent descent;

	spawn_family(world, people);
	descent = of(people[0]);
	descent.others = &people[1];
	descent.other_count = 1;
	assert_int_equal(descent_signal(&descent, SIGKILL, &denied), 0);
	wait_for_end(people[0]);
	wait_for_end(people[2]);
	assert_true(runs(people[1]));
	kill(people[1], SIGKILL);
}

/* In the first cgroup v2 there is, if it lets us make one. */
static bool make_group(char path[static 256])
{
	char line[1024], mountpoint[128] = "";
	FILE *file = fopen("/proc/self/mountinfo", "re");

	while (file && !*mountpoint && fgets(line, sizeof(line), file))
		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %127s", mountpoint) != 1)
			*mountpoint = '\0';
	if (file)
		fclose(file);
	snprintf(path, 256, "%s/procfs-mp-test-%d", mountpoint, (int)getpid());
	return *mountpoint && mkdir(path, 0755) == 0;
}

static void put_into(const char *group, pid_t pid)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "%d", (int)pid);
	assert_int_equal(fclose(file), 0);
}

static void who_is_in_a_cgroup_of_the_tree_is_reached_wherever_it_is(void **state)
{
	struct world *world = *state;
	char group[256], entry[300], killing[300];
	char *const entries[] = { entry, NULL };
	pid_t denied;

	if (!make_group(group)) {
		print_message("# left out: it cannot be had here\n");
		return;
	}
	snprintf(entry, sizeof(entry), "%s/cgroup.procs", group);
	snprintf(killing, sizeof(killing), "%s/cgroup.kill", group);
	for (int kill_file = 0; kill_file <= 1; kill_file++) {
		pid_t stranger = world_spawn(world), root = world_spawn(world);
		struct descent descent = of(root);

		put_into(group, stranger);
		descent.cgroups = entries;
		descent.kill = kill_file ? killing : NULL;
		assert_int_equal(descent_signal(&descent, SIGKILL, &denied), 0);
		assert_int_equal(WTERMSIG(world_reap(world, stranger)), SIGKILL);
		assert_int_equal(WTERMSIG(world_reap(world, root)), SIGKILL);
	}
	assert_int_equal(rmdir(group), 0);
}

static void a_reused_pid_is_not_the_root(void **state)
{
	struct world *world = *state;
	pid_t denied, pid = world_spawn(world);
	struct descent descent = of(pid);

	/* Whoever is meant began after this one. */
	descent.root_start++;
	assert_int_equal(descent_signal(&descent, SIGUSR1, &denied), 0);
	assert_true(world_is_untouched(pid));
}

static void a_tree_is_signalled_off_the_loop_and_its_waiter_told(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, NULL);
	struct told told = TOLD;
	pid_t under, root;

	assert_int_equal(manager_signal_tree(world->manager, process, SIGTERM, &world->caller, &told.waiter), -ESRCH);
	root = world_spawn_with(world, WORLD_WITH_CHILD_IN_ITS_OWN_SESSION, &under);
	world_run_as(world, process, root);
	assert_int_equal(manager_signal_tree(world->manager, process, SIGTERM, &world->caller, &told.waiter), 0);
	assert_int_equal(told.times, 0);
	AWAIT(world, told.times == 1);
	assert_int_equal(told.error, 0);
	wait_for_end(under);
	assert_int_equal(WTERMSIG(world_reap(world, root)), SIGTERM);
	world_end(world, process, SIGTERM);
	assert_int_equal(manager_signal_tree(world->manager, process, SIGTERM, &world->caller, &told.waiter), 0);
	AWAIT(world, told.times == 2);
	assert_int_equal(told.error, 0);
}

static void a_manager_may_go_while_a_tree_is_looked_for(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, NULL);
	struct told told = TOLD;

	world_run(world, process);
	world_end(world, process, 0);
	assert_int_equal(manager_signal_tree(world->manager, process, SIGTERM, &world->caller, &told.waiter), 0);
	waiter_cancel(&told.waiter);
	/* The teardown destroys the manager first. */
}

static int become_subreaper(void **state)
{
	(void)state;
	return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(children_and_orphans_of_the_session_are_reached_and_nobody_else),
		IN_WORLD(where_another_family_begins_nothing_is_touched),
		IN_WORLD(who_is_in_a_cgroup_of_the_tree_is_reached_wherever_it_is),
		IN_WORLD(a_reused_pid_is_not_the_root),
		IN_WORLD(a_tree_is_signalled_off_the_loop_and_its_waiter_told),
		IN_WORLD(a_manager_may_go_while_a_tree_is_looked_for),
	};

	return cmocka_run_group_tests_name("descent", tests, become_subreaper, NULL);
}
