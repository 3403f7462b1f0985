/* fs/options: what a command line says, by tables. */
#include "fs/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 12 };

#define NAMES "fsname=procfs-mp,subtype=procfs-mp"

struct accepted {
	const char *arguments[ARGUMENTS_MAX]; /* behind the program's name */
	const char *mountpoint;
	const char *fuse;
	bool foreground, debug, allow_other, auto_unmount;
};

static const struct accepted accepted[] = {
	{ { NULL }, NULL, NAMES, .foreground = false },
	{ { "mp" }, "mp", NAMES, .foreground = false },
	{ { "-" }, "-", NAMES, .foreground = false },
	{ { "-f", "mp" }, "mp", NAMES, .foreground = true },
	{ { "mp", "-f" }, "mp", NAMES, .foreground = true },
	{ { "-s", "mp" }, "mp", NAMES, .foreground = false },
	{ { "-d" }, NULL, "debug," NAMES, .foreground = true, .debug = true },
	{ { "-sfd", "mp" }, "mp", "debug," NAMES, .foreground = true, .debug = true },
	{ { "-o", "debug" }, NULL, "debug," NAMES, .foreground = true, .debug = true },

	{ { "-o", "rw", "mp" }, "mp", NAMES, .foreground = false },
	{ { "-orw", "mp" }, "mp", NAMES, .foreground = false },
	{ { "-fo", "nodev", "mp" }, "mp", "nodev," NAMES, .foreground = true },
	{ { "-fonodev", "mp" }, "mp", "nodev," NAMES, .foreground = true },
	{ { "-o", "nodev,nosuid", "-o", "noexec" }, NULL, "nodev,nosuid,noexec," NAMES, .foreground = false },
	{ { "-o", ",,rw,,sync,", "-o", "" }, NULL, "sync," NAMES, .foreground = false },

	{ { "-o", "allow_other" }, NULL, "allow_other,default_permissions," NAMES, .allow_other = true },
	{ { "-o", "allow_other,default_permissions,allow_other" }, NULL, "allow_other,default_permissions," NAMES,
	  .allow_other = true },
	{ { "-o", "allow_root" }, NULL, "allow_root,default_permissions," NAMES, .allow_other = true },
	{ { "-o", "default_permissions" }, NULL, "default_permissions," NAMES, .allow_other = false },
	{ { "-o", "auto_unmount" }, NULL, "auto_unmount," NAMES, .auto_unmount = true },

	{ { "source", "mp" }, "mp", "fsname=source,subtype=procfs-mp", .foreground = false },
	{ { "", "mp" }, "mp", NAMES, .foreground = false },
	{ { "a,b\\c", "mp" }, "mp", "fsname=a\\,b\\\\c,subtype=procfs-mp", .foreground = false },
	{ { "source", "mp", "-o", "fsname=x" }, "mp", "fsname=x,subtype=procfs-mp", .foreground = false },
	{ { "-o", "fsname=a\\,ro,subtype=y" }, NULL, "fsname=a\\,ro,subtype=y", .foreground = false },
	{ { "-o", "subtype=y,fsname=x\\" }, NULL, "subtype=y,fsname=x\\", .foreground = false },

	/* What mount(8) and systemd make of a line of fstab(5). */
	{ { "procfs-mp", "/mp", "-o", "rw,noatime,nofail,x-systemd.automount,_netdev" }, "/mp", "noatime," NAMES,
	  .foreground = false },
};

struct refused {
	const char *arguments[ARGUMENTS_MAX];
	const char *quoted; /* stands in the sentence */
};

static const struct refused refused[] = {
	{ { "-x" }, "'-x'" },
	{ { "-fx", "mp" }, "'-x'" },
	{ { "--foreground" }, "'--foreground'" },
	{ { "--helpful" }, "'--helpful'" },
	{ { "-o" }, "'-o'" },
	{ { "mp", "-fo" }, "'-o'" },
	{ { "-o", "ro" }, "'ro'" },
	{ { "-o", "rw,bogus" }, "'bogus'" },
	{ { "-o", "max_write=4096,rw" }, "'max_write=4096'" },
	{ { "-o", "max_read=4096" }, "'max_read=4096'" },
	{ { "-o", "fsname" }, "'fsname'" },
	{ { "-o", "allow_others" }, "'allow_others'" },
	{ { "-o", "remount" }, "'remount'" },
	{ { "-o", " rw" }, "' rw'" },
	{ { "-o", "-f" }, "'-f'" },
	{ { "-o", "--" }, "'--'" },
	{ { "-o", "max_processes" }, "'max_processes'" },
	{ { "-o", "max_processes=" }, "'max_processes='" },
	{ { "-o", "max_processes=x,rw" }, "'max_processes=x'" },
	{ { "-o", "max_bytes=-1" }, "'max_bytes=-1'" },
	{ { "-o", "max_bytes=1000000000000000000000000000000000000000" }, "'max_bytes=1" },
	{ { "-o", "allow_other,allow_root" }, "'allow_root'" },
	{ { "source", "mp", "more" }, "'more'" },
	{ { "--" }, "'--'" },
	{ { "mp", "--" }, "'--'" },
	{ { "--", "" }, "empty" },
	{ { "" }, "mountpoint" },
	{ { "source", "" }, "mountpoint" },
};

