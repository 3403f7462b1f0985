#include "fs/whom.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "fs/verbs.h"

bool whom_is_any(const struct step *step)
{
	const char *first = words_next(&step->who, NULL);
	return step->verb->many == MANY_TO_JOIN && first && !strcmp(first, "any");
}

bool whom_is_tree(const struct step *step)
{
	const char *first = words_next(&step->who, NULL);
	return step->verb->wanted == MAY_TREE && first && !strcmp(first, "tree");
}

const char *whom_first(const struct step *step)
{
	const char *word = words_next(&step->who, NULL);
	if (word && (step->verb->wanted == MUST_SIGNAL || whom_is_any(step) || whom_is_tree(step)))
		word = words_next(&step->who, word);
	return word;
}

int whom_refuse_nobody(const struct view *view, const struct step *step)
{
	return refuse(view->caller->why, EINVAL, "%s%s whom? Say all, names or globs", step->verb->word,
		      whom_is_any(step) ? " any" : whom_is_tree(step) ? " tree" : step->verb->wanted == MUST_SIGNAL ? " NAME" : "");
}

const char *whom_take_seconds(const struct view *view, struct step *step)
{
	if (step->verb->wanted != MAY_SECONDS)
		return NULL;
	const char *last = whom_first(step), *next = last;
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

bool whom_is_started(const struct view *view, const struct process *process)
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
	return whom_is_started(view, process);
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
int whom_choose(const struct view *view, struct step *step, bool again, struct process_ids **out)
{
	struct process_ids *ids = NULL;
	const char *seconds = whom_take_seconds(view, step);
	int error = 0;
	for (const char *word = whom_first(step); !error && word && word != seconds; word = words_next(&step->who, word))
		error = add_word(view, step, again, word, &ids);
	if (!error && !ids)
		error = whom_refuse_nobody(view, step);
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
