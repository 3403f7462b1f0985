#include "fs/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/signals.h"
#include "core/stopping.h"
#include "core/tree.h"
#include "core/input.h"
#include "fs/many.h"
#include "fs/resumption.h"
#include "fs/verbs.h"

/* So many of a process's own lines take no time that anybody would notice. */
enum { FEW_LINES = 64 };

/* In a resumption's state: its writer has sent the line again, and it waits for its turn to go on with it. */
enum { SENT_AGAIN = 1 << 4 };

/* ---- the verbs ---- */

static int run_start(const struct view *view, const struct step *step, struct waiter *waiter)
{
	(void)step;
	int error = manager_start(view->manager, view->process, view->caller, waiter);
	return error ? error : 1;
}

static int run_join(const struct view *view, const struct step *step, struct waiter *waiter)
{
	int result = manager_join(view->manager, view->process, view->caller, waiter);
	if (result < 0 || result == 1)
		return result < 0 ? result : 0;
	if (step->seconds != 0)
		return 1;
	waiter_cancel(waiter);
	return refuse(view->caller->why, ETIME, "still running after 0 seconds");
}

static int signal_all_or_one(const struct view *view, const struct step *step, struct waiter *waiter, int signal_number)
{
	if (!step->tree)
		return manager_end_with(view->manager, view->process, signal_number, view->caller->why);
	int error = manager_signal_tree(view->manager, view->process, signal_number, view->caller, waiter);
	return error ? error : 1;
}

static int run_terminate(const struct view *view, const struct step *step, struct waiter *waiter)
{
	return signal_all_or_one(view, step, waiter, SIGTERM);
}

static int run_kill(const struct view *view, const struct step *step, struct waiter *waiter)
{
	return signal_all_or_one(view, step, waiter, SIGKILL);
}

static int run_stop(const struct view *view, const struct step *step, struct waiter *waiter)
{
	(void)step;
	(void)waiter;
	return manager_stop(view->manager, view->process, view->caller->why);
}

static int run_signal(const struct view *view, const struct step *step, struct waiter *waiter)
{
	(void)waiter;
	return manager_signal(view->manager, view->process, step->signal_number, view->caller->why);
}

static int run_reset(const struct view *view, const struct step *step, struct waiter *waiter)
{
	(void)step;
	(void)waiter;
	return manager_reset(view->manager, view->process, view->caller->why);
}

static int run_close(const struct view *view, const struct step *step, struct waiter *waiter)
{
	(void)step;
	(void)waiter;
	return manager_remove(view->manager, view->process, view->caller->why);
}

static int run_eof(const struct view *view, const struct step *step, struct waiter *waiter)
{
	(void)step;
	(void)waiter;
	return input_finish(view->process, view->caller->why);
}

static int run_help(const struct view *view, const struct step *step, struct waiter *waiter)
{
	(void)view;
	(void)step;
	(void)waiter;
	return 0;
}

static const struct verb VERBS[] = {
	{ .word = "start", .usage = "start", .run = run_start, .waits = SCRIPT_WAITS_FOR_START, .many = MANY_NOT_STARTED,
	  .help = "run target, or run when target is empty; done when exec has succeeded" },
	{ .word = "join", .usage = "join [SECONDS]", .wanted = MAY_SECONDS, .run = run_join, .waits = SCRIPT_WAITS_FOR_END,
	  .many = MANY_TO_JOIN, .help = "wait until it has ended" },
	{ .word = "terminate", .usage = "terminate [tree]", .wanted = MAY_TREE, .run = run_terminate, .waits = SCRIPT_WAITS_FOR_TREE,
	  .many = MANY_STARTED, .help = "send SIGTERM; tree: to all that descends from it too" },
	{ .word = "kill", .usage = "kill [tree]", .wanted = MAY_TREE, .run = run_kill, .waits = SCRIPT_WAITS_FOR_TREE,
	  .many = MANY_STARTED, .help = "send SIGKILL; tree: to all that descends from it too" },
	{ .word = "signal", .usage = "signal NAME", .wanted = MUST_SIGNAL, .run = run_signal, .many = MANY_STARTED,
	  .help = "send a signal: a name or a number" },
	{ .word = "close", .usage = "close", .run = run_close, .many = MANY_NOT_RUNNING,
	  .help = "remove the directory, as rmdir does" },
	{ .word = "reset", .usage = "reset", .run = run_reset, .many = MANY_TO_RESET,
	  .help = "after the end: make it startable again; its configuration stays" },
	{ .word = "stop", .usage = "stop", .run = run_stop, .many = MANY_STARTED,
	  .help = "send stop_signal, and SIGKILL when stop_timeout is over" },
	{ .word = "eof", .usage = "eof", .run = run_eof, .help = "end the input that stdin_open keeps open" },
	{ .word = "help", .usage = "help", .run = run_help, .help = "does nothing; reading ctl gives this list" },
};