static const char *const tolerated[] = {
	"auto", "noauto", "user", "user=joe", "nouser", "users", "nousers", "owner", "noowner", "group", "nogroup",
	"nofail", "_netdev", "defaults", "rw", "nonempty", "x-systemd.automount", "x-a=b", "X-mount.mkdir",
	"comment=some words", "relatime", "diratime", "norelatime", "nodiratime", "strictatime", "lazytime",
};

static const char *const passed[] = {
	"dev", "nodev", "suid", "nosuid", "exec", "noexec", "sync", "async", "dirsync", "atime", "noatime",
};

static int parse(struct options *out, const char *const *arguments, struct refusal *why)
{
	char *argv[ARGUMENTS_MAX + 2] = { (char *)(uintptr_t)"procfs-mp" };
	int argc = 1;
	for (; arguments[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
	return options_parse(out, argc, argv, why);
}

static void accepted_command_lines_mean_what_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
		const struct accepted *row = &accepted[i];
		struct options options;
		struct refusal why = { "" };
		int error = parse(&options, row->arguments, &why);
		if (error)
			fail_msg("row %zu: %s", i, why.sentence);
		assert_int_equal(options.action, OPTIONS_MOUNT);
		if (row->mountpoint)
			assert_string_equal(options.mountpoint, row->mountpoint);
		else
			assert_null(options.mountpoint);
		assert_string_equal(options.fuse, row->fuse);
		assert_int_equal(options.foreground, row->foreground);
		assert_int_equal(options.debug, row->debug);
		assert_int_equal(options.allow_other, row->allow_other);
		assert_int_equal(options.auto_unmount, row->auto_unmount);
		assert_null(options.command);
		options_finish(&options);
	}
}

static void refused_command_lines_quote_the_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct options options;
		struct refusal why = { "" };
		int error = parse(&options, refused[i].arguments, &why);
		if (error != -EINVAL)
			fail_msg("row %zu: %d and not -EINVAL", i, error);
		if (!strstr(why.sentence, refused[i].quoted))
			fail_msg("row %zu: \"%s\" is without %s", i, why.sentence, refused[i].quoted);
	}
}

static void words_of_fstab_and_systemd_change_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof tolerated / sizeof *tolerated; i++) {
		struct options options;
		struct refusal why = { "" };
		const char *arguments[] = { "-o", tolerated[i], NULL };
		if (parse(&options, arguments, &why))
			fail_msg("%s", why.sentence);
		assert_string_equal(options.fuse, NAMES);
		options_finish(&options);
	}
}

static void flags_of_the_kernel_are_passed_in_their_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
		struct options options;
		struct refusal why = { "" };
		char list[64], expected[128];
		snprintf(list, sizeof list, "%s,rw,dev", passed[i]);
		snprintf(expected, sizeof expected, "%s,dev," NAMES, passed[i]);
		const char *arguments[] = { "-o", list, NULL };
		if (parse(&options, arguments, &why))
			fail_msg("%s", why.sentence);
		assert_string_equal(options.fuse, expected);
		options_finish(&options);
	}
}

static void help_and_version_win_over_what_follows(void **state)
{
	static const struct {
		const char *arguments[4];
		enum options_action action;
	} rows[] = {
		{ { "-h" }, OPTIONS_HELP },
		{ { "--help" }, OPTIONS_HELP },
		{ { "mp", "-fh", "--bogus" }, OPTIONS_HELP },
		{ { "--help", "--version" }, OPTIONS_HELP },
		{ { "-V" }, OPTIONS_VERSION },
		{ { "--version", "-o" }, OPTIONS_VERSION },
		{ { "-Vh" }, OPTIONS_VERSION },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct options options;
		struct refusal why = { "" };
		assert_int_equal(parse(&options, rows[i].arguments, &why), 0);
		assert_int_equal(options.action, rows[i].action);
		options_finish(&options);
	}
}

