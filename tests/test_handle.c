/* Open files: their numbers, and that they come back to a new server as they were. */
#include "world.h"

#include "core/capture.h"
#include "fs/events.h"
#include "fs/follow.h"
#include "fs/lock.h"
#include "fs/private.h"
#include "fs/whom.h"

struct scene {
	struct world *world;
	struct server old, new;
	struct process *process;
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	scene->world = world_create(false);
	scene->old.manager = scene->new.manager = scene->world->manager;
	scene->process = world_make(scene->world, "x");
	*state = scene;
	return 0;
}

static void close_all(struct server *server)
{
	struct handle *handle;

	while ((handle = LIST_FIRST(&server->handles)))
		handle_destroy(handle);
	assert_null(server->numbers);
	assert_true(LIST_EMPTY(&server->changed));
	locks_finish(&server->locks);
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	close_all(&scene->old);
	close_all(&scene->new);
	int result = world_destroy(scene->world);
	free(scene);
	return result;
}

static struct handle *open_row(struct scene *scene, struct process *process, const char *name, int flags)
{
	int index = files_find(!process, name);
	struct target target = { .server = &scene->old, .process = process, .caller = scene->world->caller };

	assert_true(index >= 0);
	target.row = files_row(!process, (unsigned)index);
	target.node = (struct node){ process ? process->id : 0, NODE_FIRST_ROW + (unsigned)index, 5 };
	return handle_create(&target, flags);
}

static void set_text(struct text *text, const char *bytes)
{
	text_append(text, bytes, strlen(bytes));
}

static int unpack(struct server *server, uint64_t number, const struct text *kept, struct handle **out)
{
	struct record_reader from = record_reader_of(kept->data, kept->size);
	int error = handle_unpack(server, number, &from, out);

	assert_true(error || from.at == from.end);
	return error;
}

static void expect_same_bytes(const struct handle *handle, const struct text *kept)
{
	struct text again = {0};

	handle_pack(handle, &again);
	assert_int_equal(text_status(&again), 0);
	assert_int_equal(again.size, kept->size);
	assert_memory_equal(again.data, kept->data, kept->size);
	text_finish(&again);
}

/* Through bytes, whole and cut anywhere, to the new server. */
static struct handle *move(struct scene *scene, const struct handle *handle)
{
	struct handle *out = NULL;
	struct text kept = {0};

	handle_pack(handle, &kept);
	assert_int_equal(text_status(&kept), 0);
	for (size_t size = 0; size < kept.size; size++)
		assert_int_equal(unpack(&scene->new, handle->number, &(struct text){ .data = kept.data, .size = size }, &out), -EPROTO);
	assert_null(out);
	assert_int_equal(unpack(&scene->new, handle->number, &kept, &out), 0);
	assert_ptr_equal(handle_by_number(&scene->new, handle->number), out);
	assert_ptr_equal(out->row, handle->row);
	assert_true(out->server == &scene->new && out->ino == handle->ino && out->process == handle->process);
	assert_true(out->of_root == handle->of_root && out->flags == handle->flags && out->row_index == handle->row_index);
	assert_true(out->opener == handle->opener && out->uid == handle->uid && out->gid == handle->gid);
	expect_same_bytes(out, &kept);
	text_finish(&kept);
	return out;
}

/* ---- numbers ---- */

static void each_open_has_a_number_that_no_other_ever_has(void **state)
{
	struct scene *scene = *state;
	struct handle *first = open_row(scene, scene->process, "pid", O_RDONLY);
	struct handle *second = open_row(scene, scene->process, "pid", O_RDONLY);
	uint64_t number = second->number;

	assert_true(first->number && number && first->number != number);
	assert_ptr_equal(handle_by_number(&scene->old, first->number), first);
	assert_ptr_equal(handle_by_number(&scene->old, number), second);
	assert_null(handle_by_number(&scene->old, 0));
	assert_null(handle_by_number(&scene->old, number + 1));
	assert_null(handle_by_number(&scene->old, (uintptr_t)first));
	handle_destroy(second);
	assert_null(handle_by_number(&scene->old, number));
	assert_true(open_row(scene, scene->process, "pid", O_RDONLY)->number > number);
	handle_destroy(NULL);
}

