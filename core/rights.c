#include "core/rights.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

int rights_send(int socket_fd, const void *bytes, size_t size, const int *fds, size_t count)
{
	union {
		char bytes[CMSG_SPACE(RIGHTS_MOST * sizeof(int))];
		struct cmsghdr header;
	} control = {0};
	struct iovec part = { (void *)(uintptr_t)bytes, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t sent;
	if (count) {
		control.header = (struct cmsghdr){ CMSG_LEN(count * sizeof *fds), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof *fds);
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
	}
	do
		sent = sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}
