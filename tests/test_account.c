#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/account.h"

enum { NO_GROUP_OF_ANYBODY = 54322 };

/* What came, copied while it could be read. */
struct found {
	unsigned times;
	int error;
	struct account account;
	char name[64], home[256], shell[256];
	gid_t groups[1024];
};

static void on_found(void *context, int error, const struct account *account)
{
	struct found *found = context;

	found->times++;
	found->error = error;
	if (error)
		return;
	found->account = *account;
	snprintf(found->name, sizeof(found->name), "%s", account->name);
	snprintf(found->home, sizeof(found->home), "%s", account->home);
	snprintf(found->shell, sizeof(found->shell), "%s", account->shell);
	for (int i = 0; i < account->group_count && i < 1024; i++)
		found->groups[i] = account->groups[i];
}

static void look_up(const struct account *asked, struct found *found, unsigned count)
{
	uv_loop_t loop;

	assert_int_equal(uv_loop_init(&loop), 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(account_look_up(&loop, &asked[i], on_found, &found[i]), 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(found[i].times, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static uid_t unknown_user(void)
{
	uid_t uid = 54321;

	while (getpwuid(uid))
		uid++;
	return uid;
}

static void a_known_user_has_what_the_database_says(void **state)
{
	struct account asked = { .uid = 0, .gid = NO_GROUP_OF_ANYBODY };
	struct found found = { .times = 0 };
	gid_t groups[1024];
	int count = 1024;
	struct passwd *entry;

	(void)state;
	look_up(&asked, &found, 1);
	entry = getpwuid(0);
	assert_non_null(entry);
	assert_int_equal(found.times, 1);
	assert_int_equal(found.error, 0);
	assert_int_equal(found.account.uid, 0);
	assert_int_equal(found.account.gid, entry->pw_gid);
	assert_string_equal(found.name, entry->pw_name);
	assert_string_equal(found.home, entry->pw_dir);
	assert_string_equal(found.shell, *entry->pw_shell ? entry->pw_shell : "/bin/sh");
	assert_true(getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) >= 0);
	assert_int_equal(found.account.group_count, count);
	assert_memory_equal(found.groups, groups, (size_t)count * sizeof(*groups));
}

static void an_unknown_user_is_a_number_at_home_in_the_root_with_its_own_group_only(void **state)
{
	struct account asked = { .uid = unknown_user(), .gid = NO_GROUP_OF_ANYBODY };
	struct found found = { .times = 0 };
	char number[16];

	(void)state;
	look_up(&asked, &found, 1);
	snprintf(number, sizeof(number), "%u", (unsigned)asked.uid);
	assert_int_equal(found.times, 1);
	assert_int_equal(found.error, 0);
	assert_int_equal(found.account.uid, asked.uid);
	assert_int_equal(found.account.gid, NO_GROUP_OF_ANYBODY);
	assert_int_equal(found.account.group_count, 0);
	assert_string_equal(found.name, number);
	assert_string_equal(found.home, "/");
	assert_string_equal(found.shell, "/bin/sh");
}

static void many_at_once_are_each_answered_once_and_with_their_own(void **state)
{
	enum { MANY = 20 };
	struct account asked[MANY] = { { .uid = 0 } };
	struct found *found = calloc(MANY, sizeof(*found));
	uid_t unknown = unknown_user();

	(void)state;
	assert_non_null(found);
	for (unsigned i = 0; i < MANY; i++)
		asked[i] = (struct account){ .uid = i % 2 ? unknown : 0, .gid = i };
	look_up(asked, found, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(found[i].times, 1);
		assert_int_equal(found[i].account.uid, asked[i].uid);
		if (i % 2)
			assert_int_equal(found[i].account.gid, i);
	}
	free(found);
}

static void a_user_is_found_by_name_and_a_name_that_is_none_is_an_error(void **state)
{
	static char root[] = "root", nobody[] = "no such user here";
	struct account asked[2] = { { .name = root, .uid = 5, .gid = 5 }, { .name = nobody } };
	struct found found[2] = { { .times = 0 } };

	(void)state;
	look_up(asked, found, 2);
	assert_int_equal(found[0].error, 0);
	assert_int_equal(found[0].account.uid, 0);
	assert_string_equal(found[0].name, "root");
	assert_int_equal(found[1].times, 1);
	assert_int_equal(found[1].error, -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_known_user_has_what_the_database_says),
		cmocka_unit_test(an_unknown_user_is_a_number_at_home_in_the_root_with_its_own_group_only),
		cmocka_unit_test(a_user_is_found_by_name_and_a_name_that_is_none_is_an_error),
		cmocka_unit_test(many_at_once_are_each_answered_once_and_with_their_own),
	};

	return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