static void a_new_server_counts_on(void **state)
{
	struct scene *scene = *state;
	struct handle *handle = open_row(scene, scene->process, "pid", O_RDONLY);

	handle->number = 41; /* as the journal's key says */
	struct text kept = {0};
	handle_pack(handle, &kept);
	handle->number = 1;
	assert_int_equal(unpack(&scene->new, 41, &kept, NULL), 0);
	assert_true(scene->new.last_handle == 41);
	assert_int_equal(unpack(&scene->new, 41, &kept, NULL), -EPROTO);
	assert_int_equal(unpack(&scene->new, 0, &kept, NULL), -EPROTO);
	text_finish(&kept);
}

static void one_that_changes_is_on_the_list_of_those_once(void **state)
{
	struct scene *scene = *state;
	struct handle *handle = open_row(scene, scene->process, "pid", O_RDONLY), *out;

	assert_ptr_equal(LIST_FIRST(&scene->old.changed), handle);
	handle_touch(handle);
	assert_null(LIST_NEXT(handle, change));
	out = move(scene, handle);
	assert_false(out->is_changed);
	handle_touch(out);
	assert_ptr_equal(LIST_FIRST(&scene->new.changed), out);
}

/* ---- kinds ---- */

static void an_open_that_did_nothing_costs_few_bytes(void **state)
{
	struct scene *scene = *state;
	struct text kept = {0};

	handle_pack(open_row(scene, scene->process, "pid", O_RDONLY), &kept);
	assert_in_range(kept.size, 5, 30);
	text_finish(&kept);
}

static void a_value_comes_back_with_what_was_read_and_written_of_it(void **state)
{
	struct scene *scene = *state;
	struct handle *handle = open_row(scene, scene->process, "target", O_RDWR), *out;

	handle->content = strdup("long ago\n");
	handle->content_size = 9;
	handle->has_content = true;
	handle->has_draft = true;
	set_text(&handle->draft, "slee");
	set_text(&handle->emptied, "before\n");
	out = move(scene, handle);
	assert_true(out->has_content && out->content_size == 9 && !memcmp(out->content, "long ago\n", 9));
	assert_true(out->has_draft && out->draft.size == 4 && !memcmp(out->draft.data, "slee", 4));
	assert_true(out->emptied.size == 7 && !memcmp(out->emptied.data, "before\n", 7));
	assert_true(!out->answer && !out->reader && !out->watching && !out->resumes);
}

static void the_empty_is_told_from_what_is_not_there(void **state)
{
	struct scene *scene = *state;
	struct handle *handle = open_row(scene, scene->process, "pid", O_RDONLY), *out;

	handle->content = strdup("");
	handle->has_content = true;
	handle->has_draft = true;
	handle->answer = strdup("");
	out = move(scene, handle);
	assert_true(out->has_content && out->content && !out->content_size && out->has_draft && !out->draft.size && out->answer);
}

