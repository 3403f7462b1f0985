#include "fs/files.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/ctl.h"
#include "fs/known.h"
#include "fs/result.h"
#include "fs/many.h"
#include "fs/show.h"
#include "fs/store.h"
#include "fs/terms.h"
#include "fs/streams.h"

enum {
	A_WORD = 80,
	A_PATH = 4096,
	MANY_LINES = 256 << 10,
	A_SCRIPT = 16 << 20,
};

/* Rows are only ever added at the end of the two tables: a node id names a row by its place. */
static const struct row ROOT_ROWS[] = {
	{ .name = "clone", .flags = ROW_CONTROL | ROW_EVERYBODY, .largest = SCRIPT_LARGEST,
	  .show = clone_show, .open = clone_open,
	  .help = "an open for writing makes a process Process-N; read gives its name, write takes what its ctl takes" },
	{ .name = "active_children", .show = active_children_show,
	  .help = "the processes that are started and not finished, a name a line" },
	{ .name = "self", .kind = ROW_LINK, .show = self_show,
	  .help = "leads to the process that the reader runs inside" },
	{ .name = "session", .flags = ROW_LEASE, .show = session_show, .open = session_open,
	  .help = "while a program holds it open, that program is a main process: its daemonic processes end with it" },
	{ .name = "start_method", .largest = A_WORD, .show = default_start_method_show, .store = default_start_method_store,
	  .help = "spawn, fork or forkserver: the default of new processes" },
	{ .name = "error", .show = root_error_show,
	  .help = "your last refusal that belongs to no process, as a sentence" },
	{ .name = "help", .show = files_show_help, .help = "this text" },
	{ .name = "version", .show = version_show, .help = "the version of procfs-mp; the pids of the mount's two processes, keeper and server" },
	{ .name = "status", .flags = ROW_COSTLY, .show = all_status_show,
	  .help = "all processes, a line each, as a table for people" },
	{ .name = "status.json", .flags = ROW_COSTLY, .show = all_status_json_show,
	  .help = "all processes, as an array of JSON objects" },
	{ .name = "locks", .kind = ROW_DIRECTORY, .flags = ROW_EVERYBODY,
	  .help = "any name can be made in it and locked: flock locks/NAME COMMAND" },
	{ .name = "ctl", .flags = ROW_CONTROL | ROW_EVERYBODY, .largest = SCRIPT_LARGEST, .show = many_show,
	  .help = "takes verbs for many: 'kill worker-*', 'join all 5'; reading gives their list" },
	{ .name = "events", .flags = ROW_EVENTS,
	  .help = "a line for each change, from the first still kept; follows like a pipe" },
};

