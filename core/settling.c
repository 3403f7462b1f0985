/* Around every wait of the loop what has changed is kept, and then the keeper is told: of launches that were begun, of entries of the
 * table and descriptors that are not needed any more. */
#include <errno.h>
#include <stdlib.h>

#include "core/capture.h"
#include "core/manager_private.h"

int manager_reserve_release(struct manager *manager)
{
	if (manager->claims < manager->release_room)
		return 0;
	size_t room = manager->claims < 32 ? 64 : manager->claims * 2;
	struct ptable_ref *releases = realloc(manager->releases, room * sizeof *releases);
	if (!releases)
		return -ENOMEM;
	manager->releases = releases;
	manager->release_room = room;
	return 0;
}

int manager_claim(struct manager *manager, const struct process *process, struct ptable_ref *out)
{
	int error = manager_reserve_release(manager);
	if (!error)
		error = ptable_claim(manager->config.table, process->id, process->run_count, out);
	if (!error)
		manager->claims++;
	return error;
}

void manager_release(struct manager *manager, struct ptable_ref ref)
{
	manager->releases[manager->release_count++] = ref;
}

static void release_all(struct manager *manager)
{
	for (size_t i = 0; i < manager->release_count; i++)
		ptable_release(manager->config.table, manager->releases[i]);
	manager->claims -= manager->release_count;
	manager->release_count = 0;
}

/* TELL */
void manager_tell(struct manager *manager)
{
	release_all(manager);
	hold_release(manager);
	hold_move(manager);
	captures_cut(manager->captures);
	start_send(manager);
}

static void settle(struct manager *manager)
{
	if (manager->config.on_settle)
		manager->config.on_settle(manager->config.context);
	else
		manager_tell(manager);
}

static void on_before_waiting(uv_prepare_t *handle)
{
	settle(handle->data);
}

static void on_after_waiting(uv_check_t *handle)
{
	settle(handle->data);
}

static void on_handle_closed(uv_handle_t *handle)
{
	free(handle);
}

void settling_stop(struct manager *manager)
{
	free(manager->releases);
	free(manager->drops);
	if (manager->before_waiting)
		uv_close((uv_handle_t *)manager->before_waiting, on_handle_closed);
	if (manager->after_waiting)
		uv_close((uv_handle_t *)manager->after_waiting, on_handle_closed);
}

/* Neither keeps the loop running. */
int settling_begin(struct manager *manager)
{
	uv_prepare_t *before = malloc(sizeof *before);
	uv_check_t *after = malloc(sizeof *after);
	if (!before || !after) {
		free(before);
		free(after);
		return -ENOMEM;
	}
	uv_prepare_init(manager->config.loop, before);
	uv_check_init(manager->config.loop, after);
	before->data = after->data = manager;
	uv_prepare_start(before, on_before_waiting);
	uv_check_start(after, on_after_waiting);
	uv_unref((uv_handle_t *)before);
	uv_unref((uv_handle_t *)after);
	manager->before_waiting = before;
	manager->after_waiting = after;
	return 0;
}
