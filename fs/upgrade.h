/*
 * upgrade: `procfs-mp --upgrade MOUNTPOINT`: asks the keeper of a mount to let the installed program be its server, and
 * waits until it is.
 *
 * Must not know: how the keeper does it.
 */
#ifndef PROCFS_MP_UPGRADE_H
#define PROCFS_MP_UPGRADE_H

/* Result: the exit status; a line on standard output, or a message why not. */
int upgrade_run(const char *mountpoint);

#endif
