/* Whatever a journal holds of an open file and of the events: it is refused and nothing of it is left, or what was taken fits its row,
 * is packed, taken again and packed alike, and whoever goes on with it gets an answer. The first byte says which; the second where
 * what follows is written over a file's bytes that are right, or how many bytes of the events' memory are said to be none. */
#include "core/manager_private.h"
#include "fs/cache.h"
#include "fs/ctl.h"
#include "fs/events.h"
#include "fs/lock.h"
#include "fs/private.h"
#include "fs/whom.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 4096, SESSION = 3 };

/* No more of a server than open files need. */
struct scene {
	struct server server;
	struct manager manager;
	struct session session;
	struct surroundings surroundings;
	struct share_limits limits;
};

static void begin(struct scene *scene)
{
	struct refusal why;
	struct lock *lock;

	*scene = (struct scene){ .surroundings = { .base_directory = "/", .mountpoint = "/" } };
	scene->manager.config = (struct manager_config){ .surroundings = &scene->surroundings, .limits = &scene->limits };
	scene->session = (struct session){ .manager = &scene->manager, .key = SESSION, .holders = 1, .pid_fd = -1 };
	LIST_INSERT_HEAD(&scene->manager.sessions, &scene->session, link);
	scene->server.manager = &scene->manager;
	require(uv_loop_init(&scene->server.loop) == 0, "there is a loop");
	scene->server.cache = cache_create(&scene->server);
	require(scene->server.cache && locks_make(&scene->server.locks, "l", &why, &lock) == 0, "and memory");
}

static void finish_users(struct manager *manager)
{
	struct user *user, *next;

	HASH_ITER(hh, manager->users, user, next) {
		require(user->share.opens == 0 && user->share.used.bytes == 0, "nobody pays for what is closed");
		HASH_DEL(manager->users, user);
		free(user);
	}
}

/* All is closed but what the scene itself holds. */
static void finish(struct scene *scene)
{
	struct handle *handle;

	while ((handle = LIST_FIRST(&scene->server.handles)))
		handle_destroy(handle);
	require(!scene->server.numbers && LIST_EMPTY(&scene->server.changed), "nothing is left of a file that was closed");
	require(scene->session.holders == 1, "nobody else holds the session");
	finish_users(&scene->manager);
	locks_finish(&scene->server.locks);
	cache_destroy(scene->server.cache);
	uv_run(&scene->server.loop, UV_RUN_DEFAULT);
	require(uv_loop_close(&scene->server.loop) == 0, "nothing is left in the loop");
}

/* ---- an open file ---- */

static void check_handle(const struct handle *handle)
{
	const struct row *row = handle->row;

	require(row && row->kind == ROW_FILE, "what is open is a file");
	require(handle->of_root || handle->process, "of the root or a process");
	require(!is_writing(handle->flags) || row_is_writable(row), "it is written only where it can be");
	require(!row->captured == !handle->reader, "it has a place in the output that it shows");
	require(!(row->flags & ROW_EVENTS) == !handle->watching, "or in the events");
	require(!handle->cached || (row->flags & (ROW_KEPT | ROW_KEPT_ONCE) && handle->process), "the kernel keeps a process's value");
	require(!handle->watching || handle->watching->note_size <= sizeof(handle->watching->note), "a note has its room");
	require(!handle->content || !handle->content[handle->content_size], "a content has its size");
}

/* The writes that waited come again. */
static void resume(struct handle *handle)
{
	static const char TEXT[] = "join any a b";
	struct refusal why = { "" };
	struct caller caller = { .pid = 1, .why = &why };
	struct view view = { .manager = handle->server->manager, .caller = &caller };
	struct resumption *at;

	while ((at = LIST_FIRST(&handle->resent))) {
		enum script_state state = SCRIPT_WAITS_FOR_TREE;
		struct script script;
		struct waiter waiter = { 0 };

		LIST_REMOVE(at, link);
		require(script_parse(&view, TEXT, strlen(TEXT), &script) == 0, "the line is right");
		script_resume(&script, SCRIPT_RESENT, at);
		int error = script_run(&script, &view, &waiter, &state);
		/* Not begun yet, it finds nobody of that name. */
		require(error == -ENOENT || (!error && state == SCRIPT_DONE), "whoever has gone is waited for by nobody");
		script_finish(&script);
		resumption_destroy(at);
	}
}

static int take(struct scene *scene, uint64_t number, const struct text *bytes, struct text *out)
{
	struct record_reader from = record_reader_of(bytes->data, bytes->size);
	struct handle *handle = NULL;
	int error = handle_unpack(&scene->server, number, &from, &handle);

	require(from.at >= bytes->data && from.at <= from.end, "nothing is read beyond the end");
	require(!error == !!handle, "a refusal gives no file");
	if (error) {
		require(error == -EPROTO || error == -ENOMEM, "a refusal is one of those");
		require(!handle_by_number(&scene->server, number), "and leaves none");
		return error;
	}
	require(handle_by_number(&scene->server, number) == handle, "a file is found by its number");
	check_handle(handle);
	handle_pack(handle, out);
	return text_status(out);
}

