/*
 * server: the process that answers FUSE: its loop, its life from the first request to the end of the mount.
 *
 * Owns: the tree of processes, every open file and every waiting request, from one thread. It starts nothing
 * itself: it asks the keeper, over socket_fd, and reads the table that both share.
 *
 * Must not know: the command line, how the mount was made, how it was executed.
 */
#ifndef PROCFS_MP_SERVER_H
#define PROCFS_MP_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/ptable.h"
#include "core/share.h"

struct fuse_lowlevel_ops;
struct fuse_session;
struct messenger;
struct porter;

/* Everything the FUSE side holds. */
struct server;

/* All that it refers to outlives server_run and stays the caller's. */
struct server_config {
	struct fuse_session *session; /* on fuse_fd; its userdata is the server */
	const char *mountpoint;       /* absolute, without symlinks: $PROCFS_MP of every process */
	const char *base_directory;   /* where relative targets and cwds begin: absolute */
	int fuse_fd;                  /* /dev/fuse, of a mount that is there: the keeper made it and unmounts it */
	int socket_fd;                /* the server's end, SOCK_SEQPACKET */
	int ready_fd;                 /* taken over: one byte once INIT is answered, then closed */
	int journal_fd;               /* a memory file; empty: the first server of this mount */
	struct messenger *messenger;
	struct porter *porter;
	struct ptable *table;
	struct holdings *holdings;
	bool allow_other;             /* other users may reach the mount (allow_other or allow_root) */
	bool debug;
	bool has_command;             /* the entry PTABLE_COMMAND will be a main process */
	mode_t umask;                 /* the mount's, 0000 to 0777 */
	struct share_limits limits;   /* of each user; locks and descriptors are added to it */
};

/* Before the session exists, since it is the session's userdata. It opens nothing and starts no thread.
 * Result: NULL when out of memory; server_destroy frees. */
struct server *server_create(void);

/* The request table for fuse_session_new(3), of the size sizeof(struct fuse_lowlevel_ops). */
const struct fuse_lowlevel_ops *server_operations(void);

/* Gives the session /dev/fuse, before server_run. Result: 0, or a libfuse error. */
int server_attach(struct fuse_session *session, int fuse_fd);

/* The server's whole life: answers requests until the mount has ended, by unmounting or by MESSAGE_SIGNAL.
 * The caller has blocked every signal that could end the process in between.
 * A server that cannot begin returns without having written to ready_fd.
 * Result: the exit status of the server's process: 0 when the mount ended in order. */
int server_run(struct server *server, const struct server_config *config);

/* NULL is allowed. The session stays the caller's. */
void server_destroy(struct server *server);

#endif
