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

struct script {
	char *text;
	struct step *steps;
	size_t count, next;
	size_t done; /* bytes of the lines that are done */
	bool removed; /* the process is gone: `close` */
	bool resumes; /* the first line's start was asked for already */
	bool closed; /* in the root's: processes are gone, since this was last false */
	bool of_root; /* its lines are about many processes */
	struct gathering *gathering; /* of the root's line that waits */
	struct text answer; /* what reading the descriptor gives: who has ended, after `join any` */
	bool has_answer;
};

/* What script_run() came to. */
enum script_state { SCRIPT_DONE, SCRIPT_WAITS_FOR_START, SCRIPT_WAITS_FOR_END, SCRIPT_WAITS_FOR_TREE };

/* Result: 0 and *out (script_finish frees); -EINVAL for words that mean nothing, -E2BIG, -ENOMEM; with a sentence. */
int script_parse(const struct view *view, const char *text, size_t size, struct script *out);

/* The script is sent again after an interruption, by the open that was interrupted: a start that it
 * waited for is not asked for twice. */
void script_resume(struct script *script, enum script_state state);

/* Does lines until one has to wait, which `waiter` then does.
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