/* Writes that wait are put in the other order each time. */
static void check_file(struct scene *scene, const struct text *bytes, bool is_right)
{
	struct text kept[3] = { { 0 } };
	int error = take(scene, 1, bytes, &kept[0]);

	require(!error || !is_right, "what is right is taken");
	if (!error) {
		require(take(scene, 2, &kept[0], &kept[1]) == 0, "what was packed is taken");
		require(take(scene, 3, &kept[1], &kept[2]) == 0, "and once more");
		require(kept[0].size == kept[2].size && !memcmp(kept[0].data, kept[2].data, kept[0].size), "and packed alike");
		resume(handle_by_number(&scene->server, 1));
	}
	for (size_t i = 0; i < 3; i++)
		text_finish(&kept[i]);
}

/* ---- one that is right, in which something is written over ---- */

static void keep_resumption(struct text *out)
{
	struct process_ids *ids = calloc(1, sizeof(*ids) + 2 * sizeof(*ids->id));
	struct resumption at = { .unique = 8, .state = SCRIPT_WAITS_FOR_END, .chosen = ids };

	require(ids != NULL, "there is memory");
	ids->count = 2;
	ids->id[0] = 5;
	ids->id[1] = 9;
	at.names = (char *)(uintptr_t)"a\nb\n";
	at.names_size = 4;
	resumption_pack(&at, out);
	free(ids);
}

/* As fs/handle.c has it: a root's ctl in which two writes wait. */
static void keep_file(struct text *out)
{
	const uint64_t numbers[] = { (uint64_t)files_find(true, "ctl"), 1 << 0 | 1 << 3 | 1 << 4 | 1 << 7 | 1 << 13, O_RDWR, 77, 20, 1000, 1000,
				     SESSION, 4 };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		record_put_number(out, numbers[i]);
	record_put_string(out, "a\n");
	record_put_number(out, 2);
	keep_resumption(out);
	keep_resumption(out);
}

static void write_over(struct text *text, const uint8_t *data, size_t size, size_t at)
{
	if (text_status(text) || !text->size)
		return;
	at %= text->size;
	memcpy(text->data + at, data, size < text->size - at ? size : text->size - at);
}

/* ---- events ---- */

/* So many that others are dropped for them. */
static void add_many(struct events *events)
{
	struct process *process = process_create("x", "1");

	for (int i = 0; process && i < ROOM / 32; i++)
		events_add(events, process, MANAGER_CREATED, (struct timespec){ .tv_sec = i });
	process_destroy(process);
}

static void read_some(struct events *events, struct events_reader *reader, uint64_t offset)
{
	char bytes[ROOM / 4];
	size_t total = 0, got;

	events_seek(events, reader, offset);
	while ((got = events_read(events, reader, bytes, sizeof(bytes))) > 0) {
		require(got <= sizeof(bytes), "a read gives no more than was asked for");
		total += got;
		require(total <= ROOM + sizeof(reader->note) + sizeof(bytes), "no more is read than is kept");
	}
	require(!events_ready(events, reader), "who has read all waits");
}

static void check_events(const uint8_t *data, size_t size)
{
	struct record_reader from = record_reader_of(data, size);
	size_t around = events_memory(ROOM);
	char *memory = malloc(around);
	struct events *events = memory ? events_create_in(memory, ROOM) : NULL;
	struct events_reader reader;

	if (events) {
		int error = events_unpack(events, &from);

		require(!error || error == -EPROTO, "a refusal is EPROTO");
		for (size_t i = 0; i < around; i++)
			memory[i] = (char)(size ? data[i % size] : 0);
		if (!error && !events_unpack_reader(&reader, &from)) {
			read_some(events, &reader, reader.offset);
			add_many(events);
			read_some(events, &reader, reader.offset);
			read_some(events, &reader, size);
		}
	}
	events_destroy(events);
	free(memory);
}

/* So many bytes are lines that the next one needs room. */
static void keep_events(struct text *out, const uint8_t *data, size_t size)
{
	record_put_number(out, 0);
	record_put_number(out, ROOM - data[0]);
	record_put_number(out, 0);
	record_put_number(out, 1);
	text_append(out, data + 1, size - 1);
}

static void check_file_once(const struct text *bytes, bool is_right)
{
	struct scene scene;

	begin(&scene);
	check_file(&scene, bytes, is_right);
	finish(&scene);
}

enum { A_FILE, A_FILE_WRITTEN_OVER, EVENTS, EVENTS_OF_A_SIZE, CHOICES };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text text = { 0 };
	unsigned what = size ? data[0] % CHOICES : 0;

	if (size < 2)
		return 0;
	if (what == A_FILE_WRITTEN_OVER) {
		keep_file(&text);
		write_over(&text, data + 2, size - 2, data[1]);
	} else if (what == EVENTS_OF_A_SIZE)
		keep_events(&text, data + 1, size - 1);
	else
		text_append(&text, data + 1, size - 1);
	if (!text_status(&text) && what >= EVENTS)
		check_events((const uint8_t *)text.data, text.size);
	else if (!text_status(&text))
		check_file_once(&text, what == A_FILE_WRITTEN_OVER && size == 2);
	text_finish(&text);
	return 0;
}