static void a_control_file_comes_back_with_every_write_that_waits_in_it(void **state)
{
	struct scene *scene = *state;
	struct handle *handle = open_row(scene, NULL, "ctl", O_RDWR), *out;
	struct process_ids *ids = calloc(1, sizeof *ids + 2 * sizeof *ids->id);
	struct resumption first = { .unique = 10, .state = SCRIPT_WAITS_FOR_END, .deadline = 99, .next = 2, .done = 17 };
	struct resumption second = { .unique = 12, .state = SCRIPT_WAITS_FOR_START, .chosen = ids }, *at;

	ids->count = 2;
	ids->id[0] = 3;
	ids->id[1] = UINT64_C(1) << 35;
	handle->answer = strdup("a\n");
	handle->answer_size = 2;
	handle->position = 1;
	handle->poll = 6;
	handle->resumes = true;
	handle->interrupted = (struct resumption){ .state = SCRIPT_WAITS_FOR_TREE, .deadline = 1234567 };
	LIST_INSERT_HEAD(&handle->waiting, &first, link);
	out = move(scene, handle);
	assert_true(out->position == 1 && out->answer_size == 2 && !memcmp(out->answer, "a\n", 2) && out->poll == 6);
	assert_true(out->resumes && out->interrupted.state == SCRIPT_WAITS_FOR_TREE && out->interrupted.deadline == 1234567);
	assert_true(LIST_EMPTY(&out->waiting));
	handle_destroy(out);
	LIST_INSERT_HEAD(&handle->waiting, &second, link);

	struct text kept = {0};
	handle_pack(handle, &kept);
	assert_int_equal(unpack(&scene->new, handle->number, &kept, &out), 0);
	text_finish(&kept);
	assert_null(resumption_take(&out->resent, 11));
	at = resumption_take(&out->resent, 10);
	assert_true(at->state == SCRIPT_WAITS_FOR_END && at->deadline == 99 && at->next == 2 && at->done == 17 && !at->chosen);
	resumption_destroy(at);
	assert_null(resumption_take(&out->resent, 10));
	/* The other has not come again when this server dies too. */
	handle_pack(out, &kept);
	handle_destroy(out);
	assert_int_equal(unpack(&scene->new, handle->number, &kept, &out), 0);
	text_finish(&kept);
	at = resumption_take(&out->resent, 12);
	assert_true(at->chosen->count == 2 && at->chosen->id[0] == 3 && at->chosen->id[1] == UINT64_C(1) << 35);
	resumption_destroy(at);
	assert_true(LIST_EMPTY(&out->resent));
	LIST_REMOVE(&first, link);
	LIST_REMOVE(&second, link);
	free(ids);
}

static void what_clone_made_comes_back_with_it(void **state)
{
	struct scene *scene = *state;
	struct handle *handle = open_row(scene, NULL, "clone", O_RDWR);

	handle->process = scene->process->id;
	assert_true(move(scene, handle)->of_root);
}

static void those_who_follow_output_and_events_are_where_they_were(void **state)
{
	static const char *const NAMES[] = { "stdout", "stderr", "output" };
	struct scene *scene = *state;
	struct handle *handle;

	assert_non_null(capture_of(manager_captures(scene->world->manager), scene->process));
	for (size_t i = 0; i < 3; i++) {
		handle = open_row(scene, scene->process, NAMES[i], O_RDONLY);
		assert_int_equal(follow_open(handle, scene->process), 0);
		assert_non_null(move(scene, handle)->reader);
	}
	handle = open_row(scene, NULL, "events", O_RDONLY | O_NONBLOCK);
	handle->watching = malloc(sizeof *handle->watching);
	*handle->watching = (struct events_reader){ .at = 1 << 20, .offset = 77, .from = 70, .passed = 9, .in_line = true };
	struct events_reader *watching = move(scene, handle)->watching;
	assert_true(watching->at == 1 << 20 && watching->offset == 77 && watching->from == 70 && watching->passed == 9);
	assert_true(watching->in_line);
}

/* Result: what a new server says of it. */
static int offer(struct scene *scene, const struct handle *handle)
{
	struct handle *out = NULL;
	struct text kept = {0};

	handle_pack(handle, &kept);
	int error = unpack(&scene->new, handle->number, &kept, &out);
	handle_destroy(out);
	text_finish(&kept);
	return error;
}

