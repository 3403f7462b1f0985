#include "core/columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In UTF-8 the bytes that continue a character have no width. */
static size_t width_of(const char *cell)
{
	size_t width = 0;
	for (; *cell; cell++)
		width += ((unsigned char)*cell & 0xc0) != 0x80;
	return width;
}

void columns_add(struct columns *columns, const char *cell)
{
	if (!*cell)
		cell = "-";
	size_t width = width_of(cell);
	if (width > COLUMNS_WIDEST)
		width = COLUMNS_WIDEST;
	if (width > columns->widths[columns->at])
		columns->widths[columns->at] = width;
	text_append(&columns->cells, cell, strlen(cell) + 1);
	columns->at = (columns->at + 1) % columns->count;
}

void columns_take(struct columns *columns, struct text *cell)
{
	char *string = text_take(cell, NULL);
	if (string)
		columns_add(columns, string);
	else
		columns->cells.failed = true;
	free(string);
}

int columns_write(const struct columns *columns, struct text *out)
{
	static const char BLANKS[COLUMNS_WIDEST + 1] = "                                        ";
	const char *cell = columns->cells.data;
	if (text_status(&columns->cells))
		return -ENOMEM;
	for (size_t at = 0, column = 0; at < columns->cells.size; column = (column + 1) % columns->count) {
		size_t size = strlen(cell + at), width = width_of(cell + at);
		text_append(out, cell + at, size);
		at += size + 1;
		if (column + 1 == columns->count)
			text_add(out, "\n");
		else if (width < columns->widths[column])
			text_append(out, BLANKS, columns->widths[column] - width);
		if (column + 1 < columns->count)
			text_add(out, "  ");
	}
	return text_status(out);
}

void columns_finish(struct columns *columns)
{
	text_finish(&columns->cells);
}
