#include "core/signals.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int signal_parse(const char *word)
{
	char *end;
	if (isdigit((unsigned char)*word)) {
		long number = strtol(word, &end, 10);
		return !*end && number > 0 && number <= SIGRTMAX ? (int)number : -EINVAL;
	}
	if (!strncasecmp(word, "SIG", 3))
		word += 3;
	for (int number = 1; number < SIGRTMIN; number++) {
		const char *name = sigabbrev_np(number);
		if (name && !strcasecmp(name, word))
			return number;
	}
	int edge = !strncasecmp(word, "RTMIN", 5) ? SIGRTMIN : !strncasecmp(word, "RTMAX", 5) ? SIGRTMAX : 0;
	if (!edge)
		return -EINVAL;
	word += 5;
	if (!*word)
		return edge;
	if ((*word != '+' && *word != '-') || !isdigit((unsigned char)word[1]))
		return -EINVAL;
	long offset = strtol(word, &end, 10);
	return !*end && offset >= SIGRTMIN - edge && offset <= SIGRTMAX - edge ? edge + (int)offset : -EINVAL;
}

void signal_add_name(struct text *out, int number)
{
	if (sigabbrev_np(number))
		text_add(out, sigabbrev_np(number));
	else if (number > SIGRTMIN)
		text_printf(out, "RTMIN+%d", number - SIGRTMIN);
	else if (number == SIGRTMIN)
		text_add(out, "RTMIN");
	else
		text_printf(out, "%d", number);
}

int signal_refuse(struct refusal *why, const char *word)
{
	struct text valid = {0};
	for (int number = 1; number < SIGRTMIN; number++)
		if (sigabbrev_np(number))
			text_printf(&valid, " %s", sigabbrev_np(number));
	char *list = text_take(&valid, NULL);
	int error = refuse(why, EINVAL, "'%s' is no signal; valid are:%s RTMIN+N RTMAX-N or 1 to %d", word, list ? list : "",
			   SIGRTMAX);
	free(list);
	return error;
}
