#include "world.h"

#include <sys/stat.h>

#include "fs/ctl.h"
#include "fs/files.h"
#include "fs/node.h"

static const struct {
	bool root;
	const char *name;
} tables[] = { { true, "the root" }, { false, "a process" } };

enum { BOTH = 2 };

#define FOR_EACH_ROW(row, t)                            \
	for (int t = 0; t < BOTH; t++)                  \
		for (unsigned row##_index = 0;          \
		     (row = files_row(tables[t].root, row##_index)); row##_index++)

static const struct row *find(bool root, const char *name)
{
	int index = files_find(root, name);

	assert_true(index >= 0);
	return files_row(root, (unsigned)index);
}

/* ---- the tables ---- */

static void every_name_is_one_of_a_file_and_finds_its_own_row(void **state)
{
	const struct row *row;

	(void)state;
	FOR_EACH_ROW(row, t) {
		assert_true(row->name[0] && strlen(row->name) <= 255);
		assert_null(strchr(row->name, '/'));
		assert_string_not_equal(row->name, ".");
		assert_string_not_equal(row->name, "..");
		assert_int_equal(files_find(tables[t].root, row->name), row_index);
	}
}

static void rows_are_fewer_than_a_node_can_say(void **state)
{
	unsigned counts[BOTH] = { 0, 0 };
	const struct row *row;

	(void)state;
	FOR_EACH_ROW(row, t)
		counts[t] = row_index + 1;
	for (int t = 0; t < BOTH; t++) {
		assert_true(counts[t] > 0);
		assert_true(counts[t] <= NODE_LOCK - NODE_FIRST_ROW);
		assert_null(files_row(tables[t].root, counts[t]));
		assert_null(files_row(tables[t].root, UINT32_MAX));
		assert_int_equal(files_find(tables[t].root, "no such file"), -ENOENT);
		assert_int_equal(files_find(tables[t].root, ""), -ENOENT);
	}
}

static void every_row_has_a_line_of_help_and_the_functions_that_its_kind_needs(void **state)
{
	const struct row *row;

	(void)state;
	FOR_EACH_ROW(row, t) {
		bool can_change = row->store || row->feed || row->put || (row->flags & ROW_CONTROL);

		assert_true(row->help && row->help[0]);
		assert_null(strchr(row->help, '\n'));
		assert_true(row->kind == ROW_DIRECTORY ? !row->show : row->show || row->stream || row->captured ||
			    (row->flags & ROW_EVENTS));
		assert_false(row->show && row->stream);
		assert_int_equal(!!row->store + !!row->feed + !!row->put <= 1, 1);
		assert_int_equal(row_is_writable(row), can_change);
		/* What takes bytes says how many, and what takes none doesn't. */
		assert_int_equal(row->largest > 0, can_change);
		assert_true(!(row->flags & (ROW_FROZEN | ROW_EXACT)) || can_change);
		if (row->flags & ROW_FROZEN)
			assert_false(tables[t].root);
	}
}

static void the_mode_follows_from_the_functions(void **state)
{
	const struct row *row;

	(void)state;
	FOR_EACH_ROW(row, t) {
		for (int shared = 0; shared < 2; shared++) {
			mode_t mode = row_mode(row, shared);
			mode_t others = mode & 0007;

			assert_int_equal(S_ISREG(mode), row->kind == ROW_FILE);
			assert_int_equal(S_ISLNK(mode), row->kind == ROW_LINK);
			assert_int_equal(S_ISDIR(mode), row->kind == ROW_DIRECTORY);
			assert_true(mode & 0400);
			if (row->kind != ROW_FILE)
				continue;
			assert_int_equal((mode & 0200) != 0, row_is_writable(row));
			assert_int_equal((mode & 0100) != 0, (row->flags & ROW_EXECUTABLE) != 0);
			assert_int_equal((mode & 0070) >> 3, others);
			assert_int_equal((others & 04) != 0, !(row->flags & ROW_SECRET));
			assert_int_equal((others & 02) != 0, shared && (row->flags & ROW_EVERYBODY) && !(row->flags & ROW_SECRET));
		}
	}
}

static void modes_are_what_people_will_see(void **state)
{
	static const struct {
		bool root;
		const char *name;
		mode_t alone, shared;
	} rows[] = {
		{ true, "clone", S_IFREG | 0644, S_IFREG | 0666 },
		{ true, "active_children", S_IFREG | 0444, S_IFREG | 0444 },
		{ true, "self", S_IFLNK | 0777, S_IFLNK | 0777 },
		{ true, "start_method", S_IFREG | 0644, S_IFREG | 0644 },
		{ true, "ctl", S_IFREG | 0644, S_IFREG | 0666 },
		{ true, "events", S_IFREG | 0444, S_IFREG | 0444 },
		{ false, "restart", S_IFREG | 0644, S_IFREG | 0644 },
		{ false, "target", S_IFREG | 0644, S_IFREG | 0644 },
		{ false, "ctl", S_IFREG | 0644, S_IFREG | 0644 },
		{ false, "pid", S_IFREG | 0444, S_IFREG | 0444 },
		{ false, "run", S_IFREG | 0755, S_IFREG | 0755 },
		{ false, "env", S_IFREG | 0600, S_IFREG | 0600 },
		{ false, "authkey", S_IFREG | 0600, S_IFREG | 0600 },
		{ false, "stdin", S_IFREG | 0600, S_IFREG | 0600 },
		{ false, "stdout", S_IFREG | 0400, S_IFREG | 0400 },
		{ false, "stderr", S_IFREG | 0400, S_IFREG | 0400 },
		{ false, "error", S_IFREG | 0400, S_IFREG | 0400 },
		{ false, "status", S_IFREG | 0444, S_IFREG | 0444 },
		{ false, "parent", S_IFLNK | 0777, S_IFLNK | 0777 },
		{ false, "children", S_IFDIR | 0555, S_IFDIR | 0555 },
		{ true, "locks", S_IFDIR | 0755, S_IFDIR | 0777 },
		{ true, "status.json", S_IFREG | 0444, S_IFREG | 0444 },
		{ false, "result", S_IFREG | 0600, S_IFREG | 0600 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = find(rows[i].root, rows[i].name);

		assert_int_equal(row_mode(row, false), rows[i].alone);
		assert_int_equal(row_mode(row, true), rows[i].shared);
	}
}

static void help_names_every_file_and_every_verb(void **state)
{
	struct world *world = *state;
	struct view view = { .manager = world->manager, .caller = &world->caller };
	struct text out = { 0 };
	const struct row *row;
	char *help;

	assert_int_equal(files_show_help(&view, &out), 0);
	help = text_take(&out, NULL);
	FOR_EACH_ROW(row, t) {
		assert_non_null(strstr(help, row->name));
		assert_non_null(strstr(help, row->help));
	}
	assert_int_equal(ctl_show(&view, &out), 0);
	text_append(&out, "", 1);
	assert_non_null(strstr(help, out.data));
	text_finish(&out);
	free(help);
}

/* ---- show, of a process in its first state ---- */

static void every_file_of_a_new_process_can_be_shown(void **state)
{
	static const struct {
		const char *name;
		int result;
		const char *content;
	} rows[] = {
		{ "target", 0, "/bin/true\n" }, { "args", 0, "" }, { "kwargs", 0, "" }, { "name", 0, "x\n" },
		{ "daemon", 0, "0\n" }, { "start_method", 0, "spawn\n" }, { "run", 0, "" }, { "env", 0, "" },
		{ "cwd", 0, "" }, { "umask", 0, "0022\n" }, { "pid", 0, "" }, { "ppid", 0, "" }, { "alive", 0, "0\n" },
		{ "exitcode", 0, "" }, { "sentinel", -ESRCH, "" }, { "wait", -ESRCH, "" }, { "state", 0, "initial\n" },
		{ "error", 0, "" }, { "parent", -ENOENT, "" },
		{ "started", 0, "" }, { "ended", 0, "" }, { "rusage", 0, "" },
	};
	struct world *world = *state;
	struct view view = { world->manager, world_make(world, "x"), &world->caller, false };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text out = { 0 };
		char *content;

		assert_int_equal(find(false, rows[i].name)->show(&view, &out), rows[i].result);
		content = text_take(&out, NULL);
		assert_string_equal(content, rows[i].content);
		free(content);
	}
}

/* ---- store ---- */

static void a_value_that_is_stored_is_shown_in_its_own_form(void **state)
{
	static const struct {
		const char *name, *written, *shown;
	} rows[] = {
		{ "target", "/bin/sleep", "/bin/sleep\n" },
		{ "target", "sleep\n", "sleep\n" },
		{ "target", "two words\n\n", "two words\n\n" },
		{ "target", "", "" },
		{ "args", "a  'b c'\n", "a 'b c'\n" },
		{ "args", "", "" },
		{ "kwargs", "k=v\nl=two words\n", "k=v\nl=two words\n" },
		{ "env", "A=1\n-B", "A=1\n-B\n" },
		{ "run", "#!/bin/sh\n\n", "#!/bin/sh\n\n" },
		{ "cwd", "sub\n", "sub\n" },
		{ "umask", "77", "0077\n" },
		{ "umask", "0\n", "0000\n" },
		{ "daemon", "1", "1\n" },
		{ "daemon", "0\n", "0\n" },
		{ "name", "label", "label\n" },
		{ "name", "", "x\n" },
		{ "start_method", "forkserver\n", "forkserver\n" },
		{ "authkey", "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff",
		  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n" },
	};
	struct world *world = *state;
	struct view view = { world->manager, world_make(world, "x"), &world->caller, false };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = find(false, rows[i].name);
		struct text out = { 0 };
		char *shown;

		assert_int_equal(row_store(row, &view, rows[i].written, strlen(rows[i].written)), 0);
		assert_int_equal(row->show(&view, &out), 0);
		shown = text_take(&out, NULL);
		assert_string_equal(shown, rows[i].shown);
		free(shown);
	}
}

static char *show(const struct row *row, const struct view *view)
{
	struct text out = { 0 };

	assert_int_equal(row->show(view, &out), 0);
	return text_take(&out, NULL);
}

static void what_is_no_value_is_einval_with_a_sentence_and_changes_nothing(void **state)
{
#define BYTES(bytes) bytes, sizeof(bytes) - 1
	static const struct {
		const char *name, *good, *bad;
		size_t size;
		const char *part;
	} rows[] = {
		{ "target", "/bin/x", BYTES("/bin\0x"), "NUL" },
		{ "cwd", "/srv", BYTES("\0"), "NUL" },
		{ "name", "label", BYTES("a\0b"), "NUL" },
		{ "args", "a b", BYTES("'a"), "args: " },
		{ "args", "a b", BYTES("a\\"), "args: " },
		{ "kwargs", "k=v", BYTES("k"), "'k' is not a line of the form key=value" },
		{ "kwargs", "k=v", BYTES("=v"), "'=v'" },
		{ "kwargs", "k=v", BYTES("k=v\n-k"), "'-k'" },
		{ "kwargs", "k=v", BYTES("k=v\0"), "NUL" },
		{ "env", "A=1", BYTES("A=2\nB"), "'B' is not a line of the form KEY=value or -KEY" },
		{ "env", "A=1", BYTES("-"), "'-'" },
		{ "env", "A=1", BYTES("-A=1"), "'-A=1'" },
		{ "env", "A=1", BYTES("A B=1"), "'A B=1'" },
		{ "env", "A=1", BYTES("1A=1"), "'1A=1'" },
		{ "umask", "22", BYTES(""), "''" },
		{ "umask", "22", BYTES("8"), "'8' is no mask; valid are 0000 to 0777" },
		{ "umask", "22", BYTES("1000"), "'1000'" },
		{ "umask", "22", BYTES("-1"), "'-1'" },
		{ "umask", "22", BYTES(" 7"), "' 7'" },
		{ "umask", "22", BYTES("7 "), "'7 '" },
		{ "daemon", "1", BYTES("2"), "'2' is not valid for daemon; valid are 0 and 1" },
		{ "daemon", "1", BYTES(""), "''" },
		{ "daemon", "1", BYTES("true"), "'true'" },
		{ "daemon", "1", BYTES("0\0"), "NUL" },
		{ "start_method", "fork", BYTES("thread"), "cannot find context for 'thread'; valid are spawn, fork and forkserver" },
		{ "authkey", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", BYTES(""), "64 hexadecimal digits" },
		{ "authkey", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", BYTES("00"), "64 hexadecimal digits" },
		{ "authkey", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		  BYTES("g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"), "64 hexadecimal digits" },
	};
	struct world *world = *state;
	struct view view = { world->manager, world_make(world, "x"), &world->caller, false };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = find(false, rows[i].name);
		char *before, *after;

		assert_int_equal(row_store(row, &view, rows[i].good, strlen(rows[i].good)), 0);
		before = show(row, &view);
		for (int check = 0; check < 2; check++) {
			view.check = check;
			world->why.sentence[0] = '\0';
			assert_int_equal(row_store(row, &view, rows[i].bad, rows[i].size), -EINVAL);
			assert_non_null(strstr(world->why.sentence, rows[i].part));
		}
		view.check = false;
		after = show(row, &view);
		assert_string_equal(after, before);
		free(before);
		free(after);
	}
}

static void checking_a_good_value_changes_nothing(void **state)
{
	static const struct {
		const char *name, *good, *other;
	} rows[] = {
		{ "target", "/bin/x", "/bin/y" }, { "args", "a", "b" }, { "kwargs", "k=v", "l=w" }, { "env", "A=1", "-A" },
		{ "run", "one", "two" }, { "cwd", "/a", "/b" }, { "umask", "22", "77" }, { "daemon", "1", "0" },
		{ "name", "one", "two" }, { "start_method", "fork", "spawn" },
	};
	struct world *world = *state;
	struct view view = { world->manager, world_make(world, "x"), &world->caller, false };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = find(false, rows[i].name);
		char *before, *after;

		assert_int_equal(row_store(row, &view, rows[i].good, strlen(rows[i].good)), 0);
		before = show(row, &view);
		view.check = true;
		assert_int_equal(row_store(row, &view, rows[i].other, strlen(rows[i].other)), 0);
		view.check = false;
		after = show(row, &view);
		assert_string_equal(after, before);
		free(before);
		free(after);
	}
}

static void more_than_the_largest_value_is_e2big_and_says_how_much_fits(void **state)
{
	struct world *world = *state;
	struct view view = { world->manager, world_make(world, "x"), &world->caller, false };
	struct view root = { world->manager, NULL, &world->caller, false };
	const struct row *row;

	FOR_EACH_ROW(row, t) {
		char *bytes, expected[100];

		if (!row->store)
			continue;
		bytes = malloc(row->largest + 1);
		assert_non_null(bytes);
		memset(bytes, 'a', row->largest + 1);
		snprintf(expected, sizeof(expected), "%s takes at most %zu bytes", row->name, row->largest);
		assert_int_equal(row_store(row, tables[t].root ? &root : &view, bytes, row->largest + 1), -E2BIG);
		assert_string_equal(world->why.sentence, expected);
		assert_int_not_equal(row_store(row, tables[t].root ? &root : &view, bytes, row->largest), -E2BIG);
		bytes[row->largest] = '\n';
		if (!(row->flags & ROW_EXACT))
			assert_int_not_equal(row_store(row, tables[t].root ? &root : &view, bytes, row->largest + 1), -E2BIG);
		free(bytes);
	}
}

static void what_is_frozen_is_ebusy_after_start_and_the_rest_is_not(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct view view = { world->manager, process, &world->caller, false };
	const struct row *row;
	unsigned frozen = 0, free_ones = 0;

	world_run(world, process);
	for (unsigned i = 0; (row = files_row(false, i)); i++) {
		int error;

		if (!row->store)
			continue;
		error = row_store(row, &view, "", 0);
		if (row->flags & ROW_FROZEN) {
			frozen++;
			assert_int_equal(error, -EBUSY);
			assert_string_equal(world->why.sentence, "process has already started");
		} else {
			free_ones++;
			assert_int_not_equal(error, -EBUSY);
		}
	}
	assert_true(frozen >= 8 && free_ones >= 2);
	assert_string_equal(process->configuration.target.bytes, "/bin/true");
}

static void every_store_takes_no_bytes_from_nowhere(void **state)
{
	struct world *world = *state;
	struct view view = { world->manager, world_make(world, "x"), &world->caller, false };
	const struct row *row;

	for (unsigned i = 0; (row = files_row(false, i)); i++)
		if (row->store)
			assert_true(row_store(row, &view, NULL, 0) == 0 || world->why.sentence[0]);
}

/* What a node number says that the kernel has from a server of another version (core/layout). */
static void rows_are_only_ever_added_at_the_end(void **state)
{
	static const char *const known[] = {
		"clone active_children self session start_method error help version status status.json locks ctl "
		"events",
		"target args kwargs name daemon authkey start_method run env cwd umask ctl pid ppid alive exitcode "
		"sentinel wait state error parent children stdin stdout stderr status started ended rusage "
		"status.json result stop_signal stop_timeout timeout memory_max cpu_max pids_max user nice limits "
		"restart stdout_to stderr_to output output_max stdin_open",
	};

	(void)state;
	for (int root = 1; root >= 0; root--) {
		const char *rest = known[!root];

		for (unsigned i = 0; *rest; i++) {
			size_t size = strcspn(rest, " ");

			assert_non_null(files_row(root, i));
			assert_int_equal(strlen(files_row(root, i)->name), size);
			assert_memory_equal(files_row(root, i)->name, rest, size);
			rest += size + (rest[size] == ' ');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_one_of_a_file_and_finds_its_own_row),
		cmocka_unit_test(rows_are_only_ever_added_at_the_end),
		cmocka_unit_test(rows_are_fewer_than_a_node_can_say),
		cmocka_unit_test(every_row_has_a_line_of_help_and_the_functions_that_its_kind_needs),
		cmocka_unit_test(the_mode_follows_from_the_functions),
		cmocka_unit_test(modes_are_what_people_will_see),
		IN_WORLD(help_names_every_file_and_every_verb),
		IN_WORLD(every_file_of_a_new_process_can_be_shown),
		IN_WORLD(a_value_that_is_stored_is_shown_in_its_own_form),
		IN_WORLD(what_is_no_value_is_einval_with_a_sentence_and_changes_nothing),
		IN_WORLD(checking_a_good_value_changes_nothing),
		IN_WORLD(more_than_the_largest_value_is_e2big_and_says_how_much_fits),
		IN_WORLD(what_is_frozen_is_ebusy_after_start_and_the_rest_is_not),
		IN_WORLD(every_store_takes_no_bytes_from_nowhere),
	};

	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
