#include "fs/many.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/verbs.h"
#include "fs/whom.h"

struct member {
	struct waiter waiter;
	struct gathering *gathering;
	uint64_t id;
};

struct gathering {
	struct manager *manager;
	struct waiter *whole;
	bool any; /* the first is enough */
	bool patient; /* all are waited for, also after one has failed */
	size_t left;
	int error; /* the first that went wrong, and its sentence */
	struct refusal why;
	size_t count;
	struct member members[];
};

/* ---- words ---- */

int many_parse(const struct view *view, struct step *step)
{
	enum words_problem problem;
	int error = words_split(&step->who, step->value, step->size, &problem);
	if (error == -EINVAL)
		return refuse(view->caller->why, EINVAL, "%s: %s", step->verb->word, words_problem_text(problem));
	if (error)
		return error;
	if (step->verb->wanted == MUST_SIGNAL) {
		struct step named = *step;
		named.value = step->who.count ? words_next(&step->who, NULL) : "";
		error = verb_parse_signal(view, &named);
		step->signal_number = named.signal_number;
	}
	step->tree = whom_is_tree(step);
	if (!error)
		error = whom_check(view, step);
	step->seconds = -1;
	return error;
}

/* ---- checking, before the first is touched ---- */

static void name_culprit(struct refusal *why, const struct process *process, int error, const char *sentence)
{
	struct text name = {0};
	text_add_name(&name, process->directory);
	char *line = text_take(&name, NULL);
	refuse(why, -error, "%.300s: %s", line ? line : "", *sentence ? sentence : strerror(-error));
	free(line);
}

static int check_state(const struct view *view, const struct step *step, const struct process *inside)
{
	const struct process *process = view->process;
	switch (step->verb->many) {
	case MANY_NOT_STARTED:
		return manager_check_start(view->manager, process, view->caller);
	case MANY_NOT_RUNNING:
		return manager_check_remove(process, view->caller->why);
	case MANY_TO_RESET:
		return manager_check_reset(process, view->caller->why);
	case MANY_TO_JOIN:
		if (process == inside && process->state != PROCESS_ENDED)
			return refuse(view->caller->why, EDEADLK, "cannot join current process");
		break;
	default:
		break;
	}
	if (whom_is_started(view, process))
		return 0;
	return refuse(view->caller->why, ESRCH, "can only %s a started process",
		      step->verb->many == MANY_TO_JOIN ? "join" : "signal");
}

static int check_all(const struct view *view, const struct step *step, const struct process_ids *ids)
{
	const struct process *inside = NULL;
	if (step->verb->many == MANY_TO_JOIN)
		inside = manager_inside(view->manager, view->caller, NULL);
	for (size_t i = 0; i < ids->count; i++) {
		struct refusal why = { .sentence = "" };
		struct caller caller = *view->caller;
		struct view one = *view;
		caller.why = &why;
		one.caller = &caller;
		one.process = manager_by_id(view->manager, ids->id[i]);
		int error = check_state(&one, step, inside);
		if (!error)
			continue;
		name_culprit(view->caller->why, one.process, error, why.sentence);
		return error;
	}
	return 0;
}

/* ---- waiting ---- */

static void blame(struct gathering *gathering, const struct process *process, int error, const char *sentence)
{
	if (gathering->error)
		return;
	gathering->error = error;
	if (process)
		name_culprit(&gathering->why, process, error, sentence);
	else
		refuse(&gathering->why, -error, "process object is closed");
}

static void on_member_done(struct waiter *waiter, int error)
{
	struct member *member = (struct member *)waiter;
	struct gathering *gathering = member->gathering;
	gathering->left--;
	if (error) {
		const struct process *process = manager_by_id(gathering->manager, member->id);
		blame(gathering, process, error, process && process->error ? process->error : "it has not started");
	}
	if (!gathering->left || gathering->any || (gathering->error && !gathering->patient))
		gathering->whole->on_done(gathering->whole, gathering->error);
}

static struct gathering *gathering_create(const struct view *view, const struct process_ids *ids, struct waiter *whole)
{
	struct gathering *gathering = calloc(1, sizeof *gathering + ids->count * sizeof *gathering->members);
	if (!gathering)
		return NULL;
	gathering->manager = view->manager;
	gathering->whole = whole;
	gathering->count = ids->count;
	for (size_t i = 0; i < ids->count; i++)
		gathering->members[i] = (struct member){ .waiter.on_done = on_member_done, .gathering = gathering,
							 .id = ids->id[i] };
	return gathering;
}

void gathering_destroy(struct gathering *gathering)
{
	if (!gathering)
		return;
	for (size_t i = 0; i < gathering->count; i++)
		waiter_cancel(&gathering->members[i].waiter);
	free(gathering);
}

static int refuse_late(const struct view *view, const struct step *step, const struct gathering *gathering)
{
	struct text names = {0};
	for (size_t i = 0; i < gathering->count && names.size < sizeof view->caller->why->sentence; i++) {
		const struct process *process = manager_by_id(view->manager, gathering->members[i].id);
		if (!process || !gathering->members[i].waiter.waiting)
			continue;
		text_add(&names, names.size ? ", " : "");
		text_add_name(&names, process->directory);
	}
	char *list = text_take(&names, NULL);
	int error = refuse(view->caller->why, ETIME, "still running after %.15g seconds: %s", step->seconds, list ? list : "");
	free(list);
	return error;
}

/* ---- acting ---- */

