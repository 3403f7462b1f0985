/* Whatever is written to ctl: checking it changes nothing, an accepted script's steps lie in its text one behind the
 * other, a refused one has a sentence. */
#include "fs/ctl.h"

#include "core/manager_private.h"
#include "tests/fuzz/fuzz.h"

#include <signal.h>

static void check_step(const struct script *script, const struct step *step, size_t size)
{
	size_t at = (size_t)(step->value - script->text);

	require((step->verb != NULL) != (step->row != NULL), "a step is a verb or a value");
	require(step->value >= script->text && at + step->size <= size, "a value lies in the text");
	require(strlen(step->value) == step->size, "a value ends with a NUL");
	require(!memchr(step->value, '\n', step->size), "a value is of one line");
	require(at + step->size <= step->end, "a value lies in its line");
	require(step->end <= size, "a line ends in the text");
	require(step->seconds == -1 || step->seconds >= 0, "seconds are a number");
	require(step->signal_number >= 0 && step->signal_number <= SIGRTMAX, "a signal is one");
	require(!step->row || step->row->store, "a value can be stored");
}

static void check_script(const struct script *script, const char *text, size_t size)
{
	size_t before = 0;

	require(script->count > 0, "something is to be done");
	require(script->next == 0 && script->done == 0 && !script->removed && !script->again, "nothing is done yet");
	for (size_t i = 0; i < script->count; i++) {
		const struct step *step = &script->steps[i];

		check_step(script, step, size);
		require(step->end > before, "ends grow");
		require((size_t)(step->value - script->text) >= before, "a value lies behind the line before");
		require(step->end == size || text[step->end - 1] == '\n', "a line is done with its newline");
		before = step->end;
	}
	for (size_t i = before; i < size; i++)
		require(strchr(" \t\n", text[i]) != NULL, "behind the last line there is nothing");
}

static void check_untouched(const struct process *process)
{
	const struct configuration *c = &process->configuration;

	require(!c->target.bytes && !c->args.count && !c->details && c->umask == PROCESS_UMASK_DEFAULT &&
		c->start_method == START_SPAWN && !process->name && !process->daemonic && !process->authkey &&
		process->state == PROCESS_INITIAL, "parsing changes nothing");
}

/* The same bytes, refused or not, give the same answer without their final newline. */
static void check_newline(const struct view *view, const char *text, size_t size, int error)
{
	struct script script;
	int without;

	if (!size || text[size - 1] != '\n' || size > SCRIPT_LARGEST)
		return;
	without = script_parse(view, text, size - 1, &script);
	require(without == error, "a final newline changes nothing");
	if (!without)
		script_finish(&script);
}

/* One for all runs: checking a value asks it for its surroundings and for cgroups. */
static struct manager *the_manager(void)
{
	static const struct surroundings nowhere = { .base_directory = "/", .mountpoint = "/" };
	static struct manager manager = { .config.surroundings = &nowhere };

	manager.config.loop = uv_default_loop();
	return &manager;
}

static int is_refusal(int error)
{
	return error == -EINVAL || error == -E2BIG || error == -EPERM || error == -EACCES || error == -EOPNOTSUPP;
}

/* The root's: verbs alone, and each says whom. */
static void check_root(struct caller *caller, const char *text, size_t size)
{
	struct view view = { .manager = the_manager(), .caller = caller };
	struct script script = { .count = 77 };
	int error = script_parse(&view, text, size, &script);

	if (error) {
		require(error == -EINVAL || error == -E2BIG, "a refusal is one of two");
		require(script.count == 77 && !script.text && !script.steps, "a refusal gives no script");
		return;
	}
	require(script.count > 0 && script.of_root, "something is to be done with many");
	for (size_t i = 0; i < script.count; i++)
		require(script.steps[i].verb && !script.steps[i].row && script.steps[i].who.count > 0, "a verb has words");
	script_finish(&script);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct refusal why = { "" };
	struct caller caller = { .pid = 1, .why = &why };
	struct process *process = process_create("x", "1");
	struct view view = { .manager = the_manager(), .process = process, .caller = &caller };
	struct script script = { .count = 77 };
	const char *text = size ? (const char *)data : "";
	int error;

	if (!process)
		return 0;
	error = script_parse(&view, text, size, &script);
	check_untouched(process);
	if (error) {
		require(is_refusal(error), "a refusal is one of those");
		require(why.sentence[0] && memchr(why.sentence, '\0', sizeof(why.sentence)), "a refusal has a sentence");
		require(script.count == 77 && !script.text && !script.steps, "a refusal gives no script");
	} else {
		check_script(&script, text, size);
		script_finish(&script);
	}
	check_newline(&view, text, size, error);
	check_root(&caller, text, size);
	process_destroy(process);
	return 0;
}
