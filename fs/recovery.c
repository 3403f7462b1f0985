#include "fs/recovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/keeping.h"
#include "fs/cache.h"
#include "fs/events.h"
#include "fs/log.h"
#include "fs/notify.h"
#include "fs/private.h"

/* Control files that a dead server has looked up keep their numbers to themselves. */
enum { SERIALS_A_SERVER = 1 << 16 };

/* Keys of RECORD_ANSWER: replies of servers that are dead, which may be asked for yet, and the last ones of this server. */
enum { ANSWERS_OF_THE_DEAD, ANSWERS_OF_OURS };

int recovery_open(struct server *server)
{
	int error = journal_open(server->config.journal_fd, &server->journal);
	if (error)
		return error;
	size_t room = events_memory(EVENTS_ROOM);
	char *memory = journal_memory(server->journal);
	server->events = events_create_in(memory, EVENTS_ROOM);
	underway_init(&server->parking.underway, memory + room, JOURNAL_MEMORY - room);
	server->parking.current = &server->current;
	return server->events ? 0 : -ENOMEM;
}

/* ---- putting ---- */

static struct text *begin_record(struct server *server)
{
	return journal_begin_record(server->journal);
}

static void put(struct server *server, enum record_kind kind, uint64_t key)
{
	journal_end_record(server->journal, kind, key);
}

static void put_init(struct server *server)
{
	const struct init *init = &server->init;
	journal_put(server->journal, &(struct record){ RECORD_INIT, 0, init->bytes, init->size });
}

static int take_init(struct server *server, const void *bytes, size_t size)
{
	if (size > sizeof server->init.bytes)
		return -EPROTO;
	memcpy(server->init.bytes, bytes, size);
	server->init.size = size;
	return 0;
}

void recovery_keep_init(struct server *server, const void *bytes, size_t size)
{
	if (!take_init(server, bytes, size))
		put_init(server);
}

void recovery_keep_lock(struct server *server, const struct lock *lock)
{
	lock_pack(lock, begin_record(server));
	put(server, RECORD_LOCK, lock->id);
}

void recovery_forget(struct server *server, enum record_kind kind, uint64_t key)
{
	if (server->journal)
		journal_remove(server->journal, kind, key);
}

/* What it says changes with the number of opens and locks alone. */
static void put_server(struct server *server, bool all)
{
	uint64_t now = server->last_handle + server->locks.last_id;
	if (!all && now == server->kept)
		return;
	server->kept = now;
	struct text *text = begin_record(server);
	record_put_number(text, server->last_handle);
	record_put_number(text, server->locks.last_id);
	record_put_number(text, server->servers);
	record_put_time(text, server->mounted);
	put(server, RECORD_SERVER, 0);
}

static void put_events(struct server *server, bool all)
{
	if (!all && events_end(server->events) == server->events_kept)
		return;
	server->events_kept = events_end(server->events);
	events_pack(server->events, begin_record(server));
	put(server, RECORD_EVENTS, 0);
}

static void put_handle(struct server *server, const struct handle *handle)
{
	handle_pack(handle, begin_record(server));
	put(server, RECORD_HANDLE, handle->number);
}

static void put_changed(struct server *server)
{
	struct handle *handle;
	keeping_put(server->manager, false);
	put_server(server, false);
	put_events(server, false);
	while ((handle = LIST_FIRST(&server->changed))) {
		LIST_REMOVE(handle, change);
		handle->is_changed = false;
		put_handle(server, handle);
	}
}

static void put_answers_of_the_dead(struct server *server)
{
	const struct text *answers = &server->answers;
	if (answers->size)
		journal_put(server->journal, &(struct record){ RECORD_ANSWER, ANSWERS_OF_THE_DEAD, answers->data, answers->size });
}

static void put_replies(struct server *server)
{
	const struct replies *replies = &server->replies;
	if (!replies->queue.size && !replies->urgent_count)
		return;
	struct text *text = begin_record(server);
	text_append(text, replies->queue.data, replies->queue.size);
	for (int i = 0; i < replies->urgent_count; i++)
		text_append(text, replies->urgent[i].iov_base, replies->urgent[i].iov_len);
	put(server, RECORD_ANSWER, ANSWERS_OF_OURS);
}

static void put_all(struct server *server)
{
	struct handle *handle;
	struct lock *lock;
	keeping_put(server->manager, true);
	put_server(server, true);
	put_events(server, true);
	for (lock = server->locks.ids; lock; lock = lock->by_id.next)
		recovery_keep_lock(server, lock);
	LIST_FOREACH(handle, &server->handles, link)
		put_handle(server, handle);
	put_init(server);
	put_answers_of_the_dead(server);
}

static void compact(struct server *server)
{
	journal_begin_compaction(server->journal);
	put_all(server);
	put_replies(server);
	journal_end_compaction(server->journal);
}

/* What could not be put at a change is put with all the rest, at once or at a later change. */
static void mend(struct server *server)
{
	bool was_whole = !server->is_spoiled;
	compact(server);
	server->is_spoiled = !journal_is_whole(server->journal);
	if (was_whole && server->is_spoiled)
		log_error("what is to be kept finds no room: a server that dies now is followed by one that knows what was kept before, and "
			  "nothing is launched until there is room");
	else if (!was_whole && !server->is_spoiled)
		log_warning("all is kept again");
}

