/*
 * show: what each file says. One function a file, as the table in files.c names them; results as struct row's show.
 * Must not know: FUSE.
 */
#ifndef PROCFS_MP_SHOW_H
#define PROCFS_MP_SHOW_H

#include "fs/files.h"

/* the root's */
int active_children_show(const struct view *view, struct text *out);
int default_start_method_show(const struct view *view, struct text *out);
int root_error_show(const struct view *view, struct text *out);
int self_show(const struct view *view, struct text *out);
int session_show(const struct view *view, struct text *out);
int version_show(const struct view *view, struct text *out);

/* a process's */
int alive_show(const struct view *view, struct text *out);
int args_show(const struct view *view, struct text *out);
int authkey_show(const struct view *view, struct text *out);
int clone_show(const struct view *view, struct text *out);
int cwd_show(const struct view *view, struct text *out);
int daemon_show(const struct view *view, struct text *out);
int env_show(const struct view *view, struct text *out);
int error_show(const struct view *view, struct text *out);
int exitcode_show(const struct view *view, struct text *out);
int kwargs_show(const struct view *view, struct text *out);
int name_show(const struct view *view, struct text *out);
int parent_show(const struct view *view, struct text *out);
int pid_show(const struct view *view, struct text *out);
int ppid_show(const struct view *view, struct text *out);
int restart_show(const struct view *view, struct text *out);
int run_show(const struct view *view, struct text *out);
size_t run_size(const struct view *view);
int sentinel_show(const struct view *view, struct text *out);
int start_method_show(const struct view *view, struct text *out);
/* initial, running, paused or ended. */
const char *state_word(const struct view *view);
int state_show(const struct view *view, struct text *out);
int status_show(const struct view *view, struct text *out);
int target_show(const struct view *view, struct text *out);
int umask_show(const struct view *view, struct text *out);
int wait_show(const struct view *view, struct text *out);

int stdin_stream(const struct process *process);

#endif
