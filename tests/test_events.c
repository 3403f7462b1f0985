#include "world.h"

#include "fs/events.h"

enum { ROOM = 4096 };

struct scene {
	struct events *events;
	struct process *process;
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	*state = scene;
	scene->events = events_create(ROOM);
	scene->process = process_create("a b", "1");
	return scene->events && scene->process ? 0 : -1;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	events_destroy(scene->events);
	process_destroy(scene->process);
	free(scene);
	return 0;
}

static void add(struct scene *scene, enum manager_event event, time_t second)
{
	events_add(scene->events, scene->process, event, (struct timespec){ .tv_sec = second, .tv_nsec = 1000 });
}

static char *read_all(struct scene *scene, struct events_reader *reader, size_t portion)
{
	static char text[ROOM * 2];
	size_t size = 0, part;

	while ((part = events_read(scene->events, reader, text + size, portion)) > 0)
		size += part;
	text[size] = '\0';
	return text;
}

static const char LIFE[] =
	"1970-01-01T00:00:00.000001Z a\\040b created\n"
	"1970-01-01T00:00:01.000001Z a\\040b started\n"
	"1970-01-01T00:00:02.000001Z a\\040b exited -15\n"
	"1970-01-01T00:00:03.000001Z a\\040b removed\n";

static void add_life(struct scene *scene)
{
	add(scene, MANAGER_CREATED, 0);
	add(scene, MANAGER_STARTED, 1);
	scene->process->state = PROCESS_ENDED;
	scene->process->status = SIGTERM;
	add(scene, MANAGER_EXITED, 2);
	add(scene, MANAGER_REMOVED, 3);
}

static void a_line_says_when_who_and_what_in_portions_of_any_size(void **state)
{
	struct scene *scene = *state;

	add_life(scene);
	for (size_t portion = 1; portion < 200; portion++) {
		struct events_reader reader;

		events_begin(scene->events, &reader);
		assert_true(events_ready(scene->events, &reader));
		assert_string_equal(read_all(scene, &reader, portion), LIFE);
		assert_false(events_ready(scene->events, &reader));
	}
	assert_int_equal(events_end(scene->events), strlen(LIFE));
}

static void a_seek_goes_to_a_byte_or_to_the_end(void **state)
{
	struct scene *scene = *state;
	struct events_reader reader;

	add_life(scene);
	events_begin(scene->events, &reader);
	for (size_t at = 0; at <= strlen(LIFE); at++) {
		events_seek(scene->events, &reader, at);
		assert_string_equal(read_all(scene, &reader, 50), LIFE + at);
	}
	events_seek(scene->events, &reader, UINT64_MAX);
	assert_false(events_ready(scene->events, &reader));
	assert_int_equal(reader.passed, 4);
}

/* Shells read more than a line and go back to its end: also where the first bytes of all are gone. */
static void a_reader_goes_back_over_what_it_has_just_read(void **state)
{
	struct scene *scene = *state;
	struct events_reader reader;
	char bytes[ROOM], again[ROOM];
	size_t size;

	for (int i = 0; i < 300; i++)
		add(scene, MANAGER_CREATED, i);
	events_begin(scene->events, &reader);
	size = events_read(scene->events, &reader, bytes, sizeof(bytes));
	for (size_t at = 0; at < size; at += 13) {
		events_seek(scene->events, &reader, at);
		assert_int_equal(events_read(scene->events, &reader, again, sizeof(again)), size - at);
		assert_memory_equal(again, bytes + at, size - at);
	}
	events_seek(scene->events, &reader, events_end(scene->events));
	assert_false(events_ready(scene->events, &reader));
}

/* However far it had come, and in the middle of a line too: lost and read are all there have been. */
static void a_reader_that_fell_behind_is_told_how_many_it_lost(void **state)
{
	struct scene *scene = *state;

	for (size_t before = 0; before < 100; before += 7) {
		struct events_reader reader;
		unsigned long lost;
		unsigned read = 0, passed;
		char start[ROOM], *text;
		int stamp = 0;

		events_begin(scene->events, &reader);
		events_seek(scene->events, &reader, UINT64_MAX);
		for (int i = 0; i < 3; i++)
			add(scene, MANAGER_CREATED, i);
		events_read(scene->events, &reader, start, before);
		passed = (unsigned)(before / strlen("1970-01-01T00:00:00.000001Z a\\040b created\n"));
		for (int i = 0; i < 200; i++)
			add(scene, MANAGER_STARTED, i);
		text = read_all(scene, &reader, before + 1);
		if (*text == '\n')
			text++;
		sscanf(text, "%*s gap %lu events lost\n%n", &lost, &stamp);
		assert_true(stamp > 0);
		for (const char *c = text + stamp; *c; c++)
			read += *c == '\n';
		assert_int_equal(passed + lost + read, 203);
		assert_true(strlen(text) - (size_t)stamp <= ROOM);
	}
}

