/*
 * ctl: the verb table, and scripts of verbs.
 *
 * A write to ctl is a script: lines of a verb with its words, or of a file's name with a value. All lines
 * are checked before the first is done. Lines of the root's ctl are verbs for many (many.h). Must not know: FUSE.
 */
#ifndef PROCFS_MP_CTL_H
#define PROCFS_MP_CTL_H

#include "fs/files.h"

struct gathering;
struct resumption;
struct process_ids;
struct verb;

struct step {
	const struct verb *verb; /* NULL: a row's value */
	const struct row *row;
	const char *value; /* the words behind the first, in the script's text */
	size_t size;
	size_t end; /* how many bytes of the script are done with this line */
	double seconds; /* join: negative without a limit */
	int signal_number;
	bool tree; /* terminate, kill: with all that descends from it */
	struct words who; /* in the root's: the words that say which processes, as written */
	struct process_ids *chosen; /* those that a `join any` is about */
	struct text names; /* and theirs, a line each: one may be gone by the time it is told that it has ended */
};

/* Whether a line is done for the first time. One that was interrupted is sent again by its writer, who wants it done: what
 * has failed meanwhile is tried anew. One that the kernel sends again is the same write: what it came to is told. */
enum script_again { SCRIPT_ANEW, SCRIPT_INTERRUPTED, SCRIPT_RESENT };

struct script {
	char *text;
	struct step *steps;
	size_t count, next;
	size_t done; /* bytes of the lines that are done */
	bool removed; /* the process is gone: `close` */
	enum script_again again; /* of line `next`, once it has begun */
	uint64_t turn_ends; /* uv_hrtime(3): later it waits for another turn before its next line; 0: it does not */
	bool closed; /* in the root's: processes are gone, since this was last false */
	bool of_root; /* its lines are about many processes */
	struct gathering *gathering; /* of the root's line that waits */
	struct text answer; /* what reading the descriptor gives: who has ended, after `join any` */
	bool has_answer;
};

/* What script_run() came to. */
enum script_state { SCRIPT_DONE, SCRIPT_WAITS_FOR_START, SCRIPT_WAITS_FOR_END, SCRIPT_WAITS_FOR_TREE,
		    SCRIPT_WAITS_FOR_TURN /* its next line has not begun */ };

/* Result: 0 and *out (script_finish frees); -EINVAL for words that mean nothing, -E2BIG, -ENOMEM; with a sentence. */
int script_parse(const struct view *view, const char *text, size_t size, struct script *out);

/* After script_parse: it was begun already. INTERRUPTED: its first line is the one that waited, in the state of *at, and a
 * start is not asked for twice. RESENT: it goes on at the line *at says; what that line needs is taken out of *at. */
void script_resume(struct script *script, enum script_again again, struct resumption *at);

/* Where it is, before it waits. What that points to stays the script's. */
void script_place(const struct script *script, enum script_state state, struct resumption *out);

/* Whether it may take so long that it waits for its turn before it goes on. */
bool script_is_costly(const struct script *script);

/* Does lines until one has to wait, which `waiter` then does, or its turn is over, and nobody waits.
 * Result: 0 and *state; -errno with a sentence that says which lines were done. */
int script_run(struct script *script, const struct view *view, struct waiter *waiter, enum script_state *state);

/* The line that waited has come to `error`; 0: go on with script_run(). Result: error, with its sentence. */
int script_wake(struct script *script, const struct view *view, int error);

/* Seconds that the line which waits may take; negative: for ever. */
double script_limit(const struct script *script);

void script_finish(struct script *script);

enum { SCRIPT_LARGEST = 64 << 10 };

/* show of every ctl: the verbs, a line each. */
int ctl_show(const struct view *view, struct text *out);

#endif
