/* Programs that hold `session` open, and when they have closed it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/apart.h"
#include "core/journal.h"
#include "core/kin.h"
#include "core/lack.h"
#include "core/manager_private.h"

/* A program may have hundreds of thousands of descriptors: whether one of them is of the session is found out in a thread. */
struct session_search {
	struct session *session; /* NULL: it is gone */
	pid_t pid;
	const char *name;
	bool found;
	bool again;  /* another was closed since it began */
	bool opened; /* or it was opened once more */
};

struct session *session_by_pid(struct manager *manager, pid_t pid)
{
	struct session *session;
	LIST_FOREACH(session, &manager->sessions, link)
		if (!session->over && session->pid == pid)
			return session;
	return NULL;
}

static void on_handle_closed(uv_handle_t *handle)
{
	free(handle);
}

/* The opener may end while others still hold the descriptor: then the session is over and the struct stays until the
 * last of them closes it. */
static void end_session(struct session *session)
{
	if (session->over)
		return;
	session->over = true;
	session->manager->are_sessions_changed = true;
	if (session->exit) {
		uv_poll_stop(session->exit);
		uv_close((uv_handle_t *)session->exit, on_handle_closed);
		close(session->pid_fd);
	}
	share_settle(session->share, &session->held, &(struct share_cost){0});
	lineage_release(session->manager, &session->children, session->owner);
}

static void on_opener_exit(uv_poll_t *handle, int status, int events)
{
	(void)status;
	(void)events;
	end_session(handle->data);
}

/* Result: 0; -ESRCH, -EMFILE, -ENOMEM or libuv's error. */
static int watch_opener(struct session *session)
{
	uv_poll_t *handle = malloc(sizeof *handle);
	if (!handle)
		return -ENOMEM;
	int fd = (int)syscall(SYS_pidfd_open, session->pid, 0);
	int error = fd < 0 ? -errno : uv_poll_init(session->manager->config.loop, handle, fd);
	if (error) {
		if (fd >= 0)
			close(fd);
		free(handle);
		return error;
	}
	handle->data = session;
	session->pid_fd = fd;
	session->exit = handle;
	return uv_poll_start(handle, UV_READABLE, on_opener_exit);
}

int manager_open_session(struct manager *manager, const struct caller *caller, struct session **out)
{
	if (caller->pid <= 0)
		return refuse(caller->why, EPERM, "the caller cannot be identified from here: it cannot be a main process");
	pid_t pid;
	int error = kin_process_of(caller->pid, &pid);
	struct session *session = error ? NULL : session_by_pid(manager, pid);
	if (session) {
		if (session->search)
			session->search->opened = true;
		session->holders++;
		*out = session;
		return 0;
	}
	struct share *share = NULL;
	const struct share_cost cost = { .descriptors = 1 };
	if (!error)
		error = manager_share(manager, caller->uid, &share);
	if (!error)
		error = share_check(share, &cost, caller->why);
	if (error)
		return error;
	session = calloc(1, sizeof *session);
	error = session ? 0 : -ENOMEM;
	if (error)
		return error;
	session->pid = pid;
	session->holders = 1;
	struct kin kin;
	error = kin_read(session->pid, &kin);
	session->manager = manager;
	session->owner = caller->uid;
	session->share = share;
	share_settle(share, &session->held, &cost);
	session->start = kin.start;
	LIST_INIT(&session->children);
	if (!error)
		error = watch_opener(session);
	if (error) {
		share_settle(share, &session->held, &(struct share_cost){0});
		free(session);
		return error;
	}
	session->key = ++manager->last_session;
	manager->are_sessions_changed = true;
	LIST_INSERT_HEAD(&manager->sessions, session, link);
	*out = session;
	return 0;
}

uint64_t manager_session_key(const struct session *session)
{
	return session->key;
}

struct session *manager_session(struct manager *manager, uint64_t key)
{
	struct session *session;
	LIST_FOREACH(session, &manager->sessions, link)
		if (session->key == key)
			return session;
	return NULL;
}

void manager_hold_session(struct session *session)
{
	session->holders++;
}

static void forget_session(struct session *session)
{
	struct journal *journal = session->manager->config.journal;
	if (journal)
		journal_remove(journal, RECORD_SESSION, session->key);
	LIST_REMOVE(session, link);
	if (session->search)
		session->search->session = NULL;
	waiters_tell(&session->closing, 0);
	free(session);
}

/* True also when that can't be known now: nothing is ended for want of a descriptor. */
static bool opener_lives(const struct session *session)
{
	struct kin kin;
	int error = kin_read(session->pid, &kin);
	return is_lack(error) || (!error && kin.start == session->start);
}

/* One that can't be watched for now is over when it is closed. */
static bool is_watched(struct session *session)
{
	int error = watch_opener(session);
	return !error || is_lack(error);
}

void session_resume(struct manager *manager, struct session *session)
{
	bool goes_on = !session->over && session->holders && opener_lives(session) && is_watched(session);
	if (!goes_on && !session->over) {
		session->over = true;
		manager->are_sessions_changed = true;
		share_settle(session->share, &session->held, &(struct share_cost){0});
		lineage_release(manager, &session->children, session->owner);
	}
	if (!session->holders)
		forget_session(session);
}

void manager_close_session(struct manager *manager, struct session *session)
{
	(void)manager;
	if (--session->holders)
		return;
	end_session(session);
	forget_session(session);
}

/* ---- whether its opener has closed it ---- */

static void on_search(void *context)
{
	struct session_search *search = context;
	search->found = kin_has_open(search->pid, search->name);
}

static int begin_search(struct session *session, const char *name);

static void on_searched(void *context)
{
	struct session_search *search = context;
	struct session *session = search->session;
	bool found = search->found || search->opened;
	bool again = found && search->again;
	if (session) {
		session->search = NULL;
		if (!found)
			end_session(session);
		if (!again || begin_search(session, search->name))
			waiters_tell(&session->closing, 0);
	}
	free(search);
}

static int begin_search(struct session *session, const char *name)
{
	struct session_search *search = malloc(sizeof *search);
	if (!search)
		return -ENOMEM;
	*search = (struct session_search){ .session = session, .pid = session->pid, .name = name };
	int error = apart_begin(session->manager->config.loop, on_search, on_searched, search);
	if (error)
		free(search);
	else
		session->search = search;
	return error;
}

int manager_check_session(struct session *session, pid_t thread, const char *name, struct waiter *waiter)
{
	pid_t pid;
	if (session->over || kin_process_of(thread, &pid) || pid != session->pid)
		return 0;
	if (session->search)
		session->search->again = true;
	else if (begin_search(session, name))
		return 0;
	waiter_wait(&session->closing, waiter);
	return 1;
}
