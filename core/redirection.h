/*
 * redirection: where stdout and stderr of a process lead, in words and for a launch.
 *
 * The words: a path, `stdout` or `stderr` for the other stream, `inherit` or `inherit N` for descriptor N (2 unless it is said)
 * of the program that wrote start; none: captured. Opens nothing: the child does, as its user.
 *
 * Must not know: FUSE, who is told.
 */
#ifndef PROCFS_MP_REDIRECTION_H
#define PROCFS_MP_REDIRECTION_H

#include "core/launch.h"
#include "core/process.h"
#include "core/text.h"

struct caller;

/* The program that wrote start, when one of its descriptors is wanted; {0}: nobody. */
struct writer {
	pid_t pid;
	int pid_fd;
	uint64_t start; /* kin.start: tells it from a later process of its number */
};

/* The words of stream `which` (0 stdout, 1 stderr); out->path points into them.
 * Result: 0 and *out; -EINVAL with a sentence. */
int redirection_parse(const char *words, int which, struct launch_output *out, struct refusal *why);

/* Whether one of the streams leads to a descriptor of the program that writes start: for one run alone, which is all that this
 * program is sure to be there for. */
bool redirection_is_inherited(const struct process *process);
/* Result: -EINVAL, with the sentence that such a process is not run again. */
int redirection_refuse_restart(struct refusal *why);

/* Whether the process can be started so by this caller. Result: 0; -EINVAL (the two lead to each other; inherit, and it is to be
 * run again), -EPERM (inherit, from another user's program), with a sentence. */
int redirection_check(const struct process *process, const struct caller *caller);

/* Result: 0 and *out, {0} when nothing is inherited (redirection_forget_writer closes); -ESRCH, -EMFILE, -ENOMEM with a sentence. */
int redirection_keep_writer(const struct process *process, const struct caller *caller, struct writer *out);
/* The same program again, in a new server; {0} when it has gone. */
void redirection_find_writer(pid_t pid, uint64_t start, struct writer *out);
void redirection_forget_writer(struct writer *writer);

/* Fills in the spec's outputs; descriptors of streams that are not captured are replaced. All stays the process's and the writer's. */
void redirection_apply(const struct process *process, const struct writer *writer, struct launch_spec *spec);

/* The sentence of a launch that failed at that stream. */
void redirection_describe(const struct launch_spec *spec, int which, int error, struct refusal *why);

#endif
