/* Who a launched program is and on which terms: user, groups, limits, control groups. */
#include "launching.h"

#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void the_directory_is_entered_as_the_user_who_the_child_becomes(void **state)
{
	struct fixture *fixture = *state;
	SPEC(spec, "/bin/true");

	need_root();
	assert_int_equal(chmod(fixture->directory, 0700), 0);
	spec.cwd = fixture->directory;
	assert_int_equal(wait_for(launch(fixture, &spec, 0)), 0);
	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	assert_int_equal(launch(fixture, &spec, -EACCES)->step, LAUNCH_STEP_CWD);
}

static int try_another_user_as_a_stranger(struct fixture *fixture)
{
	struct ptable_ref ref = claim(fixture);
	struct ptable_entry *entry = ptable_at(fixture->table, ref.index);
	SPEC(spec, "/bin/true");

	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER + 1;
	spec.gid = STRANGERS_GROUP;
	if (geteuid() == 0)
		CHECK(become_a_stranger() == 0);
	CHECK(launch_run(&spec, fixture->table, ref) == -EPERM);
	CHECK(entry->step == LAUNCH_STEP_USER && entry->error == EPERM);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
	return 0;
}

static void who_is_not_root_cannot_launch_as_another_user(void **state)
{
	assert_int_equal(in_a_process(*state, try_another_user_as_a_stranger), 0);
}

static int try_a_user_with_capabilities_kept(struct fixture *fixture)
{
	struct ptable_ref ref = claim(fixture);
	struct ptable_entry *entry = ptable_at(fixture->table, ref.index);
	SPEC(spec, "/bin/true");

	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0);
	CHECK(launch_run(&spec, fixture->table, ref) == -EPERM);
	CHECK(entry->step == LAUNCH_STEP_USER);
	return 0;
}

static void a_child_that_could_go_back_to_root_is_refused(void **state)
{
	need_root();
	assert_int_equal(in_a_process(*state, try_a_user_with_capabilities_kept), 0);
}

static void as_another_user_the_child_is_that_user_with_those_groups_and_no_way_back(void **state)
{
	static const gid_t groups[] = { 7, 54400, 54401 };
	SPEC(spec, "/bin/cat", "/proc/self/status");
	const char *text;

	need_root();
	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	spec.groups = groups;
	spec.group_count = 3;
	text = capture(*state, &spec);
	assert_non_null(strstr(text, "Uid:\t54321\t54321\t54321\t54321\n"));
	assert_non_null(strstr(text, "Gid:\t54322\t54322\t54322\t54322\n"));
	assert_non_null(strstr(text, "Groups:\t7 54400 54401 \n"));
	assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapEff:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapAmb:\t0000000000000000\n"));
	spec.group_count = 0;
	assert_non_null(strstr(capture(*state, &spec), "Groups:\t \n"));
	assert_int_equal(geteuid(), 0);
}

static void as_our_own_user_the_child_keeps_what_we_have(void **state)
{
	SPEC(spec, "/bin/cat", "/proc/self/status");
	char line[64];
	const char *text = capture(*state, &spec);

	snprintf(line, sizeof(line), "Uid:\t%u\t%u\t%u\t%u\n", getuid(), geteuid(), geteuid(), geteuid());
	assert_non_null(strstr(text, line));
	assert_non_null(strstr(text, "NoNewPrivs:\t0\n"));
}

static void terms_are_set_and_are_the_childs_alone(void **state)
{
	struct fixture *fixture = *state;
	struct launch_terms terms = {
		.nice = 11,
		.has_nice = 1,
		.limit_count = 2,
		.limits = { { .resource = RLIMIT_NOFILE, .soft = 33, .hard = 44 }, { .resource = RLIMIT_CORE } },
	};
	struct rlimit before, after;
	int nice = getpriority(PRIO_PROCESS, 0);
	SPEC(spec, "/bin/sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c; cut -d' ' -f19 /proc/self/stat");

	spec.terms = &terms;
	getrlimit(RLIMIT_NOFILE, &before);
	assert_string_equal(capture(fixture, &spec), "33\n44\n0\n11\n");
	getrlimit(RLIMIT_NOFILE, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(getpriority(PRIO_PROCESS, 0), nice);
	terms.nice = nice;
	spec.flags = LAUNCH_RAISES;
	assert_non_null(strstr(capture(fixture, &spec), "33\n44\n0\n"));
}

/* No descriptor may be opened by the child any more, and the streams are there all the same. */
static void the_limit_of_descriptors_does_not_hinder_the_launch(void **state)
{
	struct fixture *fixture = *state;
	struct launch_terms terms = { .limit_count = 1, .limits = { { .resource = RLIMIT_NOFILE, .soft = 3, .hard = 3 } } };
	SPEC(spec, fixture->self, "report");

	spec.terms = &terms;
	for (int raises = 0; raises <= 1; raises++) {
		struct ptable_entry *entry;

		spec.flags = raises ? LAUNCH_RAISES : 0;
		entry = launch(fixture, &spec, 0);
		assert_true(WIFEXITED(wait_for(entry)));
	}
}

static void the_limit_that_cannot_be_set_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct launch_terms terms = {
		.limit_count = 2,
		.limits = { { .resource = RLIMIT_CORE }, { .resource = RLIMIT_NOFILE, .soft = 5, .hard = LAUNCH_UNLIMITED } },
	};
	SPEC(spec, "/bin/true");

	spec.terms = &terms;
	for (int raises = 0; raises <= 1; raises++) {
		struct ptable_entry *entry;

		spec.flags = raises ? LAUNCH_RAISES : 0;
		entry = launch(fixture, &spec, -EPERM);
		assert_int_equal(entry->step, LAUNCH_STEP_LIMITS);
		assert_int_equal(entry->candidate, 1);
	}
}

