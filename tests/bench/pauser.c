/* pauser SHARED: says in the file that it runs, then waits for a signal that ends it. */
#include "shared.h"

int main(int argc, char **argv)
{
	struct shared *shared = argc == 2 ? shared_map(argv[1]) : NULL;

	if (!shared)
		return 1;
	atomic_fetch_add(&shared->started, 1);
	for (;;)
		pause();
}
