#include "core/apart.h"

#include <errno.h>
#include <stdlib.h>

#include "core/detached.h"

enum { STACK = 128 << 10 };

struct apart {
	uv_async_t over;
	void (*work)(void *context);
	void (*after)(void *context);
	void *context;
};

static void *apart_main(void *argument)
{
	struct apart *apart = argument;
	apart->work(apart->context);
	uv_async_send(&apart->over);
	return NULL;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_over(uv_async_t *over)
{
	struct apart *apart = over->data;
	apart->after(apart->context);
	uv_close((uv_handle_t *)over, on_closed);
}

int apart_begin(uv_loop_t *loop, void (*work)(void *context), void (*after)(void *context), void *context)
{
	struct apart *apart = malloc(sizeof *apart);
	if (!apart)
		return -ENOMEM;
	*apart = (struct apart){ .work = work, .after = after, .context = context };
	int error = uv_async_init(loop, &apart->over, on_over);
	if (error) {
		free(apart);
		return error;
	}
	apart->over.data = apart;
	error = detached_begin(STACK, apart_main, apart);
	if (error)
		uv_close((uv_handle_t *)&apart->over, on_closed);
	return error;
}