static const struct row PROCESS_ROWS[] = {
	{ .name = "target", .flags = ROW_FROZEN, .largest = A_PATH, .show = target_show, .store = target_store,
	  .help = "the program: a path, or a name that is looked up in PATH" },
	{ .name = "args", .flags = ROW_FROZEN | ROW_EXACT, .largest = MANY_LINES, .show = args_show, .store = args_store, .former = args_former,
	  .help = "its arguments: words as a shell splits them (nothing is expanded), or ended by NUL bytes" },
	{ .name = "kwargs", .flags = ROW_FROZEN, .largest = MANY_LINES, .show = kwargs_show, .store = kwargs_store, .former = kwargs_former,
	  .help = "key=value a line, given as --key=value after args" },
	{ .name = "name", .largest = NAME_MAX, .show = name_show, .store = name_store,
	  .help = "a label, the directory's name at first" },
	{ .name = "daemon", .flags = ROW_FROZEN, .largest = A_WORD, .show = daemon_show, .store = daemon_store,
	  .help = "1: terminated when its main process ends; inherited" },
	{ .name = "authkey", .flags = ROW_SECRET, .largest = A_WORD, .show = authkey_show, .store = authkey_store,
	  .help = "64 hexadecimal digits, inherited" },
	{ .name = "start_method", .flags = ROW_FROZEN, .largest = A_WORD, .show = start_method_show,
	  .store = start_method_store, .help = "spawn, fork or forkserver (the last two are carried out as spawn)" },
	{ .name = "run", .flags = ROW_FROZEN | ROW_EXACT | ROW_EXECUTABLE, .largest = A_SCRIPT, .show = run_show, .size = run_size,
	  .store = run_store,
	  .help = "a script that is executed when target is empty; without #! by /bin/sh" },
	{ .name = "env", .flags = ROW_FROZEN | ROW_SECRET, .largest = MANY_LINES, .show = env_show, .store = env_store, .former = env_former,
	  .help = "KEY=value a line; -KEY unsets" },
	{ .name = "cwd", .flags = ROW_FROZEN, .largest = A_PATH, .show = cwd_show, .store = cwd_store,
	  .help = "the directory it starts in" },
	{ .name = "umask", .flags = ROW_FROZEN, .largest = A_WORD, .show = umask_show, .store = umask_store,
	  .help = "its file mode creation mask, in octal" },
	{ .name = "ctl", .flags = ROW_CONTROL, .largest = SCRIPT_LARGEST, .show = ctl_show,
	  .help = "takes verbs; reading gives their list" },
	{ .name = "pid", .show = pid_show, .help = "its process id, empty before start" },
	{ .name = "ppid", .show = ppid_show, .help = "its parent's process id, empty before start" },
	{ .name = "alive", .flags = ROW_KEPT, .show = alive_show, .help = "1 from start to end" },
	{ .name = "exitcode", .flags = ROW_KEPT_ONCE, .show = exitcode_show, .help = "0 to 255, or -N after signal N; empty before the end" },
	{ .name = "sentinel", .flags = ROW_WAITS, .show = sentinel_show,
	  .help = "for poll, select and epoll: readable once it has ended" },
	{ .name = "wait", .flags = ROW_WAITS, .show = wait_show,
	  .help = "reading waits until it has ended and gives the exit code" },
	{ .name = "state", .show = state_show, .help = "initial, running, paused or ended" },
	{ .name = "error", .flags = ROW_SECRET, .show = error_show,
	  .help = "the last refusal, as a sentence; empty after the next success" },
	{ .name = "parent", .kind = ROW_LINK, .show = parent_show, .help = "leads to the process that it was made inside of" },
	{ .name = "children", .kind = ROW_DIRECTORY, .help = "links to the processes made inside of it" },
	{ .name = "stdin", .flags = ROW_FROZEN | ROW_SECRET | ROW_FRESH, .largest = (size_t)1 << 32, .stream = stdin_stream,
	  .feed = stdin_feed, .help = "written before start: its whole input, unless stdin_open is 1" },
	{ .name = "stdout", .flags = ROW_SECRET, .captured = 1, .help = "what it wrote so far" },
	{ .name = "stderr", .flags = ROW_SECRET, .captured = 2, .help = "what it wrote to its standard error so far" },
	{ .name = "status", .show = status_show, .help = "all of it at a glance, secrets left out" },
	{ .name = "started", .show = started_show, .help = "when it was started, in UTC; empty before" },
	{ .name = "ended", .show = ended_show, .help = "when it ended, in UTC; empty before" },
	{ .name = "rusage", .show = rusage_show,
	  .help = "what it has used, so far or in all: key value a line, empty before start" },
	{ .name = "status.json", .show = status_json_show, .help = "status as a JSON object" },
	{ .name = "result", .flags = ROW_SECRET, .largest = RESULT_LARGEST, .permit = result_permit, .stream = result_stream,
	  .put = result_put, .help = "what it leaves for others: written from inside, as self/result, read outside" },
	{ .name = "stop_signal", .largest = A_WORD, .show = stop_signal_show, .store = stop_signal_store,
	  .help = "the signal that `stop` sends: TERM at first" },
	{ .name = "stop_timeout", .largest = A_WORD, .show = stop_timeout_show, .store = stop_timeout_store,
	  .help = "seconds from stop_signal to SIGKILL; 0: SIGKILL at once" },
	{ .name = "timeout", .flags = ROW_FROZEN, .largest = A_WORD, .show = timeout_show, .store = timeout_store,
	  .help = "seconds that it may run before it is stopped; empty: for ever" },
	{ .name = "memory_max", .flags = ROW_FROZEN, .largest = A_WORD, .show = memory_max_show, .store = memory_max_store,
	  .help = "how much memory it may use with all its descendants: bytes, also as 100M, or max" },
	{ .name = "cpu_max", .flags = ROW_FROZEN, .largest = A_WORD, .show = cpu_max_show, .store = cpu_max_store,
	  .help = "how much of a CPU: QUOTA PERIOD in microseconds, or max" },
	{ .name = "pids_max", .flags = ROW_FROZEN, .largest = A_WORD, .show = pids_max_show, .store = pids_max_store,
	  .help = "how many processes and threads, or max" },
	{ .name = "user", .flags = ROW_FROZEN, .largest = A_WORD, .show = user_show, .store = user_store,
	  .help = "whom it runs as; the superuser's to choose in a directory of its own" },
	{ .name = "nice", .flags = ROW_FROZEN, .largest = A_WORD, .show = nice_show, .store = nice_store,
	  .help = "its priority, -20 to 19" },
	{ .name = "limits", .flags = ROW_FROZEN, .largest = A_PATH, .show = limits_show_lines, .store = limits_store,
	  .former = limits_former,
	  .help = "what it may use: NAME SOFT:HARD a line, as setrlimit(2) names them" },
	{ .name = "restart", .largest = A_WORD, .show = restart_show, .store = restart_store,
	  .help = "no, on-failure or always: whether it is run again after it has ended by itself" },
	{ .name = "stdout_to", .flags = ROW_FROZEN, .largest = A_PATH, .show = stdout_to_show, .store = stdout_to_store,
	  .help = "where its output goes: a path, stderr, or inherit [N] of who writes start; empty: it is kept here" },
	{ .name = "stderr_to", .flags = ROW_FROZEN, .largest = A_PATH, .show = stderr_to_show, .store = stderr_to_store,
	  .help = "the same for its standard error: a path, stdout, or inherit [N]" },
	{ .name = "output", .flags = ROW_SECRET | ROW_FOLLOWS, .captured = 3,
	  .help = "stdout and stderr as they come: reading waits for more until it has ended" },
	{ .name = "output_max", .flags = ROW_FROZEN, .largest = A_WORD, .show = output_max_show, .store = output_max_store,
	  .help = "bytes kept of each stream, the newest (K, M, G); at first 16 MiB" },
	{ .name = "stdin_open", .flags = ROW_FROZEN, .largest = A_WORD, .show = stdin_open_show, .store = stdin_open_store,
	  .help = "1: stdin can be written while it runs, until eof" },
};

