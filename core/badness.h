/*
 * badness: how soon the kernel kills this process when memory runs out (proc_pid_oom_score_adj(5)).
 *
 * Must not know: whose it is.
 */
#ifndef PROCFS_MP_BADNESS_H
#define PROCFS_MP_BADNESS_H

enum { BADNESS_ROOM = 16 };

/* Result: 0 and the number as text, or -errno. */
int badness_get(char out[BADNESS_ROOM]);

/* Safe between clone and exec: a child that shares its suspended parent's memory (CLONE_VFORK) sets its own alone.
 * Result: 0 or -errno, -EACCES for less than may be had. */
int badness_set(const char *value);

/* As low as may be had. Result: 0, or -errno and it is what it was. */
int badness_lower(void);

#endif
