#include "fs/many.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "fs/verbs.h"

/* Each once, the oldest first. */
struct process_ids {
	size_t count;
	uint64_t id[];
};

struct member {
	struct waiter waiter;
	struct gathering *gathering;
	uint64_t id;
};

struct gathering {
	struct manager *manager;
	struct waiter *whole;
	bool any; /* the first is enough */
	bool starts; /* all are waited for, also after one has failed */
	size_t left;
	int error; /* the first that went wrong, and its sentence */
	struct refusal why;
	size_t count;
	struct member members[];
};

/* ---- words ---- */

static bool is_any(const struct step *step)
{
	const char *first = words_next(&step->who, NULL);
	return step->verb->many == MANY_TO_JOIN && first && !strcmp(first, "any");
}

/* The first word that says who: NULL without one. */
static const char *first_who(const struct step *step)
{
	const char *word = words_next(&step->who, NULL);
	if (word && (step->verb->wanted == MUST_SIGNAL || is_any(step)))
		word = words_next(&step->who, word);
	return word;
}

static int refuse_nobody(const struct view *view, const struct step *step)
{
	return refuse(view->caller->why, EINVAL, "%s%s whom? Say all, names or globs", step->verb->word,
		      is_any(step) ? " any" : step->verb->wanted == MUST_SIGNAL ? " NAME" : "");
}

/* The last word of a join is SECONDS unless it names a process. Result: that word, or NULL. */
static const char *take_seconds(const struct view *view, struct step *step)
{
	if (step->verb->wanted != MAY_SECONDS)
		return NULL;
	const char *last = first_who(step), *next = last;
	while ((next = words_next(&step->who, next)))
		last = next;
	struct caller silent = { .uid = view->caller->uid };
	struct view asking = { .manager = view->manager, .caller = &silent };
	struct step timed = { .value = last, .size = strlen(last), .seconds = -1 };
	step->seconds = -1;
	if (!*last || manager_by_directory(view->manager, last) || verb_parse_seconds(&asking, &timed))
		return NULL;
	step->seconds = timed.seconds;
	return last;
}

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
	if (!error && (!first_who(step) || take_seconds(view, step) == first_who(step)))
		error = refuse_nobody(view, step);
	step->seconds = -1;
	return error;
}

/* ---- who ---- */

static bool is_started(const struct view *view, const struct process *process)
{
	return process->state == PROCESS_ENDED || manager_is_alive(view->manager, process);
}

/* What `all` and globs mean for the verb. */
static bool is_meant(const struct view *view, const struct step *step, bool again, const struct process *process)
{
	if (!manager_may(process, view->caller))
		return false;
	if (step->verb->many == MANY_NOT_STARTED)
		return again || process->state == PROCESS_INITIAL;
	return is_started(view, process);
}

static int add_id(struct process_ids **ids, uint64_t id)
{
	size_t count = *ids ? (*ids)->count : 0;
	if (!(count & (count - 1))) {
		struct process_ids *grown = realloc(*ids, sizeof *grown + (count ? count * 2 : 1) * sizeof(uint64_t));
		if (!grown)
			return -ENOMEM;
		*ids = grown;
	}
	(*ids)->id[count] = id;
	(*ids)->count = count + 1;
	return 0;
}

static int add_matching(const struct view *view, const struct step *step, bool again, const char *pattern,
			struct process_ids **ids)
{
	struct process *process = NULL;
	size_t before = *ids ? (*ids)->count : 0;
	int error = 0;
	while (!error && (process = manager_after(view->manager, process ? process->id : 0)))
		if (is_meant(view, step, again, process) && (!pattern || !fnmatch(pattern, process->directory, 0)))
			error = add_id(ids, process->id);
	if (error || (*ids && (*ids)->count > before))
		return error;
	return refuse(view->caller->why, ENOENT, "no process of yours that %s matches '%.200s'",
		      step->verb->many == MANY_NOT_STARTED ? "can be started" : "has started", pattern ? pattern : "all");
}

static int add_word(const struct view *view, const struct step *step, bool again, const char *word,
		    struct process_ids **ids)
{
	const struct process *process = manager_by_directory(view->manager, word);
	if (process && !manager_may(process, view->caller))
		return refuse(view->caller->why, EACCES, "%.200s is not yours", word);
	if (process)
		return add_id(ids, process->id);
	if (!strcmp(word, "all"))
		return add_matching(view, step, again, NULL, ids);
	if (strpbrk(word, "*?["))
		return add_matching(view, step, again, word, ids);
	return refuse(view->caller->why, ENOENT, "there is no process named %.200s", word);
}

