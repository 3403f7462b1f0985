#include "fs/cache.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "core/restart.h"
#include "fs/log.h"

static const double FOR_EVER = 86400, NOT_AT_ALL = 0;

/* How long the loop waits for the kernel. Nothing should hold that up; if something did, the mount shall go on. */
enum { LONGEST_MS = 1000 };

/* What the kernel may hold of a process. */
struct kept {
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

/* What the thread is to tell the kernel. */
struct job {
	fuse_ino_t ino;
	struct text bytes; /* the new content; none: the pages are dropped */
	STAILQ_ENTRY(job) link;
};

struct cache {
	struct server *server;
	struct kept *kept;
	unsigned alive, exitcode; /* rows */
	STAILQ_HEAD(, delayed) delayed;
	uv_idle_t *hurry; /* active while there is something delayed */

	bool has_thread;
	pthread_t thread;
	int done_fd; /* readable when a job has been done */
	pthread_cond_t asked;
	pthread_mutex_t mutex; /* of what follows, which the thread shares */
	STAILQ_HEAD(, job) jobs;
	bool is_busy, leaves;
};

/* ---- what is kept ---- */

static struct kept *find(const struct cache *cache, uint64_t process)
{
	struct kept *kept;
	HASH_FIND(hh, cache->kept, &process, sizeof process, kept);
	return kept;
}

static struct kept *obtain(struct cache *cache, uint64_t process)
{
	struct kept *kept = find(cache, process);
	if (kept || !(kept = calloc(1, sizeof *kept)))
		return kept;
	kept->process = process;
	HASH_ADD(hh, cache->kept, process, sizeof kept->process, kept);
	return kept;
}

static void forget(struct cache *cache, struct kept *kept)
{
	HASH_DEL(cache->kept, kept);
	free(kept);
}

static void forget_if_idle(struct cache *cache, struct kept *kept)
{
	if (!kept->handles && !kept->page && !kept->empty && !kept->never)
		forget(cache, kept);
}

static fuse_ino_t node_of(const struct process *process, unsigned row)
{
	return node_encode((struct node){ .process = process->id, .row = NODE_FIRST_ROW + row });
}

/* ---- taking it away ---- */

static void free_job(struct job *job)
{
	text_finish(&job->bytes);
	free(job);
}

static void do_job(struct fuse_session *session, struct job *job)
{
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(job->bytes.size);
	bytes.buf[0].mem = job->bytes.data;
	if (job->bytes.size)
		fuse_lowlevel_notify_store(session, job->ino, 0, &bytes, 0);
	else
		fuse_lowlevel_notify_inval_inode(session, job->ino, 0, 0);
	free_job(job);
}

static void *do_jobs(void *context)
{
	struct cache *cache = context;
	struct fuse_session *session = cache->server->config.session;
	struct job *job;
	pthread_mutex_lock(&cache->mutex);
	while (!cache->leaves) {
		if (!(job = STAILQ_FIRST(&cache->jobs))) {
			pthread_cond_wait(&cache->asked, &cache->mutex);
			continue;
		}
		STAILQ_REMOVE_HEAD(&cache->jobs, link);
		cache->is_busy = true;
		pthread_mutex_unlock(&cache->mutex);
		do_job(session, job);
		pthread_mutex_lock(&cache->mutex);
		cache->is_busy = false;
		eventfd_write(cache->done_fd, 1);
	}
	pthread_mutex_unlock(&cache->mutex);
	return NULL;
}

/* bytes is taken over; NULL: the pages are to be dropped. */
static void ask(struct cache *cache, fuse_ino_t ino, struct text *bytes)
{
	struct job *job = calloc(1, sizeof *job);
	if (job && !cache->has_thread)
		cache->has_thread = !pthread_create(&cache->thread, NULL, do_jobs, cache);
	if (!job || !cache->has_thread) {
		log_error("nobody can tell the kernel of a change: %s", strerror(ENOMEM));
		if (bytes)
			text_finish(bytes);
		free(job);
		return;
	}
	job->ino = ino;
	if (bytes)
		job->bytes = *bytes;
	pthread_mutex_lock(&cache->mutex);
	STAILQ_INSERT_TAIL(&cache->jobs, job, link);
	pthread_cond_signal(&cache->asked);
	pthread_mutex_unlock(&cache->mutex);
}

static bool is_idle(struct cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	bool idle = !cache->is_busy && STAILQ_EMPTY(&cache->jobs);
	pthread_mutex_unlock(&cache->mutex);
	return idle;
}

/* A read of a page that is being dropped must be answered, and the kernel sends it only when not too many closes are on
 * their way. No other request may see what has changed, or change something. */
static bool is_due(const struct cache *cache, const struct fuse_buf *buffer)
{
	const struct fuse_in_header *header = buffer->mem;
	struct node node = node_decode(header->nodeid);
	unsigned row = node.row - NODE_FIRST_ROW;
	if (header->opcode == FUSE_READ)
		return node.process && (row == cache->alive || row == cache->exitcode);
	if (header->opcode != FUSE_RELEASE)
		return false;
	const struct fuse_release_in *release = (const void *)(header + 1);
	const struct handle *handle = (const void *)(uintptr_t)release->fh;
	return !handle->session && !handle->lock;
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
		fuse_session_process_buf(cache->server->config.session, buffer);
		return;
	}
	delayed->buffer = *buffer;
	delayed->buffer.mem = memcpy(copy, buffer->mem, buffer->size);
	STAILQ_INSERT_TAIL(&cache->delayed, delayed, link);
	uv_idle_start(cache->hurry, on_hurry);
}