static void the_longest_name_is_a_line_like_any_other(void **state)
{
	struct scene *scene = *state;
	struct events_reader reader;
	char name[256], *text, *end;

	memset(name, '\n', 255);
	name[255] = '\0';
	process_destroy(scene->process);
	scene->process = process_create(name, "1");
	assert_non_null(scene->process);
	for (int i = 0; i < 20; i++)
		add(scene, MANAGER_REMOVED, i);
	events_begin(scene->events, &reader);
	text = read_all(scene, &reader, 1000);
	for (int i = 17; i < 20; i++, text = end + 1) {
		end = strchr(text, '\n');
		assert_int_equal(end - text, strlen("1970-01-01T00:00:00.000001Z ") + 4 * 255 + strlen(" removed"));
		assert_int_equal(strspn(text + 28, "\\012"), 4 * 255);
	}
	assert_string_equal(text, "");
}

static void the_next_event_tells_those_who_wait(void **state)
{
	struct scene *scene = *state;
	struct told told = TOLD, left = TOLD;

	waiter_wait(events_waiters(scene->events), &told.waiter);
	waiter_wait(events_waiters(scene->events), &left.waiter);
	waiter_cancel(&left.waiter);
	add(scene, MANAGER_CREATED, 0);
	add(scene, MANAGER_REMOVED, 1);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.error, 0);
	assert_int_equal(left.times, 0);
}

/* ---- in memory that outlives them ---- */

/* The server dies, and another finds the memory and what was last kept of where the lines are. */
static void be_born_again(struct scene *scene, char *memory, const struct text *kept)
{
	struct record_reader from = record_reader_of(kept->data, kept->size);

	events_destroy(scene->events);
	scene->events = events_create_in(memory, ROOM);
	assert_non_null(scene->events);
	assert_int_equal(events_unpack(scene->events, &from), 0);
	assert_ptr_equal(from.at, from.end);
}

static char *read_from_the_first(struct scene *scene)
{
	struct events_reader reader;

	events_begin(scene->events, &reader);
	return strdup(read_all(scene, &reader, 333));
}

/* However many lines there were, and as many after that as one change can bring. */
static void lines_that_were_kept_are_there_again_and_later_ones_are_as_if_never_added(void **state)
{
	struct scene *scene = *state;
	char *memory = malloc(events_memory(ROOM));

	assert_non_null(memory);
	memset(memory, '\n', events_memory(ROOM));
	events_destroy(scene->events);
	scene->events = events_create_in(memory, ROOM);
	for (int times = 0; times < 40; times++) {
		struct text kept = {0};
		char *before, *after;
		uint64_t end;

		for (int i = 0; i < times * 3; i++)
			add(scene, MANAGER_CREATED, i);
		before = read_from_the_first(scene);
		end = events_end(scene->events);
		events_pack(scene->events, &kept);
		while (events_end(scene->events) - end < ROOM - 60)
			add(scene, MANAGER_REMOVED, 60);
		be_born_again(scene, memory, &kept);
		after = read_from_the_first(scene);
		assert_string_equal(after, before);
		assert_int_equal(events_end(scene->events), end);
		text_finish(&kept);
		free(before);
		free(after);
	}
	events_destroy(scene->events);
	scene->events = NULL;
	free(memory);
}

