/*
 * message: what keeper and server say to each other, over one SOCK_SEQPACKET pair.
 *
 * Owns: the layout of every message; descriptors travel with it (unix(7), SCM_RIGHTS).
 * Must not know: who says it or why.
 */
#ifndef PROCFS_MP_MESSAGE_H
#define PROCFS_MP_MESSAGE_H

#include "core/holdings.h"
#include "core/launch.h"
#include "core/ptable.h"

/* In brackets: the steps of tests/model/keeper.pml between which it travels. Those that it leaves out change no state of a start:
 * a new server is told of them anew, or asks. */
enum message_kind {
	/* server to keeper */
	MESSAGE_LAUNCH = 1, /* a launch_spec for a claimed entry [TELL to TAKE; what is lost, RECONCILE sends again] */
	/* keeper to server */
	MESSAGE_STARTED, /* exec succeeded; may come after ENDED, or not at all when ENDED comes [LAUNCH, REPORT to CHANGE] */
	MESSAGE_FAILED,  /* no exec; the entry says why [LAUNCH, REPORT to CHANGE] */
	MESSAGE_ENDED,   /* the entry has the status (PTABLE_COMMAND: the main command's) [REAP, REPORT to CHANGE] */
	MESSAGE_PAUSED,  /* it was stopped by a signal, which the entry says too; may come before STARTED [left out] */
	MESSAGE_CONTINUED, /* and goes on, as PAUSED [left out] */
	MESSAGE_SIGNAL,  /* the keeper was sent `value`: SIGTERM, SIGINT or SIGHUP; the how-manieth is ref.generation, from 1
			  * [left out: each server is told all, and keeps the last number] */
	/* server to keeper */
	MESSAGE_HOLD, /* a descriptor to be held [left out: what is not held yet is promised to nobody] */
};

struct message {
	uint32_t kind;
	int32_t value;
	struct ptable_ref ref;
};

/* keeper to server. Never blocks. Result: 0, -EAGAIN (no room), -EPIPE (nobody there). */
int message_send(int socket_fd, const struct message *message);

/* The same for what the table tells as well: when there is no room, the table's overflow flag stays set, so that
 * the server looks there. It takes the flag when message_receive() has given -EAGAIN. */
void message_report(int socket_fd, struct ptable *table, const struct message *message);

/* server side, never blocks. Result: 0 and *out, -EAGAIN (none), -EPIPE (the keeper is gone),
 * -EPROTO (not a message). */
int message_receive(int socket_fd, struct message *out);

/* A launch in the form that travels: bytes, and duplicates of the descriptors of the spec; those to be held are no
 * duplicates and must stay open until it is sent. What does not fit the inline size goes into a memfd that this struct owns. */
struct message_launch {
	struct ptable_ref ref;
	void *bytes;
	size_t size;
	int memory_fd; /* -1 when inline */
	int fds[3];    /* duplicates: stdin, stdout, stderr; -1 */
	int held_fds[2]; /* as in the spec */
};

/* Result: 0 and *out (message_launch_finish frees), -ENOMEM, -EMFILE, -ENFILE, -EBADF, -E2BIG above MESSAGE_LAUNCH_MAX
 * or MESSAGE_GROUPS_MAX. */
int message_launch_init(struct message_launch *out, struct ptable_ref ref, const struct launch_spec *spec);
void message_launch_finish(struct message_launch *launch);

/* Never blocks. Result: 0, -EAGAIN (no room: try again when writable), -EPIPE. */
int message_send_launch(int socket_fd, const struct message_launch *launch);

/* A descriptor for the keeper to hold, announced by holdings_expect(); it stays the caller's.
 * Never blocks. Result: 0, -EAGAIN (no room: try again when writable), -EPIPE. */
int message_send_hold(int socket_fd, const struct holding *holding);

/* What the keeper received: a launch, whose spec points into memory that this struct owns, or, when `is_hold`, a
 * descriptor to be held and no launch. */
struct message_received_launch {
	bool is_hold;
	struct holding hold; /* its fd -1 otherwise */
	struct ptable_ref ref;
	struct launch_spec spec;
	void *memory;
	size_t size;
};

/* Keeper side: blocks until one arrives. Result: 0 and *out (finish closes its descriptors), -EPIPE when
 * the server is gone, -EPROTO for anything malformed (every length is checked), -ENOMEM, -EMFILE when there is no room
 * for the descriptors, -EINTR. On the other errors nothing is to be finished; out->ref is the launch that was
 * lost, or its index is PTABLE_COMMAND when that can't be told. */
int message_receive_launch(int socket_fd, struct message_received_launch *out);
void message_received_launch_finish(struct message_received_launch *launch);

/* Bytes to launch, without the descriptors (all -1); *out keeps nothing of `bytes`, which may be anything.
 * Result: 0 and *out, -EPROTO, -ENOMEM. */
int message_decode_launch(const void *bytes, size_t size, struct message_received_launch *out);

enum {
	MESSAGE_LAUNCH_MAX = 8 << 20,     /* of the bytes of a launch */
	MESSAGE_INLINE_MAX = 48 << 10,    /* more than this goes into the memfd */
	MESSAGE_GROUPS_MAX = 65536,       /* the kernel's NGROUPS_MAX */
};

#endif
