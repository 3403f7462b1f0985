#include "core/memory_stock.h"

#include <unistd.h>

#include "core/memory_file.h"

enum { READY_MOST = sizeof ((struct memory_stock *)0)->ready / sizeof (struct memory_stock_file) };

void memory_stock_begin(struct memory_stock *stock)
{
	*stock = (struct memory_stock){ .place_fd = memory_file_place() };
}

void memory_stock_finish(struct memory_stock *stock)
{
	while (stock->count > 0) {
		const struct memory_stock_file *file = &stock->ready[--stock->count];
		close(file->own_fd);
		close(file->fd);
	}
	if (stock->place_fd >= 0)
		close(stock->place_fd);
	stock->place_fd = -1;
}

void memory_stock_fill(struct memory_stock *stock)
{
	while (stock->place_fd >= 0 && stock->count < READY_MOST) {
		struct memory_stock_file file = { .own_fd = -1 };
		file.fd = memory_file_open(stock->place_fd, "", &file.own_fd);
		if (file.fd < 0)
			return;
		stock->ready[stock->count++] = file;
	}
}

int memory_stock_open(struct memory_stock *stock, const char *name, int *own)
{
	if (*own >= 0 || stock->count == 0)
		return memory_file_open(stock->place_fd, name, own);
	const struct memory_stock_file *file = &stock->ready[--stock->count];
	*own = file->own_fd;
	return file->fd;
}
