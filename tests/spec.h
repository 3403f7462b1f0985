/*
 * spec: launches as tests write them: a program and its arguments, and the rest as it mostly is.
 */
#ifndef PROCFS_MP_TESTS_SPEC_H
#define PROCFS_MP_TESTS_SPEC_H

#include "core/launch.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static inline struct launch_spec spec_of(const char *const *argv)
{
	static const char *const environment[] = { "PATH=/usr/bin:/bin", NULL };

	return (struct launch_spec){
		.umask = 022,
		.cwd = "/",
		.candidates = argv,
		.argv = argv,
		.envp = environment,
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
	};
}

/* The first of argv alone is the candidate: the rest would be tried too. */
#define SPEC(spec, ...)                                                         \
	const char *const spec##_argv[] = { __VA_ARGS__, NULL };                \
	const char *const spec##_candidates[] = { spec##_argv[0], NULL };       \
	struct launch_spec spec = spec_of(spec##_argv);                         \
	spec.candidates = spec##_candidates

#endif