enum { VERB_COUNT = sizeof VERBS / sizeof *VERBS };

const struct verb *verb_row(size_t index)
{
	return index < VERB_COUNT ? &VERBS[index] : NULL;
}

int ctl_show(const struct view *view, struct text *out)
{
	(void)view;
	for (size_t i = 0; i < VERB_COUNT; i++)
		text_printf(out, "%-16s %s\n", VERBS[i].usage, VERBS[i].help);
	text_printf(out, "%-16s %s\n", "FILE VALUE", "write VALUE to the file beside ctl");
	return text_status(out);
}

/* ---- words ---- */

static int refuse_word(const struct view *view, const char *word, size_t size)
{
	struct text valid = {0};
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (view->process || VERBS[i].many)
			text_printf(&valid, "%s%s", valid.size ? ", " : "", view->process ? VERBS[i].usage : VERBS[i].word);
	char *list = text_take(&valid, NULL);
	char *quoted = NULL;
	words_quote(word, size, &quoted);
	int error = refuse(view->caller->why, EINVAL, "unknown verb %s; valid are: %s%s", quoted ? quoted : "",
			   list ? list : "", view->process ? ", or FILE VALUE" : ", and whom: all, names or globs");
	free(quoted);
	free(list);
	return error;
}

int verb_parse_seconds(const struct view *view, struct step *step)
{
	if (!step->size)
		return 0;
	char *end;
	double seconds = strtod(step->value, &end);
	if (strspn(step->value, "0123456789.eE+-") != step->size || *step->value == '+' || end != step->value + step->size)
		return refuse(view->caller->why, EINVAL, "join takes a number of seconds, not '%s'", step->value);
	step->seconds = seconds > 0 ? seconds : 0;
	return 0;
}

int verb_parse_signal(const struct view *view, struct step *step)
{
	step->signal_number = signal_parse(step->value);
	return step->signal_number > 0 ? 0 : signal_refuse(view->caller->why, step->value);
}

static int parse_verb(const struct view *view, struct step *step)
{
	if (step->verb->wanted == NO_WORD && step->size)
		return refuse(view->caller->why, EINVAL, "%s takes no word, not '%s'", step->verb->word, step->value);
	step->tree = step->verb->wanted == MAY_TREE && !strcmp(step->value, "tree");
	if (step->verb->wanted == MAY_TREE && step->size && !step->tree)
		return refuse(view->caller->why, EINVAL, "%s takes no word but tree, not '%s'", step->verb->word, step->value);
	if (step->verb->wanted == MAY_SECONDS)
		return verb_parse_seconds(view, step);
	if (step->verb->wanted == MUST_SIGNAL)
		return verb_parse_signal(view, step);
	return 0;
}

static int parse_value(const struct view *view, struct step *step, const char *word)
{
	int index = files_find(false, word);
	const struct row *row = index < 0 ? NULL : files_row(false, (unsigned)index);
	if (!row)
		return refuse_word(view, word, strlen(word));
	if (!row->store)
		return refuse(view->caller->why, EINVAL, row_is_writable(row) ?
			      "%s cannot be set through ctl: write to the file itself" : "%s can be read, not written", word);
	step->row = row;
	struct view checking = *view;
	checking.check = true;
	return row_store(row, &checking, step->value, step->size);
}