static int compare_ids(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

/* Result: 0 and *out, never empty (free() frees). */
static int choose(const struct view *view, struct step *step, bool again, struct process_ids **out)
{
	struct process_ids *ids = NULL;
	const char *seconds = take_seconds(view, step);
	int error = 0;
	for (const char *word = first_who(step); !error && word && word != seconds; word = words_next(&step->who, word))
		error = add_word(view, step, again, word, &ids);
	if (!error && !ids)
		error = refuse_nobody(view, step);
	if (error) {
		free(ids);
		return error;
	}
	qsort(ids->id, ids->count, sizeof *ids->id, compare_ids);
	size_t kept = 1;
	for (size_t i = 1; i < ids->count; i++)
		if (ids->id[i] != ids->id[kept - 1])
			ids->id[kept++] = ids->id[i];
	ids->count = kept;
	*out = ids;
	return 0;
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
	if (is_started(view, process))
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
	if (!gathering->left || gathering->any || (gathering->error && !gathering->starts))
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

static int join(const struct view *view, const struct step *step, struct gathering *gathering)
{
	gathering->any = is_any(step);
	for (size_t i = 0; i < gathering->count; i++) {
		struct process *process = manager_by_id(view->manager, gathering->members[i].id);
		if (!manager_await_end(process, &gathering->members[i].waiter))
			gathering->left++;
		else if (gathering->any)
			return 0;
	}
	if (!gathering->left)
		return 0;
	return step->seconds == 0 ? refuse_late(view, step, gathering) : 1;
}

/* Result: 1 the member waits; 0 it has started already; -errno with a sentence. */
static int start_one(const struct view *view, bool again, struct member *member)
{
	struct process *process = manager_by_id(view->manager, member->id);
	if (again && !manager_await_start(process, &member->waiter))
		return 1;
	if (again && process_is_started(process))
		return 0;
	int error = manager_start(view->manager, process, view->caller, &member->waiter);
	return error ? error : 1;
}

/* The checks were passed: what fails now fails alone, and the others are started all the same. */
static int start(const struct view *view, bool again, struct gathering *gathering)
{
	gathering->starts = true;
	gathering->left = 1; /* this loop: nobody is told from inside of it */
	for (size_t i = 0; i < gathering->count; i++) {
		struct refusal why = { .sentence = "" };
		struct caller caller = *view->caller;
		struct view one = *view;
		caller.why = &why;
		one.caller = &caller;
		gathering->left++;
		int result = start_one(&one, again, &gathering->members[i]);
		if (result > 0)
			continue;
		gathering->left--;
		if (result < 0)
			blame(gathering, manager_by_id(view->manager, gathering->members[i].id), result, why.sentence);
	}
	if (--gathering->left)
		return 1;
	if (gathering->error)
		refuse(view->caller->why, -gathering->error, "%s", gathering->why.sentence);
	return gathering->error;
}

static int gather(const struct view *view, const struct step *step, bool again, struct gathering *gathering)
{
	return step->verb->many == MANY_TO_JOIN ? join(view, step, gathering) : start(view, again, gathering);
}

/* A verb that does not wait, for each; the first that went wrong is told when all have had it. */
static int act(const struct view *view, const struct step *step, const struct process_ids *ids)
{
	int first = 0;
	for (size_t i = 0; i < ids->count; i++) {
		struct refusal why = { .sentence = "" };
		struct caller caller = *view->caller;
		struct view one = *view;
		caller.why = &why;
		one.caller = &caller;
		one.process = manager_by_id(view->manager, ids->id[i]);
		int error = one.process ? step->verb->run(&one, step, NULL) : 0;
		if (error < 0 && !first)
			name_culprit(view->caller->why, one.process, first = error, why.sentence);
	}
	return first;
}

int many_run(const struct view *view, struct step *step, bool again, struct waiter *waiter, struct gathering **out)
{
	struct process_ids *ids = NULL;
	int result = choose(view, step, again, &ids);
	if (!result && !again)
		result = check_all(view, step, ids);
	if (!result && step->verb->waits == SCRIPT_DONE)
		result = act(view, step, ids);
	else if (!result) {
		struct gathering *gathering = gathering_create(view, ids, waiter);
		result = gathering ? gather(view, step, again, gathering) : -ENOMEM;
		if (result > 0)
			*out = gathering;
		else
			gathering_destroy(gathering);
	}
	free(step->chosen);
	step->chosen = ids;
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
	if (!is_any(step) || !step->chosen)
		return false;
	text_finish(out);
	for (size_t i = 0; i < step->chosen->count; i++) {
		const struct process *process = manager_by_id(view->manager, step->chosen->id[i]);
		if (!process || process->state != PROCESS_ENDED)
			continue;
		text_add_name(out, process->directory);
		text_add(out, "\n");
	}
	return true;
}

static void add_usage(struct text *out, const struct verb *verb)
{
	struct text usage = {0};
	bool may_any = verb->many == MANY_TO_JOIN;
	text_printf(&usage, "%s%s WHO...%s", verb->wanted == MUST_SIGNAL ? verb->usage : verb->word,
		    may_any ? " [any]" : "", may_any ? " [SECONDS]" : "");
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
