/* stamper SHARED: leaves whoever waits for it time to wait, then says in the file what time it is and ends. */
#include <time.h>

#include "shared.h"

int main(int argc, char **argv)
{
	struct shared *shared = argc == 2 ? shared_map(argv[1]) : NULL;
	struct timespec pause = { .tv_nsec = 3000000 }, time;

	if (!shared)
		return 1;
	nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &time);
	shared->stamp = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
	_exit(0);
}