/* line is writable and ended by a NUL. */
static int parse_line(const struct view *view, char *line, struct step *step)
{
	char *word = line + strspn(line, " \t");
	size_t length = strcspn(word, " \t");
	char *rest = word + length;
	if (*rest)
		*rest++ = '\0';
	rest += strspn(rest, " \t");
	step->value = rest;
	step->size = strlen(rest);
	step->seconds = -1;
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (!strcmp(VERBS[i].word, word))
			step->verb = &VERBS[i];
	if (!view->process && (!step->verb || !step->verb->many))
		return refuse_word(view, word, length);
	if (!step->verb)
		return parse_value(view, step, word);
	if (!view->process)
		return many_parse(view, step);
	while (step->size && strchr(" \t", rest[step->size - 1]))
		rest[--step->size] = '\0';
	return parse_verb(view, step);
}

int script_parse(const struct view *view, const char *text, size_t size, struct script *out)
{
	if (size > SCRIPT_LARGEST)
		return refuse(view->caller->why, E2BIG, "at most %d bytes can be written to ctl at once", SCRIPT_LARGEST);
	if (memchr(text, '\0', size))
		return refuse(view->caller->why, EINVAL, "a verb cannot hold a NUL byte");
	size_t lines = 1;
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	struct script script = { .text = strndup(text, size), .steps = calloc(lines, sizeof *script.steps),
				 .of_root = !view->process };
	int error = script.text && script.steps ? 0 : -ENOMEM;
	for (size_t at = 0; !error && at < size;) {
		char *line = script.text + at;
		size_t length = strcspn(line, "\n");
		line[length] = '\0';
		at += length + 1;
		if (!line[strspn(line, " \t")])
			continue;
		script.steps[script.count].end = at < size ? at : size;
		error = parse_line(view, line, &script.steps[script.count++]);
	}
	if (!error && !script.count)
		error = refuse(view->caller->why, EINVAL, "there is no verb in it; reading ctl lists them");
	if (error)
		script_finish(&script);
	else
		*out = script;
	return error;
}

/* ---- running ---- */

/* The sentence, and behind it the lines that were done before. */
static int fail(const struct script *script, const struct view *view, int error)
{
	struct refusal *why = view->caller->why;
	if (!script->next || !why)
		return error;
	struct text done = {0};
	for (size_t i = 0; i < script->next; i++) {
		const struct step *step = &script->steps[i];
		text_printf(&done, "%s%s%s%.60s", i ? "; " : "", step->verb ? step->verb->word : step->row->name,
			    step->size ? " " : "", step->value);
	}
	char *lines = text_take(&done, NULL);
	struct refusal said = *why;
	refuse(why, -error, "%.500s (line %zu; done before it: %s)", said.sentence, script->next + 1, lines ? lines : "");
	free(lines);
	return error;
}

/* INITIAL without a failure: it was reset meanwhile, after what was waited for. */
static int tell_failure(const struct view *view, int error)
{
	const struct process *process = view->process;
	if (process->state != PROCESS_INITIAL || !process->start_error)
		return 0;
	return refuse(view->caller->why, -error, "%s", process->error ? process->error : "it has not started");
}

static int resume_start(const struct view *view, const struct step *step, enum script_again again, struct waiter *waiter)
{
	if (!manager_await_start(view->process, waiter))
		return 1;
	if (process_is_started(view->process))
		return 0;
	return again == SCRIPT_RESENT ? tell_failure(view, view->process->start_error) : run_start(view, step, waiter);
}

int verb_resume(const struct view *view, const struct step *step, enum script_again again, struct waiter *waiter)
{
	const struct verb *verb = step->verb;
	if (verb->waits == SCRIPT_WAITS_FOR_START)
		return resume_start(view, step, again, waiter);
	if (verb->waits != SCRIPT_WAITS_FOR_END || again != SCRIPT_RESENT)
		return verb->run(view, step, waiter);
	if (view->process->state == PROCESS_INITIAL)
		return tell_failure(view, -ESRCH);
	return !manager_await_end(view->process, waiter);
}

static int run_step(struct script *script, const struct view *view, struct waiter *waiter)
{
	struct step *step = &script->steps[script->next];
	script->closed |= script->of_root && step->verb->run == run_close;
	if (script->of_root)
		return many_run(view, step, script->again, waiter, &script->gathering);
	if (script->removed || !view->process)
		return refuse(view->caller->why, ESRCH, "process object is closed");
	if (script->again)
		return verb_resume(view, step, script->again, waiter);
	if (step->verb)
		return step->verb->run(view, step, waiter);
	return row_store(step->row, view, step->value, step->size);
}

