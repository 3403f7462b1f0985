#include "core/manager_private.h"
#include "world.h"

#include "fs/result.h"

static void expect_result(const struct process *process, const char *expected)
{
	char got[100] = "";
	int fd = result_stream(process);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, got, sizeof(got) - 1, 0), strlen(expected));
	assert_string_equal(got, expected);
}

static void only_who_is_inside_may_write(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x"), *other = world_make(world, "y");
	struct caller inside, elsewhere;
	struct view view = { world->manager, process, &world->caller, false };
	pid_t under, pid;

	assert_int_equal(result_permit(&view), -EPERM);
	pid = world_spawn_with(world, WORLD_WITH_CHILD_IN_ITS_OWN_SESSION, &under);
	world_run_as(world, process, pid);
	world->manager->oldest = 0; /* the child was here before its start */
	elsewhere = world_inside(world, world_run(world, other));
	world->why.sentence[0] = '\0';
	assert_int_equal(result_permit(&view), -EPERM);
	assert_non_null(strstr(world->why.sentence, "self/result"));
	view.caller = &elsewhere;
	assert_int_equal(result_permit(&view), -EPERM);
	inside = world_inside(world, pid);
	view.caller = &inside;
	assert_int_equal(result_permit(&view), 0);
	inside = world_inside(world, under);
	assert_int_equal(result_permit(&view), 0);
	world_end(world, process, 0);
	assert_int_equal(result_permit(&view), -EPERM);
}

static void bytes_are_kept_where_they_were_written(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct view view = { world->manager, process, &world->caller, false };

	assert_int_equal(result_stream(process), -1);
	assert_int_equal(result_put(&view, "abc", 3, 0), 0);
	assert_int_equal(result_put(&view, "def", 3, 3), 0);
	assert_int_equal(result_put(&view, "g", 1, -1), 0);
	assert_int_equal(result_put(&view, "X", 1, 1), 0);
	expect_result(process, "aXcdefg");
	assert_int_equal(result_put(&view, "far", 3, 8), -EINVAL);
	assert_non_null(strstr(world->why.sentence, "hole"));
	expect_result(process, "aXcdefg");
}

static void no_more_than_the_largest_is_kept(void **state)
{
	struct world *world = *state;
	struct process *process = world_make(world, "x");
	struct view view = { world->manager, process, &world->caller, false };
	char *bytes = calloc(1, RESULT_LARGEST + 1);

	assert_non_null(bytes);
	assert_int_equal(result_put(&view, bytes, RESULT_LARGEST + 1, 0), -E2BIG);
	assert_int_equal(lseek(result_stream(process), 0, SEEK_END), 0);
	assert_int_equal(result_put(&view, bytes, RESULT_LARGEST - 1, 0), 0);
	assert_int_equal(result_put(&view, "xy", 2, -1), -E2BIG);
	assert_int_equal(result_put(&view, "x", 1, -1), 0);
	assert_int_equal(result_put(&view, "y", 1, -1), -E2BIG);
	assert_non_null(strstr(world->why.sentence, "16777216"));
	assert_int_equal(result_put(&view, "z", 1, 0), 0);
	assert_int_equal(lseek(result_stream(process), 0, SEEK_END), RESULT_LARGEST);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(only_who_is_inside_may_write),
		IN_WORLD(bytes_are_kept_where_they_were_written),
		IN_WORLD(no_more_than_the_largest_is_kept),
	};

	return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
