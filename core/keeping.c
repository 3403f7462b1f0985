#include "core/keeping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/capture.h"
#include "core/cgroup_tree.h"
#include "core/input.h"
#include "core/manager_private.h"
#include "core/memory_file.h"
#include "core/process_record.h"
#include "core/restart.h"
#include "core/share.h"
#include "core/stopping.h"

/* What is larger is put without looking whether it is the same. */
enum { COMPARED_MOST = 4096 };

/* FNV-1a, 64 bits: to tell a record from the last one under its key. */
static uint64_t hash_of(const struct text *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < text->size; i++)
		hash = (hash ^ (unsigned char)text->data[i]) * UINT64_C(0x100000001b3);
	return hash ? hash : 1;
}

struct record_name {
	enum record_kind kind;
	uint64_t key;
};

/* known: the hash of what was put last, 0: nothing. */
static int put(struct manager *manager, const struct text *text, struct record_name name, uint64_t *known)
{
	uint64_t hash = text->size > COMPARED_MOST || text_status(text) ? 0 : hash_of(text);
	if (hash && hash == *known)
		return 0;
	*known = hash;
	return journal_end_record(manager->config.journal, name.kind, name.key);
}

static struct text *begin_record(struct manager *manager)
{
	return journal_begin_record(manager->config.journal);
}

/* ---- putting ---- */

static struct process_ties ties_of(const struct process *process)
{
	struct process_ties ties = {
		.parent = process->parent ? process->parent->id : 0,
		.session = process->session ? process->session->key : 0,
		.tree = process->tree ? process->tree->number : 0,
		.written = memory_file_size(process->state == PROCESS_INITIAL ? process->stdin_fd : process->result_fd),
	};
	for (int i = 0; i < 2; i++)
		ties.output_dropped[i] = process->capture ? process->capture->streams[i].dropped : 0;
	if (process->input) {
		ties.has_input = true;
		ties.input = (struct input_past){ process->input->sent, process->input->end, process->input->ending };
	}
	if (process->start) {
		ties.writer = process->start->writer.pid;
		ties.writer_start = process->start->writer.start;
	}
	return ties;
}

static int put_process(struct manager *manager, struct process *process)
{
	struct kept *kept = &process->kept;
	struct process_ties ties = ties_of(process);
	struct text *text = begin_record(manager);
	process_pack(process, &ties, text);
	restart_pack(process, text);
	stopping_pack(process, text);
	int error = put(manager, text, (struct record_name){ RECORD_PROCESS, process->id }, &kept->state);
	bool was_frozen = process->is_frozen;
	process->is_frozen = process->state != PROCESS_INITIAL;
	if (error || (was_frozen && process->is_frozen))
		return error;
	text = begin_record(manager);
	process_pack_configuration(process, text);
	return put(manager, text, (struct record_name){ RECORD_CONFIGURATION, process->id }, &kept->configuration);
}

static int put_user(struct manager *manager, struct user *user)
{
	struct text *text = begin_record(manager);
	record_put_bytes(text, user->authkey, user->authkey ? PROCESS_AUTHKEY_SIZE : 0);
	record_put_string(text, user->error);
	return put(manager, text, (struct record_name){ RECORD_USER, user->uid }, &user->kept);
}

static int put_session(struct manager *manager, struct session *session)
{
	struct text *text = begin_record(manager);
	record_put_signed(text, session->pid);
	record_put_number(text, session->owner);
	record_put_number(text, session->start);
	record_put_number(text, session->over);
	return put(manager, text, (struct record_name){ RECORD_SESSION, session->key }, &session->kept);
}

static int put_manager(struct manager *manager)
{
	struct text *text = begin_record(manager);
	record_put_number(text, manager->last_id);
	record_put_number(text, manager->made);
	record_put_number(text, manager->last_session);
	record_put_number(text, manager->start_method);
	record_put_number(text, manager->signals);
	record_put_number(text, manager->command_runs);
	record_put_number(text, manager->ending);
	record_put_number(text, manager->killing);
	record_put_number(text, manager->oldest);
	return put(manager, text, (struct record_name){ RECORD_MANAGER, 0 }, &manager->kept);
}

static void forget_hashes(struct manager *manager)
{
	struct process *process = NULL;
	struct user *user;
	struct session *session;
	manager->kept = 0;
	manager->are_users_changed = manager->are_sessions_changed = true;
	for (user = manager->users; user; user = user->hh.next)
		user->kept = 0;
	LIST_FOREACH(session, &manager->sessions, link)
		session->kept = 0;
	while ((process = manager_after(manager, process ? process->id : 0))) {
		process->kept.state = process->kept.configuration = 0;
		process->is_frozen = false;
		process_touch(process);
	}
}

static int put_users_and_sessions(struct manager *manager)
{
	struct session *session;
	int error = 0;
	for (struct user *user = manager->are_users_changed ? manager->users : NULL; user && !error; user = user->hh.next)
		error = put_user(manager, user);
	if (manager->are_sessions_changed)
		LIST_FOREACH(session, &manager->sessions, link)
			error = error ? error : put_session(manager, session);
	manager->are_users_changed = manager->are_sessions_changed = false;
	return error;
}

