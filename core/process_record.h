/*
 * process_record: one process as bytes, and back.
 *
 * Two records: its configuration, which is large and frozen by the start, and all the rest. Must not know: journals, who is
 * on whose list, descriptors.
 */
#ifndef PROCFS_MP_PROCESS_RECORD_H
#define PROCFS_MP_PROCESS_RECORD_H

#include "core/input.h"
#include "core/process.h"
#include "core/record.h"

/* What the rest says that is not the process's own. */
struct process_ties {
	uint64_t parent, session; /* 0: none */
	uint64_t output_dropped[2];
	uint64_t written; /* bytes of its stdin before the start, of its result from then on */
	uint64_t tree; /* the number of its cgroup_tree; 0: none */
	bool has_input;
	struct input_past input;
	pid_t writer;          /* STARTING: the program that wrote start, when one of its descriptors is wanted */
	uint64_t writer_start; /* kin.start of it */
};

void process_pack_configuration(const struct process *process, struct text *out);
/* Of a process that is still as process_create() made it. Result: 0, -EPROTO, -ENOMEM. */
int process_unpack_configuration(struct process *process, struct record_reader *from);

void process_pack(const struct process *process, const struct process_ties *ties, struct text *out);
/* Makes one. restart and stopping are left in *from, behind what is read. Result: 0, *out and *ties; -EPROTO, -ENOMEM. */
int process_unpack(uint64_t id, struct record_reader *from, struct process **out, struct process_ties *ties);

#endif