/* Each is right but for one thing: the row says what is read and written, and finds it. */
static void what_does_not_fit_its_row_is_refused(void **state)
{
	struct scene *scene = *state;
	struct handle *handle = open_row(scene, scene->process, "stdout", O_RDONLY);

	assert_int_equal(offer(scene, handle), -EPROTO); /* no place in the output */
	assert_int_equal(follow_open(handle, scene->process), 0);
	assert_int_equal(offer(scene, handle), 0);
	handle->process = 0;
	assert_int_equal(offer(scene, handle), -EPROTO);
	handle->process = scene->process->id;
	handle->flags = O_RDWR;
	assert_int_equal(offer(scene, handle), -EPROTO);
	handle->flags = O_RDONLY;
	handle->cached = true;
	assert_int_equal(offer(scene, handle), -EPROTO);
	handle->cached = false;
	handle->row_index = (unsigned)files_find(false, "children");
	assert_int_equal(offer(scene, handle), -EPROTO);
	handle->row_index = (unsigned)files_find(false, "pid");
	assert_int_equal(offer(scene, handle), -EPROTO); /* what has no output has no place in it */
	assert_int_equal(offer(scene, open_row(scene, NULL, "events", O_RDONLY)), -EPROTO);
}

static struct lock *make_lock(struct server *server, uint64_t *id)
{
	struct lock *lock = NULL;
	struct refusal why;

	assert_int_equal(locks_make(&server->locks, "l", &why, &lock), 0);
	*id = lock->id;
	return lock;
}

static void a_lock_is_open_again_and_lives_until_its_last_close(void **state)
{
	struct scene *scene = *state;
	uint64_t id, same;
	struct target target = { .server = &scene->old, .lock = make_lock(&scene->old, &id), .caller = scene->world->caller };
	struct handle *handle, *out;
	struct text kept = {0};

	target.node = (struct node){ id, NODE_LOCK, 0 };
	assert_int_equal(lock_find(&target), 0);
	handle = handle_create(&target, O_RDWR);
	handle_pack(handle, &kept);
	assert_int_equal(unpack(&scene->new, handle->number, &kept, NULL), -EPROTO); /* there is no such lock */
	text_finish(&kept);
	make_lock(&scene->new, &same);
	out = move(scene, handle);
	assert_int_equal(out->lock->opens, 1);
	locks_remove(&scene->new.locks, out->lock);
	assert_non_null(locks_by_id(&scene->new.locks, same));
	handle_destroy(out);
	assert_null(locks_by_id(&scene->new.locks, same));
}

/* One manager here: so the open of the new server is one more. */
static void a_session_is_held_again_and_one_that_is_over_is_not(void **state)
{
	struct scene *scene = *state;
	struct handle *handle = open_row(scene, NULL, "session", O_RDONLY), *out;
	struct text kept = {0};

	assert_int_equal(manager_open_session(scene->world->manager, &scene->world->caller, &handle->session), 0);
	out = move(scene, handle);
	assert_ptr_equal(out->session, handle->session);
	handle_pack(handle, &kept);
	handle_destroy(handle);
	assert_ptr_equal(manager_session(scene->world->manager, manager_session_key(out->session)), out->session);
	uint64_t key = manager_session_key(out->session), number = out->number;
	handle_destroy(out);
	assert_null(manager_session(scene->world->manager, key));
	assert_int_equal(unpack(&scene->new, number, &kept, &out), 0);
	assert_null(out->session);
	text_finish(&kept);
}

#define IN_SCENE(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(each_open_has_a_number_that_no_other_ever_has),
		IN_SCENE(a_new_server_counts_on),
		IN_SCENE(one_that_changes_is_on_the_list_of_those_once),
		IN_SCENE(an_open_that_did_nothing_costs_few_bytes),
		IN_SCENE(a_value_comes_back_with_what_was_read_and_written_of_it),
		IN_SCENE(the_empty_is_told_from_what_is_not_there),
		IN_SCENE(a_control_file_comes_back_with_every_write_that_waits_in_it),
		IN_SCENE(what_clone_made_comes_back_with_it),
		IN_SCENE(those_who_follow_output_and_events_are_where_they_were),
		IN_SCENE(what_does_not_fit_its_row_is_refused),
		IN_SCENE(a_lock_is_open_again_and_lives_until_its_last_close),
		IN_SCENE(a_session_is_held_again_and_one_that_is_over_is_not),
	};

	return cmocka_run_group_tests_name("handle", tests, NULL, NULL);
}
