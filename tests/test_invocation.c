#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/invocation.h"

enum { OURS = 1000, ANOTHERS = 1001 };

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NONE ((const char *const[]){ NULL })

/* What a row asks for; NULL: not set. */
struct asked {
	const char *target, *args, *kwargs, *env, *cwd, *run;
};

static struct surroundings surroundings_with(const char *const *environment)
{
	return (struct surroundings){
		.base_directory = "/base",
		.mountpoint = "/mnt/mp",
		.environment = (char *const *)(uintptr_t)environment,
		.umask = 027,
		.uid = OURS,
		.gid = OURS + 5,
	};
}

static void set(struct process *process, enum detail which, const char *text)
{
	if (text)
		assert_int_equal(process_set_detail(process, which, text, strlen(text)), 0);
}

static struct process *make(struct asked asked)
{
	struct process *process = process_create("worker", "1");
	struct configuration *c;
	enum words_problem problem;

	assert_non_null(process);
	process->id = 42;
	process->owner = OURS;
	c = &process->configuration;
	if (asked.target)
		assert_int_equal(value_set(&c->target, asked.target, strlen(asked.target)), 0);
	set(process, DETAIL_KWARGS, asked.kwargs);
	set(process, DETAIL_ENV, asked.env);
	set(process, DETAIL_CWD, asked.cwd);
	set(process, DETAIL_RUN, asked.run);
	if (asked.args)
		assert_int_equal(words_split(&c->args, asked.args, strlen(asked.args), &problem), 0);
	return process;
}

static void assert_list(const char *const *is, const char *const *expected)
{
	size_t i;

	for (i = 0; expected[i]; i++) {
		assert_non_null(is[i]);
		assert_string_equal(is[i], expected[i]);
	}
	assert_null(is[i]);
}

