#include "core/vector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void vector_add(struct vector *vector, const char *string)
{
	text_append(&vector->bytes, string, strlen(string) + 1);
	vector->count++;
}

void vector_add_path(struct vector *vector, const char *directory, size_t size, const char *name)
{
	text_append(&vector->bytes, directory, size);
	if (size && directory[size - 1] != '/')
		text_append(&vector->bytes, "/", 1);
	vector_add(vector, name);
}

void vector_add_search(struct vector *vector, const char *path, const char *name)
{
	if (!path)
		path = VECTOR_DEFAULT_PATH;
	for (;;) {
		size_t size = strcspn(path, ":");
		vector_add_path(vector, size ? path : ".", size ? size : 1, name);
		if (!path[size])
			return;
		path += size + 1;
	}
}

/* The pointers are made last, when the bytes move no more. */
int vector_seal(struct vector *vector)
{
	if (text_status(&vector->bytes))
		return -ENOMEM;
	vector->strings = calloc(vector->count + 1, sizeof *vector->strings);
	if (!vector->strings)
		return -ENOMEM;
	const char *next = vector->bytes.data;
	for (size_t i = 0; i < vector->count; i++) {
		vector->strings[i] = next;
		next += strlen(next) + 1;
	}
	return 0;
}

void vector_finish(struct vector *vector)
{
	text_finish(&vector->bytes);
	free(vector->strings);
}