/* Result: as fuse_session_receive_buf's. */
static int take_request(struct cache *cache, struct fuse_buf *buffer)
{
	struct fuse_session *session = cache->server->config.session;
	int size = fuse_session_receive_buf(session, buffer);
	if (size > 0 && is_due(cache, buffer))
		fuse_session_process_buf(session, buffer);
	else if (size > 0)
		delay(cache, buffer);
	return size;
}

static void wait_until_done(struct cache *cache)
{
	struct fuse_buf buffer = {0};
	struct pollfd polled[] = {
		{ .fd = cache->done_fd, .events = POLLIN },
		{ .fd = fuse_session_fd(cache->server->config.session), .events = POLLIN },
	};
	uint64_t limit = uv_hrtime() + (uint64_t)LONGEST_MS * 1000000;
	while (!is_idle(cache) && uv_hrtime() < limit) {
		eventfd_t done;
		poll(polled, 2, LONGEST_MS);
		if (polled[0].revents)
			eventfd_read(cache->done_fd, &done);
		int size = polled[1].revents ? take_request(cache, &buffer) : -EAGAIN;
		if (size == 0 || (size < 0 && size != -EAGAIN && size != -EINTR))
			polled[1].fd = -1; /* unmounted: the loop will see it, too */
		polled[0].revents = polled[1].revents = 0;
	}
	free(buffer.mem);
	if (!is_idle(cache))
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
	if (files_row(false, cache->exitcode)->show(&view, &text) || !text.size)
		text_finish(&text);
	else
		ask(cache, node_of(process, cache->exitcode), &text);
}

/* ---- events ---- */

static void on_started(struct cache *cache, struct kept *kept, const struct process *process)
{
	drop_attributes(cache, process);
	if (!kept->never)
		return;
	ask(cache, node_of(process, cache->alive), NULL);
	wait_until_done(cache);
}

/* Attributes first: an answer that was on its way when they are dropped is dropped, too, and its asker goes on with the
 * size of before; nobody who asks so early can know of the end. Then alive, since who reads an exitcode may read alive
 * next. The new size last, while nobody is answered who asks for it: the kernel calls new attributes valid a moment
 * before it has taken the size from them. */
static void on_ended(struct cache *cache, struct kept *kept, const struct process *process)
{
	drop_attributes(cache, process);
	if (kept->page || kept->never)
		ask(cache, node_of(process, cache->alive), NULL);
	if (kept->empty)
		ask_for_exitcode(cache, process);
	wait_until_done(cache);
	kept->page = kept->empty = false;
	forget_if_idle(cache, kept);
}

static void keep_nothing(struct cache *cache, const struct process *process)
{
	struct kept *kept = obtain(cache, process->id);
	if (kept) {
		kept->never = true;
		kept->page = kept->empty = false;
	}
	drop_attributes(cache, process);
	ask(cache, node_of(process, cache->exitcode), NULL);
	ask(cache, node_of(process, cache->alive), NULL);
	wait_until_done(cache);
}

void cache_on_event(struct cache *cache, const struct process *process, enum manager_event event)
{
	struct kept *kept = find(cache, process->id);
	if (event == MANAGER_RESET && cache->server->has_epochs)
		keep_nothing(cache, process);
	if (!kept)
		return;
	if (event == MANAGER_STARTED)
		on_started(cache, kept, process);
	else if (event == MANAGER_GAVE_UP || (event == MANAGER_EXITED && !restart_follows(process)))
		on_ended(cache, kept, process);
	else if (event == MANAGER_REMOVED) {
		if (kept->handles)
			drop_attributes(cache, process);
		forget(cache, kept);
	}
}