static void another_user_gets_no_more_than_it_may_unless_they_are_the_superusers(void **state)
{
	struct fixture *fixture = *state;
	struct launch_terms terms = { .nice = getpriority(PRIO_PROCESS, 0) - 1, .has_nice = 1 };
	struct ptable_entry *entry;
	struct rlimit limit;
	SPEC(spec, "/bin/true");

	need_root();
	getrlimit(RLIMIT_NICE, &limit);
	if (limit.rlim_cur) {
		print_message("# left out: it cannot be had here\n");
		return;
	}
	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	spec.terms = &terms;
	entry = launch(fixture, &spec, -EACCES);
	assert_int_equal(entry->step, LAUNCH_STEP_LIMITS);
	assert_int_equal(entry->candidate, -1);
	spec.flags |= LAUNCH_RAISES;
	entry = launch(fixture, &spec, 0);
	assert_int_equal(wait_for(entry), 0);
}

/* Plain files take the place of cgroup.procs here. */
static void a_zero_is_written_to_each_cgroup_before_the_child_becomes_its_user(void **state)
{
	struct fixture *fixture = *state;
	const char *first = make_file(fixture, "first", "", 0600), *second = make_file(fixture, "second", "", 0600);
	const char *const cgroups[] = { first, second, NULL }, *const wrong[] = { first, "/nowhere", NULL };
	struct ptable_entry *entry;
	SPEC(spec, "/bin/cat", first, second);

	spec.cgroups = cgroups;
	assert_string_equal(capture(fixture, &spec), "00");
	spec.cgroups = wrong;
	entry = launch(fixture, &spec, -ENOENT);
	assert_int_equal(entry->step, LAUNCH_STEP_CGROUP);
	assert_int_equal(entry->candidate, 1);
	if (geteuid())
		return;
	spec.cgroups = cgroups;
	spec.flags = LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	entry = launch(fixture, &spec, 0);
	wait_for(entry);
}

/* What is no group of version 2 hinders nobody; the files behind it are entered all the same. */
static void a_child_that_cannot_begin_in_a_group_begins_where_we_are(void **state)
{
	struct fixture *fixture = *state;
	const char *entry = make_file(fixture, "entry", "", 0600);
	const char *const gone[] = { "/nowhere/at/all", entry, NULL }, *const other[] = { "/", entry, NULL };
	SPEC(spec, "/bin/cat", entry);

	spec.flags = LAUNCH_INTO_GROUP;
	spec.cgroups = gone;
	assert_string_equal(capture(fixture, &spec), "0");
	spec.cgroups = other;
	assert_string_equal(capture(fixture, &spec), "0");
	if (geteuid())
		return;
	spec.flags |= LAUNCH_AS_USER;
	spec.uid = STRANGER;
	spec.gid = STRANGERS_GROUP;
	wait_for(launch(fixture, &spec, 0));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(terms_are_set_and_are_the_childs_alone),
		TEST(the_limit_of_descriptors_does_not_hinder_the_launch),
		TEST(the_limit_that_cannot_be_set_is_told),
		TEST(another_user_gets_no_more_than_it_may_unless_they_are_the_superusers),
		TEST(a_zero_is_written_to_each_cgroup_before_the_child_becomes_its_user),
		TEST(a_child_that_cannot_begin_in_a_group_begins_where_we_are),
		TEST(the_directory_is_entered_as_the_user_who_the_child_becomes),
		TEST(who_is_not_root_cannot_launch_as_another_user),
		TEST(a_child_that_could_go_back_to_root_is_refused),
		TEST(as_another_user_the_child_is_that_user_with_those_groups_and_no_way_back),
		TEST(as_our_own_user_the_child_keeps_what_we_have),
	};

	return RUN(tests, argc, argv);
}
