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

#include "core/cgroup.h"
#include "core/cgroup_tree.h"

static void a_wish_reads_back_as_what_was_meant(void **state)
{
	static const struct {
		enum cgroup_kind kind;
		const char *word, *shown;
	} rows[] = {
		{ CGROUP_MEMORY, "", "max\n" },
		{ CGROUP_MEMORY, "max", "max\n" },
		{ CGROUP_MEMORY, "0", "0\n" },
		{ CGROUP_MEMORY, "4096", "4096\n" },
		{ CGROUP_MEMORY, "3k", "3072\n" },
		{ CGROUP_MEMORY, "100M", "104857600\n" },
		{ CGROUP_MEMORY, "2G", "2147483648\n" },
		{ CGROUP_MEMORY, "16777215T", "18446742974197923840\n" },
		{ CGROUP_CPU, "", "max 100000\n" },
		{ CGROUP_CPU, "max 50000", "max 50000\n" },
		{ CGROUP_CPU, "1000", "1000 100000\n" },
		{ CGROUP_CPU, "200000 \t 1000000", "200000 1000000\n" },
		{ CGROUP_PIDS, "max", "max\n" },
		{ CGROUP_PIDS, "0", "0\n" },
		{ CGROUP_PIDS, "4194304", "4194304\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cgroup_wish wish;
		struct text text = { 0 };
		char *shown;

		cgroup_wish_init(&wish);
		assert_int_equal(cgroup_wish_parse(&wish, rows[i].kind, rows[i].word, NULL), 0);
		assert_int_equal(cgroup_wish_is_empty(&wish), !strncmp(rows[i].shown, "max", 3));
		cgroup_wish_show(&wish, rows[i].kind, &text);
		shown = text_take(&text, NULL);
		assert_string_equal(shown, rows[i].shown);
		free(shown);
	}
}

static void what_is_no_wish_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		enum cgroup_kind kind;
		const char *word;
	} rows[] = {
		{ CGROUP_MEMORY, "x" }, { CGROUP_MEMORY, "-1" }, { CGROUP_MEMORY, "1KB" }, { CGROUP_MEMORY, "maximum" },
		{ CGROUP_MEMORY, "18446744073709551615" }, { CGROUP_MEMORY, "16777216T" }, { CGROUP_MEMORY, "1 K" },
		{ CGROUP_CPU, "999" }, { CGROUP_CPU, "1000 999" }, { CGROUP_CPU, "1000 1000001" }, { CGROUP_CPU, "1000 max" },
		{ CGROUP_CPU, "1000 1000 1000" }, { CGROUP_CPU, "1000K" }, { CGROUP_CPU, "1000,1000" },
		{ CGROUP_PIDS, "4194305" }, { CGROUP_PIDS, "1K" }, { CGROUP_PIDS, "+1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cgroup_wish wish, before;
		struct refusal why;

		cgroup_wish_init(&wish);
		before = wish;
		assert_int_equal(cgroup_wish_parse(&wish, rows[i].kind, rows[i].word, &why), -EINVAL);
		assert_non_null(strstr(why.sentence, rows[i].word));
		assert_non_null(strstr(why.sentence, "valid are max"));
		assert_memory_equal(&wish, &before, sizeof(wish));
	}
}

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

/* ---- real ones, where this machine lets us ---- */

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
		print_message("skipped: %s\n", why.sentence);
		cgroups_destroy(cgroups);
		skip();
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
		print_message("skipped: no group of cgroup v2 can be made here\n");
		cgroups_destroy(cgroups);
		skip();
	}
	assert_int_equal(cgroup_tree_take(cgroups, &second), 0);
	assert_int_equal(cgroup_tree_take(cgroups, &third), 0);
	assert_ptr_not_equal(first, second);
	snprintf(path, sizeof(path), "%s", second->directory);
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
		cmocka_unit_test(a_wish_reads_back_as_what_was_meant),
		cmocka_unit_test(what_is_no_wish_is_refused_and_changes_nothing),
		TEST(without_any_hierarchy_all_is_refused),
		TEST(a_v1_hierarchy_is_used_below_our_own_group),
		TEST(a_group_that_does_not_count_for_a_limited_parent_is_not_made),
		TEST(v2_is_asked_for_its_controllers_in_our_own_group),
		TEST(v2_is_used_where_its_children_have_controllers_but_no_limit_is_left_behind),
		TEST(where_no_child_can_begin_there_are_no_trees),
		TEST(a_tree_is_handed_on_when_nobody_works_with_it_and_it_was_not_killed),
		TEST(a_real_group_has_its_limit_and_goes_away),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
