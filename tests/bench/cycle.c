/*
 * cycle MOUNT PROGRAM ROUNDS: starts and joins PROGRAM ROUNDS times in each way of ways.h, one after the other in every
 * round, and prints a line a round: the nanoseconds of each way, in the order of the names in the first line.
 */
#include <stdio.h>

#include "ways.h"

enum { WARM_UP = 10, WAYS = 3 };

/* Each way comes first, second and last equally often: what one leaves in the caches the next finds. */
static void round_of(struct client *client, long number)
{
	static uint64_t (*const ways[WAYS])(struct client *) = { way_spawn, way_files, way_clone };
	uint64_t times[WAYS];

	for (long i = number; i < number + WAYS; i++)
		times[i % WAYS] = ways[i % WAYS](client);
	if (number >= WARM_UP)
		printf("%ju %ju %ju\n", (uintmax_t)times[0], (uintmax_t)times[1], (uintmax_t)times[2]);
}

int main(int argc, char **argv)
{
	struct client client;

	if (argc != 4) {
		fputs("usage: cycle MOUNT PROGRAM ROUNDS\n", stderr);
		return 2;
	}
	long rounds = number_of(argv[3]);
	client_begin(&client, argv[1], argv[2]);
	puts("spawn files clone");
	for (long i = 0; i < WARM_UP + rounds; i++)
		round_of(&client, i);
	return 0;
}
