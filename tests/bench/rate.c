/*
 * rate MOUNT PROGRAM ROUNDS CLIENTS MILLISECONDS: how many starts and joins a second CLIENTS processes reach together.
 * In every round each way of ways.h has all of them busy for MILLISECONDS. Prints a line a round: cycles per second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ways.h"

enum { WAYS = 3 };

struct rate {
	struct client client;
	long clients;
	uint64_t span; /* nanoseconds */
};

/* A client of its own: how many cycles it completed goes into the pipe. */
static _Noreturn void work(struct rate *rate, uint64_t (*way)(struct client *), int out)
{
	uint64_t begun = now();
	double cycles = 0;

	while (now() - begun < rate->span) {
		way(&rate->client);
		cycles++;
	}
	cycles = cycles * 1e9 / (double)(now() - begun);
	if (write(out, &cycles, sizeof cycles) != sizeof cycles)
		fail("pipe");
	_exit(0);
}

static double cycles_of(struct rate *rate, uint64_t (*way)(struct client *))
{
	int ends[2];
	double one, sum = 0;

	fflush(stdout);
	if (pipe(ends))
		fail("pipe");
	for (long i = 0; i < rate->clients; i++) {
		pid_t pid = fork();
		if (pid < 0)
			fail("fork");
		if (pid == 0)
			work(rate, way, ends[1]);
	}
	close(ends[1]);
	for (long i = 0; i < rate->clients; i++) {
		if (wait_for(-1) != 0 || read(ends[0], &one, sizeof one) != sizeof one)
			fail("a client");
		sum += one;
	}
	close(ends[0]);
	return sum;
}

int main(int argc, char **argv)
{
	static uint64_t (*const ways[WAYS])(struct client *) = { way_spawn, way_files, way_clone };

	if (argc != 6) {
		fputs("usage: rate MOUNT PROGRAM ROUNDS CLIENTS MILLISECONDS\n", stderr);
		return 2;
	}
	struct rate rate = { .clients = number_of(argv[4]), .span = (uint64_t)number_of(argv[5]) * 1000000 };
	client_begin(&rate.client, argv[1], argv[2]);
	puts("spawn files clone");
	for (long i = 0, rounds = number_of(argv[3]); i < rounds; i++) {
		double rates[WAYS];
		for (long j = i; j < i + WAYS; j++)
			rates[j % WAYS] = cycles_of(&rate, ways[j % WAYS]);
		printf("%.1f %.1f %.1f\n", rates[0], rates[1], rates[2]);
	}
	return 0;
}
