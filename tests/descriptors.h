/*
 * descriptors: how many are open, for tests and fuzzers that look for one that was left, and how they are sent.
 */
#ifndef PROCFS_MP_TESTS_DESCRIPTORS_H
#define PROCFS_MP_TESTS_DESCRIPTORS_H

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>

/* For comparing: what the count itself opens is in it each time. */
static inline int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

enum { SENT_DESCRIPTORS_MAX = 8 };

/* As core/message does it, but with descriptors that the bytes need not tell of. Result: sendmsg(2)'s. */
static inline ssize_t send_with_descriptors(int socket_fd, struct iovec bytes, const int *fds, size_t count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(SENT_DESCRIPTORS_MAX * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

	if (count) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	return sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

#endif
