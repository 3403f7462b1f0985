#include "fs/cache.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "core/restart.h"
#include "fs/log.h"
#include "fs/messenger.h"
#include "fs/recovery.h"

static const double FOR_EVER = 86400, NOT_AT_ALL = 0;

/* How long the loop waits for a sign of the kernel. Nothing should hold that up; if something did, the mount shall go on. */
enum { LONGEST_MS = 10000 };

/* What the kernel may hold of a process. */
struct given {
	uint64_t process;
	unsigned handles;
	bool page;  /* of alive, or its attributes */
	bool empty; /* attributes of exitcode, before the end */
	bool never; /* nothing may be kept any more */
	UT_hash_handle hh;
};

/* A request that came while a page was being dropped. */
struct delayed {
	struct fuse_buf buffer;
	STAILQ_ENTRY(delayed) link;
};

struct cache {
	struct server *server;
	struct messenger *messenger;
	struct given *given;
	unsigned alive, exitcode; /* rows */
	bool never; /* there was no memory to remember of whom nothing is to be kept: from then on, nothing of anybody */
	bool has_news;            /* something is to be told to the kernel before anything is to anybody else */
	STAILQ_HEAD(, delayed) delayed;
	struct fuse_buf buffer; /* for what comes in the middle of a request */
	uv_idle_t *hurry; /* active while there is something delayed */
};

/* ---- what the kernel has been given ---- */

static struct given *find(const struct cache *cache, uint64_t process)
{
	struct given *given;
	HASH_FIND(hh, cache->given, &process, sizeof process, given);
	return given;
}

static struct given *obtain(struct cache *cache, uint64_t process)
{
	struct given *given = find(cache, process);
	if (given || !(given = calloc(1, sizeof *given)))
		return given;
	given->process = process;
	HASH_ADD(hh, cache->given, process, sizeof given->process, given);
	if (given->hh.tbl)
		return given;
	free(given);
	return NULL;
}

static void forget(struct cache *cache, struct given *given)
{
	HASH_DEL(cache->given, given);
	free(given);
}

static void forget_if_idle(struct cache *cache, struct given *given)
{
	if (!given->handles && !given->page && !given->empty && !given->never)
		forget(cache, given);
}

static fuse_ino_t node_of(const struct process *process, unsigned row)
{
	return node_encode((struct node){ .process = process->id, .row = NODE_FIRST_ROW + row });
}

/* ---- taking it away ---- */

/* There may be something stale from now on: a new server takes everything back. Neither a lack of memory nor a kill of the messenger is
 * our own fault: to the keeper we are one that was killed, and who is followed whatever happens. */
static void give_up(const char *why)
{
	log_error("the kernel can't be told of a change: %s", why);
	raise(SIGKILL);
}

static void ask_to_drop(struct cache *cache, fuse_ino_t ino)
{
	if (messenger_drop(cache->messenger, ino))
		give_up(strerror(ENOMEM));
	cache->has_news = true;
}

/* A read of a page that is being dropped must be answered, and the kernel sends it only when not too many closes are on
 * their way. No other request may see what has changed, or change something: nor a read that goes past the pages. */
static bool is_due(const struct cache *cache, const struct fuse_buf *buffer)
{
	const struct fuse_in_header *header = buffer->mem;
	const struct fuse_read_in *read = (const void *)(header + 1);
	const struct fuse_release_in *release = (const void *)(header + 1);
	const struct handle *handle;
	if (header->opcode == FUSE_READ) {
		handle = handle_by_number(cache->server, read->fh);
		return handle && handle->cached;
	}
	if (header->opcode != FUSE_RELEASE)
		return false;
	handle = handle_by_number(cache->server, release->fh);
	return !handle || (!handle->session && !handle->lock);
}

/* What others were answered stays held back: it may tell of the change. */
static void answer_at_once(struct cache *cache, const struct fuse_buf *buffer)
{
	struct server *server = cache->server;
	size_t held = server->replies.queue.size;
	request_look(buffer, &server->current);
	fuse_session_process_buf(server->config.session, buffer);
	recovery_keep(server);
	replies_send_from(&server->replies, held, server->config.fuse_fd);
}

static void on_hurry(uv_idle_t *hurry)
{
	cache_answer_delayed(hurry->data);
}

static void delay(struct cache *cache, const struct fuse_buf *buffer)
{
	struct delayed *delayed = malloc(sizeof *delayed);
	void *copy = malloc(buffer->size);
	if (!delayed || !copy) {
		/* Better early than never. */
		free(delayed);
		free(copy);
		answer_at_once(cache, buffer);
		return;
	}
	delayed->buffer = *buffer;
	delayed->buffer.mem = memcpy(copy, buffer->mem, buffer->size);
	STAILQ_INSERT_TAIL(&cache->delayed, delayed, link);
	uv_idle_start(cache->hurry, on_hurry);
}

/* Result: as server_receive's. */
static int take_request(struct cache *cache)
{
	int size = server_receive(cache->server, &cache->buffer);
	if (size > 0 && is_due(cache, &cache->buffer))
		answer_at_once(cache, &cache->buffer);
	else if (size > 0)
		delay(cache, &cache->buffer);
	return size;
}

