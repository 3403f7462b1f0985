#include "core/cutting.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apart.h"
#include "core/memory_file.h"

struct cutting {
	struct cutting_wish wish; /* on_done NULL: nobody is to be told */
};

static void on_work(void *context)
{
	const struct cutting_wish *wish = &((struct cutting *)context)->wish;
	struct stat st;
	/* The program may have truncated it meanwhile: what begins anew is not to be cut. When it fails there is more kept than was
	 * asked for, and nothing else to be done. */
	if (!fstat(wish->fd, &st) && (uint64_t)st.st_size >= wish->to)
		(void)memory_file_cut(wish->fd, wish->from, wish->to);
}

static void on_over(void *context)
{
	struct cutting *cutting = context;
	const struct cutting_wish *wish = &cutting->wish;
	close(wish->fd);
	if (wish->on_done)
		wish->on_done(wish->context, wish->number);
	free(cutting);
}

int cutting_begin(uv_loop_t *loop, const struct cutting_wish *wish, struct cutting **out)
{
	struct cutting *cutting = malloc(sizeof *cutting);
	if (!cutting)
		return -ENOMEM;
	cutting->wish = *wish;
	int error = apart_begin(loop, on_work, on_over, cutting);
	if (error) {
		free(cutting);
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
