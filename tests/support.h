/*
 * support: what tests of several rooms share.
 */
#ifndef PROCFS_MP_TESTS_SUPPORT_H
#define PROCFS_MP_TESTS_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/descriptors.h"

/* In a process of a test's own, whose exit status says whether all was right. */
#define CHECK(condition)                                                          \
	do {                                                                      \
		if (!(condition)) {                                               \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);   \
			return 1;                                                 \
		}                                                                 \
	} while (0)

static inline void kill_children(void)
{
	FILE *file = fopen("/proc/thread-self/children", "re");
	int pid;

	while (file && fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (file)
		fclose(file);
}

/* All there is until the end, as a string. */
static inline void slurp(int fd, char *text, size_t size)
{
	size_t done = 0;
	ssize_t got;

	while (done < size - 1 && (got = read(fd, text + done, size - 1 - done)) > 0)
		done += (size_t)got;
	text[done] = '\0';
}

#endif