/* In the middle of a line, and of the note about a gap. */
static void a_reader_goes_on_where_it_was_when_it_was_kept(void **state)
{
	struct scene *scene = *state;

	for (size_t before = 0; before < 200; before += 3) {
		struct events_reader reader, again;
		struct text kept = {0};
		char start[ROOM], *whole, *rest;

		events_begin(scene->events, &reader);
		events_seek(scene->events, &reader, UINT64_MAX);
		for (int i = 0; i < 200; i++)
			add(scene, MANAGER_STARTED, i);
		events_read(scene->events, &reader, start, before);
		events_pack_reader(&reader, &kept);
		assert_int_equal(events_unpack_reader(&again, &(struct record_reader){ kept.data, kept.data + kept.size, false, false }), 0);
		for (size_t size = 0; size < kept.size; size++)
			assert_int_equal(events_unpack_reader(&(struct events_reader){0}, &(struct record_reader){
					 kept.data, kept.data + size, false, false }), -EPROTO);
		whole = strdup(read_all(scene, &reader, 50));
		rest = strdup(read_all(scene, &again, 50));
		if (!before) {
			/* Nothing was read: the gap is noted anew, with the time of then. */
			whole[0] = rest[0] = '\0';
		}
		assert_string_equal(rest, whole);
		assert_true(again.offset == reader.offset && again.passed == reader.passed);
		text_finish(&kept);
		free(whole);
		free(rest);
	}
}

static void what_cannot_be_lines_is_refused(void **state)
{
	static const uint64_t BAD[][4] = {
		{ 0, ROOM + 1, 0, 1 }, { 5, 10, 0, 11 }, { UINT64_MAX, 1, 0, 1 },
	};
	struct scene *scene = *state;
	struct text kept = {0};

	add_life(scene);
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		kept.size = 0;
		for (int j = 0; j < 4; j++)
			record_put_number(&kept, BAD[i][j]);
		assert_int_equal(events_unpack(scene->events, &(struct record_reader){ kept.data, kept.data + kept.size, false, false }),
				 -EPROTO);
	}
	assert_int_equal(events_unpack(scene->events, &(struct record_reader){ kept.data, kept.data, false, false }), -EPROTO);
	assert_int_equal(events_end(scene->events), strlen(LIFE));
	text_finish(&kept);
}

/* A server has died whose lines were overwritten before it could say so. */
static void lines_that_are_missing_are_not_looked_for_for_ever(void **state)
{
	struct scene *scene = *state;
	char *memory = calloc(1, events_memory(ROOM));
	struct events_reader reader;
	struct text kept = {0};
	char bytes[ROOM];

	assert_non_null(memory);
	record_put_number(&kept, 0);
	record_put_number(&kept, ROOM);
	record_put_number(&kept, 0);
	record_put_number(&kept, 9);
	be_born_again(scene, memory, &kept);
	add(scene, MANAGER_CREATED, 0);
	events_begin(scene->events, &reader);
	size_t size = events_read(scene->events, &reader, bytes, sizeof(bytes));
	assert_true(size == strcspn(LIFE, "\n") + 1 && !memcmp(bytes, LIFE, size));
	text_finish(&kept);
	events_destroy(scene->events);
	scene->events = NULL;
	free(memory);
}

static void a_reader_that_is_said_to_be_behind_the_end_reads_nothing_there_and_then_what_comes(void **state)
{
	struct scene *scene = *state;
	struct events_reader reader = { .at = UINT64_MAX - 7 };
	char bytes[ROOM];

	add(scene, MANAGER_REMOVED, 9);
	assert_int_equal(events_read(scene->events, &reader, bytes, sizeof(bytes)), 0);
	assert_false(events_ready(scene->events, &reader));
	add(scene, MANAGER_CREATED, 0);
	assert_true(events_ready(scene->events, &reader));
	size_t size = events_read(scene->events, &reader, bytes, sizeof(bytes));
	assert_true(size == strcspn(LIFE, "\n") + 1 && !memcmp(bytes, LIFE, size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_says_when_who_and_what_in_portions_of_any_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_seek_goes_to_a_byte_or_to_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_goes_back_over_what_it_has_just_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_that_fell_behind_is_told_how_many_it_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_longest_name_is_a_line_like_any_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_next_event_tells_those_who_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lines_that_were_kept_are_there_again_and_later_ones_are_as_if_never_added, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_reader_goes_on_where_it_was_when_it_was_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_lines_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lines_that_are_missing_are_not_looked_for_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_that_is_said_to_be_behind_the_end_reads_nothing_there_and_then_what_comes,
						set_up, tear_down),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