static void finish_step(struct script *script, const struct view *view)
{
	const struct step *step = &script->steps[script->next++];
	script->done = step->end;
	script->again = SCRIPT_ANEW;
	if (script->of_root) {
		gathering_destroy(script->gathering);
		script->gathering = NULL;
		script->has_answer |= many_answer(view, step, &script->answer);
	} else if (step->verb && step->verb->run == run_close)
		script->removed = true;
}

void script_resume(struct script *script, enum script_again again, struct resumption *at)
{
	size_t next = again == SCRIPT_RESENT ? at->next : 0;
	const struct verb *verb = next < script->count ? script->steps[next].verb : NULL;
	int state = at->state & ~SENT_AGAIN;
	bool begun = state != SCRIPT_WAITS_FOR_TURN;
	if (next >= script->count || (begun && (!verb || (int)verb->waits != state)))
		return;
	if (again == SCRIPT_INTERRUPTED && state != SCRIPT_WAITS_FOR_START)
		return;
	script->again = !begun ? SCRIPT_ANEW : at->state & SENT_AGAIN ? SCRIPT_INTERRUPTED : again;
	if (again == SCRIPT_INTERRUPTED)
		return;
	script->next = next;
	script->done = next ? script->steps[next - 1].end : 0;
	script->steps[next].chosen = at->chosen;
	at->chosen = NULL;
	text_append(&script->steps[next].names, at->names, at->names_size);
	script->has_answer = at->answer;
	text_append(&script->answer, at->answer, at->answer_size);
}

void script_place(const struct script *script, enum script_state state, struct resumption *out)
{
	/* A line that had begun before goes on when it is its turn. */
	bool begun = state == SCRIPT_WAITS_FOR_TURN && script->again;
	out->state = (int)(begun ? script->steps[script->next].verb->waits : state);
	if (begun && script->again == SCRIPT_INTERRUPTED)
		out->state |= SENT_AGAIN;
	out->next = script->next;
	out->done = script->done;
	out->chosen = script->steps[script->next].chosen;
	out->names = script->steps[script->next].names.data;
	out->names_size = script->steps[script->next].names.size;
	out->answer = script->has_answer ? script->answer.data : NULL;
	out->answer_size = script->has_answer ? script->answer.size : 0;
}

bool script_is_costly(const struct script *script)
{
	return script->next < script->count && (script->of_root || script->count > FEW_LINES);
}

static bool is_turn_over(const struct script *script)
{
	return script->turn_ends && script_is_costly(script) && !script->removed && uv_hrtime() >= script->turn_ends;
}

int script_run(struct script *script, const struct view *view, struct waiter *waiter, enum script_state *state)
{
	*state = SCRIPT_DONE;
	while (script->next < script->count) {
		int result = run_step(script, view, waiter);
		if (result < 0)
			return fail(script, view, result);
		if (result > 0) {
			*state = script->steps[script->next].verb->waits;
			return 0;
		}
		finish_step(script, view);
		if (is_turn_over(script)) {
			*state = SCRIPT_WAITS_FOR_TURN;
			return 0;
		}
	}
	return 0;
}

int script_wake(struct script *script, const struct view *view, int error)
{
	if (!error) {
		finish_step(script, view);
		return 0;
	}
	const struct step *step = &script->steps[script->next];
	if (script->of_root)
		many_wake(view, step, script->gathering, error);
	else if (error == -ETIME)
		refuse(view->caller->why, ETIME, "still running after %.15g seconds", step->seconds);
	else if (!view->process)
		refuse(view->caller->why, -error, "process object is closed");
	else if (view->process->error)
		refuse(view->caller->why, -error, "%s", view->process->error);
	return fail(script, view, error);
}

double script_limit(const struct script *script)
{
	return script->steps[script->next].seconds;
}

void script_finish(struct script *script)
{
	gathering_destroy(script->gathering);
	text_finish(&script->answer);
	for (size_t i = 0; script->steps && i < script->count; i++) {
		words_finish(&script->steps[i].who);
		free(script->steps[i].chosen);
		text_finish(&script->steps[i].names);
	}
	free(script->text);
	free(script->steps);
	*script = (struct script){0};
}