/* Of those that were chosen before, some may be gone, which had ended then. */
static int join_one(const struct view *view, const struct step *step, enum script_again again, struct member *member)
{
	struct refusal why = { .sentence = "" };
	struct caller caller = *view->caller;
	struct view one = *view;
	caller.why = &why;
	one.caller = &caller;
	one.process = manager_by_id(view->manager, member->id);
	if (!one.process)
		return 0;
	if (again != SCRIPT_RESENT)
		return !manager_await_end(one.process, &member->waiter);
	int result = verb_resume(&one, step, again, &member->waiter);
	if (result < 0)
		name_culprit(view->caller->why, one.process, result, why.sentence);
	return result;
}

static int join(const struct view *view, const struct step *step, enum script_again again, struct gathering *gathering)
{
	gathering->any = whom_is_any(step);
	for (size_t i = 0; i < gathering->count; i++) {
		int result = join_one(view, step, again, &gathering->members[i]);
		if (result < 0 || (!result && gathering->any))
			return result;
		gathering->left += (size_t)result;
	}
	if (!gathering->left)
		return 0;
	return step->seconds == 0 ? refuse_late(view, step, gathering) : 1;
}

/* The checks were passed: what fails now fails alone, and the others get the verb all the same. */
static int act(const struct view *view, const struct step *step, enum script_again again, struct gathering *gathering)
{
	gathering->patient = true;
	gathering->left = 1; /* this loop: nobody is told from inside of it */
	for (size_t i = 0; i < gathering->count; i++) {
		struct refusal why = { .sentence = "" };
		struct caller caller = *view->caller;
		struct view one = *view;
		caller.why = &why;
		one.caller = &caller;
		one.process = manager_by_id(view->manager, gathering->members[i].id);
		gathering->left++;
		struct waiter *waiter = &gathering->members[i].waiter;
		int result = !one.process ? 0 : again ? verb_resume(&one, step, again, waiter) :
							step->verb->run(&one, step, waiter);
		if (result > 0)
			continue;
		gathering->left--;
		if (result < 0)
			blame(gathering, one.process, result, why.sentence);
	}
	if (--gathering->left)
		return 1;
	if (gathering->error)
		refuse(view->caller->why, -gathering->error, "%s", gathering->why.sentence);
	return gathering->error;
}

/* Whoever is removed meanwhile is named as well. */
static int keep_names(const struct view *view, struct step *step, const struct process_ids *ids)
{
	text_finish(&step->names);
	for (size_t i = 0; whom_is_any(step) && i < ids->count; i++) {
		const struct process *process = manager_by_id(view->manager, ids->id[i]);
		text_add_name(&step->names, process ? process->directory : "");
		text_add(&step->names, "\n");
	}
	return text_status(&step->names);
}

static int choose(const struct view *view, struct step *step, enum script_again again)
{
	struct process_ids *ids = NULL;
	if (again == SCRIPT_RESENT && step->chosen) {
		whom_take_seconds(view, step);
		return text_status(&step->names);
	}
	int error = whom_choose(view, step, again, &ids);
	if (!error && !again)
		error = check_all(view, step, ids);
	if (!error)
		error = keep_names(view, step, ids);
	free(step->chosen);
	step->chosen = ids;
	return error;
}

int many_run(const struct view *view, struct step *step, enum script_again again, struct waiter *waiter,
	     struct gathering **out)
{
	int result = choose(view, step, again);
	if (!result) {
		struct gathering *gathering = gathering_create(view, step->chosen, waiter);
		if (!gathering)
			result = -ENOMEM;
		else if (step->verb->many == MANY_TO_JOIN)
			result = join(view, step, again, gathering);
		else
			result = act(view, step, again, gathering);
		if (result > 0)
			*out = gathering;
		else
			gathering_destroy(gathering);
	}
	return result;
}

int many_wake(const struct view *view, const struct step *step, struct gathering *gathering, int error)
{
	if (error == -ETIME)
		return refuse_late(view, step, gathering);
	if (gathering->error == error && error)
		refuse(view->caller->why, -error, "%s", gathering->why.sentence);
	return error;
}

bool many_answer(const struct view *view, const struct step *step, struct text *out)
{
	if (!whom_is_any(step) || !step->chosen)
		return false;
	text_finish(out);
	const struct text *names = &step->names;
	/* They may come from a journal: there are as many lines as there are. */
	for (size_t i = 0, at = 0; i < step->chosen->count && at < names->size; i++) {
		const struct process *process = manager_by_id(view->manager, step->chosen->id[i]);
		const char *line = names->data + at, *newline = memchr(line, '\n', names->size - at);
		size_t length = newline ? (size_t)(newline + 1 - line) : names->size - at;
		if (!process || process->state == PROCESS_ENDED)
			text_append(out, line, length);
		at += length;
	}
	return true;
}

static void add_usage(struct text *out, const struct verb *verb)
{
	struct text usage = {0};
	bool may_any = verb->many == MANY_TO_JOIN;
	text_printf(&usage, "%s%s WHO...%s", may_any ? verb->word : verb->usage, may_any ? " [any]" : "",
		    may_any ? " [SECONDS]" : "");
	char *line = text_take(&usage, NULL);
	text_printf(out, "%-27s %s\n", line ? line : verb->word, verb->help);
	free(line);
}

int many_show(const struct view *view, struct text *out)
{
	(void)view;
	const struct verb *verb;
	for (size_t i = 0; (verb = verb_row(i)); i++)
		if (verb->many)
			add_usage(out, verb);
	text_add(out, "WHO is all, a name or a glob. After join any, reading the same descriptor names those that have ended.\n");
	return text_status(out);
}
