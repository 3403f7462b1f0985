#include "fs/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/revival.h"
#include "fs/cache.h"
#include "fs/events.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/notify.h"
#include "fs/private.h"
#include "fs/recovery.h"

/* How many requests are answered before timers and the keeper get their turn. */
enum { REQUESTS_A_TURN = 64 };

/* One user may have one of these parts of the locks and the descriptors. */
enum { PARTS = 4 };

struct server *server_create(void)
{
	struct server *server = calloc(1, sizeof *server);
	if (server)
		clock_gettime(CLOCK_REALTIME, &server->mounted);
	return server;
}

void server_destroy(struct server *server)
{
	if (!server)
		return;
	events_destroy(server->events);
	journal_close(server->journal);
	text_finish(&server->replies.queue);
	text_finish(&server->answers);
	free(server->buffer.mem);
	free(server);
}

/* An open that truncates must come as OPEN and SETATTR, or a refused write could not be told from an emptied
 * value. Replies are small: reading by splice costs more than copying. What is written by io_submit(2) or io_uring(7), or read
 * ahead, waits as any other: it could not be interrupted if it were asynchronous to the kernel too, not even by SIGKILL, and a
 * dozen of them would hold up every close of a file (max_background of the kernel's fs/fuse/dev.c). */
static void on_init(void *userdata, struct fuse_conn_info *connection)
{
	struct server *server = userdata;
	connection->want &= ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
					FUSE_CAP_SPLICE_MOVE | FUSE_CAP_ASYNC_DIO | FUSE_CAP_ASYNC_READ);
	connection->time_gran = 1;
	server->answered_init = true;
}

static const struct fuse_lowlevel_ops OPERATIONS = {
	.init = on_init,
	.lookup = tree_lookup,
	.getattr = tree_getattr,
	.setattr = tree_setattr,
	.readlink = tree_readlink,
	.mknod = tree_mknod,
	.mkdir = tree_mkdir,
	.unlink = tree_unlink,
	.rmdir = tree_rmdir,
	.symlink = tree_symlink,
	.rename = tree_rename,
	.link = tree_link,
	.open = io_open,
	.read = io_read,
	.write = io_write,
	.flush = io_flush,
	.release = io_release,
	.opendir = tree_opendir,
	.readdir = tree_readdir,
	.statfs = tree_statfs,
	.poll = io_poll,
};

const struct fuse_lowlevel_ops *server_operations(void)
{
	return &OPERATIONS;
}

void names_changed(struct server *server)
{
	if (server->has_epochs && !notify_names(server->config.session))
		log_error("the kernel can't be told that a name has gone: %s", strerror(errno));
}

static void tell_ready(struct server *server)
{
	if (!server->answered_init || server->config.ready_fd < 0)
		return;
	server->has_epochs = notify_names(server->config.session);
	if (write(server->config.ready_fd, "", 1) != 1)
		log_error("cannot tell that the mount is ready: %s", strerror(errno));
	close(server->config.ready_fd);
	server->config.ready_fd = -1;
	ptable_set_ready(server->config.table, getpid());
}

/* The steps of tests/model/keeper.pml: COMMIT, REPLY, TELL, in this order. */
void server_settle(struct server *server)
{
	bool kept = recovery_keep(server); /* COMMIT */
	cache_settle(server->cache);
	replies_send(&server->replies, server->config.fuse_fd); /* REPLY */
	if (recovery_is_whole(server))
		manager_tell(server->manager); /* TELL */
	if (kept)
		recovery_compact(server);
	costly_end(&server->costly);
}

static void on_settle(void *context)
{
	server_settle(context);
}

/* Everything that libfuse sends comes through here: replies wait for server_settle(), notifications do not. */
static ssize_t on_sending(int fd, struct iovec *parts, int count, void *userdata)
{
	struct server *server = userdata;
	const struct fuse_out_header *header = parts->iov_base;
	if (server->replies.dropped)
		return (ssize_t)header->len;
	if (header->unique && !replies_add(&server->replies, parts, count))
		return (ssize_t)header->len;
	if (header->unique) {
		server->replies.urgent = parts;
		server->replies.urgent_count = count;
		recovery_keep(server);
		server->replies.urgent_count = 0;
		cache_settle(server->cache);
	}
	return writev(fd, parts, count);
}

