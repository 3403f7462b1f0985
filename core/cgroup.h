/*
 * cgroup: a control group for a process that asked for one: made before its start, removed when nobody is left in it.
 *
 * Owns: where groups can be made (cgroup v2, or v1's hierarchies), the directories it made there and their removal.
 * Below the mount's own group, so that its limits stay above; when processes there forbid that (cgroups(7), "no
 * internal processes"), beside it, but only when it has no limits of its own. Must not know: files of the mount,
 * launches.
 */
#ifndef PROCFS_MP_CGROUP_H
#define PROCFS_MP_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "core/text.h"

enum cgroup_kind { CGROUP_MEMORY, CGROUP_CPU, CGROUP_PIDS, CGROUP_KINDS };

#define CGROUP_MAX UINT64_MAX

/* What is asked of a group. CGROUP_MAX: no limit. */
struct cgroup_wish {
	uint64_t limits[CGROUP_KINDS]; /* bytes; microseconds of each period; processes and threads */
	uint64_t period;               /* microseconds */
};

enum { CGROUP_PERIOD_DEFAULT = 100000 };

void cgroup_wish_init(struct cgroup_wish *wish);
bool cgroup_wish_is_empty(const struct cgroup_wish *wish);
/* `max`, or bytes with a suffix K, M, G or T; `max`, QUOTA or QUOTA PERIOD; `max` or a number. An empty word is `max`.
 * Result: 0; -EINVAL with a sentence, and *out unchanged. */
int cgroup_wish_parse(struct cgroup_wish *out, enum cgroup_kind kind, const char *word, struct refusal *why);
void cgroup_wish_show(const struct cgroup_wish *wish, enum cgroup_kind kind, struct text *out);
/* The name of its file: memory_max, cpu_max, pids_max. */
const char *cgroup_kind_name(enum cgroup_kind kind);

/* The group of one process: one directory in v2, one for each kind in v1. */
struct cgroup {
	uint64_t id;
	uint32_t run;
	bool leaves; /* to be removed as soon as it is empty */
	char *directories[CGROUP_KINDS + 1]; /* NULL behind the last */
	char *entries[CGROUP_KINDS + 1]; /* the cgroup.procs of each; NULL ends */
	char *kill;                      /* v2's cgroup.kill, or NULL */
	LIST_ENTRY(cgroup) link;
};

struct cgroups;

/* For the keeper's child. Reads where groups are and where this process is in them: /proc/self/mountinfo and
 * /proc/self/cgroup, or files like them.
 * Result: 0 and *out, -ENOMEM, open(2)'s errno, -ESRCH (the keeper is gone). */
int cgroups_create(uv_loop_t *loop, const char *mountinfo, const char *membership, struct cgroups **out);
/* For a server that follows one that died, before anything is made: takes what that one made. Groups with limits are
 * found by their process again; the others wait for cgroup_tree_claim(). Result: 0, -ENOMEM. */
int cgroups_adopt(struct cgroups *cgroups);
/* Removes what is empty. NULL is allowed. */
void cgroups_destroy(struct cgroups *cgroups);

/* For a keeper, before its first server and after its last: removes what that one left behind and what mounts did whose keeper was
 * killed, as far as nobody is in it. */
void cgroups_sweep(void);

/* Whether a limit of that kind can be set here: tried once. Result: 0, -EOPNOTSUPP with a sentence, -ENOMEM. */
int cgroups_check(struct cgroups *cgroups, enum cgroup_kind kind, struct refusal *why);

/* Makes the group of process `id` for its run `run` and sets what is wished.
 * Result: 0 and *out, which stays the owner's until cgroups_leave(); -errno with a sentence, and nothing is left. */
int cgroups_make(struct cgroups *cgroups, uint64_t id, uint32_t run, const struct cgroup_wish *wish,
		 struct cgroup **out, struct refusal *why);
/* That of the last run of process `id`; NULL: none. */
struct cgroup *cgroups_find(struct cgroups *cgroups, uint64_t id);
/* The process has ended: its groups are removed now, or when those it left behind have ended too.
 * cgroups may be NULL. */
void cgroups_leave(struct cgroups *cgroups, uint64_t id);
/* After cgroups_adopt(): the same for all groups but those of runs that go on, and but those that were claimed. */
void cgroups_leave_all_but(struct cgroups *cgroups, bool (*goes_on)(void *context, uint64_t id, uint32_t run),
			   void *context);
/* The sentence's part for a launch that failed to enter `entry`. */
const char *cgroup_entry(const struct cgroup *cgroup, int32_t entry);

#endif