/* Result: whether all has been told. */
static bool is_done(struct cache *cache)
{
	int error = messenger_go_on(cache->messenger);
	if (error == -EPIPE)
		give_up("who was to do so is gone");
	return !error;
}

void cache_settle(struct cache *cache)
{
	struct pollfd polled[] = {
		{ .fd = messenger_fd(cache->messenger), .events = POLLIN },
		{ .fd = fuse_session_fd(cache->server->config.session), .events = POLLIN },
	};
	uint64_t limit = uv_hrtime() + (uint64_t)LONGEST_MS * 1000000;
	bool done = !cache->has_news;
	cache->has_news = false;
	while (!done && !(done = is_done(cache)) && (uv_hrtime() < limit || messenger_is_stopped(cache->messenger))) {
		poll(polled, 2, LONGEST_MS);
		int size = polled[1].revents ? take_request(cache) : -EAGAIN;
		if (size == 0 || (size < 0 && size != -EAGAIN && size != -EINTR))
			polled[1].fd = -1; /* unmounted: the loop will see it, too */
		if (polled[0].revents)
			limit = uv_hrtime() + (uint64_t)LONGEST_MS * 1000000;
		polled[0].revents = polled[1].revents = 0;
	}
	if (!done)
		log_error("the kernel does not let go of a page");
}

/* Attributes alone: the kernel waits for nobody. */
static void drop_attributes(struct cache *cache, const struct process *process)
{
	struct fuse_session *session = cache->server->config.session;
	fuse_lowlevel_notify_inval_inode(session, node_of(process, cache->alive), -1, 0);
	fuse_lowlevel_notify_inval_inode(session, node_of(process, cache->exitcode), -1, 0);
}

static void ask_for_exitcode(struct cache *cache, const struct process *process)
{
	struct view view = { .manager = cache->server->manager, .process = (struct process *)(uintptr_t)process };
	struct text text = {0};
	if (!files_row(false, cache->exitcode)->show(&view, &text) && text.size) {
		if (messenger_store(cache->messenger, node_of(process, cache->exitcode), text.data, text.size))
			give_up(strerror(ENOMEM));
		cache->has_news = true;
	}
	text_finish(&text);
}

/* ---- events ---- */

/* Of exitcode nothing has changed. */
static void on_started(struct cache *cache, struct given *given, const struct process *process)
{
	fuse_lowlevel_notify_inval_inode(cache->server->config.session, node_of(process, cache->alive), -1, 0);
	if (given->never)
		ask_to_drop(cache, node_of(process, cache->alive));
}

/* Attributes first: an answer that was on its way when they are dropped is dropped, too, and its asker goes on with the
 * size of before; nobody who asks so early can know of the end. Then alive, since who reads an exitcode may read alive
 * next. The new size last, while nobody is answered who asks for it: the kernel calls new attributes valid a moment
 * before it has taken the size from them. */
static void on_ended(struct cache *cache, struct given *given, const struct process *process)
{
	drop_attributes(cache, process);
	if (given->page || given->never)
		ask_to_drop(cache, node_of(process, cache->alive));
	if (given->empty)
		ask_for_exitcode(cache, process);
	given->page = given->empty = false;
	forget_if_idle(cache, given);
}

static void keep_nothing(struct cache *cache, const struct process *process)
{
	struct given *given = obtain(cache, process->id);
	if (given) {
		given->never = true;
		given->page = given->empty = false;
	} else {
		/* What can't be remembered of this one holds for all. */
		cache->never = true;
	}
	drop_attributes(cache, process);
}

static void drop_pages(struct cache *cache, const struct process *process)
{
	ask_to_drop(cache, node_of(process, cache->exitcode));
	ask_to_drop(cache, node_of(process, cache->alive));
}

/* Names are looked up again, since what a LOOKUP was answered as final may not have arrived yet. */
static void on_reset(struct cache *cache, const struct process *process)
{
	keep_nothing(cache, process);
	drop_pages(cache, process);
	names_changed(cache->server);
}

void cache_on_event(struct cache *cache, const struct process *process, enum manager_event event)
{
	struct given *given = find(cache, process->id);
	if (event == MANAGER_RESET && cache->server->has_epochs)
		on_reset(cache, process);
	if (!given)
		return;
	if (event == MANAGER_STARTED)
		on_started(cache, given, process);
	else if (event == MANAGER_GAVE_UP || (event == MANAGER_EXITED && !restart_follows(process)))
		on_ended(cache, given, process);
	else if (event == MANAGER_REMOVED) {
		if (given->handles)
			drop_attributes(cache, process);
		forget(cache, given);
	}
}

/* All attributes first, as in on_ended. Who reads in alive meanwhile that it has ended may ask for exitcode's size next: the kernel
 * would not take the answer, were it told after that to forget that file's page. That page is final, if it is there: of a reset the
 * page of before was dropped before the keeper was told of the next start, so that one has not ended. */