void cache_take_over(struct cache *cache)
{
	struct process *process = NULL;
	while ((process = manager_after(cache->server->manager, process ? process->id : 0)))
		keep_nothing(cache, process);
}

void cache_answer_delayed(struct cache *cache)
{
	struct delayed *delayed;
	while ((delayed = STAILQ_FIRST(&cache->delayed))) {
		STAILQ_REMOVE_HEAD(&cache->delayed, link);
		fuse_session_process_buf(cache->server->config.session, &delayed->buffer);
		parking_sweep(&cache->server->parking);
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
	const struct kept *kept = find(cache, process->id);
	return cache->server->has_epochs && !(kept && kept->never);
}

bool cache_open(struct target *target, struct handle *handle)
{
	struct cache *cache = target->server->cache;
	bool may = (target->row->flags & (ROW_KEPT | ROW_KEPT_ONCE)) && !is_writing(handle->flags);
	if (!may || !may_keep(cache, target->process))
		return false;
	struct kept *kept = obtain(cache, target->process->id);
	if (!kept)
		return false;
	kept->handles++;
	return handle->cached = true;
}

void cache_close(struct handle *handle)
{
	struct cache *cache = handle->server->cache;
	struct kept *kept = handle->cached ? find(cache, handle->process) : NULL;
	if (!kept)
		return;
	kept->handles--;
	forget_if_idle(cache, kept);
}

int cache_read(struct handle *handle, const struct process *process)
{
	struct kept *kept = find(handle->server->cache, process->id);
	bool ended = process->state == PROCESS_ENDED;
	if (kept && !ended && (handle->row->flags & ROW_KEPT))
		kept->page = true;
	return kept && kept->never && !ended && (handle->row->flags & ROW_KEPT_ONCE) ? -ESTALE : 0;
}

double cache_attributes(const struct target *target, bool pinned)
{
	struct cache *cache = target->server->cache;
	if (!(target->row->flags & (ROW_KEPT | ROW_KEPT_ONCE)) || !may_keep(cache, target->process))
		return NOT_AT_ALL;
	if (target->process->state == PROCESS_ENDED)
		return FOR_EVER;
	struct kept *kept = pinned ? obtain(cache, target->process->id) : NULL;
	if (!kept)
		return NOT_AT_ALL;
	if (target->row->flags & ROW_KEPT)
		kept->page = true;
	else
		kept->empty = true;
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
	cache->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!cache->hurry || cache->done_fd < 0)
		goto free_cache;
	cache->server = server;
	cache->alive = row_with(ROW_KEPT);
	cache->exitcode = row_with(ROW_KEPT_ONCE);
	STAILQ_INIT(&cache->delayed);
	STAILQ_INIT(&cache->jobs);
	pthread_mutex_init(&cache->mutex, NULL);
	pthread_cond_init(&cache->asked, NULL);
	uv_idle_init(&server->loop, cache->hurry);
	cache->hurry->data = cache;
	return cache;
free_cache:
	if (cache->done_fd >= 0)
		close(cache->done_fd);
	free(cache->hurry);
	free(cache);
	return NULL;
}

static void free_delayed(struct cache *cache)
{
	struct delayed *delayed;
	while ((delayed = STAILQ_FIRST(&cache->delayed))) {
		STAILQ_REMOVE_HEAD(&cache->delayed, link);
		free(delayed->buffer.mem);
		free(delayed);
	}
}

/* False when the kernel holds the thread: then it keeps what it uses. */
static bool end_thread(struct cache *cache)
{
	if (!cache->has_thread)
		return true;
	pthread_mutex_lock(&cache->mutex);
	bool is_held = cache->is_busy;
	cache->leaves = true;
	pthread_cond_signal(&cache->asked);
	pthread_mutex_unlock(&cache->mutex);
	if (is_held)
		pthread_detach(cache->thread);
	else
		pthread_join(cache->thread, NULL);
	return !is_held;
}

void cache_destroy(struct cache *cache)
{
	if (!cache)
		return;
	struct kept *kept, *next;
	HASH_ITER(hh, cache->kept, kept, next)
		forget(cache, kept);
	free_delayed(cache);
	uv_close((uv_handle_t *)cache->hurry, on_closed);
	if (!end_thread(cache))
		return;
	struct job *job;
	while ((job = STAILQ_FIRST(&cache->jobs))) {
		STAILQ_REMOVE_HEAD(&cache->jobs, link);
		free_job(job);
	}
	close(cache->done_fd);
	pthread_cond_destroy(&cache->asked);
	pthread_mutex_destroy(&cache->mutex);
	free(cache);
}
