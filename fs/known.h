/*
 * known: what is known of processes, of one and of all, for people and for programs. Results as struct row's show.
 * Must not know: FUSE.
 */
#ifndef PROCFS_MP_KNOWN_H
#define PROCFS_MP_KNOWN_H

#include "fs/files.h"

/* of one process */
int started_show(const struct view *view, struct text *out);
int ended_show(const struct view *view, struct text *out);
int rusage_show(const struct view *view, struct text *out);
int status_json_show(const struct view *view, struct text *out);

/* of all: without what takes long to find or has no bound */
int all_status_show(const struct view *view, struct text *out);
int all_status_json_show(const struct view *view, struct text *out);

/* "2026-11-20T19:00:00.000000Z"; nothing when tv_sec is 0. */
void add_stamp(struct text *out, struct timespec when);

/* The signal that ended it, as "SIGTERM" or "SIGRTMIN+1", and whether it dumped core; 0 and nothing
 * when no signal did. */
int add_ending_signal(struct text *out, const struct process *process, bool *dumped);

#endif
