/*
 * tree: a signal for a process and for all that descends from it.
 *
 * Owns: the work in the loop's pool that finds them. Must not know: how /proc is read.
 */
#ifndef PROCFS_MP_TREE_H
#define PROCFS_MP_TREE_H

#include "core/manager.h"

/* Signals the process and all its descendants, also those that left its session and whose parents have ended, and after
 * its end those that it left behind; no other managed process and none of its descendants. The waiter is told when they
 * have been signalled: 0; -EPERM when one could not be, with a sentence in process->error.
 * Result: 0, and the waiter waits; -ESRCH before start, -ENOMEM, -EAGAIN, -EMFILE, -ENFILE. */
int manager_signal_tree(struct manager *manager, struct process *process, int signal_number,
			const struct caller *caller, struct waiter *waiter);

/* The manager goes away; what is still under way tells nobody. */
void tree_forget(struct manager *manager);

#endif
