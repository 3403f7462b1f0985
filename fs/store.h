/*
 * store: what each file takes. One function a file, as the table in files.c names them; results as struct row's store.
 * Must not know: FUSE.
 */
#ifndef PROCFS_MP_STORE_H
#define PROCFS_MP_STORE_H

#include "fs/files.h"

int default_start_method_store(const struct view *view, const char *bytes, size_t size);

int args_store(const struct view *view, const char *bytes, size_t size);
int authkey_store(const struct view *view, const char *bytes, size_t size);
int cwd_store(const struct view *view, const char *bytes, size_t size);
int daemon_store(const struct view *view, const char *bytes, size_t size);
int env_store(const struct view *view, const char *bytes, size_t size);
int kwargs_store(const struct view *view, const char *bytes, size_t size);
int name_store(const struct view *view, const char *bytes, size_t size);
int restart_store(const struct view *view, const char *bytes, size_t size);
int run_store(const struct view *view, const char *bytes, size_t size);
int start_method_store(const struct view *view, const char *bytes, size_t size);
int target_store(const struct view *view, const char *bytes, size_t size);
int umask_store(const struct view *view, const char *bytes, size_t size);

int args_former(const struct view *view, const char *bytes, size_t size, struct text *out);
int env_former(const struct view *view, const char *bytes, size_t size, struct text *out);
int kwargs_former(const struct view *view, const char *bytes, size_t size, struct text *out);

int stdin_feed(const struct view *view, const char *bytes, size_t size, off_t offset);

int clone_open(const struct view *view, bool writing, struct opened *out);
int session_open(const struct view *view, bool writing, struct opened *out);

#endif
