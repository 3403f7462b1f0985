#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cgroup_private.h"

/* ---- where: a tree of plain files ---- */

struct tree {
	uv_loop_t loop;
	char top[32], mountinfo[64], membership[64];
};

static void put(const struct tree *tree, const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", tree->top, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static char *get(const struct tree *tree, const char *name)
{
	static char text[512];
	char path[512];
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", tree->top, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	size = read(fd, text, sizeof(text) - 1);
	text[size < 0 ? 0 : size] = '\0';
	close(fd);
	return text;
}

static void make(const struct tree *tree, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", tree->top, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int setup(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree || uv_loop_init(&tree->loop))
		return -1;
	strcpy(tree->top, "/tmp/test_cgroup.XXXXXX");
	if (!mkdtemp(tree->top))
		return -1;
	snprintf(tree->mountinfo, sizeof(tree->mountinfo), "%s/mountinfo", tree->top);
	snprintf(tree->membership, sizeof(tree->membership), "%s/membership", tree->top);
	*state = tree;
	return 0;
}

static int teardown(void **state)
{
	struct tree *tree = *state;
	char command[64];
	int wrong;

	uv_run(&tree->loop, UV_RUN_DEFAULT);
	wrong = uv_loop_close(&tree->loop);
	snprintf(command, sizeof(command), "rm -rf %s", tree->top);
	wrong |= system(command);
	free(tree);
	return wrong;
}

static struct cgroups *look(struct tree *tree, const char *root, const char *rest, const char *membership)
{
	struct cgroups *cgroups;
	char line[512];

	snprintf(line, sizeof(line), "30 23 0:26 %s %s/fs rw,nosuid shared:9 - %s\n", root, tree->top, rest);
	put(tree, "mountinfo", line);
	put(tree, "membership", membership);
	assert_int_equal(cgroups_create(&tree->loop, tree->mountinfo, tree->membership, &cgroups), 0);
	return cgroups;
}

/* Plain directories have no limits to set: the sentence tells the place that was chosen. */
static void assert_place(struct cgroups *cgroups, enum cgroup_kind kind, const char *part)
{
	struct refusal why;

	for (int again = 0; again < 2; again++) {
		assert_int_equal(cgroups_check(cgroups, kind, &why), -EOPNOTSUPP);
		assert_non_null(strstr(why.sentence, part));
		assert_non_null(strstr(why.sentence, cgroup_kind_name(kind)));
	}
}

static void without_any_hierarchy_all_is_refused(void **state)
{
	struct tree *tree = *state;
	struct cgroups *cgroups = look(tree, "/", "tmpfs tmpfs rw", "0::/\n");
	struct cgroup_wish wish;
	struct cgroup *group = NULL;
	struct refusal why;

	for (enum cgroup_kind kind = 0; kind < CGROUP_KINDS; kind++)
		assert_place(cgroups, kind, "gives us no cgroup with the");
	cgroup_wish_init(&wish);
	wish.limits[CGROUP_PIDS] = 5;
	assert_int_equal(cgroups_make(cgroups, 1, 1, &wish, &group, &why), -EOPNOTSUPP);
	assert_null(group);
	assert_null(cgroups_find(cgroups, 1));
	cgroups_leave(cgroups, 1);
	cgroups_destroy(cgroups);
	assert_int_equal(cgroups_create(&tree->loop, "/nowhere", "/nowhere", &cgroups), -ENOENT);
}

static void a_v1_hierarchy_is_used_below_our_own_group(void **state)
{
	struct tree *tree = *state;
	struct cgroups *cgroups;

	make(tree, "fs");
	make(tree, "fs/mine");
	cgroups = look(tree, "/", "cgroup cgroup rw,cpu,cpuacct", "4:memory:/else\n3:cpu,cpuacct:/mine\n0::/\n");
	assert_place(cgroups, CGROUP_CPU, "/fs/mine: ");
	assert_place(cgroups, CGROUP_MEMORY, "gives us no cgroup");
	cgroups_destroy(cgroups);
	cgroups = look(tree, "/box/1", "cgroup cgroup rw,memory", "4:memory:/box/1/mine\n");
	assert_place(cgroups, CGROUP_MEMORY, "/fs/mine: ");
	cgroups_destroy(cgroups);
	cgroups = look(tree, "/box/1", "cgroup cgroup rw,memory", "4:memory:/box/12\n");
	assert_place(cgroups, CGROUP_MEMORY, "gives us no cgroup");
	cgroups_destroy(cgroups);
}

static void a_group_that_does_not_count_for_a_limited_parent_is_not_made(void **state)
{
	struct tree *tree = *state;
	struct cgroups *cgroups;

	make(tree, "fs");
	put(tree, "fs/memory.use_hierarchy", "0\n");
	put(tree, "fs/memory.limit_in_bytes", "1048576\n");
	cgroups = look(tree, "/", "cgroup cgroup rw,memory", "4:memory:/\n");
	assert_place(cgroups, CGROUP_MEMORY, "would not count");
	cgroups_destroy(cgroups);
}

static void v2_is_asked_for_its_controllers_in_our_own_group(void **state)
{
	struct tree *tree = *state;
	struct cgroups *cgroups;

	make(tree, "fs");
	make(tree, "fs/mine");
	put(tree, "fs/mine/cgroup.subtree_control", "");
	cgroups = look(tree, "/", "cgroup2 cgroup2 rw,nsdelegate", "0::/mine\n");
	/* A plain file keeps what was written to it last. */
	assert_non_null(strstr(get(tree, "fs/mine/cgroup.subtree_control"), "+pids"));
	cgroups_destroy(cgroups);
}

static void v2_is_used_where_its_children_have_controllers_but_no_limit_is_left_behind(void **state)
{
	struct tree *tree = *state;
	struct cgroups *cgroups;

	make(tree, "fs");
	make(tree, "fs/slice");
	make(tree, "fs/slice/mine");
	put(tree, "fs/slice/cgroup.subtree_control", "memory pids\n");
	put(tree, "fs/slice/mine/memory.max", "max\n");
	cgroups = look(tree, "/", "cgroup2 cgroup2 rw", "0::/slice/mine\n");
	assert_place(cgroups, CGROUP_MEMORY, "/fs/slice: ");
	assert_place(cgroups, CGROUP_PIDS, "/fs/slice: ");
	assert_place(cgroups, CGROUP_CPU, "gives us no cgroup");
	assert_string_equal(get(tree, "fs/slice/cgroup.subtree_control"), "memory pids\n");
	cgroups_destroy(cgroups);
	put(tree, "fs/slice/mine/memory.max", "1048576\n");
	cgroups = look(tree, "/", "cgroup2 cgroup2 rw", "0::/slice/mine\n");
	assert_place(cgroups, CGROUP_MEMORY, "gives us no cgroup");
	cgroups_destroy(cgroups);
}

/* ---- a server that follows one that died ---- */

/* What a group of this keeper is called: below `top`, so that plain directories can be made. */
static const char *name_of(const char *top, const char *rest)
{
	static char name[256];
	char prefix[CGROUP_PREFIX_ROOM];

	assert_int_equal(cgroup_prefix(getppid(), prefix), 0);
	snprintf(name, sizeof(name), "%s/%s%s", top, prefix, rest);
	return name;
}

static bool is_there(const struct tree *tree, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", tree->top, name);
	return access(path, F_OK) == 0;
}

/* A file in it keeps a plain directory from being removed, as a process does with a group. */
static void put_somebody(const struct tree *tree, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/somebody", name);
	put(tree, path, "");
}

static void remove_somebody(const struct tree *tree, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s/somebody", tree->top, name);
	assert_int_equal(unlink(path), 0);
}

static bool only_the_second_run_of_7(void *context, uint64_t id, uint32_t run)
{
	(void)context;
	return id == 7 && run == 2;
}

static void groups_with_limits_are_known_again_and_removed_when_their_run_has_ended(void **state)
{
	static const char *const NAMES[] = { "p7-1-99", "p7-2-98", "p8-1-99" };
	struct tree *tree = *state;
	struct cgroups *cgroups;
	char lines[1024];

	for (int place = 0; place < 2; place++) {
		const char *top = place ? "pids" : "memory";

		make(tree, top);
		for (int i = 0; i < 3; i++)
			make(tree, name_of(top, NAMES[i]));
		make(tree, name_of(top, "memory-77"));
		put_somebody(tree, name_of(top, NAMES[0]));
		put_somebody(tree, name_of(top, NAMES[1]));
	}
	make(tree, "pids/procfs-mp-1-2-3-p7-2-98");
	snprintf(lines, sizeof(lines), "30 23 0:26 / %s/memory rw - cgroup cgroup rw,memory\n"
		 "31 23 0:27 / %s/pids rw - cgroup cgroup rw,pids\n", tree->top, tree->top);
	put(tree, "mountinfo", lines);
	put(tree, "membership", "4:memory:/\n5:pids:/\n");
	assert_int_equal(cgroups_create(&tree->loop, tree->mountinfo, tree->membership, &cgroups), 0);
	assert_int_equal(cgroups_adopt(cgroups), 0);
	const struct cgroup *group = cgroups_find(cgroups, 7);

	assert_true(group && group->run == 2 && group->directories[1] && group->entries[1] && !group->directories[2]);
	assert_non_null(strstr(group->entries[0], "p7-2-98/cgroup.procs"));
	assert_false(is_there(tree, name_of("memory", "memory-77")));
	cgroups_leave_all_but(cgroups, only_the_second_run_of_7, NULL);
	assert_null(cgroups_find(cgroups, 8));
	assert_false(is_there(tree, name_of("memory", NAMES[2])) || is_there(tree, name_of("pids", NAMES[2])));
	assert_ptr_equal(cgroups_find(cgroups, 7), group);
	for (int i = 0; i < 2; i++) {
		remove_somebody(tree, name_of("memory", NAMES[i]));
		remove_somebody(tree, name_of("pids", NAMES[i]));
	}
	while (is_there(tree, name_of("memory", NAMES[0])))
		uv_run(&tree->loop, UV_RUN_ONCE);
	assert_true(is_there(tree, name_of("memory", NAMES[1])));
	cgroups_leave(cgroups, 7);
	assert_null(cgroups_find(cgroups, 7));
	assert_false(is_there(tree, name_of("pids", NAMES[1])));
	assert_true(is_there(tree, "pids/procfs-mp-1-2-3-p7-2-98"));
	cgroups_destroy(cgroups);
}

static struct cgroup_tree **parted;

static void on_parted(struct cgroup_tree **holder)
{
	assert_null(parted);
	parted = holder;
}

static void put_tree(const struct tree *tree, const char *rest, const char *events)
{
	char path[300];

	make(tree, name_of("fs", rest));
	snprintf(path, sizeof(path), "%s/cgroup.events", name_of("fs", rest));
	put(tree, path, events);
}

static void a_tree_is_claimed_once_by_its_number_and_those_made_later_have_higher_ones(void **state)
{
	struct tree *tree = *state;
	struct cgroup_tree *runs = NULL, *ended = NULL, *other = NULL, *made = NULL;
	struct cgroups *cgroups;

	parted = NULL;
	make(tree, "fs");
	put_tree(tree, "t3", "populated 1\nfrozen 0\n");
	put_tree(tree, "t9", "populated 0\nfrozen 0\n");
	put_tree(tree, "t10", "populated 1\nfrozen 0\n");
	cgroups = look(tree, "/", "cgroup2 none rw", "0::/\n");
	cgroup_trees_watch(cgroups, on_parted);
	assert_int_equal(cgroups_adopt(cgroups), 0);
	assert_int_equal(cgroup_tree_claim(cgroups, 3, &runs), 0);
	assert_int_equal(cgroup_tree_claim(cgroups, 9, &ended), 0);
	assert_int_equal(cgroup_tree_claim(cgroups, 3, &other), -ENOENT);
	assert_int_equal(cgroup_tree_claim(cgroups, 4, &other), -ENOENT);
	assert_true(runs && runs->number == 3 && ended && ended->number == 9 && !other);
	cgroup_tree_leave(cgroups, ended);
	cgroups_leave_all_but(cgroups, only_the_second_run_of_7, NULL);
	assert_int_equal(cgroup_tree_claim(cgroups, 10, &other), -ENOENT);
	assert_int_equal(cgroup_tree_take(cgroups, &made), 0);
	assert_int_equal(made->number, 11);
	while (ended)
		uv_run(&tree->loop, UV_RUN_ONCE);
	assert_ptr_equal(parted, &ended);
	assert_non_null(runs);
	assert_int_equal(cgroup_tree_take(cgroups, &other), 0); /* not the one that may have been killed */
	assert_int_equal(other->number, 12);
	cgroup_tree_disown(&runs);
	assert_ptr_equal(parted, &ended);
	cgroups_destroy(cgroups);
	assert_null(made);
}

/* ---- real ones, where this machine lets us ---- */

static void path_of(const struct cgroups *cgroups, const struct cgroup_tree *group, char path[static 512])
{
	char *directory = cgroup_tree_directory(cgroups, group);

	assert_non_null(directory);
	snprintf(path, 512, "%s", directory);
	free(directory);
}

static void what_nobody_claims_of_real_trees_goes_away(void **state)
{
	struct tree *tree = *state;
	struct cgroup_tree *first = NULL, *second = NULL, *again = NULL;
	struct cgroups *before, *after;
	char kept[512], gone[512];

	assert_int_equal(cgroups_create(&tree->loop, "/proc/self/mountinfo", "/proc/self/cgroup", &before), 0);
	cgroup_trees_begin(before);
	if (cgroup_tree_take(before, &first)) {
		print_message("# left out: no group of cgroup v2 can be made here\n");
		cgroups_destroy(before);
		return;
	}
	assert_int_equal(cgroup_tree_take(before, &second), 0);
	path_of(before, first, kept);
	path_of(before, second, gone);
	assert_int_equal(cgroups_create(&tree->loop, "/proc/self/mountinfo", "/proc/self/cgroup", &after), 0);
	assert_int_equal(cgroups_adopt(after), 0);
	assert_int_equal(cgroup_tree_claim(after, first->number, &again), 0);
	cgroups_leave_all_but(after, only_the_second_run_of_7, NULL);
	while (!access(gone, F_OK))
		uv_run(&tree->loop, UV_RUN_ONCE);
	assert_int_equal(access(kept, F_OK), 0);
	path_of(after, again, gone);
	assert_string_equal(gone, kept);
	cgroups_destroy(after);
	assert_int_equal(access(kept, F_OK), -1);
	cgroups_destroy(before);
}

static void a_real_group_has_its_limit_and_goes_away(void **state)
{
	struct tree *tree = *state;
	struct cgroups *cgroups;
	struct cgroup_wish wish;
	struct cgroup *group;
	struct refusal why;
	char path[512], text[16] = "";
	int fd;

	assert_int_equal(cgroups_create(&tree->loop, "/proc/self/mountinfo", "/proc/self/cgroup", &cgroups), 0);
	if (cgroups_check(cgroups, CGROUP_PIDS, &why)) {
		print_message("# left out: %s\n", why.sentence);
		cgroups_destroy(cgroups);
		return;
	}
	cgroup_wish_init(&wish);
	wish.limits[CGROUP_PIDS] = 42;
	assert_int_equal(cgroups_make(cgroups, 7, 1, &wish, &group, &why), 0);
	assert_ptr_equal(cgroups_find(cgroups, 7), group);
	snprintf(path, sizeof(path), "%s/pids.max", group->directories[0]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	assert_string_equal(text, "42\n");
	snprintf(path, sizeof(path), "%s", group->directories[0]);
	cgroups_leave(cgroups, 8);
	assert_int_equal(access(path, F_OK), 0);
	cgroups_leave(cgroups, 7);
	assert_null(cgroups_find(cgroups, 7));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(cgroups_make(cgroups, 9, 1, &wish, &group, &why), 0);
	snprintf(path, sizeof(path), "%s", group->directories[0]);
	cgroups_destroy(cgroups);
	assert_int_equal(access(path, F_OK), -1);
}

static void where_no_child_can_begin_there_are_no_trees(void **state)
{
	struct tree *tree = *state;
	struct cgroup_tree *held = NULL;
	struct cgroups *cgroups;
	char path[64];

	make(tree, "fs");
	cgroups = look(tree, "/", "cgroup2 none rw", "0::/\n");
	cgroup_trees_begin(cgroups);
	assert_int_equal(cgroup_tree_take(cgroups, &held), -EOPNOTSUPP);
	assert_null(held);
	cgroups_destroy(cgroups);
	snprintf(path, sizeof(path), "%s/fs", tree->top);
	assert_int_equal(rmdir(path), 0);
}

static void a_tree_is_handed_on_when_nobody_works_with_it_and_it_was_not_killed(void **state)
{
	struct tree *tree = *state;
	struct cgroup_tree *first = NULL, *second = NULL, *third = NULL;
	struct cgroups *cgroups;
	char path[512];

	assert_int_equal(cgroups_create(&tree->loop, "/proc/self/mountinfo", "/proc/self/cgroup", &cgroups), 0);
	cgroup_trees_begin(cgroups);
	if (cgroup_tree_take(cgroups, &first)) {
		print_message("# left out: no group of cgroup v2 can be made here\n");
		cgroups_destroy(cgroups);
		return;
	}
	assert_int_equal(cgroup_tree_take(cgroups, &second), 0);
	assert_int_equal(cgroup_tree_take(cgroups, &third), 0);
	assert_ptr_not_equal(first, second);
	path_of(cgroups, second, path);
	first->pins++;
	second->killed = true;
	cgroup_tree_leave(cgroups, first);
	cgroup_tree_leave(cgroups, first);
	cgroup_tree_leave(cgroups, second);
	cgroup_tree_leave(cgroups, third);
	while (second || third)
		uv_run(&tree->loop, UV_RUN_ONCE);
	assert_int_equal(access(path, F_OK), -1);
	assert_non_null(first);
	first->pins--;
	while (first)
		uv_run(&tree->loop, UV_RUN_ONCE);
	assert_int_equal(cgroup_tree_take(cgroups, &first), 0);
	cgroup_tree_disown(&first);
	assert_null(first);
	cgroups_destroy(cgroups);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_any_hierarchy_all_is_refused),
		TEST(a_v1_hierarchy_is_used_below_our_own_group),
		TEST(a_group_that_does_not_count_for_a_limited_parent_is_not_made),
		TEST(v2_is_asked_for_its_controllers_in_our_own_group),
		TEST(v2_is_used_where_its_children_have_controllers_but_no_limit_is_left_behind),
		TEST(where_no_child_can_begin_there_are_no_trees),
		TEST(a_tree_is_handed_on_when_nobody_works_with_it_and_it_was_not_killed),
		TEST(groups_with_limits_are_known_again_and_removed_when_their_run_has_ended),
		TEST(a_tree_is_claimed_once_by_its_number_and_those_made_later_have_higher_ones),
		TEST(what_nobody_claims_of_real_trees_goes_away),
		TEST(a_real_group_has_its_limit_and_goes_away),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
