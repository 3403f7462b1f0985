/* Writes to control files: a script that runs, waits, is interrupted and goes on. */
#include <errno.h>
#include <stdlib.h>

#include "fs/ctl.h"
#include "fs/private.h"

enum { FREE_SCRIPT = 4096 }; /* so much can be written by who has no bytes left */

/* A script that is being done: one write. */
struct running {
	struct parked parked;
	struct handle *handle;
	struct script script;
	size_t size; /* of the write */
	struct share_cost held; /* of who opened the file */
};

/* Reading the descriptor gives the last answer; the verbs when there is none. */
static void keep_answer(struct running *running)
{
	struct handle *handle = running->handle;
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

/* Milliseconds until the deadline of the line that waits; it was set when that line first waited in this open. */
static int64_t remaining(struct running *running)
{
	struct handle *handle = running->handle;
	uv_loop_t *loop = running->parked.parking->loop;
	double seconds = script_limit(&running->script);
	if (seconds < 0)
		return -1;
	uv_update_time(loop);
	if (!handle->deadline) {
		double limit = seconds < 1e9 ? seconds : 1e9;
		handle->deadline = uv_now(loop) + (uint64_t)(limit * 1000 + 0.5);
	}
	return handle->deadline > uv_now(loop) ? (int64_t)(handle->deadline - uv_now(loop)) : 0;
}

static void proceed(struct running *running, struct target *target)
{
	struct handle *handle = running->handle;
	enum script_state state;
	int error = script_run(&running->script, &target->view, &running->parked.waiter, &state);
	if (running->script.closed)
		names_changed(handle->server);
	running->script.closed = false;
	if (!error && state != SCRIPT_DONE) {
		handle->resume_state = (int)state;
		error = parked_wait(&running->parked, remaining(running));
		if (!error)
			return;
		handle->resumes = error == -EINTR;
	}
	if (!handle->resumes)
		handle->deadline = 0;
	finish(running, target, error);
}

static void on_script_woken(struct parked *parked, int outcome)
{
	struct running *running = (struct running *)parked;
	struct handle *handle = running->handle;
	struct target target;
	target_of(parked->request, handle, &target);
	handle->resumes = outcome == -EINTR;
	if (!handle->resumes)
		handle->deadline = 0;
	int error = script_wake(&running->script, &target.view, outcome);
	if (error)
		finish(running, &target, error);
	else
		proceed(running, &target);
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
	bool resumes = handle->resumes;
	handle->resumes = false;
	handle->position = 0;
	parked_init(&running->parked, &handle->server->parking, request, on_script_woken);
	running->handle = handle;
	share_settle(handle->share, &running->held, &cost);
	running->size = script->size;
	error = script_parse(&target->view, script->data, script->size, &running->script);
	if (!error && resumes)
		script_resume(&running->script, (enum script_state)handle->resume_state);
	if (!resumes)
		handle->deadline = 0;
	if (error)
		finish(running, target, error);
	else
		proceed(running, target);
}
