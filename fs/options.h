/*
 * options: the argument vector of procfs-mp as a struct.
 *
 * Owns: the conventions of the command line: that of FUSE programs (-f -d -s -h -V -o), what mount(8),
 * fstab(5) and systemd add to it, and "--" before a command. Pure: reads and writes nothing outside.
 *
 * Must not know: the environment, whether a path exists, FUSE.
 */
#ifndef PROCFS_MP_OPTIONS_H
#define PROCFS_MP_OPTIONS_H

#include <stdbool.h>

#include "core/share.h"
#include "core/text.h"

enum options_action {
	OPTIONS_MOUNT,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_UPGRADE, /* of the mount at `mountpoint`, which is there */
};

/* Strings other than `fuse` are argv's own. */
struct options {
	enum options_action action;
	const char *mountpoint; /* as it was written; NULL: none was */
	char *const *command;   /* what follows "--", ended by NULL; NULL: no "--" */
	bool foreground;        /* -f, or implied by -d or a command */
	bool debug;
	bool allow_other;       /* others than the mount's user may reach it: allow_other or allow_root */
	struct share_limits limits; /* of each user: max_processes, max_bytes */
	bool auto_unmount;      /* libfuse will need fusermount3, also for the superuser */
	char *fuse;             /* for libfuse's -o, always with fsname and subtype; options_finish frees */
};

/* Parses argv[1] to argv[argc - 1]; options_finish is due after success alone. -h and -V end the parsing.
 * Result: 0 and *out; -EINVAL and a sentence in *why that quotes the word; -ENOMEM. */
int options_parse(struct options *out, int argc, char *const *argv, struct refusal *why);
void options_finish(struct options *options);

/* The text of --help, ended by a newline. */
const char *options_help(void);

#endif