enum {
	ROOT_ROW_COUNT = sizeof ROOT_ROWS / sizeof *ROOT_ROWS,
	PROCESS_ROW_COUNT = sizeof PROCESS_ROWS / sizeof *PROCESS_ROWS,
};

const struct row *files_row(bool root, unsigned index)
{
	if (root)
		return index < ROOT_ROW_COUNT ? &ROOT_ROWS[index] : NULL;
	return index < PROCESS_ROW_COUNT ? &PROCESS_ROWS[index] : NULL;
}

int files_find(bool root, const char *name)
{
	const struct row *row;
	for (unsigned i = 0; (row = files_row(root, i)); i++)
		if (!strcmp(row->name, name))
			return (int)i;
	return -ENOENT;
}

bool row_is_writable(const struct row *row)
{
	return row->store || row->feed || row->put || (row->flags & ROW_CONTROL);
}

mode_t row_mode(const struct row *row, bool shared)
{
	if (row->kind == ROW_LINK)
		return S_IFLNK | 0777;
	if (row->kind == ROW_DIRECTORY)
		return S_IFDIR | ((row->flags & ROW_EVERYBODY) ? shared ? 0777 : 0755 : 0555);
	mode_t mode = S_IFREG | 0444;
	if (row_is_writable(row))
		mode |= shared && (row->flags & ROW_EVERYBODY) ? 0222 : 0200;
	if (row->flags & ROW_EXECUTABLE)
		mode |= 0111;
	if (row->flags & ROW_SECRET)
		mode &= ~(mode_t)077;
	return mode;
}

int row_store(const struct row *row, const struct view *view, const char *bytes, size_t size)
{
	if (!view->check && (row->flags & ROW_FROZEN)) {
		int error = manager_check_initial(view->process, view->caller->why);
		if (error)
			return error;
	}
	if (!size)
		bytes = "";
	if (!(row->flags & ROW_EXACT) && size && bytes[size - 1] == '\n')
		size--;
	if (size > row->largest)
		return refuse(view->caller->why, E2BIG, "%s takes at most %zu bytes", row->name, row->largest);
	struct process *process = view->check ? NULL : view->process;
	int error = process ? share_check(process->share, &(struct share_cost){ .bytes = size }, view->caller->why) : 0;
	if (!error)
		error = row->store(view, bytes, size);
	if (error == -ENOMEM)
		refuse(view->caller->why, ENOMEM, "out of memory");
	if (!error && process) {
		process_touch(process);
		share_recount(process);
	}
	return error;
}

static void add_rows(struct text *out, bool root)
{
	static const char *const MARK[] = { [ROW_FILE] = "", [ROW_LINK] = "@", [ROW_DIRECTORY] = "/" };
	const struct row *row;
	for (unsigned i = 0; (row = files_row(root, i)); i++) {
		int width = 15 - (int)strlen(row->name);
		text_printf(out, "  %s%-*s %s\n", row->name, width > 0 ? width : 0, MARK[row->kind], row->help);
	}
}

int files_show_help(const struct view *view, struct text *out)
{
	text_add(out, "Each directory is a process: mkdir makes one, rmdir removes one that does not run.\n\n"
		      "  mkdir hello; echo echo > hello/target; echo 'hello bob' > hello/args\n"
		      "  echo start > hello/ctl; cat hello/wait hello/stdout; rmdir hello\n\nhere:\n");
	add_rows(out, true);
	text_add(out, "\nin a process's directory:\n");
	add_rows(out, false);
	text_add(out, "\nverbs, written to ctl, a line each:\n");
	int error = ctl_show(view, out);
	text_add(out, "\nverbs for many, written to the ctl beside this file:\n");
	if (!error)
		error = many_show(view, out);
	text_add(out, "\nWhen something is refused, the error file beside it says why. See also procfs-mp(1).\n");
	return error ? error : text_status(out);
}