/* COMMIT */
bool recovery_keep(struct server *server)
{
	put_changed(server);
	if (!journal_has_changes(server->journal))
		return false;
	put_replies(server);
	if (journal_is_whole(server->journal))
		journal_commit(server->journal);
	else
		mend(server);
	return true;
}

bool recovery_is_whole(const struct server *server)
{
	return !server->is_spoiled;
}

void recovery_compact(struct server *server)
{
	if (!journal_wants_compaction(server->journal))
		return;
	/* What was changed by telling is kept where there is room, before all is put where there may be none. */
	recovery_keep(server);
	if (recovery_is_whole(server))
		compact(server);
}

/* ---- taking ---- */

static int take_server(struct server *server, struct record_reader *from)
{
	server->last_handle = record_number(from);
	server->locks.last_id = record_number(from);
	server->servers = record_number(from) + 1;
	server->mounted = record_time(from);
	server->serial = (uint32_t)(server->servers * SERIALS_A_SERVER);
	return 0;
}

static int take_lock(struct server *server, struct record_reader *from)
{
	struct lock *lock;
	struct share *share = NULL;
	int error = lock_unpack(&server->locks, from, &lock);
	if (!error)
		error = manager_share(server->manager, lock->owner, &share);
	/* It was let in before: what its owner may have now decides about later ones. */
	if (!error)
		locks_charge(lock, share, NULL);
	return error;
}

static int take(void *context, const struct record *record)
{
	struct server *server = context;
	struct record_reader from = record_reader_of(record->bytes, record->size);
	int error;
	switch (record->kind) {
	case RECORD_SERVER:
		error = take_server(server, &from);
		break;
	case RECORD_EVENTS:
		error = events_unpack(server->events, &from);
		break;
	case RECORD_LOCK:
		error = take_lock(server, &from);
		break;
	case RECORD_HANDLE:
		error = handle_unpack(server, record->key, &from, NULL);
		break;
	case RECORD_ANSWER:
		text_append(&server->answers, record->bytes, record->size);
		return text_status(&server->answers);
	case RECORD_INIT:
		return take_init(server, record->bytes, record->size);
	default:
		return keeping_take(server->manager, record);
	}
	return from.lacks ? -ENOMEM : !error && from.bad ? -EPROTO : error;
}

/* Removed names that nobody has open any more were forgotten with their last close. */
static void forget_closed_locks(struct server *server)
{
	struct lock *lock, *next;
	for (lock = server->locks.ids; lock; lock = next) {
		next = lock->by_id.next;
		if (!lock->removed || lock->opens)
			continue;
		recovery_forget(server, RECORD_LOCK, lock->id);
		locks_open(lock);
		locks_close(&server->locks, lock);
	}
}

int recovery_take(struct server *server)
{
	if (journal_is_empty(server->journal))
		return 0;
	int error = journal_replay(server->journal, take, server); /* REPLAY */
	if (error)
		return error;
	forget_closed_locks(server);
	/* Ours will take the place of the last ones of the dead: these stay until each request has been sent again. */
	put_answers_of_the_dead(server);
	journal_remove(server->journal, RECORD_ANSWER, ANSWERS_OF_OURS);
	return 0;
}

void recovery_all_were_resent(struct server *server)
{
	if (!server->answers.size)
		return;
	text_finish(&server->answers);
	journal_remove(server->journal, RECORD_ANSWER, ANSWERS_OF_THE_DEAD);
}

/* ---- going on ---- */

/* libfuse learns what was agreed on when the connection began. The kernel had its reply long ago. */
static void repeat_init(struct server *server)
{
	struct fuse_buf buffer = { .mem = server->init.bytes, .size = server->init.size };
	if (!server->init.size)
		return;
	server->replies.dropped = true;
	fuse_session_process_buf(server->config.session, &buffer);
	server->replies.dropped = false;
}

/* Answers that the dead server has kept and may not have sent come before the interruption of all the rest. */
static void answer_underway(struct server *server)
{
	struct replies kept = { .queue = server->answers };
	log_warning("the kernel can't send again what was asked of the server that died (Linux 6.9 can): "
		    "whoever waits for an answer is interrupted");
	replies_send(&kept, server->config.fuse_fd);
	underway_interrupt(&server->parking.underway, server->config.fuse_fd);
}

int recovery_resume(struct server *server)
{
	struct handle *handle;
	repeat_init(server);
	int error = keeping_resume(server->manager); /* RECONCILE */
	if (error)
		return error;
	server_settle(server);
	if (!server->answered_init)
		return 0;
	server->has_epochs = notify_names(server->config.session);
	if (!notify_resend(server->config.session)) /* RESEND */
		answer_underway(server);
	underway_forget(&server->parking.underway);
	/* Sent again first: the kernel can let go of a page only when those who read it were answered. */
	cache_take_over(server->cache);
	LIST_FOREACH(handle, &server->handles, link)
		handle_notify(handle);
	return 0;
}

bool recovery_repeat(struct server *server)
{
	const struct request_facts *facts = &server->current;
	uint64_t asked_as = facts->unique | (facts->resent ? UINT64_C(1) << 63 : 0);
	return facts->resent && replies_repeat(&server->answers, facts->unique, asked_as, server->config.fuse_fd);
}
