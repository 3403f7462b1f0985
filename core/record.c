#include "core/record.h"

#include <stdlib.h>
#include <string.h>

void record_put_number(struct text *out, uint64_t number)
{
	unsigned char bytes[10];
	size_t size = 0;
	do {
		bytes[size] = number & 0x7f;
		number >>= 7;
		bytes[size++] |= number ? 0x80 : 0;
	} while (number);
	text_append(out, bytes, size);
}

void record_put_signed(struct text *out, int64_t number)
{
	record_put_number(out, (uint64_t)number << 1 ^ (number < 0 ? UINT64_MAX : 0));
}

void record_put_time(struct text *out, struct timespec time)
{
	record_put_signed(out, time.tv_sec);
	record_put_number(out, (uint64_t)time.tv_nsec);
}

void record_put_bytes(struct text *out, const void *bytes, size_t size)
{
	record_put_number(out, bytes ? size + 1 : 0);
	if (bytes && size)
		text_append(out, bytes, size);
}

void record_put_string(struct text *out, const char *string)
{
	record_put_bytes(out, string, string ? strlen(string) : 0);
}

uint64_t record_number(struct record_reader *from)
{
	uint64_t number = 0;
	for (unsigned shift = 0; shift < 64 && from->at < from->end; shift += 7) {
		unsigned char byte = (unsigned char)*from->at++;
		if (shift == 63 && byte > 1)
			break;
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return number;
	}
	from->bad = true;
	from->at = from->end;
	return 0;
}

int64_t record_signed(struct record_reader *from)
{
	uint64_t number = record_number(from);
	return (int64_t)(number >> 1 ^ (number & 1 ? UINT64_MAX : 0));
}

struct timespec record_time(struct record_reader *from)
{
	struct timespec time = { .tv_sec = (time_t)record_signed(from) };
	time.tv_nsec = (long)record_number(from);
	return time;
}

const char *record_bytes(struct record_reader *from, size_t *size)
{
	uint64_t length = record_number(from);
	*size = 0;
	if (!length)
		return NULL;
	if (--length > (uint64_t)(from->end - from->at)) {
		from->bad = true;
		from->at = from->end;
		return NULL;
	}
	const char *bytes = from->at;
	from->at += length;
	*size = (size_t)length;
	return bytes;
}

char *record_copy(struct record_reader *from, size_t *size)
{
	size_t length;
	const char *bytes = record_bytes(from, &length);
	if (size)
		*size = length;
	if (!bytes)
		return NULL;
	char *copy = malloc(length + 1);
	if (!copy) {
		from->bad = from->lacks = true;
		return NULL;
	}
	memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}