static ssize_t on_receiving(int fd, void *bytes, size_t size, void *userdata)
{
	const struct server *server = userdata;
	if (server->receives_first) {
		memset(bytes, 0, size);
		(void)mlock(bytes, size);
	}
	return read(fd, bytes, size);
}

int server_receive(struct server *server, struct fuse_buf *buffer)
{
	server->receives_first = !buffer->mem;
	return fuse_session_receive_buf(server->config.session, buffer);
}

int server_attach(struct fuse_session *session, int fuse_fd)
{
	static const struct fuse_custom_io IO = { .writev = on_sending, .read = on_receiving };
	return fuse_session_custom_io(session, &IO, fuse_fd);
}

static void on_unmounted(struct server *server)
{
	if (!server->serving)
		return;
	server->serving = false;
	uv_poll_stop(&server->requests);
	parking_wake_all(&server->parking, -ENODEV);
	manager_end(server->manager);
}

void server_answer(struct server *server, const struct fuse_buf *buffer)
{
	request_look(buffer, &server->current);
	underway_set_current(&server->parking.underway, server->current.unique);
	if (server->current.opcode == FUSE_INIT)
		recovery_keep_init(server, buffer->mem, buffer->size);
	if (recovery_repeat(server))
		return;
	fuse_session_process_buf(server->config.session, buffer);
	parking_sweep(&server->parking);
	server_settle(server);
	underway_set_current(&server->parking.underway, 0);
}

static void on_requests(uv_poll_t *handle, int status, int events)
{
	(void)events;
	struct server *server = handle->data;
	int size = status < 0 ? 0 : 1;
	/* An end that this turn has brought already is told first. The kernel lets go of a page when the read that fills it is
	 * answered: one that is taken now would wait for itself. */
	server_settle(server);
	for (int i = 0; i < REQUESTS_A_TURN && size > 0; i++) {
		cache_answer_delayed(server->cache);
		size = server_receive(server, &server->buffer);
		if (size > 0)
			server_answer(server, &server->buffer); /* REQUEST */
		/* Before anybody is answered who could take the mount for ready. */
		tell_ready(server);
	}
	if (size == -EAGAIN && !cache_has_delayed(server->cache))
		recovery_all_were_resent(server);
	if (size == 0 || (size < 0 && size != -EAGAIN && size != -EINTR))
		on_unmounted(server);
}

/* Without a keeper nobody could say how a process ended: none is left behind that would be reported wrongly. */
static void lose_keeper(struct server *server)
{
	log_error("the keeper has died: its processes are killed and the mount ends");
	struct process *process = NULL;
	while ((process = manager_after(server->manager, process ? process->id : 0)))
		manager_signal(server->manager, process, SIGKILL, NULL);
	mount_detach(server->config.mountpoint, server->surroundings.device);
	server->status = 1;
}

static void on_event(void *context, const struct process *process, enum manager_event event, struct timespec when)
{
	struct server *server = context;
	cache_on_event(server->cache, process, event);
	if (event != MANAGER_GAVE_UP)
		events_add(server->events, process, event, when);
}

static void on_finished(void *context, int error)
{
	struct server *server = context;
	if (error)
		lose_keeper(server);
	uv_stop(&server->loop);
}

/* Nobody but another server can have another: to the keeper we are one that was killed, and who is followed whatever happens. */
static void on_porter_gone(void *context)
{
	(void)context;
	log_error("who moves bytes to programs has died, another server will have another");
	raise(SIGKILL);
}

/* Every process that runs or has written something keeps descriptors of its output here. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Asks the kernel alone, never the filesystem, which is ourselves. */
static uint64_t device_of(const char *mountpoint)
{
	struct statx found;
	int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW;
	if (statx(AT_FDCWD, mountpoint, flags, 0, &found))
		return 0;
	return makedev(found.stx_dev_major, found.stx_dev_minor);
}

/* What all users share is never one user's alone. */
static void set_limits(struct share_limits *limits)
{
	struct rlimit descriptors;
	bool known = !getrlimit(RLIMIT_NOFILE, &descriptors) && descriptors.rlim_cur != RLIM_INFINITY;
	limits->descriptors = known ? descriptors.rlim_cur / PARTS : SHARE_UNLIMITED;
	limits->locks = LOCKS_MOST / PARTS;
}

