/* Whatever is written to any file of a process: it is refused with one line and nothing has changed, or what is then shown is
 * accepted again and shown alike; checking alone answers the same and changes nothing. The first byte chooses the file. */
#include "core/manager_private.h"
#include "core/restart.h"
#include "fs/files.h"
#include "tests/fuzz/fuzz.h"

static struct manager *the_manager(void)
{
	static const struct surroundings nowhere = { .base_directory = "/", .mountpoint = "/" };
	static struct manager manager = { .config.surroundings = &nowhere };

	manager.config.loop = uv_default_loop();
	return &manager;
}

static char *show(const struct row *row, const struct view *view, size_t *size)
{
	struct text text = { 0 };

	require(row->show(view, &text) == 0, "what can be written can be shown");
	return text_take(&text, size);
}

static void check_refusal(int error, const struct refusal *why)
{
	require(error == -EINVAL || error == -E2BIG || error == -EPERM || error == -EOPNOTSUPP, "a refusal is one of those");
	require(why->sentence[0] && memchr(why->sentence, '\0', sizeof(why->sentence)), "a refusal has a sentence");
	require(!strchr(why->sentence, '\n'), "a sentence is one line");
}

/* An empty answer means what is empty there, or a default that cannot be written. */
static void check_again(const struct row *row, const struct view *view, const char *shown, size_t size)
{
	size_t size_again;
	char *again;

	if (!size)
		return;
	require(row_store(row, view, shown, size) == 0, "what is shown is accepted");
	again = show(row, view, &size_again);
	require(!again || (size_again == size && !memcmp(again, shown, size)), "what is shown is shown again");
	free(again);
}

static void store(const struct row *row, struct view *view, const char *bytes, size_t size)
{
	size_t size_before, size_after;
	char *before = show(row, view, &size_before), *after;
	int checked, error;

	view->check = true;
	checked = row_store(row, view, bytes, size);
	view->check = false;
	after = show(row, view, &size_after);
	require(!before || !after || (size_before == size_after && !memcmp(before, after, size_after)), "checking changes nothing");
	free(after);
	error = row_store(row, view, bytes, size);
	require(error == checked, "checking answers the same");
	after = show(row, view, &size_after);
	if (error) {
		check_refusal(error, view->caller->why);
		require(!before || !after || (size_before == size_after && !memcmp(before, after, size_after)),
			"a refusal changes nothing");
	} else if (after) {
		check_again(row, view, after, size_after);
	}
	free(before);
	free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct refusal why = { "" };
	struct caller caller = { .pid = 1, .why = &why };
	struct process *process = process_create("x", "1");
	struct view view = { .manager = the_manager(), .process = process, .caller = &caller };
	const struct row *rows[64];
	unsigned count = 0;

	for (unsigned i = 0; count < 64 && files_row(false, i); i++)
		if (files_row(false, i)->store && files_row(false, i)->show)
			rows[count++] = files_row(false, i);
	if (process && size) {
		char *bytes = string_of(data + 1, size - 1);

		if (bytes)
			store(rows[*data % count], &view, bytes, size - 1);
		free(bytes);
		restart_destroy(process);
	}
	process_destroy(process);
	uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	return 0;
}
