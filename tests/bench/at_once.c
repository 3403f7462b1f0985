/* The least that can be executed: static, ends at once, without even the C library's beginning. */
#include <unistd.h>

void _start(void);

void _start(void)
{
	_exit(0);
}