static int begin_manager(struct server *server)
{
	const struct server_config *config = &server->config;
	struct manager_config manager = {
		.loop = &server->loop,
		.porter = config->porter,
		.table = config->table,
		.holdings = config->holdings,
		.socket_fd = config->socket_fd,
		.surroundings = &server->surroundings,
		.groups = true,
		.has_command = config->has_command,
		.limits = &config->limits,
		.on_finished = on_finished,
		.on_event = on_event,
		.on_settle = on_settle,
		.journal = server->journal,
		.context = server,
	};
	return manager_create(&manager, &server->manager);
}

static int begin(struct server *server, const struct server_config *config)
{
	extern char **environ;
	server->config = *config;
	server->surroundings = (struct surroundings){
		.base_directory = config->base_directory,
		.mountpoint = config->mountpoint,
		.environment = environ,
		.umask = config->umask,
		.device = device_of(config->mountpoint),
		.uid = geteuid(),
		.gid = getegid(),
	};
	set_limits(&server->config.limits);
	LIST_INIT(&server->handles);
	LIST_INIT(&server->changed);
	int error = recovery_open(server);
	if (!error)
		error = uv_loop_init(&server->loop);
	if (!error)
		error = porter_attach(config->porter, &server->loop, on_porter_gone, server);
	if (error)
		return error;
	parking_init(&server->parking, &server->loop);
	costly_init(&server->costly, &server->loop);
	server->cache = cache_create(server);
	if (!server->cache)
		return -ENOMEM;
	error = begin_manager(server);
	if (!error)
		error = recovery_take(server);
	int fd = config->fuse_fd;
	if (!error && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		error = -errno;
	if (!error)
		error = uv_poll_init(&server->loop, &server->requests, fd);
	if (error)
		return error;
	server->requests.data = server;
	server->serving = true;
	error = recovery_resume(server);
	if (error)
		return error;
	tell_ready(server);
	return uv_poll_start(&server->requests, UV_READABLE, on_requests);
}

/* What was sent again comes before all that is new, but for these. */
static bool may_be_followed_by_resent(const struct request_facts *facts)
{
	return facts->resent || facts->opcode == FUSE_FORGET || facts->opcode == FUSE_BATCH_FORGET || facts->opcode == FUSE_INTERRUPT;
}

/* A server that finds that all is over has asked for it, and has not looked at it yet: who waited for the end of a process is told. */
static void answer_resent(struct server *server)
{
	int size;
	do {
		cache_answer_delayed(server->cache);
		size = server_receive(server, &server->buffer);
		if (size > 0)
			server_answer(server, &server->buffer);
	} while (size == -EINTR || (size > 0 && may_be_followed_by_resent(&server->current)));
}

/* Requests that still wait are answered before the descriptor is closed: a client whose request was read can't be
 * killed until then. */
static void end(struct server *server)
{
	if (server->serving) {
		answer_resent(server);
		server->serving = false;
		uv_poll_stop(&server->requests);
		parking_wake_all(&server->parking, -ENODEV);
	}
	server_settle(server);
	uv_close((uv_handle_t *)&server->requests, NULL);
	costly_close(&server->costly);
	/* Of a mount that went away under its users no RELEASE comes. */
	struct handle *handle;
	while ((handle = LIST_FIRST(&server->handles)))
		handle_destroy(handle);
	manager_destroy(server->manager);
	cache_destroy(server->cache);
	locks_finish(&server->locks);
	porter_detach(server->config.porter);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	uv_loop_close(&server->loop);
}

int server_run(struct server *server, const struct server_config *config)
{
	raise_descriptor_limit();
	signal(SIGPIPE, SIG_IGN); /* a process may close its input at any time */
	int error = begin(server, config);
	if (error) {
		log_error("cannot begin: %s", error < -4000 ? uv_strerror(error) : strerror(-error));
		return revival_status(error);
	}
	uv_run(&server->loop, UV_RUN_DEFAULT);
	end(server);
	return server->status;
}