static void candidates_follow_from_target_and_path(void **state)
{
	const struct {
		const char *target, *path, *env; /* path: the mount's, env: the process's lines */
		const char *const *candidates;
	} rows[] = {
		{ "/bin/x", "PATH=/a:/b", NULL, LIST("/bin/x") },
		{ "bin/x", "PATH=/a:/b", NULL, LIST("/base/bin/x") },
		{ "./x", "PATH=/a:/b", NULL, LIST("/base/./x") },
		{ "x", "PATH=/a:/b", NULL, LIST("/a/x", "/b/x") },
		{ "x", "PATH=/a/", NULL, LIST("/a/x") },
		{ "x", "PATH=", NULL, LIST("./x") },
		{ "x", "PATH=:/a", NULL, LIST("./x", "/a/x") },
		{ "x", "PATH=/a::/b:", NULL, LIST("/a/x", "./x", "/b/x", "./x") },
		{ "x", "PATH=/a", "PATH=/own:/more", LIST("/own/x", "/more/x") },
		{ "x", "PATH=/a", "PATH=/first\nPATH=/last", LIST("/last/x") },
		{ "x", "PATH=/a", "-PATH", LIST("/a/x") },
		{ "x", "PATHS=/a", "PATH=/own", LIST("/own/x") },
		{ "x", "NOTHING=", NULL, LIST("/usr/local/sbin/x", "/usr/local/bin/x", "/usr/sbin/x", "/usr/bin/x", "/sbin/x", "/bin/x") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process *process = make((struct asked){ .target = rows[i].target, .env = rows[i].env });
		struct surroundings from = surroundings_with(LIST(rows[i].path));
		struct invocation invocation;

		assert_int_equal(invocation_init(&invocation, process, &from, NULL), 0);
		assert_list(invocation.spec.candidates, rows[i].candidates);
		assert_list(invocation.spec.argv, LIST(rows[i].target));
		invocation_finish(&invocation);
		process_destroy(process);
	}
}

static void the_arguments_are_target_then_args_then_kwargs(void **state)
{
	const struct {
		const char *args, *kwargs;
		const char *const *argv;
	} rows[] = {
		{ NULL, NULL, LIST("x") },
		{ "a 'b c' \"\"", NULL, LIST("x", "a", "b c", "") },
		{ NULL, "name=bob", LIST("x", "--name=bob") },
		{ "a", "name=bob\nage=3\n", LIST("x", "a", "--name=bob", "--age=3") },
		{ "a", "\n\nk=two words=\n\nl=", LIST("x", "a", "--k=two words=", "--l=") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process *process = make((struct asked){ .target = "x", .args = rows[i].args, .kwargs = rows[i].kwargs });
		struct surroundings from = surroundings_with(LIST("PATH=/a"));
		struct invocation invocation;

		assert_int_equal(invocation_init(&invocation, process, &from, NULL), 0);
		assert_list(invocation.spec.argv, rows[i].argv);
		invocation_finish(&invocation);
		process_destroy(process);
	}
}

static void run_is_executed_by_its_own_interpreter_or_by_sh_when_there_is_no_target(void **state)
{
	const struct {
		const char *run, *target;
		const char *const *candidates, *const *argv;
	} rows[] = {
		{ "echo hi\n", NULL, LIST("/bin/sh"), LIST("/bin/sh", "/mnt/mp/worker/run", "an arg", "--k=v") },
		{ "#!/usr/bin/perl\n", NULL, LIST("/mnt/mp/worker/run"), LIST("/mnt/mp/worker/run", "an arg", "--k=v") },
		{ "\177ELF", NULL, LIST("/mnt/mp/worker/run"), LIST("/mnt/mp/worker/run", "an arg", "--k=v") },
		{ "#", NULL, LIST("/bin/sh"), LIST("/bin/sh", "/mnt/mp/worker/run", "an arg", "--k=v") },
		{ " #!/bin/sh", NULL, LIST("/bin/sh"), LIST("/bin/sh", "/mnt/mp/worker/run", "an arg", "--k=v") },
		{ "#!/bin/sh", "/bin/x", LIST("/bin/x"), LIST("/bin/x", "an arg", "--k=v") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process *process = make((struct asked){ .target = rows[i].target, .run = rows[i].run,
							       .args = "'an arg'", .kwargs = "k=v" });
		struct surroundings from = surroundings_with(NONE);
		struct invocation invocation;

		assert_int_equal(invocation_init(&invocation, process, &from, NULL), 0);
		assert_list(invocation.spec.candidates, rows[i].candidates);
		assert_list(invocation.spec.argv, rows[i].argv);
		invocation_finish(&invocation);
		process_destroy(process);
	}
}

static void the_mounts_environment_is_the_default_and_env_lines_change_it(void **state)
{
	const struct {
		const char *const *mounts;
		const char *env;
		const char *const *expected; /* before what is ours */
	} rows[] = {
		{ NONE, NULL, NONE },
		{ LIST("A=1", "B=2"), NULL, LIST("A=1", "B=2") },
		{ LIST("A=1", "B=2"), "B=3", LIST("A=1", "B=3") },
		{ LIST("A=1", "B=2"), "-A", LIST("B=2") },
		{ LIST("A=1"), "-AA\n-", LIST("A=1") },
		{ LIST("AB=1"), "A=2\n-A", LIST("AB=1") },
		{ LIST("A=1"), "A=2\nA=3", LIST("A=3") },
		{ LIST("A=1"), "A=2\n-A", NONE },
		{ LIST("A=1"), "-A\nA=2", LIST("A=2") },
		{ LIST("A=1"), "A=", LIST("A=") },
		{ LIST("A=1"), "\nA==\n\n", LIST("A==") },
		{ LIST("A=1", "ODD"), "C=x y=z", LIST("A=1", "ODD", "C=x y=z") },
		{ LIST("PROCFS_MP=/other", "PROCFS_MP_ID=7", "PROCFS_MPX=1"), NULL, LIST("PROCFS_MPX=1") },
		{ NONE, "PROCFS_MP=/mine\nPROCFS_MP_ID=3\n-PROCFS_MP", NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process *process = make((struct asked){ .target = "/x", .env = rows[i].env });
		struct surroundings from = surroundings_with(rows[i].mounts);
		struct invocation invocation;
		size_t count = 0;

		assert_int_equal(invocation_init(&invocation, process, &from, NULL), 0);
		for (; rows[i].expected[count]; count++)
			assert_string_equal(invocation.spec.envp[count], rows[i].expected[count]);
		assert_list(invocation.spec.envp + count, LIST("PROCFS_MP=/mnt/mp", "PROCFS_MP_ID=42"));
		invocation_finish(&invocation);
		process_destroy(process);
	}
}

static void directory_and_mask_are_the_mounts_until_they_are_set(void **state)
{
	const struct {
		const char *cwd, *expected;
	} rows[] = {
		{ NULL, "/base" },
		{ "/srv/data", "/srv/data" },
		{ "sub/dir", "/base/sub/dir" },
		{ "..", "/base/.." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process *process = make((struct asked){ .target = "/x", .cwd = rows[i].cwd });
		struct surroundings from = surroundings_with(NONE);
		struct invocation invocation;

		if (i)
			process->configuration.umask = 0;
		assert_int_equal(invocation_init(&invocation, process, &from, NULL), 0);
		assert_string_equal(invocation.spec.cwd, rows[i].expected);
		assert_int_equal(invocation.spec.umask, i ? 0 : 027);
		invocation_finish(&invocation);
		process_destroy(process);
	}
}

static void the_mounts_own_user_needs_no_account_and_no_change_of_user(void **state)
{
	struct process *process = make((struct asked){ .target = "/x" });
	struct surroundings from = surroundings_with(NONE);
	struct invocation invocation;

	(void)state;
	assert_false(invocation_needs_account(process, &from));
	assert_int_equal(invocation_init(&invocation, process, &from, NULL), 0);
	assert_int_equal(invocation.spec.flags, 0);
	assert_int_equal(invocation.spec.uid, OURS);
	assert_int_equal(invocation.spec.gid, OURS + 5);
	assert_int_equal(invocation.spec.group_count, 0);
	assert_int_equal(invocation.spec.stdin_fd, -1);
	assert_int_equal(invocation.spec.stdout_fd, -1);
	assert_int_equal(invocation.spec.stderr_fd, -1);
	invocation_finish(&invocation);
	process_destroy(process);
}

static const struct account *another(void)
{
	static gid_t groups[] = { 7, 8 };
	static char name[] = "bob", home[] = "/home/bob", shell[] = "/bin/bash";
	static const struct account account = {
		.uid = ANOTHERS, .gid = 7, .name = name, .home = home, .shell = shell, .groups = groups, .group_count = 2,
	};

	return &account;
}

static void another_user_gets_nothing_of_the_mounts_environment_directory_or_mask(void **state)
{
	struct process *process = make((struct asked){ .target = "bin/x", .cwd = "tmp" });
	struct surroundings from = surroundings_with(LIST("SECRET=1", "PATH=/root/bin", "LANG=de_DE.UTF-8", "HOME=/root"));
	struct invocation invocation;

	(void)state;
	process->owner = ANOTHERS;
	assert_true(invocation_needs_account(process, &from));
	assert_int_equal(invocation_init(&invocation, process, &from, another()), 0);
	assert_list(invocation.spec.envp,
		    LIST("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/home/bob", "USER=bob",
			 "LOGNAME=bob", "SHELL=/bin/bash", "LANG=de_DE.UTF-8", "PROCFS_MP=/mnt/mp", "PROCFS_MP_ID=42"));
	assert_int_equal(invocation.spec.flags, LAUNCH_AS_USER);
	assert_int_equal(invocation.spec.uid, ANOTHERS);
	assert_int_equal(invocation.spec.gid, 7);
	assert_int_equal(invocation.spec.group_count, 2);
	assert_int_equal(invocation.spec.groups[1], 8);
	assert_int_equal(invocation.spec.umask, 022);
	assert_list(invocation.spec.candidates, LIST("/bin/x"));
	assert_string_equal(invocation.spec.cwd, "/tmp");
	invocation_finish(&invocation);
	process_destroy(process);
}

static void another_users_own_lines_change_its_environment(void **state)
{
	struct process *process = make((struct asked){ .target = "x", .env = "PATH=/opt\n-SHELL\nMINE=1\nHOME=/elsewhere" });
	struct surroundings from = surroundings_with(NONE);
	struct invocation invocation;

	(void)state;
	process->owner = ANOTHERS;
	assert_int_equal(invocation_init(&invocation, process, &from, another()), 0);
	assert_list(invocation.spec.envp, LIST("USER=bob", "LOGNAME=bob", "LANG=C.UTF-8", "PATH=/opt", "MINE=1",
					       "HOME=/elsewhere", "PROCFS_MP=/mnt/mp", "PROCFS_MP_ID=42"));
	assert_list(invocation.spec.candidates, LIST("/opt/x"));
	assert_string_equal(invocation.spec.cwd, "/");
	invocation_finish(&invocation);
	process_destroy(process);
}

static void many_lines_are_all_there(void **state)
{
	enum { MANY = 2000 };
	struct text lines = { 0 };
	struct process *process;
	struct surroundings from = surroundings_with(NONE);
	struct invocation invocation;
	char *env, last[32];

	(void)state;
	for (int i = 0; i < MANY; i++)
		text_printf(&lines, "%sK%d=%d", i ? "\n" : "", i, i);
	env = text_take(&lines, NULL);
	process = make((struct asked){ .target = "/x", .env = env });
	assert_int_equal(invocation_init(&invocation, process, &from, NULL), 0);
	assert_int_equal(invocation.environment.count, MANY + 2);
	snprintf(last, sizeof(last), "K%d=%d", MANY - 1, MANY - 1);
	assert_string_equal(invocation.spec.envp[0], "K0=0");
	assert_string_equal(invocation.spec.envp[MANY - 1], last);
	invocation_finish(&invocation);
	process_destroy(process);
	free(env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(candidates_follow_from_target_and_path),
		cmocka_unit_test(the_arguments_are_target_then_args_then_kwargs),
		cmocka_unit_test(run_is_executed_by_its_own_interpreter_or_by_sh_when_there_is_no_target),
		cmocka_unit_test(the_mounts_environment_is_the_default_and_env_lines_change_it),
		cmocka_unit_test(directory_and_mask_are_the_mounts_until_they_are_set),
		cmocka_unit_test(the_mounts_own_user_needs_no_account_and_no_change_of_user),
		cmocka_unit_test(another_user_gets_nothing_of_the_mounts_environment_directory_or_mask),
		cmocka_unit_test(another_users_own_lines_change_its_environment),
		cmocka_unit_test(many_lines_are_all_there),
	};

	return cmocka_run_group_tests_name("invocation", tests, NULL, NULL);
}