static void help_of_the_command_is_the_commands_own(void **state)
{
	static const struct {
		const char *arguments[6];
		size_t command; /* its index there */
		const char *mountpoint;
	} rows[] = {
		{ { "--", "true" }, 1, NULL },
		{ { "mp", "--", "ls", "-h", "--", "-o" }, 2, "mp" },
		{ { "-o", "nodev", "mp", "--", "-x" }, 4, "mp" },
		{ { "--", "--help" }, 1, NULL },
		{ { "source", "mp", "--", "--", "-f" }, 3, "mp" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *argv[8] = { (char *)(uintptr_t)"procfs-mp" };
		struct options options;
		struct refusal why = { "" };
		int argc = 1;
		for (; argc <= 6 && rows[i].arguments[argc - 1]; argc++)
			argv[argc] = (char *)(uintptr_t)rows[i].arguments[argc - 1];
		if (options_parse(&options, argc, argv, &why))
			fail_msg("row %zu: %s", i, why.sentence);
		assert_int_equal(options.action, OPTIONS_MOUNT);
		assert_ptr_equal(options.command, argv + 1 + rows[i].command);
		assert_true(options.foreground);
		assert_false(options.debug);
		if (rows[i].mountpoint)
			assert_string_equal(options.mountpoint, rows[i].mountpoint);
		else
			assert_null(options.mountpoint);
		options_finish(&options);
	}
}

static void an_upgrade_wants_a_mountpoint_and_nothing_else(void **state)
{
	static char *const good[] = { "procfs-mp", "--upgrade", "mp", NULL };
	static char *const bad[][6] = {
		{ "procfs-mp", "--upgrade", NULL },
		{ "procfs-mp", "--upgrade", "a", "b", NULL },
		{ "procfs-mp", "--upgrade", "a", "--", "true", NULL },
		{ "procfs-mp", "--upgrade", "", NULL },
	};
	struct options options;
	struct refusal why = { "" };
	(void)state;
	assert_int_equal(options_parse(&options, 3, good, &why), 0);
	assert_int_equal(options.action, OPTIONS_UPGRADE);
	assert_string_equal(options.mountpoint, "mp");
	options_finish(&options);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int argc = 0;
		while (bad[i][argc])
			argc++;
		assert_int_equal(options_parse(&options, argc, bad[i], &why), -EINVAL);
	}
}

static void limits_of_users_are_what_is_said_last(void **state)
{
	static const struct {
		const char *list;
		uint64_t processes, bytes;
	} rows[] = {
		{ "rw", 4096, 1 << 30 },
		{ "max_processes=0,max_bytes=10K", 0, 10 << 10 },
		{ "max_processes=max,max_bytes=max", UINT64_MAX, UINT64_MAX },
		{ "max_processes=1,max_processes=2,rw", 2, 1 << 30 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *arguments[] = { "-o", rows[i].list, NULL };
		struct options options;
		struct refusal why = { "" };
		assert_int_equal(parse(&options, arguments, &why), 0);
		assert_int_equal(options.limits.processes, rows[i].processes);
		assert_int_equal(options.limits.bytes, rows[i].bytes);
		assert_string_equal(options.fuse, NAMES);
		options_finish(&options);
	}
}

static void an_empty_argument_vector_is_a_mount_at_the_default(void **state)
{
	char *argv[] = { NULL };
	struct options options;
	struct refusal why = { "" };
	(void)state;
	assert_int_equal(options_parse(&options, 0, argv, &why), 0);
	assert_int_equal(options.action, OPTIONS_MOUNT);
	assert_null(options.mountpoint);
	options_finish(&options);
}

static void help_names_every_option_and_the_manual(void **state)
{
	static const char *const words[] = {
		"-f", "-d", "-s", "-o", "-h", "--help", "-V", "--version", "--upgrade", "-- COMMAND", "MOUNTPOINT", "allow_other",
		"allow_root", "default_permissions", "fsname=", "subtype=", "auto_unmount", "procfs-mp(1)",
		"max_processes=", "max_bytes=",
	};
	const char *help = options_help();
	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strstr(help, words[i]))
			fail_msg("help is without %s", words[i]);
	assert_int_equal(help[strlen(help) - 1], '\n');
	while (*help) {
		size_t width = strcspn(help, "\n");
		assert_true(width <= 80);
		help += width + 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_command_lines_mean_what_the_table_says),
		cmocka_unit_test(refused_command_lines_quote_the_word),
		cmocka_unit_test(words_of_fstab_and_systemd_change_nothing),
		cmocka_unit_test(flags_of_the_kernel_are_passed_in_their_order),
		cmocka_unit_test(help_and_version_win_over_what_follows),
		cmocka_unit_test(help_of_the_command_is_the_commands_own),
		cmocka_unit_test(limits_of_users_are_what_is_said_last),
		cmocka_unit_test(an_empty_argument_vector_is_a_mount_at_the_default),
		cmocka_unit_test(an_upgrade_wants_a_mountpoint_and_nothing_else),
		cmocka_unit_test(help_names_every_option_and_the_manual),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
