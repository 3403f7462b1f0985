/*
 * terms: the files that say on which terms a process runs: how it is stopped, its limits, whose it is.
 * Functions as struct row's show and store. Must not know: FUSE.
 */
#ifndef PROCFS_MP_TERMS_H
#define PROCFS_MP_TERMS_H

#include "core/json.h"
#include "fs/files.h"

int stop_signal_show(const struct view *view, struct text *out);
int stop_timeout_show(const struct view *view, struct text *out);
int timeout_show(const struct view *view, struct text *out);

int limits_show_lines(const struct view *view, struct text *out);
int nice_show(const struct view *view, struct text *out);

int cpu_max_show(const struct view *view, struct text *out);
int memory_max_show(const struct view *view, struct text *out);
int pids_max_show(const struct view *view, struct text *out);

int cpu_max_store(const struct view *view, const char *bytes, size_t size);
int memory_max_store(const struct view *view, const char *bytes, size_t size);
int pids_max_store(const struct view *view, const char *bytes, size_t size);

int user_show(const struct view *view, struct text *out);

int user_store(const struct view *view, const char *bytes, size_t size);
/* Its lines, each whole: more come behind them. */
int limits_former(const struct view *view, const char *bytes, size_t size, struct text *out);
int limits_store(const struct view *view, const char *bytes, size_t size);
int nice_store(const struct view *view, const char *bytes, size_t size);

int stop_signal_store(const struct view *view, const char *bytes, size_t size);
int stop_timeout_store(const struct view *view, const char *bytes, size_t size);
int timeout_store(const struct view *view, const char *bytes, size_t size);

/* What status says of all that was set. */
void terms_add_status(const struct view *view, struct text *out);
/* Members of an object that is open: every key is always there, null when nothing was set. */
void terms_add_json(const struct view *view, struct json *json);

#endif
