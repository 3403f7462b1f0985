#include "core/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int size_parse(const char *word, uint64_t *out)
{
	static const char UNITS[] = "KMGT";
	char *end;
	if (!isdigit((unsigned char)*word))
		return -EINVAL;
	errno = 0;
	uint64_t number = strtoull(word, &end, 10);
	const char *unit = *end ? strchr(UNITS, toupper((unsigned char)*end)) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - UNITS + 1) : 0;
	if (errno || (*end && !unit) || (unit && end[1]) || number > (uint64_t)INT64_MAX >> shift)
		return -EINVAL;
	*out = number << shift;
	return 0;
}
