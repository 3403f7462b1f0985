#include "fs/whom.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/pattern.h"
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

static int refuse_nobody(const struct view *view, const struct step *step)
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

static bool is_pattern(const struct view *view, const char *word)
{
	return (!strcmp(word, "all") || pattern_is_one(word)) && !manager_by_directory(view->manager, word);
}

int whom_check(const struct view *view, struct step *step)
{
	const char *word = whom_first(step), *seconds = word ? whom_take_seconds(view, step) : NULL;
	if (!word || word == seconds)
		return refuse_nobody(view, step);
	for (size_t count = 0; word && word != seconds; word = words_next(&step->who, word)) {
		if (!is_pattern(view, word))
			continue;
		if (strlen(word) > PATTERN_LONGEST)
			return refuse(view->caller->why, E2BIG, "a pattern has at most %d bytes, not %zu: '%.60s...'", PATTERN_LONGEST,
				      strlen(word), word);
		if (++count > WHOM_PATTERNS_MOST)
			return refuse(view->caller->why, E2BIG, "a line has at most %d patterns", WHOM_PATTERNS_MOST);
	}
	return 0;
}

/* Those that patterns choose among, the oldest first. */
struct crowd {
	size_t count, chosen;
	struct one {
		const struct process *process;
		bool is_chosen;
	} *ones;
};

/* Those that were named; some more than once. */
struct named {
	size_t count;
	uint64_t *ids;
};

static int gather_crowd(const struct view *view, const struct step *step, bool again, struct crowd *crowd)
{
	struct process *process = NULL;
	size_t room = 0;
	while ((process = manager_after(view->manager, process ? process->id : 0))) {
		if (!is_meant(view, step, again, process))
			continue;
		if (crowd->count == room) {
			room = room ? room * 2 : 64;
			struct one *grown = realloc(crowd->ones, room * sizeof *grown);
			if (!grown)
				return -ENOMEM;
			crowd->ones = grown;
		}
		crowd->ones[crowd->count++] = (struct one){ .process = process };
	}
	return 0;
}

/* One that an earlier word has chosen is looked at only until the pattern is seen to match somebody. Result: whether it does. */
static bool choose_matching(struct crowd *crowd, const char *word)
{
	struct pattern pattern;
	bool all = !strcmp(word, "all"), matches_one = false;
	if (!all)
		pattern_parse(&pattern, word);
	for (size_t i = 0; i < crowd->count; i++) {
		struct one *one = &crowd->ones[i];
		if ((one->is_chosen && matches_one) || !(all || pattern_matches(&pattern, one->process->directory)))
			continue;
		matches_one = true;
		crowd->chosen += !one->is_chosen;
		one->is_chosen = true;
	}
	return matches_one;
}

static int add_word(const struct view *view, const struct step *step, struct named *named, const char *word)
{
	const struct process *process = manager_by_directory(view->manager, word);
	if (!process)
		return refuse(view->caller->why, ENOENT, "there is no process named %.200s", word);
	if (!manager_may(process, view->caller))
		return refuse(view->caller->why, EACCES, "%.200s is not yours", word);
	if (!named->ids)
		named->ids = malloc(step->who.count * sizeof *named->ids);
	if (!named->ids)
		return -ENOMEM;
	named->ids[named->count++] = process->id;
	return 0;
}

static int add_pattern(const struct view *view, const struct step *step, struct crowd *crowd, const char *word)
{
	if (choose_matching(crowd, word))
		return 0;
	return refuse(view->caller->why, ENOENT, "no process of yours that %s matches '%.200s'",
		      step->verb->many == MANY_NOT_STARTED ? "can be started" : "has started", word);
}

static int compare_ids(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

/* Result: NULL without memory. */
static struct process_ids *join_both(const struct crowd *crowd, const struct named *named)
{
	struct process_ids *ids = malloc(sizeof *ids + (crowd->chosen + named->count) * sizeof *ids->id);
	if (!ids)
		return NULL;
	ids->count = 0;
	for (size_t i = 0; i < named->count; i++)
		ids->id[ids->count++] = named->ids[i];
	for (size_t i = 0; i < crowd->count; i++)
		if (crowd->ones[i].is_chosen)
			ids->id[ids->count++] = crowd->ones[i].process->id;
	qsort(ids->id, ids->count, sizeof *ids->id, compare_ids);
	size_t kept = 0;
	for (size_t i = 0; i < ids->count; i++)
		if (!i || ids->id[i] != ids->id[kept - 1])
			ids->id[kept++] = ids->id[i];
	ids->count = kept;
	return ids;
}

int whom_choose(const struct view *view, struct step *step, bool again, struct process_ids **out)
{
	struct crowd crowd = {0};
	struct named named = {0};
	int error = whom_check(view, step);
	const char *seconds = error ? NULL : whom_take_seconds(view, step);
	bool is_gathered = false;
	for (const char *word = whom_first(step); !error && word && word != seconds; word = words_next(&step->who, word)) {
		bool patterns = is_pattern(view, word);
		if (patterns && !is_gathered)
			error = gather_crowd(view, step, again, &crowd);
		is_gathered |= patterns;
		if (!error)
			error = patterns ? add_pattern(view, step, &crowd, word) : add_word(view, step, &named, word);
	}
	*out = error ? NULL : join_both(&crowd, &named);
	free(crowd.ones);
	free(named.ids);
	return error ? error : *out ? 0 : -ENOMEM;
}
