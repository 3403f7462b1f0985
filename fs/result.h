/*
 * result: the bytes that a process leaves for others. Functions as struct row's.
 * Must not know: FUSE.
 */
#ifndef PROCFS_MP_RESULT_H
#define PROCFS_MP_RESULT_H

#include "fs/files.h"

enum { RESULT_LARGEST = 16 << 20 };

/* From inside of the process alone. Result: 0; -EPERM with a sentence. */
int result_permit(const struct view *view);
int result_put(const struct view *view, const char *bytes, size_t size, off_t offset);
int result_stream(const struct process *process);

#endif