void cache_take_over(struct cache *cache)
{
	struct process *process = NULL;
	if (!cache->server->has_epochs)
		return;
	while ((process = manager_after(cache->server->manager, process ? process->id : 0)))
		keep_nothing(cache, process);
	while ((process = manager_after(cache->server->manager, process ? process->id : 0)))
		if (process->state == PROCESS_ENDED)
			ask_to_drop(cache, node_of(process, cache->alive));
		else
			drop_pages(cache, process);
	cache_settle(cache);
}

bool cache_has_delayed(const struct cache *cache)
{
	return !STAILQ_EMPTY(&cache->delayed);
}

void cache_answer_delayed(struct cache *cache)
{
	struct delayed *delayed;
	while ((delayed = STAILQ_FIRST(&cache->delayed))) {
		STAILQ_REMOVE_HEAD(&cache->delayed, link);
		server_answer(cache->server, &delayed->buffer);
		free(delayed->buffer.mem);
		free(delayed);
	}
	uv_idle_stop(cache->hurry);
}

/* ---- requests ---- */

/* A start is seen by the keeper's word, which the loop hears of later: what is said of it meanwhile is not kept. */
static bool may_keep(struct cache *cache, const struct process *process)
{
	if (process->state != PROCESS_RUNNING && process->state != PROCESS_BETWEEN && process->state != PROCESS_ENDED)
		return false;
	const struct given *given = find(cache, process->id);
	/* A server that has taken over keeps nothing: what a second one would have to take back has never been proved whole. */
	return cache->server->has_epochs && !cache->server->servers && !cache->never && !(given && given->never);
}

bool cache_open(struct target *target, struct handle *handle)
{
	struct cache *cache = target->server->cache;
	bool may = (target->row->flags & (ROW_KEPT | ROW_KEPT_ONCE)) && !is_writing(handle->flags);
	if (!may || !may_keep(cache, target->process))
		return false;
	handle->cached = obtain(cache, target->process->id);
	cache_hold(handle);
	return handle->cached;
}

void cache_hold(struct handle *handle)
{
	struct given *given = handle->cached ? obtain(handle->server->cache, handle->process) : NULL;
	if (given)
		given->handles++;
}

void cache_close(struct handle *handle)
{
	struct cache *cache = handle->server->cache;
	struct given *given = handle->cached ? find(cache, handle->process) : NULL;
	if (!given)
		return;
	given->handles--;
	forget_if_idle(cache, given);
}

/* After a reset the kernel may still have the size of before, when it was told to forget its attributes just while it asked for
 * them, and read a page of what has none: better an error than bytes that it makes up. */
int cache_read(struct handle *handle, const struct process *process)
{
	struct given *given = find(handle->server->cache, process->id);
	bool ended = process->state == PROCESS_ENDED;
	if (given && !ended && (handle->row->flags & ROW_KEPT))
		given->page = true;
	return given && given->never && !ended && (handle->row->flags & ROW_KEPT_ONCE) ? -ESTALE : 0;
}

double cache_attributes(const struct target *target, bool pinned)
{
	struct cache *cache = target->server->cache;
	if (!(target->row->flags & (ROW_KEPT | ROW_KEPT_ONCE)) || !may_keep(cache, target->process))
		return NOT_AT_ALL;
	if (target->process->state == PROCESS_ENDED)
		return FOR_EVER;
	struct given *given = pinned ? obtain(cache, target->process->id) : NULL;
	if (!given)
		return NOT_AT_ALL;
	if (target->row->flags & ROW_KEPT)
		given->page = true;
	else
		given->empty = true;
	return FOR_EVER;
}

/* ---- life ---- */

static unsigned row_with(unsigned flag)
{
	unsigned row = 0;
	while (!(files_row(false, row)->flags & flag))
		row++;
	return row;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

struct cache *cache_create(struct server *server)
{
	struct cache *cache = calloc(1, sizeof *cache);
	if (!cache)
		return NULL;
	cache->hurry = malloc(sizeof *cache->hurry);
	if (!cache->hurry) {
		free(cache);
		return NULL;
	}
	cache->server = server;
	cache->messenger = server->config.messenger;
	cache->alive = row_with(ROW_KEPT);
	cache->exitcode = row_with(ROW_KEPT_ONCE);
	STAILQ_INIT(&cache->delayed);
	uv_idle_init(&server->loop, cache->hurry);
	cache->hurry->data = cache;
	return cache;
}

void cache_destroy(struct cache *cache)
{
	struct delayed *delayed;
	struct given *given, *next;
	if (!cache)
		return;
	HASH_ITER(hh, cache->given, given, next)
		forget(cache, given);
	while ((delayed = STAILQ_FIRST(&cache->delayed))) {
		STAILQ_REMOVE_HEAD(&cache->delayed, link);
		free(delayed->buffer.mem);
		free(delayed);
	}
	uv_close((uv_handle_t *)cache->hurry, on_closed);
	free(cache->buffer.mem);
	free(cache);
}
