#include "core/cutting.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory_file.h"

enum { CUTTING_STACK = 64 << 10 };

struct cutting {
	uv_async_t over;
	struct cutting_wish wish; /* on_done NULL: nobody is to be told */
};

static void *cutting_main(void *argument)
{
	struct cutting *cutting = argument;
	const struct cutting_wish *wish = &cutting->wish;
	struct stat st;
	/* The program may have truncated it meanwhile: what begins anew is not to be cut. When it fails there is more kept than was
	 * asked for, and nothing else to be done. */
	if (!fstat(wish->fd, &st) && (uint64_t)st.st_size >= wish->to)
		(void)memory_file_cut(wish->fd, wish->from, wish->to);
	uv_async_send(&cutting->over);
	return NULL;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void destroy(struct cutting *cutting)
{
	uv_close((uv_handle_t *)&cutting->over, on_closed);
}

static void on_over(uv_async_t *over)
{
	struct cutting *cutting = over->data;
	const struct cutting_wish *wish = &cutting->wish;
	close(wish->fd);
	if (wish->on_done)
		wish->on_done(wish->context, wish->number);
	destroy(cutting);
}

static int start_thread(struct cutting *cutting)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error = pthread_attr_init(&attributes);
	if (error)
		return -error;
	pthread_attr_setstacksize(&attributes, CUTTING_STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&thread, &attributes, cutting_main, cutting);
	pthread_attr_destroy(&attributes);
	return -error;
}

int cutting_begin(uv_loop_t *loop, const struct cutting_wish *wish, struct cutting **out)
{
	struct cutting *cutting = malloc(sizeof *cutting);
	if (!cutting)
		return -ENOMEM;
	int error = uv_async_init(loop, &cutting->over, on_over);
	if (error) {
		free(cutting);
		return error;
	}
	cutting->over.data = cutting;
	cutting->wish = *wish;
	error = start_thread(cutting);
	if (error) {
		destroy(cutting);
		return error;
	}
	*out = cutting;
	return 0;
}

void cutting_forget(struct cutting *cutting)
{
	if (cutting)
		cutting->wish.on_done = NULL;
}
