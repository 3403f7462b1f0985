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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_says_when_who_and_what_in_portions_of_any_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_seek_goes_to_a_byte_or_to_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_goes_back_over_what_it_has_just_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_that_fell_behind_is_told_how_many_it_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_longest_name_is_a_line_like_any_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_next_event_tells_those_who_wait, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
