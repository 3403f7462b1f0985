/* Writes to control files: a script that runs, waits, is interrupted and goes on. */
#include <errno.h>
#include <stdlib.h>

#include "fs/ctl.h"
#include "fs/private.h"

enum { A_TURN = 4000000 }; /* nanoseconds */
enum { FREE_SCRIPT = 4096 }; /* so much can be written by who has no bytes left */

/* A script that is being done: one write. */
struct running {
	struct parked parked;
	struct handle *handle;
	struct script script;
	struct resumption at; /* on the handle's list while it waits */
	struct turn turn;
	bool awaits_turn;
	size_t size; /* of the write */
	struct share_cost held; /* of who opened the file */
};

/* Reading the descriptor gives the last answer; the verbs when there is none. */
static void keep_answer(struct running *running)
{
	struct handle *handle = running->handle;
	handle_touch(handle);
	free(handle->answer);
	handle->answer_size = 0;
	handle->answer = running->script.has_answer ? text_take(&running->script.answer, &handle->answer_size) : NULL;
	handle_recount(handle);
}

/* The end of the write: its count, or the errno with its sentence. Lines that were done before an interruption give a short
 * count, so that a writer who sends the rest again does none of them twice. */
static void finish(struct running *running, struct target *target, int error)
{
	fuse_req_t request = running->parked.request;
	share_settle(running->handle->share, &running->held, &(struct share_cost){0});
	if (running->script.removed) {
		target->process = NULL;
		names_changed(running->handle->server);
	}
	keep_answer(running);
	if (error == -EINTR && running->script.done)
		fuse_reply_write(request, running->script.done);
	else if (error == -EINTR || error == -ENODEV)
		fuse_reply_err(request, -error);
	else if (error)
		refuse_request(request, target, error);
	else {
		forget_refusal(target);
		fuse_reply_write(request, running->size);
	}
	script_finish(&running->script);
	free(running);
}

/* Milliseconds until the deadline of the line that waits; it was set when that line first waited in this open. The loop's
 * clock is CLOCK_MONOTONIC, so that a deadline means the same to a later server. */
static int64_t remaining(struct running *running)
{
	struct resumption *at = &running->at;
	uv_loop_t *loop = running->parked.parking->loop;
	double seconds = script_limit(&running->script);
	if (seconds < 0 && !at->deadline)
		return -1;
	uv_update_time(loop);
	if (!at->deadline) {
		double limit = seconds < 1e9 ? seconds : 1e9;
		at->deadline = uv_now(loop) + (uint64_t)(limit * 1000 + 0.5);
	}
	return at->deadline > uv_now(loop) ? (int64_t)(at->deadline - uv_now(loop)) : 0;
}

/* Its writer sends it again: the next write of this open goes on where this one was. */
static void keep_interrupted(struct running *running)
{
	struct handle *handle = running->handle;
	handle->resumes = true;
	handle->interrupted = (struct resumption){ .state = running->at.state, .deadline = running->at.deadline };
}

/* Result: 0, and the line waits; -errno, and the write is to be answered. */
static int await(struct running *running, enum script_state state)
{
	struct handle *handle = running->handle;
	bool turn = state == SCRIPT_WAITS_FOR_TURN;
	script_place(&running->script, state, &running->at);
	if (turn)
		costly_wait(&handle->server->costly, &running->turn);
	int error = parked_wait(&running->parked, turn ? -1 : remaining(running));
	if (!error) {
		running->awaits_turn = turn;
		LIST_INSERT_HEAD(&handle->waiting, &running->at, link);
		handle_touch(handle);
		return 0;
	}
	costly_leave(&handle->server->costly, &running->turn);
	if (error == -EINTR)
		keep_interrupted(running);
	return error;
}

/* Lines until one waits, or all are done. */
static void go_on(struct running *running, struct target *target)
{
	struct handle *handle = running->handle;
	enum script_state state;
	size_t line = running->script.next;
	if (script_is_costly(&running->script))
		costly_begin(&handle->server->costly, handle->uid);
	running->script.turn_ends = uv_hrtime() + A_TURN;
	int error = script_run(&running->script, &target->view, &running->parked.waiter, &state); /* CHANGE */
	if (running->script.closed)
		names_changed(handle->server);
	running->script.closed = false;
	if (running->script.next != line)
		running->at.deadline = 0;
	if (!error && state != SCRIPT_DONE) {
		error = await(running, state);
		if (!error)
			return;
	}
	finish(running, target, error);
}

static void proceed(struct running *running, struct target *target)
{
	if (!script_is_costly(&running->script) || costly_is_free(&running->handle->server->costly)) {
		go_on(running, target);
		return;
	}
	int error = await(running, SCRIPT_WAITS_FOR_TURN);
	if (error)
		finish(running, target, error);
}

/* Result: 0: the line that waited has come to its end. */
static int end_wait(struct running *running, struct target *target, int outcome)
{
	if (outcome == -EINTR)
		keep_interrupted(running);
	running->at.deadline = 0;
	return script_wake(&running->script, &target->view, outcome);
}

/* Its turn has come, or what ends the waiting for it. */
static void on_turn(struct running *running, struct target *target, int outcome)
{
	running->awaits_turn = false;
	costly_leave(&running->handle->server->costly, &running->turn);
	if (outcome == -EINTR)
		keep_interrupted(running);
	if (outcome)
		finish(running, target, outcome);
	else
		go_on(running, target);
}

static void on_script_woken(struct parked *parked, int outcome)
{
	struct running *running = (struct running *)parked;
	struct target target;
	target_of(parked->request, running->handle, &target);
	LIST_REMOVE(&running->at, link);
	handle_touch(running->handle);
	if (running->awaits_turn) {
		on_turn(running, &target, outcome);
		return;
	}
	int error = end_wait(running, &target, outcome);
	if (error)
		finish(running, &target, error);
	else
		proceed(running, &target);
}

/* The write has come before: to a server that is gone, or until it was interrupted. */
static void resume(struct running *running)
{
	struct handle *handle = running->handle;
	struct resumption *resent = resumption_take(&handle->resent, running->at.unique);
	struct resumption *from = resent ? resent : handle->resumes ? &handle->interrupted : NULL;
	if (from) {
		running->at.deadline = from->deadline;
		script_resume(&running->script, resent ? SCRIPT_RESENT : SCRIPT_INTERRUPTED, from);
	}
	if (!resent)
		handle->resumes = false;
	resumption_destroy(resent);
}

void control_write(fuse_req_t request, struct handle *handle, struct target *target, struct text *script)
{
	const struct share_cost cost = { .bytes = script->size > FREE_SCRIPT ? script->size : 0 };
	int error = share_check(handle->share, &cost, &target->why);
	if (error) {
		refuse_request(request, target, error);
		return;
	}
	struct running *running = calloc(1, sizeof *running);
	if (!running) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	handle_touch(handle);
	handle->position = 0;
	parked_init(&running->parked, &handle->server->parking, request, on_script_woken);
	running->handle = handle;
	running->turn = (struct turn){ .uid = handle->uid, .waiter = &running->parked.waiter };
	share_settle(handle->share, &running->held, &cost);
	running->at.unique = handle->server->current.unique;
	running->size = script->size;
	error = script_parse(&target->view, script->data, script->size, &running->script);
	if (error) {
		handle->resumes = false;
		finish(running, target, error);
		return;
	}
	resume(running);
	proceed(running, target);
}
