/*
 * memory_stock: memory files that are made before they are wanted, so that no start waits for it.
 *
 * Owns: the place where they lie, and the few that are ready: as many as one start takes.
 *
 * Must not know: processes, who writes.
 */
#ifndef PROCFS_MP_MEMORY_STOCK_H
#define PROCFS_MP_MEMORY_STOCK_H

struct memory_stock {
	int place_fd; /* negative: none to be had */
	unsigned count;
	struct memory_stock_file {
		int own_fd, fd;
	} ready[2];
};

/* The place is made, nothing else; memory_stock_finish closes all there is. */
void memory_stock_begin(struct memory_stock *stock);
void memory_stock_finish(struct memory_stock *stock);

/* Makes as many as are missing, where they lie in a place of ours; when it fails, less are ready. */
void memory_stock_fill(struct memory_stock *stock);

/* As memory_file_open: one that is ready, or a new one. */
int memory_stock_open(struct memory_stock *stock, const char *name, int *own);

#endif
