/*
 * streams: the files that say where the streams of a process lead and how much of them is kept; results as struct
 * row's.
 * Must not know: FUSE.
 */
#ifndef PROCFS_MP_STREAMS_H
#define PROCFS_MP_STREAMS_H

#include "fs/files.h"

int stdout_to_show(const struct view *view, struct text *out);
int stderr_to_show(const struct view *view, struct text *out);
int stdout_to_store(const struct view *view, const char *bytes, size_t size);
int stderr_to_store(const struct view *view, const char *bytes, size_t size);
int output_max_show(const struct view *view, struct text *out);
int output_max_store(const struct view *view, const char *bytes, size_t size);
int stdin_open_show(const struct view *view, struct text *out);
int stdin_open_store(const struct view *view, const char *bytes, size_t size);

#endif
