#include "core/closing.h"

#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/detached.h"
#include "core/rights.h"

enum { STACK = 64 << 10 };

/* Each into a message of its own that nobody has read yet, where no table of descriptors has it. Result: the socket that they wait at,
 * -1: none. */
static int put_into_messages(const int *fds, size_t count)
{
	int ends[2], error = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -1;
	for (size_t i = 0; !error && i < count; i++)
		error = rights_send(ends[0], "", 1, &fds[i], 1);
	close(ends[0]);
	if (!error)
		return ends[1];
	close(ends[1]);
	return -1;
}

/* Whose descriptors are closed by who reads them with no room for one. */
static void *read_messages(void *socket_fd)
{
	char byte;
	int fd = (int)(intptr_t)socket_fd;

	while (recv(fd, &byte, 1, MSG_DONTWAIT) > 0)
		continue;
	close(fd);
	return NULL;
}

void closing_begin(const int *fds, size_t count)
{
	int socket_fd = put_into_messages(fds, count);

	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	if (socket_fd >= 0 && detached_begin(STACK, read_messages, (void *)(intptr_t)socket_fd))
		read_messages((void *)(intptr_t)socket_fd);
}