int keeping_put(struct manager *manager, bool all)
{
	struct process *process;
	if (all)
		forget_hashes(manager);
	int error = put_manager(manager);
	if (!error)
		error = put_users_and_sessions(manager);
	while ((process = LIST_FIRST(&manager->changed))) {
		LIST_REMOVE(process, kept.link);
		process->is_changed = false;
		error = error ? error : put_process(manager, process);
	}
	return error;
}

/* ---- taking ---- */

static int take_manager(struct manager *manager, struct record_reader *from)
{
	manager->last_id = record_number(from);
	manager->made = record_number(from);
	manager->last_session = record_number(from);
	manager->start_method = (enum start_method)record_number(from);
	manager->signals = (unsigned)record_number(from);
	manager->command_runs = record_number(from);
	manager->ending = record_number(from);
	manager->killing = record_number(from);
	manager->oldest = record_number(from);
	return 0;
}

static int take_user(struct manager *manager, uid_t uid, struct record_reader *from)
{
	struct user *user = manager_user(manager, uid);
	size_t size;
	if (!user)
		return -ENOMEM;
	user->authkey = (unsigned char *)record_copy(from, &size);
	user->error = record_copy(from, NULL);
	return user->authkey && size != PROCESS_AUTHKEY_SIZE ? -EPROTO : 0;
}

static int take_session(struct manager *manager, uint64_t key, struct record_reader *from)
{
	struct session *session = calloc(1, sizeof *session);
	if (!session)
		return -ENOMEM;
	session->manager = manager;
	session->key = key;
	session->pid = (pid_t)record_signed(from);
	session->owner = (uid_t)record_number(from);
	session->start = record_number(from);
	session->over = record_number(from);
	session->pid_fd = -1;
	if (!session->over && manager_share(manager, session->owner, &session->share)) {
		free(session);
		return -ENOMEM;
	}
	share_settle(session->share, &session->held, &(struct share_cost){ .descriptors = !session->over });
	LIST_INIT(&session->children);
	LIST_INSERT_HEAD(&manager->sessions, session, link);
	return 0;
}

/* Whoever was its main process may be gone: then it is the mount's. */
static void tie(struct manager *manager, struct process *process, const struct process_ties *ties)
{
	struct process_list *list = &manager->children;
	process->parent = ties->parent ? manager_by_id(manager, ties->parent) : NULL;
	process->session = ties->session ? manager_session(manager, ties->session) : NULL;
	if (process->parent)
		list = &process->parent->children;
	else if (process->session)
		list = &process->session->children;
	LIST_INSERT_HEAD(list, process, sibling);
}

static int take_streams(struct manager *manager, struct process *process, const struct process_ties *ties)
{
	if (ties->output_dropped[0] || ties->output_dropped[1]) {
		struct capture *capture = capture_of(manager->captures, process);
		if (!capture)
			return -ENOMEM;
		capture->streams[0].dropped = ties->output_dropped[0];
		capture->streams[1].dropped = ties->output_dropped[1];
	}
	process->kept.written = ties->written;
	if (!ties->has_input)
		return 0;
	return input_take(manager->config.loop, manager->config.porter, process, &ties->input);
}

/* The program that wrote start waits for it: it is there as long as its request is. */
static int take_start(struct manager *manager, struct process *process, const struct process_ties *ties)
{
	struct start *start = calloc(1, sizeof *start);
	if (!start)
		return -ENOMEM;
	start->manager = manager;
	start->process = process;
	redirection_find_writer(ties->writer, ties->writer_start, &start->writer);
	process->start = start;
	LIST_INSERT_HEAD(&manager->beginning, process, beginning);
	return 0;
}

static void take_tree(struct manager *manager, struct process *process, const struct process_ties *ties)
{
	if (!ties->tree)
		return;
	/* Removed: its number may be used again. */
	if (!manager->cgroups || cgroup_tree_claim(manager->cgroups, ties->tree, &process->tree))
		process_touch(process);
	else if (process->state == PROCESS_ENDED || process->state == PROCESS_INITIAL)
		cgroup_tree_leave(manager->cgroups, process->tree);
}

/* Its entry is claimed, and will be released. */
static bool has_claim(const struct process *process)
{
	return process->launch.generation && (process->state == PROCESS_STARTING || process->state == PROCESS_RUNNING);
}

static void count_running(struct manager *manager, struct process *process)
{
	manager->running++;
	LIST_INSERT_HEAD(pids_like(manager, process->pid), process, by_pid);
}

