/*
 * writes: writes to ctl that run and wait, for tests; the keeper is played by hand.
 */
#ifndef PROCFS_MP_TESTS_WRITES_H
#define PROCFS_MP_TESTS_WRITES_H

#include "world.h"

#include "fs/ctl.h"
#include "fs/resumption.h"

struct write {
	struct world *world;
	struct view view;
	struct script script;
	struct told told;
	enum script_state reached;
};

/* Parses, and runs until it waits or ends. process NULL: the root's ctl. Result: the script's. */
static inline int begin(struct write *write, struct world *world, struct process *process, const char *text)
{
	*write = (struct write){ .world = world, .told = TOLD };
	write->view = (struct view){ world->manager, process, &world->caller, false };
	world->why.sentence[0] = '\0';
	assert_int_equal(script_parse(&write->view, text, strlen(text), &write->script), 0);
	return script_run(&write->script, &write->view, &write->told.waiter, &write->reached);
}

#endif
