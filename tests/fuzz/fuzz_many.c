/* Whatever words say in the root's ctl whom a verb is about: it is refused with one line, or each process that is meant is chosen
 * once, the oldest first, and none that could not take the verb by `all` or a glob. */
#include "core/manager_private.h"
#include "fs/many.h"
#include "fs/verbs.h"
#include "fs/whom.h"
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

static const char *const NAMES[] = { "a", "b", "worker-1", "worker-2", "[x", "5", "two words", "new\nline", "*" };

enum { NAME_COUNT = sizeof(NAMES) / sizeof(*NAMES) };

static struct caller the_caller(struct refusal *why)
{
	return (struct caller){ .pid = getpid(), .uid = getuid(), .gid = getgid(), .why = why };
}

/* One for all runs, which change nothing in it. */
static struct manager *the_manager(void)
{
	static struct surroundings surroundings = { .base_directory = "/", .mountpoint = "/nowhere" };
	static struct manager *manager;
	struct manager_config config = { .loop = uv_default_loop(), .surroundings = &surroundings };
	struct caller caller = the_caller(NULL);
	struct process *process;
	int ends[2];

	if (manager)
		return manager;
	surroundings.uid = getuid();
	require(!ptable_create(&config.table) && !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "a table and a socket");
	config.socket_fd = ends[0];
	require(manager_create(&config, &manager) == 0, "a manager is made");
	for (size_t i = 0; i < NAME_COUNT; i++) {
		require(manager_make(manager, &caller, NAMES[i], &process) == 0, "a process is made");
		if (i % 2)
			process->state = PROCESS_ENDED;
	}
	return manager;
}

static void check_chosen(const struct view *view, const struct step *step, const struct process_ids *ids)
{
	require(ids->count > 0 && ids->count <= NAME_COUNT, "somebody is chosen");
	for (size_t i = 0; i < ids->count; i++) {
		const struct process *process = manager_by_id(view->manager, ids->id[i]);
		bool named = false;

		require(process != NULL, "who is chosen is there");
		require(!i || ids->id[i] > ids->id[i - 1], "each is chosen once, the oldest first");
		for (const char *word = whom_first(step); word; word = words_next(&step->who, word))
			named |= !strcmp(word, process->directory);
		require(named || (process->state == PROCESS_INITIAL) == (step->verb->many == MANY_NOT_STARTED),
			"by a pattern only who can take the verb is chosen");
	}
}

static void check_refusal(int error, const struct refusal *why)
{
	require(error == -EINVAL || error == -ENOENT || error == -E2BIG, "a refusal is EINVAL, ENOENT or E2BIG");
	require(why->sentence[0] && !strchr(why->sentence, '\n'), "a refusal is one line");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct refusal why = { "" };
	struct caller caller = the_caller(&why);
	struct view view = { .manager = the_manager(), .caller = &caller };
	struct process_ids *ids = NULL;
	const struct verb *verbs[32];
	unsigned count = 0;
	char *words = size ? string_of(data + 1, size - 1) : NULL;
	int error;

	if (!words)
		return 0;
	for (size_t i = 0; verb_row(i) && count < 32; i++)
		if (verb_row(i)->many)
			verbs[count++] = verb_row(i);
	struct step step = { .verb = verbs[*data % count], .value = words, .size = strlen(words), .seconds = -1 };
	error = many_parse(&view, &step);
	if (!error)
		error = whom_choose(&view, &step, false, &ids);
	if (error)
		check_refusal(error, &why);
	else
		check_chosen(&view, &step, ids);
	free(ids);
	words_finish(&step.who);
	free(words);
	return 0;
}