static int take_process(struct manager *manager, uint64_t id, struct record_reader *from)
{
	struct process_ties ties;
	struct process *process;
	int error = manager_reserve(manager);
	if (!error)
		error = manager_reserve_release(manager);
	if (!error)
		error = process_unpack(id, from, &process, &ties);
	if (error)
		return error;
	manager->claims += has_claim(process);
	tie(manager, process, &ties);
	manager_insert(manager, process);
	struct share *share;
	error = manager_share(manager, process->owner, &share);
	if (!error)
		error = process_set_share(process, share);
	if (!error)
		error = manager_enter(manager, process);
	if (!error && process->state != PROCESS_INITIAL)
		error = process_reserve_usage(process);
	take_tree(manager, process, &ties);
	if (!error)
		error = restart_unpack(manager, process, from);
	if (!error)
		error = stopping_unpack(manager, process, from);
	if (!error)
		error = take_streams(manager, process, &ties);
	if (!error && process->state == PROCESS_STARTING)
		error = take_start(manager, process, &ties);
	if (!error && process->state == PROCESS_RUNNING)
		count_running(manager, process);
	return error;
}

int keeping_take(struct manager *manager, const struct record *record)
{
	struct record_reader from = record_reader_of(record->bytes, record->size);
	struct process *process;
	int error = -EPROTO;
	switch (record->kind) {
	case RECORD_MANAGER:
		error = take_manager(manager, &from);
		break;
	case RECORD_USER:
		error = take_user(manager, (uid_t)record->key, &from);
		break;
	case RECORD_SESSION:
		error = take_session(manager, record->key, &from);
		break;
	case RECORD_PROCESS:
		error = take_process(manager, record->key, &from);
		break;
	case RECORD_CONFIGURATION:
		process = manager_by_id(manager, record->key);
		error = process ? process_unpack_configuration(process, &from) : 0;
		break;
	default:
		break;
	}
	return from.lacks ? -ENOMEM : !error && from.bad ? -EPROTO : error;
}

/* ---- going on ---- */

/* What the keeper has taken goes on by itself; the rest never reached it, because the keeper has read all that
 * the dead server sent before it began this one. */
static void resume_start(struct manager *manager, struct process *process)
{
	struct ptable *table = manager->config.table;
	if (start_is_taken(manager, process)) {
		start_count_sent(process->start);
		return;
	}
	manager->claims -= has_claim(process);
	ptable_step(table, process->launch, PTABLE_CLAIMED, PTABLE_FAILED);
	ptable_release(table, process->launch);
	process->launch = (struct ptable_ref){0};
	cgroups_leave(manager->cgroups, process->id);
	start_resume(process->start);
}

static void resume_starts(struct manager *manager)
{
	struct process *process, *next;
	for (process = LIST_FIRST(&manager->beginning); process; process = next) {
		next = LIST_NEXT(process, beginning);
		resume_start(manager, process);
	}
}

static bool is_known(struct manager *manager, struct ptable_ref ref)
{
	const struct process *process = manager_by_id(manager, ptable_at(manager->config.table, ref.index)->id);
	return process && has_claim(process) && process->launch.index == ref.index &&
	       process->launch.generation == ref.generation;
}

/* Entries of launches that nobody knows: their claim was never committed, or their process was removed. An end of a known one
 * may come at any moment, and is told by a message. */
static void release_unknown(struct manager *manager)
{
	struct ptable *table = manager->config.table;
	struct ptable_ref ref;
	for (uint32_t cursor = 0; ptable_next_live(table, &cursor, &ref);)
		if (!is_known(manager, ref))
			ptable_step(table, ref, PTABLE_CLAIMED, PTABLE_FAILED);
	for (uint32_t cursor = 0; ptable_next_finished(table, &cursor, &ref);)
		if (ref.index != PTABLE_COMMAND && !is_known(manager, ref))
			ptable_release(table, ref);
}

static bool has_limits_now(void *context, uint64_t id, uint32_t run)
{
	const struct process *process = manager_by_id(context, id);
	return process && process->run_count == run &&
	       (process->state == PROCESS_STARTING || process->state == PROCESS_RUNNING);
}

/* Ends that nobody has heard of yet leave theirs as any other end. */
static void resume_groups(struct manager *manager)
{
	if (!manager->cgroups)
		return;
	cgroups_leave_all_but(manager->cgroups, has_limits_now, manager);
	if (manager->config.groups)
		cgroup_trees_begin(manager->cgroups);
}

int keeping_resume(struct manager *manager)
{
	struct session *session, *next;
	struct process *process = NULL;
	int error = hold_take(manager);
	if (error)
		return error;
	resume_groups(manager);
	/* Before any end is taken: an entry whose end is not kept yet is the only one that knows of it, and is released after that. */
	release_unknown(manager);
	resume_starts(manager);
	outcome_scan(manager);
	for (session = LIST_FIRST(&manager->sessions); session; session = next) {
		next = LIST_NEXT(session, link);
		session_resume(manager, session);
	}
	while ((process = manager_after(manager, process ? process->id : 0))) {
		capture_resume(manager->captures, process);
		share_recount(process);
		if (process->state != PROCESS_RUNNING)
			continue;
		input_begin(process);
	}
	lineage_check_finished(manager);
	return 0;
}
